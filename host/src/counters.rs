//! What this node counts: messages by kind, and what was dropped and why. Shown by `status`.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Kinds are named by peers, so their number is bounded; further ones are counted together.
const MOST_NAMES: usize = 64;

/// The counters of one node. Clones are the same counters.
#[derive(Clone, Default)]
pub struct Counters(Arc<Mutex<Counted>>);

/// A moment's counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// Sealed and handed to the transport, by kind.
    pub sent: BTreeMap<String, u64>,
    /// Opened, by kind.
    pub received: BTreeMap<String, u64>,
    /// Dropped without a reply, by reason.
    pub dropped: BTreeMap<String, u64>,
}

impl Counters {
    /// Counts a message sent.
    pub fn sent(&self, kind: &str) {
        count(&mut self.counted().sent, kind);
    }

    /// Counts a message opened.
    pub fn received(&self, kind: &str) {
        count(&mut self.counted().received, kind);
    }

    /// Counts a message dropped.
    pub fn dropped(&self, reason: &'static str) {
        count(&mut self.counted().dropped, reason);
    }

    /// The counts so far.
    pub fn now(&self) -> Counted {
        self.counted().clone()
    }

    fn counted(&self) -> MutexGuard<'_, Counted> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn count(counts: &mut BTreeMap<String, u64>, name: &str) {
    let full = counts.len() >= MOST_NAMES;
    match counts.get_mut(name) {
        Some(counted) => *counted += 1,
        None => {
            *counts
                .entry(if full { "(other)" } else { name }.to_owned())
                .or_default() += 1
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stays_bounded_when_a_peer_invents_kinds() {
        let counters = Counters::default();
        for n in 0..1000 {
            counters.received(&format!("Kind{n}"));
        }
        let received = counters.now().received;
        assert_eq!(received.len(), MOST_NAMES + 1);
        assert_eq!(received.values().sum::<u64>(), 1000);
    }
}
