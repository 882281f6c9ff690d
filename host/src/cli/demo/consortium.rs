//! How the demo's nodes come to talk to each other: in suites 2 and 3 by a roster that a consortium's key has signed, in suite 1 by
//! leave of their operators.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use clap::ValueEnum;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::network::NodeProcess;
use crate::cli::node::failed;
use crate::cli::{Exit, Problem, status};
use crate::control::Whom;
use crate::message::NodeId;
use crate::node::{make_private_folder, open_store};
use crate::packages::{Signature, SigningKey};
use crate::policy;
use crate::proto::control::{ApplyRosterRequest, IdentityReply};
use crate::randomness::Randomness;

/// In which suite the demo's nodes talk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Suite {
    /// That of Fed-BioMed: a relay that puts itself between two nodes at their set-up can read and forge.
    #[value(name = "1")]
    One,
    /// Secure against the relay: each node knows the others' identity keys from a signed roster.
    #[value(name = "2")]
    Two,
    /// That with ML-KEM-768 beside it, against a later quantum computer: the roster asks for it.
    #[value(name = "3")]
    Three,
}

impl Suite {
    pub(super) fn number(self) -> u8 {
        match self {
            Self::One => 1,
            Self::Two => 2,
            Self::Three => 3,
        }
    }
}

/// What is said when it fails.
const WHAT: &str = "the demo's nodes cannot be made known to each other";
const TODO: &str = "run it again with --keep DIR and look there";

/// Readies the nodes, which do not run yet, for that suite. Blocks.
pub(super) fn introduce(nodes: &[NodeProcess], suite: Suite) -> Result<(), Problem> {
    match suite {
        Suite::One => nodes
            .iter()
            .try_for_each(|node| write_policy(node, "[channels]\nsuite-1 = \"any\"\n")),
        Suite::Two | Suite::Three => apply_roster(nodes, suite),
    }
}

/// A consortium of one, whose key signs one roster and is gone.
fn apply_roster(nodes: &[NodeProcess], suite: Suite) -> Result<(), Problem> {
    let key = SigningKey::draw().map_err(|error| problem(&error))?;
    let public = key.public_key().map_err(|error| problem(&error))?;
    let whoms: Vec<_> = nodes.iter().map(whom).collect::<Result<_, _>>()?;
    let identities: Vec<_> = whoms
        .iter()
        .map(|whom| {
            whom.identity()
                .map_err(|error| status::failed(WHAT, &error))
        })
        .collect::<Result<_, _>>()?;
    let file = roster(&identities, suite)?.into_bytes();
    let signature = Signature::of_file(&file, "the demo's roster", &key);
    let signature = signature.map_err(|error| problem(&error))?;
    let consortium = format!("[roster]\nthreshold = 1\n[roster.keys]\ndemo = \"{public}\"\n");
    for (node, whom) in nodes.iter().zip(whoms) {
        write_policy(node, &consortium)?;
        let request = ApplyRosterRequest {
            file: file.clone(),
            signatures: vec![signature.to_string()],
            by: "demo".into(),
        };
        whom.apply_roster(&request)
            .map_err(|error| status::failed(WHAT, &error))?;
    }
    Ok(())
}

fn whom(node: &NodeProcess) -> Result<Whom, Problem> {
    let id: NodeId = node.id.parse().map_err(|error| problem(&error))?;
    let randomness = Randomness::from_system().map_err(|error| problem(&error))?;
    let store = open_store(&node.data, &id, &randomness).map_err(|error| failed(WHAT, error))?;
    Whom::new(Arc::new(store), node.data.clone()).map_err(|error| status::failed(WHAT, &error))
}

/// For a day.
fn roster(identities: &[IdentityReply], suite: Suite) -> Result<String, Problem> {
    let date = |time: SystemTime| OffsetDateTime::from(time).format(&Rfc3339);
    let now = SystemTime::now();
    let issued = date(now).map_err(|error| problem(&error))?;
    let expires = date(now + Duration::from_secs(24 * 60 * 60)).map_err(|error| problem(&error))?;
    let mut text = format!(
        "format = 1\nfederation = \"demo\"\nversion = 1\nissued = {issued}\nexpires = {expires}\nminimum-suite = {}\n",
        suite.number()
    );
    for IdentityReply { node_id, key, .. } in identities {
        write!(
            text,
            "\n[[node]]\nid = \"{node_id}\"\nsite = \"{node_id}\"\nkey = \"{key}\"\n"
        )
        .map_err(|error| problem(&error))?;
    }
    Ok(text)
}

fn write_policy(node: &NodeProcess, rules: &str) -> Result<(), Problem> {
    make_private_folder(&node.data).map_err(|error| problem(&error))?;
    let path = node.data.join(policy::FILE);
    std::fs::write(path, format!("version = 1\n\n{rules}")).map_err(|error| problem(&error))
}

fn problem(error: &dyn std::fmt::Display) -> Problem {
    Problem::new(Exit::Failed, WHAT, error.to_string(), TODO)
}
