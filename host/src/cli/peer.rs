use std::fmt;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde::Serialize;

use super::output::{foreign, time_of};
use super::plugin::{Operator, not_read};
use super::whom::Whom;
use super::{Exit, Format, Problem};
use crate::packages::read_file;
use crate::proto::control::{Peer as Known, PeersReply, PinRequest, Roster, UnpinRequest};

/// The longest identity file that is looked at, in bytes.
const LONGEST_FILE: usize = 16 << 10;

#[derive(Debug, Subcommand)]
pub(super) enum Peer {
    /// Show what a node believes of its peers: each one's key, who says so, since when, and which suites it is talked to in.
    List(List),
    /// Believe the key in a peer's identity file, once its operator has read the fingerprint out to you.
    Pin(Pin),
    /// Take a pin back.
    Unpin(Unpin),
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  backchannel peer list --data /var/lib/backchannel")]
pub(super) struct List {
    /// The node's data directory.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  backchannel peer pin hospital-b hospital-b.toml --fingerprint \"40182 60013 …\" --data /var/lib/backchannel"
)]
pub(super) struct Pin {
    /// The peer's node id.
    node: String,
    /// What its operator wrote with `backchannel identity export`.
    file: PathBuf,
    /// What its operator reads out, by telephone, from `backchannel identity show`: 10 groups of 5 digits.
    #[arg(long, value_name = "DIGITS")]
    fingerprint: String,
    #[command(flatten)]
    operator: Operator,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  backchannel peer unpin hospital-b --data /var/lib/backchannel")]
pub(super) struct Unpin {
    /// The peer's node id.
    node: String,
    #[command(flatten)]
    operator: Operator,
}

impl Peer {
    pub(super) async fn run(self, format: Format) -> Result<(), Problem> {
        match self {
            Self::List(list) => list.run(format).await,
            Self::Pin(pin) => pin.run(format).await,
            Self::Unpin(unpin) => unpin.run(format).await,
        }
    }
}

impl List {
    async fn run(self, format: Format) -> Result<(), Problem> {
        let whom = Whom::reach(&self.data, None, "the node's peers cannot be shown").await?;
        format.show(&Shown::from(whom.peers().await?));
        Ok(())
    }
}

impl Pin {
    async fn run(self, format: Format) -> Result<(), Problem> {
        let what = format!("{} is not pinned", foreign(&self.node));
        let file = read_file(&self.file, LONGEST_FILE).map_err(|error| not_read(&what, &error))?;
        let file = String::from_utf8(file).map_err(|_| {
            let why = format!("{} is not text", self.file.display());
            let todo = "give the file that `backchannel identity export` wrote at the peer";
            Problem::new(Exit::Input, &what, why, todo)
        })?;
        let request = PinRequest {
            node_id: self.node.clone(),
            file,
            fingerprint: self.fingerprint,
            by: self.operator.name(),
        };
        let reply = Whom::reach(&self.operator.data, None, what)
            .await?
            .pin(request)
            .await?;
        format.show(&Pinned {
            ok: true,
            peer: foreign(&self.node),
            key: foreign(&reply.key),
            already: reply.already,
            met_otherwise: reply.met_otherwise,
        });
        Ok(())
    }
}

impl Unpin {
    async fn run(self, format: Format) -> Result<(), Problem> {
        let what = format!("no pin of {} is taken back", foreign(&self.node));
        let request = UnpinRequest {
            node_id: self.node.clone(),
            by: self.operator.name(),
        };
        let whom = Whom::reach(&self.operator.data, None, what).await?;
        let reply = whom.unpin(request).await?;
        format.show(&Unpinned {
            ok: true,
            peer: foreign(&self.node),
            key: foreign(&reply.key),
        });
        Ok(())
    }
}

#[derive(Serialize)]
struct Pinned {
    ok: bool,
    peer: String,
    key: String,
    already: bool,
    met_otherwise: bool,
}

#[derive(Serialize)]
struct Unpinned {
    ok: bool,
    peer: String,
    key: String,
}

#[derive(Serialize)]
struct Shown {
    node: String,
    roster: Option<ShownRoster>,
    peers: Vec<ShownPeer>,
}

#[derive(Serialize)]
struct ShownRoster {
    federation: String,
    version: u64,
    expires: String,
    signed_by: Vec<String>,
    applied: String,
    by: String,
    /// Why it does not count, if it does not.
    amiss: Option<String>,
}

#[derive(Serialize)]
struct ShownPeer {
    id: String,
    site: Option<String>,
    /// From the lowest to the highest; none: it is not talked to.
    suites: Vec<u32>,
    key: Option<String>,
    fingerprint: Option<String>,
    source: Option<String>,
    /// Whether a person or the consortium vouches for the key.
    confirmed: bool,
    since: Option<String>,
    valid_until: Option<String>,
    minimum_suite: Option<u32>,
    highest_suite_seen: Option<u32>,
    suite_1_allowed: bool,
    pinned: bool,
    why: String,
    to_do: Option<String>,
}

fn some(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| foreign(text))
}

