//! What a relay has sent to a node and may have to send again.

use std::collections::VecDeque;

use tokio::time::Instant;

use super::mailbox::Letter;

/// Messages that were sent by one poll, in their order, and are not yet known to have arrived.
#[derive(Default)]
pub(super) struct Unconfirmed {
    poll: u64,
    /// How many came before them on that poll, and have arrived.
    arrived: u64,
    letters: VecDeque<Letter>,
}

impl Unconfirmed {
    pub(super) fn keep(&mut self, poll: u64, letter: Letter) {
        if self.poll != poll {
            // What another poll has sent was settled when this one began.
            *self = Self {
                poll,
                ..Self::default()
            };
        }
        self.letters.push_back(letter);
    }

    /// Of the messages that the poll has sent, the first so many have arrived; how many bytes those had that were kept.
    pub(super) fn confirm(&mut self, poll: u64, messages: u64) -> usize {
        let mut bytes = 0;
        while poll == self.poll
            && self.arrived < messages
            && let Some(letter) = self.letters.pop_front()
        {
            self.arrived += 1;
            bytes += letter.message.len();
        }
        bytes
    }

    /// Takes out one that is too old.
    pub(super) fn take_expired(&mut self, now: Instant) -> Option<Letter> {
        if !self.letters.front()?.is_expired(now) {
            return None;
        }
        self.arrived += 1;
        self.letters.pop_front()
    }

    pub(super) fn len(&self) -> usize {
        self.letters.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.letters.iter().map(|letter| letter.message.len()).sum()
    }

    /// Those that are left, in their order.
    pub(super) fn into_letters(self) -> impl DoubleEndedIterator<Item = Letter> {
        self.letters.into_iter()
    }
}
