//! What a relay has: a mailbox for each node, and what is left of a run at its end.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use rand_chacha::ChaCha20Rng;
use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;

use super::{KEPT, LATENCY, MAILBOX, Owed, Seen};
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
    pub(super) up: bool,
    pub(super) faulty: bool,
    /// Accidents that make it slow.
    pub(super) slow: u32,
    pub(super) answers: mpsc::UnboundedSender<ToResearcher>,
    pub(super) seen: Seen,
    pub(super) counts: BTreeMap<&'static str, u64>,
    pub(super) hits: BTreeMap<u64, Fate>,
}

#[derive(Default)]
pub(super) struct Mailbox {
    pub(super) queue: VecDeque<Letter>,
    pub(super) held: Vec<Held>,
    pub(super) cut_off: bool,
    /// Accidents that make its wire slow.
    pub(super) slow: u32,
    /// How many messages its node has taken.
    pub(super) taken: u32,
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

impl Desk {
    pub(super) fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    pub(super) fn put(&mut self, n: u64, to: &NodeId, bytes: Vec<u8>) {
        let why = match self.boxes.get_mut(to) {
            _ if !self.up => "the relay is down",
            None => "no such node",
            Some(mailbox) if mailbox.queue.len() >= MAILBOX => "the mailbox is full",
            Some(mailbox) => {
                let until = Instant::now() + KEPT;
                mailbox.queue.push_back(Letter { n, bytes, until });
                mailbox.changed.notify_waiters();
                self.seen.fullest = self.seen.fullest.max(mailbox.queue.len());
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
        self.hits.insert(n, fate);
        let (fault, how) = (fate.name().to_owned(), fate.to_string());
        self.record.event(What::Hit { n, fault, how });
    }

    pub(super) fn owe(&mut self, node: &NodeId, message: &Result<ToNode, Malformed>) {
        let (Ok(ToNode::Ping { request_id, .. }) | Ok(ToNode::SecaggDelete { request_id, .. })) =
            message
        else {
            let (Ok(ToNode::SecaggSetup(setup)) | Ok(ToNode::ServerKeySetup(setup))) = message
            else {
                return;
            };
            return self.owed_by(node, setup.request_id.clone());
        };
        self.owed_by(node, request_id.clone());
    }

    fn owed_by(&mut self, node: &NodeId, request: Option<RequestId>) {
        if let Some(id) = request {
            self.seen.owed.insert(
                id,
                Owed {
                    node: node.clone(),
                    since: self.record.now(),
                },
            );
        }
    }

    /// What a message takes on its way to a node, without any fate.
    pub(super) fn latency(&mut self, from: Option<&NodeId>, to: &NodeId) -> Duration {
        let ends = from.into_iter().chain([to]);
        let mut wires = ends.filter_map(|end| self.boxes.get(end));
        let slow = self.slow > 0 || wires.any(|wire| wire.slow > 0);
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