impl From<PeersReply> for Shown {
    fn from(reply: PeersReply) -> Self {
        Self {
            node: foreign(&reply.node_id),
            roster: reply.roster.map(ShownRoster::from),
            peers: reply.peers.into_iter().map(ShownPeer::from).collect(),
        }
    }
}

impl From<Roster> for ShownRoster {
    fn from(roster: Roster) -> Self {
        Self {
            federation: foreign(&roster.federation),
            version: roster.version,
            expires: foreign(&roster.expires),
            signed_by: roster.signed_by.iter().map(|name| foreign(name)).collect(),
            applied: time_of(roster.since_ms),
            by: foreign(&roster.by),
            amiss: some(&roster.amiss),
        }
    }
}

impl From<Known> for ShownPeer {
    fn from(peer: Known) -> Self {
        let above_zero = |number: u32| (number > 0).then_some(number);
        Self {
            id: foreign(&peer.node_id),
            site: some(&peer.site),
            suites: match peer.lowest {
                0 => Vec::new(),
                lowest => (lowest..=peer.highest).collect(),
            },
            confirmed: ["roster", "pin"].contains(&peer.source.as_str()),
            since: (!peer.key.is_empty()).then(|| time_of(peer.since_ms)),
            key: some(&peer.key),
            fingerprint: some(&peer.fingerprint),
            source: some(&peer.source),
            valid_until: some(&peer.valid_until),
            minimum_suite: above_zero(peer.minimum_suite),
            highest_suite_seen: above_zero(peer.highest_seen),
            suite_1_allowed: peer.lowest == 1,
            pinned: peer.pinned,
            why: foreign(&peer.why),
            to_do: some(&peer.to_do),
        }
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.roster {
            Some(roster) => writeln!(f, "{roster}")?,
            None => writeln!(f, "no roster")?,
        }
        if self.peers.is_empty() {
            writeln!(f, "no peers")?;
        }
        self.peers.iter().try_for_each(|peer| write!(f, "{peer}"))
    }
}

impl fmt::Display for ShownRoster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            federation,
            version,
            expires,
            applied,
            by,
            ..
        } = self;
        let signed_by = self.signed_by.join(", ");
        write!(
            f,
            "roster {version} of {federation}, until {expires}, signed by {signed_by}, applied {applied} by {by}"
        )?;
        match &self.amiss {
            Some(amiss) => write!(
                f,
                "\nIT DOES NOT COUNT: {amiss}; apply the consortium's present one"
            ),
            None => Ok(()),
        }
    }
}

impl fmt::Display for ShownPeer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let suites: Vec<_> = self.suites.iter().map(u32::to_string).collect();
        match suites.as_slice() {
            [] => writeln!(f, "{}: not talked to", self.id)?,
            suites => writeln!(f, "{}: suite {}", self.id, suites.join(" or "))?,
        }
        let mut line = |name: &str, text: &Option<String>| match text {
            Some(text) => writeln!(f, "  {name:<12} {text}"),
            None => Ok(()),
        };
        line("site", &self.site)?;
        line("key", &self.key)?;
        line("fingerprint", &self.fingerprint)?;
        line("because", &Some(self.why.clone()))?;
        line("since", &self.since)?;
        line("until", &self.valid_until)?;
        line(
            "at least",
            &self
                .minimum_suite
                .map(|suite| format!("suite {suite}, by the roster")),
        )?;
        line(
            "seen",
            &self
                .highest_suite_seen
                .map(|suite| format!("suite {suite}")),
        )?;
        line("to do", &self.to_do)
    }
}

impl fmt::Display for Pinned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let already = if self.already {
            "was pinned"
        } else {
            "is pinned"
        };
        writeln!(f, "{} {already} with {}", self.peer, self.key)?;
        if self.met_otherwise {
            writeln!(
                f,
                "warning: it came with another key first, which this node believed: somebody may have been in between"
            )?;
        }
        Ok(())
    }
}

impl fmt::Display for Unpinned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} is not pinned any more; it was with {}",
            self.peer, self.key
        )
    }
}
