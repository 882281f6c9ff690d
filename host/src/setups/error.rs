use crate::handlers::{CallError, OutOfScope};
use crate::key_store::StoreError;
use crate::message::{NodeId, SecaggId};
use crate::open_requests::NotKept;
use crate::post::PostError;

/// Silent nodes that an error names.
const MOST_NAMED: usize = 20;

/// Why a set-up failed. The researcher is told.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The researcher's: fewer than two parties.
    #[error("need at least 2 parties for secure aggregation, got {0}")]
    TooFewParties(usize),
    /// The researcher's: more parties than a run can have.
    #[error("a run has at most 1000 parties, got {0}")]
    TooManyParties(usize),
    /// The researcher's: another set-up runs under this name.
    #[error("another set-up runs under the id {0}")]
    Busy(SecaggId),
    /// The researcher's: more runs than this node remembers.
    #[error("too many set-ups in the last ten minutes")]
    TooManyRuns,
    /// The relay's, or the researcher's: a request that had its answer is there again.
    #[error("the request was answered before; ask anew for another run")]
    AnsweredBefore,
    /// Ours, or the peers': not done in time.
    #[error("the run took more than 60 s")]
    Deadline,
    /// The researcher's: a party twice.
    #[error("{0} is named twice among the parties")]
    PartyTwice(NodeId),
    /// The operator's decision, or what the policy comes to: a party may not be talked to.
    #[error("{0}")]
    NotTalkedTo(#[from] PostError),
    /// The researcher's: this node is none of the parties.
    #[error("this node is not among the parties")]
    NotAParty,
    /// No plugin begins such a set-up.
    #[error("no plugin begins a set-up on {0}")]
    NoPlugin(&'static str),
    /// The operator's decision: the plugin is disabled.
    #[error("the plugin {0}, which begins such set-ups, is switched off on this node")]
    Off(String),
    /// The operator's decision: the plugin may not work for it.
    #[error("the plugin {0} is limited on this node: {1}")]
    OutOfScope(String, OutOfScope),
    /// Peers', or the relay's: no answer in time.
    #[error("these nodes did not answer: {}", named(.0))]
    Silent(Vec<String>),
    /// A peer's: what it sent cannot be used.
    #[error("{peer} sent {what}")]
    BadContribution {
        /// Who.
        peer: NodeId,
        /// What.
        what: &'static str,
    },
    /// The plugin's.
    #[error("{0}")]
    Call(#[from] CallError),
    /// The researcher's: the id is taken by another researcher's context.
    #[error("{0} is the id of another researcher's context")]
    TakenId(SecaggId),
    /// The plugin's: an effect that its run gives no ground for.
    #[error("{plugin}: {why}")]
    Plugin {
        /// The plugin.
        plugin: String,
        /// What it did.
        why: &'static str,
    },
    /// Ours: it could not be stored.
    #[error("what must be stored could not be: {0}")]
    Store(#[from] StoreError),
    /// Ours: the node stops.
    #[error("the node is stopping")]
    Stopping,
}

impl From<NotKept> for SetupError {
    fn from(not_kept: NotKept) -> Self {
        match not_kept {
            NotKept::Store(error) => Self::Store(error),
            NotKept::Stopping => Self::Stopping,
        }
    }
}

/// The first of a list of names, and how many more there are.
fn named(names: &[String]) -> String {
    let first: Vec<_> = names.iter().take(MOST_NAMED).map(String::as_str).collect();
    match names.len() - first.len() {
        0 => first.join(", "),
        more => format!("{} and {more} more", first.join(", ")),
    }
}
