//! The nodes a relay knows: their mailboxes, and who is polling.
//!
//! A node becomes known when it polls. The protocol has no client authentication: that a node proves who it is, at a relay that was given
//! a roster, is the [gate](super::gate)'s business, before anything comes here. So everything here is bounded, and a node's mailbox goes to one
//! poll at a time.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::counts::{DropReason, Tally};
use super::mailbox::{Letter, MAX_AGE, Mailbox};
use super::poll::Poll;
use super::unconfirmed::Unconfirmed;
use crate::message::NodeId;
use crate::transport::receipt::Received;

/// Most nodes known at a time.
pub const MAX_NODES: usize = 1024;

/// Most bytes in all mailboxes together, what is being sent included.
pub const MAX_TOTAL_BYTES: usize = 1024 * 1024 * 1024;

/// A node that has not polled for so long counts as disconnected, as in the reference. Its mailbox is kept.
const DISCONNECTED_AFTER: Duration = Duration::from_secs(10);

/// For so long after its start a relay takes messages for nodes that have not polled yet. After a restart they are on
/// their way back, and one that is quicker than its peer must not lose what it has to say.
const SETTLING: Duration = Duration::from_secs(30);

/// A node is greeted anew at most so often. Behind a proxy every poll may come from another address.
const GREETING_INTERVAL: Duration = Duration::from_secs(2);

/// A node as a relay sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeStatus {
    /// Its id.
    pub id: NodeId,
    /// Whether it polls, or did within the last 10 s.
    pub connected: bool,
    /// When its last poll began or ended; `None` if messages wait for it and it has not come yet.
    pub last_seen: Option<Instant>,
    /// Where it polled from last.
    pub address: Option<SocketAddr>,
    /// How many messages wait for it.
    pub queued: usize,
    /// How many bytes they have.
    pub queued_bytes: usize,
    /// Whether it has proven its identity. `None` if nobody asks it to: the relay has no roster, or the roster does not list it.
    pub proven: Option<bool>,
    /// How many calls under its id were refused, as their maker did not prove to be this node.
    pub refused: u64,
}

impl NodeStatus {
    /// Of a node that has never come.
    pub(super) fn absent(id: NodeId) -> Self {
        Self {
            id,
            connected: false,
            last_seen: None,
            address: None,
            queued: 0,
            queued_bytes: 0,
            proven: None,
            refused: 0,
        }
    }
}

/// Why a poll is not held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum PollRefused {
    #[error("another connection polls under this node id")]
    InUse,
    #[error("the relay knows {MAX_NODES} nodes and none of them has left")]
    TooManyNodes,
}

pub(super) struct Nodes {
    state: Mutex<State>,
    pub(super) tally: Arc<Tally>,
    /// Cancelled when no new messages are taken any more.
    pub(super) stopping: CancellationToken,
}

pub(super) struct State {
    pub(super) known: BTreeMap<NodeId, Known>,
    /// In all mailboxes and under way: a client that stops reading must not make room for more.
    pub(super) bytes: usize,
    polls: u64,
    settled: Instant,
}

#[derive(Default)]
pub(super) struct Known {
    pub(super) mailbox: Mailbox,
    pub(super) poll: Option<u64>,
    address: Option<SocketAddr>,
    pub(super) last_seen: Option<Instant>,
    greeted: Option<Instant>,
    /// Sent in part.
    pub(super) under_way: usize,
    pub(super) unconfirmed: Unconfirmed,
    pub(super) wake: Arc<Notify>,
}

impl Known {
    fn connected(&self, now: Instant) -> bool {
        self.poll.is_some()
            || self
                .last_seen
                .is_some_and(|seen| now.saturating_duration_since(seen) < DISCONNECTED_AFTER)
    }

