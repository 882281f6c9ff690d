//! What went through a relay, by message class.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// Counts since the relay started. Keys are class names such as `OverlayMessage`; messages that could not be read are
/// under `unreadable`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// Put into a node's mailbox.
    pub forwarded: BTreeMap<&'static str, u64>,
    /// Sent to a node in full.
    pub delivered: BTreeMap<&'static str, u64>,
    /// Replies that a request of the researcher was waiting for.
    pub answered: BTreeMap<&'static str, u64>,
    /// Thrown away.
    pub dropped: BTreeMap<&'static str, u64>,
    /// Thrown away, by reason.
    pub dropped_because: BTreeMap<DropReason, u64>,
}

/// Why a relay threw a message away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DropReason {
    /// The mailbox was full, or all mailboxes together.
    Full,
    /// It waited too long.
    Expired,
    /// No node of that name has polled.
    UnknownNode,
    /// It could not be read.
    Unreadable,
    /// It was meant for another researcher.
    Foreign,
    /// It answers no request, or a request to someone else, or answers it a second time. Replies to a ping, with which a
    /// relay also greets, are not counted here.
    Unasked,
}

/// The counts of a running relay.
#[derive(Debug, Default)]
pub(super) struct Tally(Mutex<Counts>);

impl Tally {
    pub(super) fn forwarded(&self, class: &'static str) {
        self.change(|counts| *counts.forwarded.entry(class).or_default() += 1);
    }

    pub(super) fn delivered(&self, class: &'static str) {
        self.change(|counts| *counts.delivered.entry(class).or_default() += 1);
    }

    pub(super) fn answered(&self, class: &'static str) {
        self.change(|counts| *counts.answered.entry(class).or_default() += 1);
    }

    pub(super) fn dropped(&self, class: &'static str, reason: DropReason) {
        self.change(|counts| {
            *counts.dropped.entry(class).or_default() += 1;
            *counts.dropped_because.entry(reason).or_default() += 1;
        });
    }

    pub(super) fn read(&self) -> Counts {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn change(&self, change: impl FnOnce(&mut Counts)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}
