//! The relay of a simulated network, with the researcher behind it: mailboxes, links that break, and faults.
//!
//! It reads and writes the same bytes as a real one, and keeps all that it saw, for what must not be in it.

mod desk;
mod mailbox;
mod passage;
mod seen;
mod trouble;
mod wire;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};

use self::desk::Desk;
use self::mailbox::{Letter, Mailbox};
pub(super) use self::seen::{Delivery, Overlay, Owed, Seen, Wanted};
pub(super) use self::wire::Cut;
use self::wire::Wire;
use super::faults::{Accident, Fate, Plan};
use super::forger::Forged;
use super::hits::{Hits, Passing};
use super::record::Record;
use crate::message::researcher::reply_address;
use crate::message::{NodeId, OverlayMessage, ProtocolOutcome, RequestId, ToNode, ToResearcher};
use crate::trace::What;
use crate::transport::{self, Malformed};

/// How long a relay keeps a message (reference: 300 s).
const KEPT: Duration = Duration::from_secs(300);
/// How many it keeps for one node.
const MAILBOX: usize = 1000;
/// What a message takes without any fault.
const LATENCY: std::ops::RangeInclusive<Duration> =
    Duration::from_micros(200)..=Duration::from_millis(5);

/// The relay of a run. Clones are the same relay.
#[derive(Clone)]
pub(super) struct Relay(Arc<Mutex<Desk>>);

/// What a relay has noted by the end of a run.
pub(super) struct Ledger {
    pub(super) seen: Seen,
    /// How many faults of each kind there were.
    pub(super) counts: BTreeMap<&'static str, u64>,
    /// The faults that were drawn for messages, by number.
    pub(super) hits: BTreeMap<u64, Fate>,
}

impl Relay {
    pub(super) fn new(
        record: Record,
        plan: Plan,
        listed: Hits,
        seed: u64,
        nodes: &[NodeId],
    ) -> (Self, mpsc::UnboundedReceiver<ToResearcher>) {
        let (answers, answered) = mpsc::unbounded_channel();
        let boxes = nodes.iter().map(|node| (node.clone(), Mailbox::default()));
        let desk = Desk {
            record,
            plan,
            listed,
            rng: ChaCha20Rng::seed_from_u64(seed),
            next: 0,
            boxes: boxes.collect(),
            down: 0,
            faulty: true,
            slow: 0,
            answers,
            seen: Seen::default(),
            counts: BTreeMap::new(),
            hits: BTreeMap::new(),
        };
        (Self(Arc::new(Mutex::new(desk))), answered)
    }

    pub(super) fn record(&self, what: What) {
        self.desk().record.event(what);
    }

    pub(super) fn now(&self) -> Duration {
        self.desk().record.now()
    }

    /// Whether messages can meet faults still.
    pub(super) fn is_faulty(&self) -> bool {
        self.desk().faulty
    }

    /// One of the messages between nodes that it has seen, and its number, if there were any.
    pub(super) fn seen(&self, draw: u64) -> Option<(u64, OverlayMessage)> {
        let desk = self.desk();
        let all = &desk.seen.overlays;
        let at = draw.checked_rem(all.len() as u64)?;
        let overlay = all.get(usize::try_from(at).ok()?)?;
        Some((overlay.n, overlay.message.clone()))
    }

    /// Hands a node a message that was made at the relay.
    pub(super) fn forge(&self, forged: Forged) {
        self.count(Accident::Forged);
        let Forged { message, to, how } = forged;
        let n = self.desk().number();
        self.record(relayed(n, &message));
        let fault = Accident::Forged.name().to_owned();
        self.record(What::Hit { n, fault, how });
        let from = message.source.clone();
        let to = to.unwrap_or_else(|| message.dest.clone());
        let bytes = ToNode::Overlay(message).encode();
        let wait = self.desk().latency(Some(&from), &to);
        self.put_after(wait, n, to, bytes);
    }

    /// The researcher asks a node.
    pub(super) fn ask(&self, to: &NodeId, kind: &'static str, run: &str, request: &ToNode) {
        let bytes = request.encode();
        let n = self.desk().number();
        self.record(What::Asked {
            n,
            to: to.to_string(),
            kind: kind.to_owned(),
            run: run.to_owned(),
        });
        let from = None;
        self.post(Passing { n, kind, from, to }, bytes);
    }

    /// Carries what a node has to say, for as long as it lives.
    pub(super) async fn carry(self, node: NodeId, mut outgoing: mpsc::Receiver<transport::Letter>) {
        while let Some(letter) = outgoing.recv().await {
            let reached = timeout(KEPT, self.reachable(&node, Wire::carries_away)).await;
            let message = letter.take();
            // Whoever waits for its receipt waits no longer: it is dropped, as the transport does.
            if reached.is_err() {
                continue;
            }
            match message {
                ToResearcher::Overlay(message) => self.relay(message),
                answer => self.answered(&node, answer),
            }
        }
    }

