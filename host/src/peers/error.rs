use crate::key_store::StoreError;
use crate::message::{FederationId, NodeId};
use crate::roster::RosterError;

/// Why what a node believes is not changed. It believes what it did.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PeersError {
    #[error("the key store: {0}")]
    Store(#[from] StoreError),
    #[error("{0}")]
    Roster(#[from] RosterError),

    #[error("this node is {0} itself")]
    Own(NodeId),
    #[error("the file is of node {found}, not of {wanted}")]
    OtherNode { wanted: NodeId, found: NodeId },
    #[error("the key in the file has another fingerprint than the one given")]
    OtherFingerprint,
    #[error("roster {version} has another key for {node}")]
    NotAsListed { node: NodeId, version: u64 },
    #[error("{node} is pinned with another key, by {by}")]
    NotAsPinned { node: NodeId, by: String },
    #[error("it is the key of {0}, and one key is one node's")]
    OthersKey(NodeId),
    #[error("{0} is not pinned")]
    NotPinned(NodeId),

    #[error("it is a roster of {found}, and this node is of {own}")]
    OtherFederation {
        own: FederationId,
        found: FederationId,
    },
    #[error("it has version {version}, and version {highest} was applied here before")]
    Rollback { version: u64, highest: u64 },
    #[error("another roster of version {0} was applied here: somebody signed two")]
    Equivocation(u64),
    #[error("it has another key for this node, {0}, than this node has")]
    OwnKey(NodeId),
    #[error("it has another key for {} than the one that is pinned here", names(.0))]
    AgainstPins(Vec<NodeId>),
}

impl PeersError {
    /// Whether something does not match what is trusted; otherwise it cannot be used, or the store cannot.
    pub(crate) fn is_refusal(&self) -> bool {
        match self {
            Self::Store(_) | Self::Own(_) | Self::OtherNode { .. } | Self::NotPinned(_) => false,
            Self::Roster(error) => matches!(
                error,
                RosterError::NotSigned(_)
                    | RosterError::NotYet { .. }
                    | RosterError::Expired { .. }
            ),
            _ => true,
        }
    }

    /// What the operator can do about it.
    pub(crate) fn advice(&self) -> String {
        match self {
            Self::Store(error) => error.advice().into(),
            Self::Roster(error) => error.advice(),
            Self::Own(_) => "name a peer; this node knows its own key: `backchannel identity show`".into(),
            Self::OtherNode { found, .. } => format!("give the file that {found} exported for {found}, and the right one here"),
            Self::OtherFingerprint => {
                "ask its operator, by telephone, for what `backchannel identity show` prints there, and for the file again: somebody may have exchanged it on the way".into()
            }
            Self::NotAsListed { node, .. } => format!(
                "ask the operator of {node}, by telephone, which fingerprint is right: if it has a new key, the consortium has to make a new roster"
            ),
            Self::NotAsPinned { node, .. } => format!(
                "ask the operator of {node}, by telephone, whether it has a new key and why; only then `backchannel peer unpin {node}`, and pin it again"
            ),
            Self::OthersKey(node) => format!(
                "ask both operators for `backchannel identity export` again; if {node} is the same machine under its old name, unpin that first"
            ),
            Self::NotPinned(_) => "`backchannel peer list` shows which peers are".into(),
            Self::OtherFederation { .. } => {
                "ask the consortium for the right roster; a node of another federation has a data directory of its own".into()
            }
            Self::Rollback { highest, .. } => format!(
                "ask the consortium for its present roster: version {highest}, or a later one; an older one names keys that may have been lost"
            ),
            Self::Equivocation(_) => {
                "ask the consortium, by telephone, which of the two is right; it has to make a new one with a higher version".into()
            }
            Self::OwnKey(_) => {
                "send the consortium `backchannel identity export`, and ask for a new roster: peers would not understand this node".into()
            }
            Self::AgainstPins(nodes) => {
                let node = nodes.first().map_or("NODE", NodeId::as_str);
                format!(
                    "ask the operator of {node}, by telephone, which fingerprint is right: if the roster's is, `backchannel peer unpin {node}` and apply it again; if the pin's is, tell the consortium"
                )
            }
        }
    }
}

/// The first of them, for one line.
fn names(nodes: &[NodeId]) -> String {
    const NAMED: usize = 5;
    let named: Vec<_> = nodes.iter().take(NAMED).map(NodeId::as_str).collect();
    match nodes.len().saturating_sub(NAMED) {
        0 => named.join(", "),
        more => format!("{} and {more} more", named.join(", ")),
    }
}
