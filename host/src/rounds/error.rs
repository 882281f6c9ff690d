use crate::handlers::{CallError, OutOfScope};
use crate::key_store::StoreError;
use crate::message::{NodeId, RunId};
use crate::open_requests::NotKept;
use crate::parcels::NoRoom;
use crate::post::PostError;

/// Silent nodes that an error names.
const MOST_NAMED: usize = 20;

/// Why a protocol's run failed on this node. The researcher is told.
#[derive(Debug, thiserror::Error)]
pub enum RoundsError {
    /// The researcher's: fewer than two parties.
    #[error("a protocol needs at least 2 parties, got {0}")]
    TooFewParties(usize),
    /// The researcher's: more parties than a run can have.
    #[error("a run has at most 1000 parties, got {0}")]
    TooManyParties(usize),
    /// The researcher's: a party twice.
    #[error("{0} is named twice among the parties")]
    PartyTwice(NodeId),
    /// The operator's decision, or what the policy comes to: a party may not be talked to.
    #[error("{0}")]
    NotTalkedTo(#[from] PostError),
    /// The researcher's: this node is none of the parties.
    #[error("this node is not among the parties")]
    NotAParty,
    /// The researcher's: the name is another run's.
    #[error("{0} is the name of another run; take a new one")]
    NameTaken(RunId),
    /// The researcher's: more runs than this node remembers.
    #[error("too many runs in the last ten minutes")]
    TooManyRuns,
    /// The relay's, or the researcher's: a request that had its answer is there again.
    #[error("the request was answered before; ask anew for another run")]
    AnsweredBefore,
    /// Ours: as many as this node can.
    #[error("this node takes part in as many runs as it can; ask again when one of them has ended")]
    Busy,
    /// No plugin runs such a protocol.
    #[error("no plugin on this node runs the protocol {0:?}")]
    NoPlugin(String),
    /// The operator's decision: the plugin is disabled.
    #[error("the plugin {0}, which runs this protocol, is switched off on this node")]
    Off(String),
    /// The operator's decision: the plugin may not work for it.
    #[error("the plugin {0} is limited on this node: {1}")]
    OutOfScope(String, OutOfScope),
    /// Peers', or the relay's: fewer than the protocol needs handed something over in time.
    #[error("round {round} needs {quorum} parties, and these handed nothing over: {}", named(.missing))]
    Missing {
        /// The round.
        round: usize,
        /// How many it needs.
        quorum: usize,
        /// Those of whom nothing came.
        missing: Vec<NodeId>,
    },
    /// A party's: its parcel is not what the protocol calls for.
    #[error("{party} broke the protocol in round {round}: {why}")]
    Malformed {
        /// Who.
        party: NodeId,
        /// In which round.
        round: usize,
        /// The plugin's words.
        why: String,
    },
    /// The plugin's, or a party's: what came of a parcel is not for the party to blame.
    #[error("in round {round}, with what {party} handed over: {error}")]
    NotTakenIn {
        /// Whose parcel it was.
        party: NodeId,
        /// In which round.
        round: usize,
        /// What happened.
        error: CallError,
    },
    /// The plugin gave the run up.
    #[error("given up: {why}")]
    Abort {
        /// Whose fault it is, if that can be told.
        blamed: Vec<NodeId>,
        /// The plugin's words.
        why: String,
    },
    /// The plugin's.
    #[error("{0}")]
    Call(#[from] CallError),
    /// The plugin's, or many runs' at a time.
    #[error("the plugin {0} hands over too much: {1}")]
    TooMuch(String, NoRoom),
    /// The plugin's.
    #[error("the plugin {0} does not come to an end")]
    Endless(String),
    /// Ours: not done in time.
    #[error("the run took more than an hour")]
    Deadline,
    /// Ours: the disk.
    #[error("{0}")]
    Store(#[from] StoreError),
    /// The node stops.
    #[error("the node is stopping")]
    Stopping,
    /// The node was killed, and is there again.
    #[error("the node ended before its run had, and was started again")]
    Killed,
}

impl From<NotKept> for RoundsError {
    fn from(not_kept: NotKept) -> Self {
        match not_kept {
            NotKept::Store(error) => Self::Store(error),
            NotKept::Stopping => Self::Stopping,
        }
    }
}

impl RoundsError {
    /// Whom this node holds responsible.
    pub fn blamed(&self) -> &[NodeId] {
        match self {
            Self::Malformed { party, .. } => std::slice::from_ref(party),
            Self::Abort { blamed, .. } => blamed,
            _ => &[],
        }
    }
}

fn named(nodes: &[NodeId]) -> String {
    let names: Vec<_> = nodes.iter().take(MOST_NAMED).map(NodeId::as_str).collect();
    let more = nodes.len().saturating_sub(MOST_NAMED);
    let more = if more > 0 {
        format!(" and {more} more")
    } else {
        String::new()
    };
    format!("{}{more}", names.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_a_few_of_many_silent_nodes() {
        let missing = (0..50).map(|n| format!("node-{n}").parse().expect("an id"));
        let error = RoundsError::Missing {
            round: 1,
            quorum: 40,
            missing: missing.collect(),
        };
        let text = error.to_string();
        assert!(text.contains("node-19 and 30 more"), "{text}");
    }
}
