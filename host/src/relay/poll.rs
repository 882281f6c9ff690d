//! A poll that a relay holds, and the message it ends with.

use std::pin::Pin;
use std::sync::Arc;

use prost::bytes::Bytes;
use tokio::sync::Notify;
use tokio::sync::futures::OwnedNotified;
use tokio::time::Instant;

use super::mailbox::Letter;
use super::nodes::{Known, Nodes};
use crate::message::NodeId;

/// Why a poll ended without a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PollEnded {
    /// The same client has begun another poll, or has to.
    Replaced,
    /// The relay is stopping and there is nothing left for this node.
    Stopping,
}

/// A poll that a relay holds. Dropping it says that the node no longer polls.
pub(super) struct Poll {
    nodes: Arc<Nodes>,
    id: NodeId,
    number: u64,
    greet: bool,
    confirms: bool,
}

impl Poll {
    pub(super) fn new(
        nodes: Arc<Nodes>,
        id: NodeId,
        number: u64,
        greet: bool,
        confirms: bool,
    ) -> Self {
        Self {
            nodes,
            id,
            number,
            greet,
            confirms,
        }
    }

    /// By which the node confirms that the message has come.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// By which the node's word that so many messages of this poll have come is passed on, while it lasts.
    pub(super) fn confirming(&self) -> impl Fn(u64) + Send + Sync + use<> {
        let (nodes, id, number) = (self.nodes.clone(), self.id.clone(), self.number);
        move |messages| nodes.confirm(&id, number, messages)
    }

    /// A message of this class has been sent in full.
    pub(super) fn delivered(&self, class: &'static str) {
        self.nodes.tally.delivered(class);
    }

    /// Whether the node seems to be new here and does not know its researcher.
    pub(super) fn wants_greeting(&self) -> bool {
        self.greet
    }

    /// Whether a message waits for the node.
    pub(super) fn has_mail(&self) -> bool {
        let state = self.nodes.lock();
        state
            .known
            .get(&self.id)
            .is_some_and(|node| !node.mailbox.is_empty())
    }

    /// Puts a message of the relay's own before all others.
    pub(super) fn post_first(&self, letter: Letter) {
        let mut state = self.nodes.lock();
        let length = letter.message.len();
        if let Some(node) = state.known.get_mut(&self.id) {
            self.nodes.tally.forwarded(letter.class);
            node.mailbox.put_first(letter);
            state.bytes += length;
        }
    }

    /// Waits for the next message. Cancelling this loses nothing.
    pub(super) async fn next(self) -> Result<Delivery, PollEnded> {
        let letter = self
            .take(usize::MAX, |node, letter| {
                node.under_way += 1;
                letter
            })
            .await?;
        Ok(Delivery {
            poll: self,
            letter: Some(letter),
        })
    }

    /// Waits for the next message, which counts as sent from then on: for a poll on which many are, once there are fewer than `most` that
    /// may not have arrived. Cancelling this loses nothing.
    pub(super) async fn next_of_many(&self, most: usize) -> Result<Letter, PollEnded> {
        self.take(most, |node, letter| {
            node.unconfirmed.keep(self.number, letter.clone());
            letter
        })
        .await
    }

    /// Waits for the next message, and until there are fewer than `most` that may not have arrived; takes it out, which is told to its
    /// node.
    async fn take(
        &self,
        most: usize,
        taken: impl Fn(&mut Known, Letter) -> Letter,
    ) -> Result<Letter, PollEnded> {
        loop {
            let (wake, has_room) = {
                let mut state = self.nodes.lock();
                state.expire(&self.id, Instant::now(), &self.nodes.tally);
                let node = state
                    .known
                    .get_mut(&self.id)
                    .filter(|node| node.poll == Some(self.number));
                let Some(node) = node else {
                    return Err(PollEnded::Replaced);
                };
                let has_room = node.unconfirmed.len() < most;
                if has_room && let Some(letter) = node.mailbox.take() {
                    return Ok(taken(node, letter));
                }
                (woken(&node.wake), has_room)
            };
            // A relay that stops still hands out what it has.
            if !has_room {
                wake.await;
                continue;
            }
            tokio::select! {
                () = wake => {}
                () = self.nodes.stopping.cancelled() => return Err(PollEnded::Stopping),
            }
        }
    }
}

