use std::time::Duration;

use crate::message::{NodeId, OverlayMessage, RequestId};

/// What a relay learns, and what a run owes its researcher.
#[derive(Default)]
pub(in crate::sandbox) struct Seen {
    /// All that nodes sent each other.
    pub(in crate::sandbox) overlays: Vec<Overlay>,
    /// All that nodes answered the researcher.
    pub(in crate::sandbox) answers: Vec<Vec<u8>>,
    /// Requests that nodes were given, in the order in which they were.
    pub(in crate::sandbox) owed: Vec<Owed>,
    /// The ends of lives: whose, and when, from the beginning of the run.
    pub(in crate::sandbox) gone: Vec<(NodeId, Duration)>,
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
    /// Which.
    pub(in crate::sandbox) request: RequestId,
    /// For what.
    pub(in crate::sandbox) wanted: Wanted,
    /// When it was given it: more than once, if it came again before it was answered.
    pub(in crate::sandbox) deliveries: Vec<Delivery>,
    /// Whether it was answered.
    pub(in crate::sandbox) answered: bool,
    /// For how long node and relay had heard each other when it was, or at the end of the run.
    pub(in crate::sandbox) carried: Duration,
}

/// What a request is for. Either is on disk until it is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sandbox) enum Wanted {
    /// A set-up, or something quick.
    SetUp,
    /// A part in a protocol.
    Part,
}

/// When a node was given something.
#[derive(Clone, Copy)]
pub(in crate::sandbox) struct Delivery {
    /// From the beginning of the run.
    pub(in crate::sandbox) at: Duration,
    /// For how long node and relay had heard each other by then.
    pub(in crate::sandbox) carried: Duration,
}

impl Seen {
    /// The request of that id, if it is not answered.
    pub(super) fn owed_still(&mut self, request: &RequestId) -> Option<&mut Owed> {
        let mut owed = self.owed.iter_mut().rev();
        owed.find(|owed| owed.request == *request && !owed.answered)
    }
}
