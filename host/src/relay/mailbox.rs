//! What waits for one node. Plain data: time comes in as an argument.

use std::collections::VecDeque;
use std::time::Duration;

use prost::bytes::Bytes;
use tokio::time::Instant;

/// Most messages that wait for one node: as many as the reference's node queues.
pub const MAX_LETTERS: usize = 1000;

/// Most bytes that wait for one node: room for one message of the largest size and some more.
pub const MAX_BYTES: usize = 128 * 1024 * 1024;

/// How long a message waits: the reference's 300 s.
pub const MAX_AGE: Duration = Duration::from_secs(300);

/// A message on its way to a node, as the very bytes that will be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    /// The bytes.
    pub message: Bytes,
    /// The message's class, such as `OverlayMessage`.
    pub class: &'static str,
    /// When it came.
    pub came: Instant,
}

impl Letter {
    /// Whether it has waited longer than [`MAX_AGE`].
    pub fn is_expired(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.came) >= MAX_AGE
    }
}

/// The mailbox has no room for a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full;

/// Messages in the order they came.
#[derive(Debug, Default)]
pub struct Mailbox {
    letters: VecDeque<Letter>,
    bytes: usize,
}

impl Mailbox {
    /// Adds a message at the end. Refuses it when [`MAX_LETTERS`] or [`MAX_BYTES`] would be exceeded.
    pub fn push(&mut self, letter: Letter) -> Result<(), Full> {
        if self.letters.len() >= MAX_LETTERS
            || letter.message.len() > MAX_BYTES.saturating_sub(self.bytes)
        {
            return Err(Full);
        }
        self.bytes += letter.message.len();
        self.letters.push_back(letter);
        Ok(())
    }

    /// Takes the oldest message out.
    pub fn take(&mut self) -> Option<Letter> {
        let letter = self.letters.pop_front()?;
        self.bytes -= letter.message.len();
        Some(letter)
    }

    /// Puts a message before all others, in any case: it was here before, or is one of the few that a relay writes.
    pub fn put_first(&mut self, letter: Letter) {
        self.bytes += letter.message.len();
        self.letters.push_front(letter);
    }

    /// Takes out one message that has waited longer than [`MAX_AGE`]. To be called until there is none.
    pub fn take_expired(&mut self, now: Instant) -> Option<Letter> {
        if self.letters.front()?.is_expired(now) {
            return self.take();
        }
        None
    }

    /// The message that goes out next.
    pub fn first(&self) -> Option<&Letter> {
        self.letters.front()
    }

    /// How many messages wait.
    pub fn len(&self) -> usize {
        self.letters.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.letters.is_empty()
    }

    /// How many bytes wait.
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letter(length: usize, came: Instant) -> Letter {
        Letter {
            message: vec![0; length].into(),
            class: "OverlayMessage",
            came,
        }
    }

    #[test]
    fn refuses_the_message_after_the_thousandth() {
        let (mut mailbox, now) = (Mailbox::default(), Instant::now());
        let refused = (0..5000)
            .filter(|_| mailbox.push(letter(1, now)).is_err())
            .count();
        assert_eq!((refused, mailbox.len()), (4000, MAX_LETTERS));
    }

    #[test]
    fn refuses_more_bytes_than_fit() {
        let (mut mailbox, now) = (Mailbox::default(), Instant::now());
        assert_eq!(mailbox.push(letter(MAX_BYTES + 1, now)), Err(Full));
        assert_eq!(mailbox.push(letter(MAX_BYTES, now)), Ok(()));
        assert_eq!(mailbox.push(letter(1, now)), Err(Full));
        mailbox.take();
        assert_eq!(mailbox.bytes(), 0);
        assert_eq!(mailbox.push(letter(1, now)), Ok(()));
    }

    #[test]
    fn gives_up_a_message_after_300_s_and_no_sooner() {
        let (mut mailbox, now) = (Mailbox::default(), Instant::now());
        mailbox.push(letter(1, now)).unwrap();
        mailbox
            .push(letter(2, now + Duration::from_secs(1)))
            .unwrap();

        assert_eq!(
            mailbox.take_expired(now + MAX_AGE - Duration::from_millis(1)),
            None
        );
        assert_eq!(
            mailbox.take_expired(now + MAX_AGE).unwrap().message.len(),
            1
        );
        assert_eq!(mailbox.take_expired(now + MAX_AGE), None);
        assert_eq!(mailbox.bytes(), 2);
    }

    #[test]
    fn a_message_put_back_goes_out_first_even_when_full() {
        let (mut mailbox, now) = (Mailbox::default(), Instant::now());
        for length in 1..=MAX_LETTERS {
            mailbox.push(letter(length, now)).unwrap();
        }
        let first = mailbox.take().unwrap();
        mailbox.push(letter(7777, now)).unwrap();

        mailbox.put_first(first.clone());

        assert_eq!(mailbox.first(), Some(&first));
        assert_eq!(mailbox.take(), Some(first));
        assert_eq!(mailbox.take().unwrap().message.len(), 2);
    }
}
