use crate::handlers::CallError;
use crate::key_store::StoreError;
use crate::message::{NodeId, SecaggId};

/// Why a set-up failed. The researcher is told.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The researcher's: fewer than two parties.
    #[error("need at least 2 parties for secure aggregation, got {0}")]
    TooFewParties(usize),
    /// The researcher's: a party twice.
    #[error("{0} is named twice among the parties")]
    PartyTwice(NodeId),
    /// The researcher's: this node is none of the parties.
    #[error("this node is not among the parties")]
    NotAParty,
    /// No plugin begins such a set-up.
    #[error("no plugin begins a set-up on {0}")]
    NoPlugin(&'static str),
    /// Peers', or the relay's: no answer in time.
    #[error("these nodes did not answer: {}", .0.join(", "))]
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
    #[error("the result could not be stored: {0}")]
    Store(#[from] StoreError),
    /// Ours: the node stops.
    #[error("the node is stopping")]
    Stopping,
}