    /// Puts back what did not arrive, going by what the node says; the rest is out of its hands. How many bytes that had.
    fn settle(&mut self, received: Received) -> usize {
        let mut unconfirmed = std::mem::take(&mut self.unconfirmed);
        let arrived = match received {
            Received::NotSaid => unconfirmed.bytes(),
            Received::None => 0,
            Received::Poll { number, messages } => unconfirmed.confirm(number, messages),
        };
        if received != Received::NotSaid {
            for letter in unconfirmed.into_letters().rev() {
                self.mailbox.put_first(letter);
            }
        }
        arrived
    }

    /// Nothing of it is worth keeping.
    fn gone(&self, now: Instant) -> bool {
        self.poll.is_none()
            && self.under_way == 0
            && self
                .last_seen
                .is_none_or(|seen| now.saturating_duration_since(seen) >= MAX_AGE)
    }
}

impl State {
    pub(super) fn expire(&mut self, id: &NodeId, now: Instant, tally: &Tally) {
        if let Some(node) = self.known.get_mut(id) {
            while let Some(letter) = node.unconfirmed.take_expired(now) {
                self.bytes -= letter.message.len();
            }
            while let Some(letter) = node.mailbox.take_expired(now) {
                self.bytes -= letter.message.len();
                tally.dropped(letter.class, DropReason::Expired);
            }
        }
    }

    /// Makes room for one more node: the one that has been away longest is forgotten.
    fn make_room(&mut self, now: Instant, tally: &Tally) -> bool {
        if self.known.len() < MAX_NODES {
            return true;
        }
        let gone = self.known.iter().filter(|(_, node)| node.gone(now));
        // Those that never came last: what waits for them is recent.
        let longest = gone.min_by_key(|(_, node)| (node.last_seen.is_none(), node.last_seen));
        let Some(id) = longest.map(|(id, _)| id.clone()) else {
            return false;
        };
        self.forget(&id, tally);
        true
    }

    fn forget(&mut self, id: &NodeId, tally: &Tally) {
        if let Some(mut node) = self.known.remove(id) {
            self.bytes -= node.mailbox.bytes() + node.unconfirmed.bytes();
            while let Some(letter) = node.mailbox.take() {
                tally.dropped(letter.class, DropReason::UnknownNode);
            }
        }
    }
}

