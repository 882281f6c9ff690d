use std::collections::BTreeMap;
use std::time::Duration;

use crate::message::{NodeId, OverlayMessage, RequestId};

/// What a relay learns, and what a run owes its researcher.
#[derive(Default)]
pub(in crate::sandbox) struct Seen {
    /// All that nodes sent each other.
    pub(in crate::sandbox) overlays: Vec<Overlay>,
    /// All that nodes answered the researcher.
    pub(in crate::sandbox) answers: Vec<Vec<u8>>,
    /// The most messages that one mailbox held.
    pub(in crate::sandbox) fullest: usize,
    /// Requests that a life of a node got and has not answered.
    pub(in crate::sandbox) owed: BTreeMap<RequestId, Owed>,
}

/// A message between nodes, as the relay sees it.
pub(in crate::sandbox) struct Overlay {
    /// Its number.
    pub(in crate::sandbox) n: u64,
    pub(in crate::sandbox) message: OverlayMessage,
}

/// A request in a node's hands.
pub(in crate::sandbox) struct Owed {
    /// Who has it.
    pub(in crate::sandbox) node: NodeId,
    /// Since when, from the beginning of the run.
    pub(in crate::sandbox) since: Duration,
}
