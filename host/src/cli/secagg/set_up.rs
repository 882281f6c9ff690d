use std::fmt;
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;

use super::Scheme;
use crate::cli::output::{foreign, table, with_progress};
use crate::cli::status::{connect, failed};
use crate::cli::{Exit, Format, Problem};
use crate::proto::control::answer::Outcome;
use crate::proto::control::relay_client::RelayClient;
use crate::proto::control::{self, Answer, DeleteRequest, SetUpReply, SetUpRequest};

/// Ask nodes to set up secure aggregation with each other.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  backchannel secagg setup --relay relay --scheme dh --parties hospital-a,hospital-b"
)]
pub(in crate::cli) struct SetUp {
    /// The relay's data directory.
    #[arg(long, value_name = "DIR")]
    relay: PathBuf,
    /// What to set up.
    #[arg(long, value_enum)]
    scheme: Scheme,
    /// The parties' ids, separated by commas.
    #[arg(long, value_delimiter = ',', required = true, value_name = "ID,ID…")]
    parties: Vec<String>,
    /// The set-up's id [default: drawn].
    #[arg(long, value_name = "ID", default_value = "", hide_default_value = true)]
    id: String,
    /// The experiment it is for [default: drawn].
    #[arg(long, value_name = "ID", default_value = "", hide_default_value = true)]
    experiment: String,
}

/// Ask nodes to forget a set-up.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  backchannel secagg delete --relay relay --id secagg_1 --parties hospital-a,hospital-b"
)]
pub(in crate::cli) struct Delete {
    /// The relay's data directory.
    #[arg(long, value_name = "DIR")]
    relay: PathBuf,
    /// The set-up's id.
    #[arg(long, value_name = "ID")]
    id: String,
    /// The parties' ids, separated by commas.
    #[arg(long, value_delimiter = ',', required = true, value_name = "ID,ID…")]
    parties: Vec<String>,
}

/// What became of a set-up or a deletion.
#[derive(Serialize)]
struct Shown {
    ok: bool,
    secagg_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    experiment_id: Option<String>,
    nodes: Vec<ShownAnswer>,
    #[serde(skip_serializing_if = "Option::is_none")]
    elapsed_ms: Option<u64>,
}

#[derive(Serialize)]
struct ShownAnswer {
    id: String,
    outcome: &'static str,
    text: String,
}

impl SetUp {
    pub(super) async fn run(self, format: Format) -> Result<(), Problem> {
        let reply = set_up(
            &self.relay,
            self.scheme,
            self.parties,
            self.id,
            self.experiment,
        )
        .await?;
        format.show(&Shown {
            ok: true,
            secagg_id: reply.secagg_id,
            experiment_id: Some(reply.experiment_id),
            nodes: shown(&reply.answers),
            elapsed_ms: Some(reply.elapsed_ms),
        });
        Ok(())
    }
}

impl Delete {
    pub(super) async fn run(self, format: Format) -> Result<(), Problem> {
        let what = format!("{} was not deleted everywhere", self.id);
        let mut client = RelayClient::new(connect(&self.relay).await?);
        let request = DeleteRequest {
            secagg_id: self.id.clone(),
            parties: self.parties,
        };
        let reply = with_progress("waiting for the nodes", client.delete(request)).await;
        let reply = reply.map_err(|status| failed(&what, &status))?.into_inner();
        if !reply.ok {
            return Err(unfinished(what, &reply.answers));
        }
        format.show(&Shown {
            ok: true,
            secagg_id: self.id,
            experiment_id: None,
            nodes: shown(&reply.answers),
            elapsed_ms: None,
        });
        Ok(())
    }
}

/// Has a relay run a set-up; an error unless all parties finished it.
pub(in crate::cli) async fn set_up(
    relay: &Path,
    scheme: Scheme,
    parties: Vec<String>,
    secagg_id: String,
    experiment_id: String,
) -> Result<SetUpReply, Problem> {
    let what = format!("the set-up among {} failed", parties.join(", "));
    if parties.len() < 2 {
        let why = format!(
            "secure aggregation needs at least two parties, got {}",
            parties.len()
        );
        return Err(Problem::new(
            Exit::Input,
            what,
            why,
            "name two or more with --parties a,b",
        ));
    }
    let mut client = RelayClient::new(connect(relay).await?);
    let scheme = match scheme {
        Scheme::Dh => control::Scheme::Dh,
        Scheme::ServerKey => control::Scheme::ServerKey,
    };
    let request = SetUpRequest {
        scheme: scheme.into(),
        parties,
        secagg_id,
        experiment_id,
    };
    let reply = with_progress("setting up", client.set_up(request)).await;
    let reply = reply.map_err(|status| failed(&what, &status))?.into_inner();
    if reply.ok {
        Ok(reply)
    } else {
        Err(unfinished(what, &reply.answers))
    }
}

fn unfinished(what: String, answers: &[Answer]) -> Problem {
    let whys: Vec<_> = answers
        .iter()
        .filter(|answer| !matches!(answer.outcome(), Outcome::Done | Outcome::NotAsked))
        .map(|answer| {
            let text = if answer.text.is_empty() {
                String::new()
            } else {
                format!(": {}", foreign(&answer.text))
            };
            let node = foreign(&answer.node_id);
            format!("{node} {}{text}", outcome(answer.outcome()))
        })
        .collect();
    let todo = "see `backchannel status` of the relay for who is connected, and the nodes' logs; then run it again";
    Problem::new(Exit::Failed, what, whys.join("; "), todo)
}

fn shown(answers: &[Answer]) -> Vec<ShownAnswer> {
    answers
        .iter()
        .map(|answer| ShownAnswer {
            id: foreign(&answer.node_id),
            outcome: outcome(answer.outcome()),
            text: foreign(&answer.text),
        })
        .collect()
}

/// What became of a party's part, in words that follow its name.
pub(in crate::cli) fn outcome(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Done => "done",
        Outcome::Failed => "failed",
        Outcome::Silent => "did not answer",
        Outcome::NotConnected => "is not connected",
        Outcome::NotAsked => "was not asked",
        Outcome::Unspecified => "gave an answer that this program does not know",
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.secagg_id)?;
        if let Some(experiment) = &self.experiment_id {
            write!(f, " for {experiment}")?;
        }
        if let Some(elapsed) = self.elapsed_ms {
            write!(f, ", {elapsed} ms")?;
        }
        let rows = self
            .nodes
            .iter()
            .map(|node| vec![node.id.clone(), node.outcome.into(), node.text.clone()]);
        write!(f, "\n\n{}", table(&["node", "outcome", ""], rows.collect()))
    }
}
