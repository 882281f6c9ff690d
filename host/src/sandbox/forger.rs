//! A relay that hands nodes messages which nobody sent: earlier ones again, in other names, to others, changed, or invented.

use rand_chacha::ChaCha20Rng;
use rand_core::Rng;
use tokio::time::sleep;

use super::faults::Planned;
use super::relay::Relay;
use crate::message::{NodeId, OverlayMessage, ResearcherId};

/// How many messages it makes in the time of an accident.
const FORGED: u32 = 100;
/// The size of invented ones, in bytes: of those between nodes.
const INVENTED: usize = 400;

/// Makes them: all that a relay needs is there.
pub(super) struct Forger {
    relay: Relay,
    researcher: ResearcherId,
    nodes: Vec<NodeId>,
    rng: ChaCha20Rng,
}

impl Forger {
    pub(super) fn new(
        relay: Relay,
        researcher: ResearcherId,
        nodes: Vec<NodeId>,
        planned: &Planned,
    ) -> Self {
        Self {
            relay,
            researcher,
            nodes,
            rng: planned.rng(),
        }
    }

    /// Hands them out, evenly over the time of the accident, unless everything is healed before.
    pub(super) async fn work(mut self, planned: Planned) {
        for _ in 0..FORGED {
            sleep(planned.lasting / FORGED).await;
            if !self.relay.is_faulty() {
                return;
            }
            let (message, how) = self.make();
            // A node reads its own name in it, or whoever carries it would have to be blind.
            if message.source != message.dest {
                self.relay.forge(message, how);
            }
        }
    }

    fn make(&mut self) -> (OverlayMessage, String) {
        let (draw, which, who) = (
            self.rng.next_u32() % 6,
            self.rng.next_u64(),
            self.rng.next_u64(),
        );
        let (at, by) = (self.rng.next_u64(), (self.rng.next_u32() % 255 + 1) as u8);
        let Some((n, mut message)) = self.relay.seen(which).filter(|_| draw < 5) else {
            return (self.invented(which, who), "invented".into());
        };
        let node = self.node(who);
        let how = match draw {
            0 => format!("#{n} again"),
            1 => {
                message.source = node;
                format!("#{n} in another name")
            }
            2 => {
                message.dest = node;
                format!("#{n} to another node")
            }
            3 => {
                message.setup = !message.setup;
                format!("#{n} with the other setup flag")
            }
            _ => {
                let parts = [&mut message.overlay, &mut message.salt, &mut message.nonce];
                let bytes: Vec<_> = parts.into_iter().flatten().collect();
                let at = (at % bytes.len().max(1) as u64) as usize;
                if let Some(byte) = bytes.into_iter().nth(at) {
                    *byte = byte.wrapping_add(by);
                }
                format!("#{n} with a byte changed")
            }
        };
        (message, how)
    }

    fn invented(&mut self, from: u64, to: u64) -> OverlayMessage {
        let (source, dest) = (self.node(from), self.node(to));
        let mut bytes = |count| {
            let mut bytes = vec![0; count];
            self.rng.fill_bytes(&mut bytes);
            bytes
        };
        OverlayMessage {
            researcher_id: self.researcher.clone(),
            source,
            dest,
            overlay: bytes(INVENTED),
            setup: from.is_multiple_of(2),
            salt: bytes(32),
            nonce: bytes(16),
        }
    }

    fn node(&self, draw: u64) -> NodeId {
        // A scenario has two nodes at least.
        self.nodes[(draw % self.nodes.len() as u64) as usize].clone()
    }
}