/// To be made under the lock, so that no message slips in between.
fn woken(wake: &Arc<Notify>) -> Pin<Box<OwnedNotified>> {
    let mut woken = Box::pin(Arc::clone(wake).notified_owned());
    woken.as_mut().enable();
    woken
}

impl Drop for Poll {
    fn drop(&mut self) {
        let mut state = self.nodes.lock();
        if let Some(node) = state
            .known
            .get_mut(&self.id)
            .filter(|node| node.poll == Some(self.number))
        {
            node.poll = None;
            node.last_seen = Some(Instant::now());
        }
    }
}

/// A message being sent. Unless [`Delivery::done`] is called, dropping it puts the message back.
pub(super) struct Delivery {
    poll: Poll,
    letter: Option<Letter>,
}

impl Delivery {
    /// The message; empty once delivered.
    pub(super) fn message(&self) -> Bytes {
        self.letter
            .as_ref()
            .map(|letter| letter.message.clone())
            .unwrap_or_default()
    }

    /// The message has been sent in full. It is kept until its node's next poll says that it came, if that node says so at all.
    pub(super) fn done(mut self) {
        if let Some(letter) = self.letter.take() {
            self.poll.delivered(letter.class);
            let mut state = self.poll.nodes.lock();
            let length = letter.message.len();
            let mut kept = false;
            if let Some(node) = state.known.get_mut(&self.poll.id) {
                node.under_way -= 1;
                // A newer poll has said already what it knows.
                kept = self.poll.confirms && node.poll == Some(self.poll.number);
                if kept {
                    node.unconfirmed.keep(self.poll.number, letter);
                }
            }
            if !kept {
                state.bytes -= length;
            }
        }
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        let Some(letter) = self.letter.take() else {
            return;
        };
        let mut state = self.poll.nodes.lock();
        // It is there: a node is not forgotten while something is under way to it.
        if let Some(node) = state.known.get_mut(&self.poll.id) {
            node.under_way -= 1;
            node.mailbox.put_first(letter);
            node.wake.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::mailbox::MAX_AGE;
    use super::super::nodes::tests::{NotSaid, from, id, letter, next, nodes};
    use super::*;
    use crate::transport::receipt::Received;

    #[tokio::test]
    async fn a_message_whose_delivery_broke_goes_out_first() {
        let (nodes, _stopping) = nodes();
        drop(nodes.begin_poll(id("a"), from(1), NotSaid, None).unwrap());
        nodes.post(&id("a"), letter("first")).unwrap();
        nodes.post(&id("a"), letter("second")).unwrap();

        drop(
            nodes
                .begin_poll(id("a"), from(1), NotSaid, None)
                .unwrap()
                .next()
                .await
                .unwrap(),
        );

        assert_eq!(next(&nodes, "a").await, "first");
        assert_eq!(next(&nodes, "a").await, "second");
        assert_eq!(nodes.lock().bytes, 0);
    }

    #[tokio::test]
    async fn a_message_goes_out_again_until_its_node_says_that_it_came() {
        let (nodes, _stopping) = nodes();
        let deliver = async |port, received| {
            let poll = nodes
                .begin_poll(id("a"), from(port), received, None)
                .unwrap();
            let number = poll.number();
            let delivery = poll.next().await.unwrap();
            let message = delivery.message();
            delivery.done();
            (message, number)
        };
        drop(
            nodes
                .begin_poll(id("a"), from(1), Received::None, None)
                .unwrap(),
        );
        nodes.post(&id("a"), letter("first")).unwrap();
        nodes.post(&id("a"), letter("second")).unwrap();

        let (message, _) = deliver(1, Received::None).await;
        assert_eq!(message, "first");
        // The node was started again, and then names what came before.
        let (message, earlier) = deliver(2, Received::None).await;
        assert_eq!(message, "first");
        let one_of = |number| Received::Poll {
            number,
            messages: 1,
        };
        let (message, number) = deliver(3, one_of(earlier - 1)).await;
        assert_eq!(message, "first");
        let (message, last) = deliver(3, one_of(number)).await;
        assert_eq!(message, "second");
        let poll = nodes
            .begin_poll(id("a"), from(4), one_of(last), None)
            .unwrap();
        assert!(!poll.has_mail());
        assert_eq!(nodes.lock().bytes, 0);
    }

    #[tokio::test]
    async fn of_many_messages_those_go_out_again_that_their_node_does_not_confirm() {
        let (nodes, _stopping) = nodes();
        let line = nodes
            .begin_poll(id("a"), from(1), Received::None, None)
            .unwrap();
        let number = line.number();
        for text in ["1", "2", "3", "4"] {
            nodes.post(&id("a"), letter(text)).unwrap();
        }
        for sent in ["1", "2", "3"] {
            assert_eq!(line.next_of_many(10).await.unwrap().message, sent);
        }
        nodes.confirm(&id("a"), number, 1);
        assert_eq!(nodes.lock().bytes, 3);

        let arrived = Received::Poll {
            number,
            messages: 2,
        };
        let next = nodes.begin_poll(id("a"), from(1), arrived, None).unwrap();

        assert_eq!(line.next_of_many(10).await.err(), Some(PollEnded::Replaced));
        drop(line);
        for sent in ["3", "4"] {
            assert_eq!(next.next_of_many(10).await.unwrap().message, sent);
        }
        // What an earlier poll had sent says nothing of this one's.
        nodes.confirm(&id("a"), number, 4);
        assert_eq!(nodes.lock().bytes, 2);
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_messages_are_under_way_than_may_be() {
        let (nodes, _stopping) = nodes();
        let line = nodes
            .begin_poll(id("a"), from(1), Received::None, None)
            .unwrap();
        for text in ["1", "2", "3"] {
            nodes.post(&id("a"), letter(text)).unwrap();
        }
        for _ in 0..2 {
            line.next_of_many(2).await.unwrap();
        }
        let waits = tokio::time::timeout(MAX_AGE / 2, line.next_of_many(2));
        assert!(waits.await.is_err());

        nodes.confirm(&id("a"), line.number(), 1);

        assert_eq!(line.next_of_many(2).await.unwrap().message, "3");
    }

    #[tokio::test]
    async fn a_message_to_a_node_that_confirms_nothing_goes_out_once() {
        let (nodes, _stopping) = nodes();
        drop(nodes.begin_poll(id("a"), from(1), NotSaid, None).unwrap());
        nodes.post(&id("a"), letter("x")).unwrap();
        assert_eq!(next(&nodes, "a").await, "x");

        assert!(
            !nodes
                .begin_poll(id("a"), from(2), NotSaid, None)
                .unwrap()
                .has_mail()
        );
        assert_eq!(nodes.lock().bytes, 0);
    }

    #[tokio::test]
    async fn a_cancelled_wait_loses_nothing() {
        let (nodes, _stopping) = nodes();
        let waiting = tokio::spawn(
            nodes
                .begin_poll(id("a"), from(1), NotSaid, None)
                .unwrap()
                .next(),
        );
        tokio::task::yield_now().await;
        waiting.abort();
        assert!(waiting.await.is_err());

        nodes.post(&id("a"), letter("x")).unwrap();
        assert_eq!(next(&nodes, "a").await, "x");
    }

    #[tokio::test]
    async fn a_stopping_relay_still_hands_out_what_is_there() {
        let (nodes, stopping) = nodes();
        drop(nodes.begin_poll(id("a"), from(1), NotSaid, None).unwrap());
        nodes.post(&id("a"), letter("x")).unwrap();
        stopping.cancel();

        assert!(nodes.anything_due());
        assert_eq!(next(&nodes, "a").await, "x");
        assert!(!nodes.anything_due());
        let ended = nodes
            .begin_poll(id("a"), from(1), NotSaid, None)
            .unwrap()
            .next()
            .await;
        assert_eq!(ended.err(), Some(PollEnded::Stopping));
    }

    #[tokio::test]
    async fn a_second_poll_of_the_same_connection_replaces_the_first() {
        let (nodes, _stopping) = nodes();
        let first = tokio::spawn(
            nodes
                .begin_poll(id("a"), from(1), NotSaid, None)
                .unwrap()
                .next(),
        );
        tokio::task::yield_now().await;

        let second = nodes.begin_poll(id("a"), from(1), NotSaid, None).unwrap();

        assert_eq!(first.await.unwrap().err(), Some(PollEnded::Replaced));
        nodes.post(&id("a"), letter("x")).unwrap();
        assert_eq!(second.next().await.unwrap().message(), "x");
    }
}