impl Nodes {
    /// `polls` is where polls begin to be numbered. At random: nodes may still name one of another relay's.
    pub(super) fn new(tally: Arc<Tally>, stopping: CancellationToken, polls: u64) -> Self {
        let state = State {
            known: BTreeMap::new(),
            bytes: 0,
            polls,
            settled: Instant::now() + SETTLING,
        };
        Self {
            state: Mutex::new(state),
            tally,
            stopping,
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a poll of `id`. An older one under the same id goes on and the new one is refused, unless both come from
    /// the same connection: then the client has given up the older one and we have not heard yet. A client whose
    /// connection broke is let in again when the broken one is noticed, by keep-alive within 10 s.
    ///
    /// `received` tells whether what the poll before delivered has arrived; if not, it goes out first. A client may give up another poll for
    /// this one, whose number it says.
    pub(super) fn begin_poll(
        self: &Arc<Self>,
        id: NodeId,
        address: Option<SocketAddr>,
        received: Received,
        in_place_of: Option<u64>,
    ) -> Result<Poll, PollRefused> {
        let now = Instant::now();
        let mut state = self.lock();
        if !state.known.contains_key(&id) && !state.make_room(now, &self.tally) {
            return Err(PollRefused::TooManyNodes);
        }
        state.polls = state.polls.wrapping_add(1);
        let number = state.polls;
        let state = &mut *state;
        let node = state.known.entry(id.clone()).or_default();
        if node.poll.is_some() {
            let is_same_client = address.is_some() && node.address == address;
            if !is_same_client && node.poll != in_place_of {
                return Err(PollRefused::InUse);
            }
            node.wake.notify_waiters();
        }
        let new_connection = node.last_seen.is_none() || node.address != address;
        let greeted_lately = node
            .greeted
            .is_some_and(|then| now.saturating_duration_since(then) < GREETING_INTERVAL);
        let greet = new_connection && !greeted_lately;
        if greet {
            node.greeted = Some(now);
        }
        state.bytes -= node.settle(received);
        node.poll = Some(number);
        node.address = address;
        node.last_seen = Some(now);
        let confirms = received != Received::NotSaid;
        Ok(Poll::new(Arc::clone(self), id, number, greet, confirms))
    }

    /// Ends the polls of these nodes, whose clients may begin another if they are let.
    pub(super) fn break_off<'a>(&self, ids: impl IntoIterator<Item = &'a NodeId>) {
        let now = Instant::now();
        let mut state = self.lock();
        for id in ids {
            let node = state.known.get_mut(id);
            if let Some(node) = node.filter(|node| node.poll.is_some()) {
                node.poll = None;
                node.last_seen = Some(now);
                node.wake.notify_waiters();
            }
        }
    }

    /// A node says that so many messages of a poll have arrived, while that lasts.
    pub(super) fn confirm(&self, id: &NodeId, poll: u64, messages: u64) {
        let mut state = self.lock();
        if let Some(node) = state.known.get_mut(id) {
            let bytes = node.unconfirmed.confirm(poll, messages);
            node.wake.notify_waiters();
            state.bytes -= bytes;
        }
    }

    /// Puts a message into a node's mailbox, or drops and counts it.
    pub(super) fn post(&self, id: &NodeId, letter: Letter) -> Result<(), DropReason> {
        let (class, length, now) = (letter.class, letter.message.len(), Instant::now());
        let mut state = self.lock();
        let outcome = if !state.known.contains_key(id)
            && (now >= state.settled || state.known.len() >= MAX_NODES)
        {
            Err(DropReason::UnknownNode)
        } else {
            state.expire(id, now, &self.tally);
            let room = MAX_TOTAL_BYTES.saturating_sub(state.bytes);
            let node = state.known.entry(id.clone()).or_default();
            if length <= room && node.mailbox.push(letter).is_ok() {
                node.wake.notify_waiters();
                state.bytes += length;
                Ok(())
            } else {
                Err(DropReason::Full)
            }
        };
        match outcome {
            Ok(()) => self.tally.forwarded(class),
            Err(reason) => self.tally.dropped(class, reason),
        }
        outcome
    }

    /// Whether a node has polled since the relay started and is remembered.
    pub(super) fn knows(&self, id: &NodeId) -> bool {
        self.lock()
            .known
            .get(id)
            .is_some_and(|node| node.last_seen.is_some())
    }

    /// Whether a node polls, or did within the last 10 s.
    pub(super) fn is_connected(&self, id: &NodeId) -> bool {
        self.lock()
            .known
            .get(id)
            .is_some_and(|node| node.connected(Instant::now()))
    }

    /// Whether a poll of it is held that did not come from this connection.
    pub(super) fn is_polled_elsewhere(&self, id: &NodeId, address: Option<SocketAddr>) -> bool {
        let state = self.lock();
        let node = state.known.get(id).filter(|node| node.poll.is_some());
        node.is_some_and(|node| address.is_none() || node.address != address)
    }

    /// All nodes, sorted by id.
    pub(super) fn list(&self) -> Vec<NodeStatus> {
        let now = Instant::now();
        let state = self.lock();
        let status = |(id, node): (&NodeId, &Known)| NodeStatus {
            connected: node.connected(now),
            last_seen: node.last_seen,
            address: node.address,
            queued: node.mailbox.len(),
            queued_bytes: node.mailbox.bytes(),
            ..NodeStatus::absent(id.clone())
        };
        state.known.iter().map(status).collect()
    }

    /// Whether something is still to be sent to a node that is there to get it.
    pub(super) fn anything_due(&self) -> bool {
        let now = Instant::now();
        self.lock()
            .known
            .values()
            .any(|node| node.under_way > 0 || (node.connected(now) && !node.mailbox.is_empty()))
    }

    /// Drops messages that are too old, and nodes that were expected back after a restart and did not come. To be
    /// called now and then: otherwise the mailbox of a node that has gone keeps its memory.
    pub(super) fn sweep(&self) {
        let now = Instant::now();
        let mut state = self.lock();
        let ids: Vec<NodeId> = state.known.keys().cloned().collect();
        for id in ids {
            state.expire(&id, now, &self.tally);
            let never_came = state
                .known
                .get(&id)
                .is_some_and(|node| node.last_seen.is_none());
            if never_came && now >= state.settled {
                state.forget(&id, &self.tally);
            }
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::relay) fn nodes() -> (Arc<Nodes>, CancellationToken) {
        let stopping = CancellationToken::new();
        (
            Arc::new(Nodes::new(Arc::default(), stopping.clone(), 0)),
            stopping,
        )
    }

    pub(in crate::relay) fn id(text: &str) -> NodeId {
        text.parse().unwrap()
    }

    pub(in crate::relay) fn letter(text: &'static str) -> Letter {
        Letter {
            message: text.into(),
            class: "OverlayMessage",
            came: Instant::now(),
        }
    }

    pub(in crate::relay) use crate::transport::receipt::Received::NotSaid;

    pub(in crate::relay) fn from(port: u16) -> Option<SocketAddr> {
        Some(([127, 0, 0, 1], port).into())
    }

    /// What the next poll gets.
    pub(in crate::relay) async fn next(nodes: &Arc<Nodes>, node: &str) -> prost::bytes::Bytes {
        let delivery = nodes
            .begin_poll(id(node), from(1), NotSaid, None)
            .unwrap()
            .next()
            .await
            .unwrap();
        let message = delivery.message();
        delivery.done();
        message
    }

    #[tokio::test]
    async fn refuses_a_second_poll_from_another_connection() {
        let (nodes, _stopping) = nodes();
        let first = nodes.begin_poll(id("a"), from(1), NotSaid, None).unwrap();

        assert_eq!(
            nodes.begin_poll(id("a"), from(2), NotSaid, None).err(),
            Some(PollRefused::InUse)
        );
        assert_eq!(
            nodes.begin_poll(id("a"), None, NotSaid, None).err(),
            Some(PollRefused::InUse)
        );

        drop(first);
        assert!(nodes.begin_poll(id("a"), from(2), NotSaid, None).is_ok());
    }

    #[tokio::test]
    async fn a_poll_that_is_broken_off_gets_nothing_more() {
        let (nodes, _stopping) = nodes();
        let [a, b] = ["a", "b"].map(|name| {
            tokio::spawn(
                nodes
                    .begin_poll(id(name), from(1), NotSaid, None)
                    .unwrap()
                    .next(),
            )
        });
        tokio::task::yield_now().await;

        nodes.break_off([&id("a"), &id("never")]);
        for name in ["a", "b"] {
            nodes.post(&id(name), letter("x")).unwrap();
        }

        assert_eq!(
            a.await.unwrap().err(),
            Some(super::super::poll::PollEnded::Replaced)
        );
        assert_eq!(b.await.unwrap().unwrap().message(), "x");
        assert_eq!(next(&nodes, "a").await, "x");
    }

    #[tokio::test(start_paused = true)]
    async fn drops_what_is_for_unknown_nodes_once_settled() {
        let (nodes, _stopping) = nodes();
        tokio::time::advance(SETTLING).await;

        assert_eq!(
            nodes.post(&id("a"), letter("x")),
            Err(DropReason::UnknownNode)
        );
        assert!(nodes.list().is_empty());
        assert_eq!(nodes.tally.read().dropped["OverlayMessage"], 1);
    }

    #[tokio::test(start_paused = true)]
    async fn keeps_what_is_for_nodes_on_their_way_back_after_a_restart() {
        let (nodes, _stopping) = nodes();
        nodes.post(&id("a"), letter("x")).unwrap();
        nodes.post(&id("never"), letter("y")).unwrap();
        assert!(!nodes.knows(&id("a")) && !nodes.is_connected(&id("a")));

        tokio::time::advance(Duration::from_secs(5)).await;
        assert_eq!(next(&nodes, "a").await, "x");

        tokio::time::advance(SETTLING).await;
        nodes.sweep();
        assert_eq!(nodes.list().len(), 1);
        assert_eq!(
            nodes.tally.read().dropped_because[&DropReason::UnknownNode],
            1
        );
    }

    #[tokio::test(start_paused = true)]
    async fn knows_a_bounded_number_of_nodes_and_forgets_those_long_gone() {
        let (nodes, _stopping) = nodes();
        let polls: Vec<_> = (0..MAX_NODES)
            .map(|n| {
                nodes
                    .begin_poll(id(&n.to_string()), from(1), NotSaid, None)
                    .unwrap()
            })
            .collect();
        assert_eq!(
            nodes.begin_poll(id("new"), from(1), NotSaid, None).err(),
            Some(PollRefused::TooManyNodes)
        );

        drop(polls);
        assert_eq!(
            nodes.begin_poll(id("new"), from(1), NotSaid, None).err(),
            Some(PollRefused::TooManyNodes)
        );
        tokio::time::advance(MAX_AGE).await;
        assert!(nodes.begin_poll(id("new"), from(1), NotSaid, None).is_ok());
        assert_eq!(nodes.list().len(), MAX_NODES);
    }

    #[tokio::test(start_paused = true)]
    async fn a_node_that_stops_polling_is_disconnected_after_ten_seconds() {
        let (nodes, _stopping) = nodes();
        drop(nodes.begin_poll(id("a"), from(1), NotSaid, None).unwrap());
        tokio::time::advance(DISCONNECTED_AFTER - Duration::from_millis(1)).await;
        assert!(nodes.is_connected(&id("a")));
        tokio::time::advance(Duration::from_millis(1)).await;
        assert!(!nodes.is_connected(&id("a")));
        assert!(nodes.knows(&id("a")));
    }

    #[tokio::test(start_paused = true)]
    async fn frees_the_memory_of_messages_nobody_fetched() {
        let (nodes, _stopping) = nodes();
        drop(nodes.begin_poll(id("a"), from(1), NotSaid, None).unwrap());
        nodes.post(&id("a"), letter("x")).unwrap();
        tokio::time::advance(MAX_AGE).await;
        nodes.sweep();
        assert_eq!(nodes.lock().bytes, 0);
        assert_eq!(nodes.list()[0].queued, 0);
        assert_eq!(nodes.tally.read().dropped_because[&DropReason::Expired], 1);
    }

    #[tokio::test(start_paused = true)]
    async fn frees_the_memory_of_a_message_that_nobody_confirms() {
        let (nodes, _stopping) = nodes();
        let poll = nodes
            .begin_poll(id("a"), from(1), Received::None, None)
            .unwrap();
        nodes.post(&id("a"), letter("x")).unwrap();
        poll.next().await.unwrap().done();
        assert_eq!(nodes.lock().bytes, 1);

        tokio::time::advance(MAX_AGE).await;
        nodes.sweep();
        assert_eq!(nodes.lock().bytes, 0);
        assert!(
            !nodes
                .begin_poll(id("a"), from(1), Received::None, None)
                .unwrap()
                .has_mail()
        );
    }

    #[tokio::test(start_paused = true)]
    async fn greets_each_new_connection_but_not_each_poll_through_a_proxy() {
        let (nodes, _stopping) = nodes();
        let wants = |port| {
            nodes
                .begin_poll(id("a"), from(port), NotSaid, None)
                .unwrap()
                .wants_greeting()
        };
        assert!(wants(1));
        assert!(!wants(1));
        assert!(!wants(2));
        tokio::time::advance(GREETING_INTERVAL).await;
        assert!(!wants(2));
        assert!(wants(3));
    }
}