    /// Hands a node what is in its mailbox, for as long as it lives.
    pub(super) async fn deliver(
        self,
        node: NodeId,
        incoming: mpsc::Sender<Result<ToNode, Malformed>>,
    ) {
        // What the node does not take yet stays in its mailbox.
        while let Ok(place) = incoming.reserve().await {
            self.reachable(&node, Wire::carries_here).await;
            let Some(letter) = self.next_letter(&node).await else {
                continue;
            };
            let message = ToNode::decode(&letter.bytes).map_err(|error| {
                let (request_id, researcher_id) = reply_address(&letter.bytes);
                Malformed {
                    request_id,
                    researcher_id,
                    error,
                }
            });
            let busy = {
                let desk = &mut *self.desk();
                desk.record.event(What::Delivered {
                    n: letter.n,
                    to: node.to_string(),
                });
                desk.owe(&node, &message);
                desk.taken(&node)
            };
            place.send(message);
            if let Some(busy) = busy {
                sleep(busy).await;
            }
        }
    }

    /// What is left at the end.
    pub(super) fn into_ledger(self) -> Ledger {
        let desk = &mut *self.desk();
        desk.leave_unanswered();
        Ledger {
            seen: std::mem::take(&mut desk.seen),
            counts: std::mem::take(&mut desk.counts),
            hits: std::mem::take(&mut desk.hits),
        }
    }

    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn relay(&self, message: OverlayMessage) {
        let id = message.id().to_string();
        let (n, kind) = {
            let desk = &mut *self.desk();
            let n = desk.number();
            let kind = desk.record.sealed(&id).unwrap_or_default();
            desk.record.event(relayed(n, &message));
            let message = message.clone();
            desk.seen.overlays.push(Overlay { n, message });
            (n, kind)
        };
        let (from, to) = (message.source.clone(), message.dest.clone());
        let passing = Passing {
            n,
            kind: &kind,
            from: Some(&from),
            to: &to,
        };
        let bytes = ToNode::Overlay(message).encode();
        self.post(passing, bytes);
    }

    fn answered(&self, node: &NodeId, answer: ToResearcher) {
        let desk = &mut *self.desk();
        let with = match &answer {
            ToResearcher::Error { extra_msg, .. } => extra_msg.clone(),
            ToResearcher::SecaggReply(reply)
            | ToResearcher::AdditiveSSSetupReply { reply, .. }
            | ToResearcher::SecaggDeleteReply(reply) => format!("done: {}", reply.secagg_id),
            ToResearcher::ProtocolRunReply(reply) => match &reply.outcome {
                ProtocolOutcome::Done(_) => format!("done: {}", reply.run_id),
                ProtocolOutcome::Failed { why, .. } => format!("failed: {}: {why}", reply.run_id),
            },
            _ => "an answer".to_owned(),
        };
        desk.record.event(What::Answered {
            from: node.to_string(),
            with,
        });
        desk.seen.answers.push(answer.encode());
        if let Some(id) = request_of(&answer) {
            desk.answered(node, id);
        }
        // Only at the end of a run nobody reads any more.
        let _ = desk.answers.send(answer);
    }

    /// The next message that is not too old; `None` after a change that may have brought one.
    async fn next_letter(&self, node: &NodeId) -> Option<Letter> {
        let changed = {
            let desk = &mut *self.desk();
            let mailbox = desk.boxes.get_mut(node)?;
            while let Some(letter) = mailbox.queue.pop_front() {
                if letter.until > Instant::now() {
                    return Some(letter);
                }
                desk.record.event(What::Lost {
                    n: letter.n,
                    why: "it was kept for 300 s".into(),
                });
            }
            mailbox.changed.clone().notified_owned()
        };
        changed.await;
        None
    }

    /// Waits until what goes one way between the node and the relay arrives.
    async fn reachable(&self, node: &NodeId, carries: fn(&Wire) -> bool) {
        loop {
            let changed = {
                let desk = self.desk();
                let Some(mailbox) = desk.boxes.get(node) else {
                    return;
                };
                if desk.down == 0 && carries(&mailbox.wire) {
                    return;
                }
                mailbox.changed.clone().notified_owned()
            };
            changed.await;
        }
    }
}

fn relayed(n: u64, message: &OverlayMessage) -> What {
    What::Relayed {
        n,
        id: message.id().to_string(),
        from: message.source.to_string(),
        to: message.dest.to_string(),
        bytes: message.overlay.len() as u64,
    }
}

fn request_of(answer: &ToResearcher) -> Option<&RequestId> {
    match answer {
        ToResearcher::PingReply { request_id, .. }
        | ToResearcher::SearchReply { request_id, .. }
        | ToResearcher::ListReply { request_id, .. }
        | ToResearcher::Error { request_id, .. } => request_id.as_ref(),
        ToResearcher::SecaggReply(reply)
        | ToResearcher::SecaggDeleteReply(reply)
        | ToResearcher::AdditiveSSSetupReply { reply, .. } => reply.request_id.as_ref(),
        ToResearcher::ProtocolRunReply(reply) => reply.request_id.as_ref(),
        ToResearcher::Overlay(_) => None,
    }
}
