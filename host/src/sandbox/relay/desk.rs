//! What a relay has: a mailbox for each node, and what it notes of a run.

use std::collections::BTreeMap;
use std::time::Duration;

use rand_chacha::ChaCha20Rng;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::mailbox::{Held, Letter, Mailbox};
use super::{Delivery, KEPT, LATENCY, MAILBOX, Owed, Seen, Wanted};
use crate::message::{NodeId, RequestId, ToNode, ToResearcher};
use crate::sandbox::faults::{Fate, Plan, between};
use crate::sandbox::hits::Hits;
use crate::sandbox::record::Record;
use crate::trace::What;
use crate::transport::Malformed;

/// How many times as long everything takes that is slow.
const SLOWER: u32 = 100;
/// What a node needs to take a message in, about 0.1 ms, for so many together: clocks here tick in milliseconds.
const TOGETHER: u32 = 10;
const TAKES: Duration = Duration::from_millis(1);

pub(super) struct Desk {
    pub(super) record: Record,
    pub(super) plan: Plan,
    pub(super) listed: Hits,
    pub(super) rng: ChaCha20Rng,
    pub(super) next: u64,
    pub(super) boxes: BTreeMap<NodeId, Mailbox>,
    /// Accidents that keep it down.
    pub(super) down: u32,
    pub(super) faulty: bool,
    /// Accidents that make it slow.
    pub(super) slow: u32,
    pub(super) answers: mpsc::UnboundedSender<ToResearcher>,
    pub(super) seen: Seen,
    pub(super) counts: BTreeMap<&'static str, u64>,
    /// The fates that were drawn, by number.
    pub(super) hits: BTreeMap<u64, Fate>,
}

impl Desk {
    pub(super) fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    pub(super) fn put(&mut self, n: u64, to: &NodeId, bytes: Vec<u8>) {
        let why = match self.boxes.get_mut(to) {
            _ if self.down > 0 => "the relay is down",
            None => "no such node",
            Some(mailbox) if mailbox.queue.len() >= MAILBOX => "the mailbox is full",
            Some(mailbox) => {
                let until = Instant::now() + KEPT;
                mailbox.queue.push_back(Letter { n, bytes, until });
                mailbox.changed.notify_waiters();
                return;
            }
        };
        let why = why.to_owned();
        self.record.event(What::Lost { n, why });
    }

    pub(super) fn let_go(
        &mut self,
        to: &NodeId,
        which: impl FnMut(&mut Held) -> bool,
    ) -> Vec<Held> {
        let Some(mailbox) = self.boxes.get_mut(to) else {
            return Vec::new();
        };
        mailbox.held.extract_if(.., which).collect()
    }

    pub(super) fn hit(&mut self, n: u64, fate: Fate) {
        *self.counts.entry(fate.name()).or_default() += 1;
        let (fault, how) = (fate.name().to_owned(), fate.to_string());
        self.record.event(What::Hit { n, fault, how });
    }

    /// To be called when something changed that messages may wait for.
    pub(super) fn changed(&mut self) {
        let (up, now) = (self.down == 0, self.record.now());
        for mailbox in self.boxes.values_mut() {
            mailbox.wire.note(up, now);
            mailbox.changed.notify_waiters();
        }
    }

    /// A node has a message in its hands.
    pub(super) fn owe(&mut self, node: &NodeId, message: &Result<ToNode, Malformed>) {
        let wanted = match message {
            Ok(ToNode::ProtocolRun(_)) => Wanted::Part,
            _ => Wanted::SetUp,
        };
        let request = match message {
            Ok(ToNode::Ping { request_id, .. } | ToNode::SecaggDelete { request_id, .. }) => {
                request_id
            }
            Ok(ToNode::SecaggSetup(setup) | ToNode::ServerKeySetup(setup)) => &setup.request_id,
            Ok(ToNode::ProtocolRun(run)) => &run.request_id,
            _ => &None,
        };
        let Some(id) = request else {
            return;
        };
        let delivery = Delivery {
            at: self.record.now(),
            carried: self.carried(node),
        };
        match self.seen.owed_still(id) {
            Some(owed) => owed.deliveries.push(delivery),
            None => self.seen.owed.push(Owed {
                node: node.clone(),
                request: id.clone(),
                wanted,
                deliveries: vec![delivery],
                answered: false,
                carried: Duration::ZERO,
            }),
        }
    }

    /// A request was answered.
    pub(super) fn answered(&mut self, node: &NodeId, request: &RequestId) {
        let carried = self.carried(node);
        if let Some(owed) = self.seen.owed_still(request) {
            (owed.answered, owed.carried) = (true, carried);
        }
    }

    /// Notes until when nodes had time for what they have not answered.
    pub(super) fn leave_unanswered(&mut self) {
        let now = self.record.now();
        for owed in self.seen.owed.iter_mut().filter(|owed| !owed.answered) {
            let mailbox = self.boxes.get(&owed.node);
            owed.carried = mailbox.map_or(Duration::ZERO, |mailbox| mailbox.wire.carried(now));
        }
    }

    fn carried(&self, node: &NodeId) -> Duration {
        let (mailbox, now) = (self.boxes.get(node), self.record.now());
        mailbox.map_or(Duration::ZERO, |mailbox| mailbox.wire.carried(now))
    }

    /// What a message takes on its way to a node, without any fate.
    pub(super) fn latency(&mut self, from: Option<&NodeId>, to: &NodeId) -> Duration {
        let mut ends = from.into_iter().chain([to]);
        let slow = self.slow > 0
            || ends.any(|end| {
                self.boxes
                    .get(end)
                    .is_some_and(|mailbox| mailbox.wire.slow > 0)
            });
        let latency = between(&mut self.rng, LATENCY);
        if slow { latency * SLOWER } else { latency }
    }

    /// A node takes a message: how long it takes no other.
    pub(super) fn taken(&mut self, node: &NodeId) -> Option<Duration> {
        let mailbox = self.boxes.get_mut(node)?;
        mailbox.taken = mailbox.taken.wrapping_add(1);
        mailbox.taken.is_multiple_of(TOGETHER).then_some(TAKES)
    }
}
