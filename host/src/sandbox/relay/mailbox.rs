use std::collections::VecDeque;
use std::sync::Arc;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::wire::Wire;

/// What a relay has for a node.
#[derive(Default)]
pub(super) struct Mailbox {
    pub(super) queue: VecDeque<Letter>,
    pub(super) held: Vec<Held>,
    pub(super) wire: Wire,
    /// How many messages its node has taken.
    pub(super) taken: u32,
    /// Something came, or the wire or the relay changed.
    pub(super) changed: Arc<Notify>,
}

pub(super) struct Letter {
    pub(super) n: u64,
    pub(super) bytes: Vec<u8>,
    pub(super) until: Instant,
}

/// A message that is held back until `more` others have passed it.
pub(super) struct Held {
    pub(super) n: u64,
    pub(super) bytes: Vec<u8>,
    pub(super) more: u32,
}
