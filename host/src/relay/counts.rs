//! What went through a relay, by message class.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use crate::metrics::{Family, FamilyKind, Value};

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
    /// Calls that were refused as the relay does not know who makes them, by reason.
    pub refused: BTreeMap<Refusal, u64>,
}

/// Why a relay that was given a roster does not serve a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Refusal {
    /// It was made under the id of a listed node, without a proof or with a wrong one. The first call without a proof is not counted, nor
    /// are others over its connection in the next 5 s: a node hears by it that one is wanted.
    NotProven,
    /// It was made under another id, and only listed nodes are served.
    NotListed,
}

impl Refusal {
    /// For labels and people: a few words.
    pub fn name(self) -> &'static str {
        match self {
            Self::NotProven => "identity not proven",
            Self::NotListed => "not listed",
        }
    }
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

impl DropReason {
    /// For labels: one word or two.
    pub fn name(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Expired => "expired",
            Self::UnknownNode => "unknown node",
            Self::Unreadable => "unreadable",
            Self::Foreign => "foreign",
            Self::Unasked => "unasked",
        }
    }
}

impl Counts {
    /// For monitoring.
    pub(super) fn families(&self) -> Vec<Family> {
        let of = |name, help, label, counts: Vec<(&'static str, u64)>| {
            let family = Family::new(FamilyKind::Counter, name, help);
            counts.into_iter().fold(family, |family, (value, count)| {
                family.with(vec![(label, value.to_owned())], Value::Whole(count))
            })
        };
        let by_class = |counts: &BTreeMap<&'static str, u64>| {
            counts
                .iter()
                .map(|(class, count)| (*class, *count))
                .collect()
        };
        let reasons = self.dropped_because.iter();
        vec![
            of(
                "backchannel_relay_messages_forwarded",
                "Messages put into a node's mailbox",
                "class",
                by_class(&self.forwarded),
            ),
            of(
                "backchannel_relay_messages_delivered",
                "Messages sent to a node in full",
                "class",
                by_class(&self.delivered),
            ),
            of(
                "backchannel_relay_messages_dropped",
                "Messages thrown away",
                "reason",
                reasons
                    .map(|(reason, count)| (reason.name(), *count))
                    .collect(),
            ),
            of(
                "backchannel_relay_calls_refused",
                "Calls refused as the relay does not know who makes them",
                "reason",
                self.refused
                    .iter()
                    .map(|(reason, count)| (reason.name(), *count))
                    .collect(),
            ),
        ]
    }
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

    pub(super) fn refused(&self, reason: Refusal) {
        self.change(|counts| *counts.refused.entry(reason).or_default() += 1);
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
