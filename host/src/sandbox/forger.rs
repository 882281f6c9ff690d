//! A relay that hands nodes messages which nobody sent: earlier ones again, in other names, to others, changed, invented, or made
//! with the key that is published.

use p256::SecretKey;
use p256::elliptic_curve::Generate;
use rand_core::Rng;
use tokio::time::sleep;

use super::faults::Planned;
use super::relay::Relay;
use crate::message::{Inner, NodeId, OverlayMessage, RequestId, ResearcherId, Value};
use crate::overlay::{self, ChannelKeys};
use crate::primitives::public_key_pem;
use crate::randomness::Randomness;

/// How many messages it makes in the time of an accident.
const FORGED: u32 = 100;
/// The size of invented ones, in bytes: of those between nodes.
const INVENTED: usize = 400;

/// So many kinds of them have no model, and so many kinds there are.
const MADE: u32 = 3;
const KINDS: u32 = MADE + 10;

/// A message that nobody sent.
pub(super) struct Forged {
    pub(super) message: OverlayMessage,
    /// In whose mailbox it is put, if not in its receiver's.
    pub(super) to: Option<NodeId>,
    /// How it was made.
    pub(super) how: String,
}

/// Makes them: all that a relay needs is there.
pub(super) struct Forger {
    relay: Relay,
    researcher: ResearcherId,
    /// A researcher that the nodes do not know.
    other: ResearcherId,
    nodes: Vec<NodeId>,
    rng: Randomness,
}

impl Forger {
    /// With the researcher of the run, and one that nobody knows.
    pub(super) fn new(
        relay: Relay,
        researchers: [ResearcherId; 2],
        nodes: Vec<NodeId>,
        planned: &Planned,
    ) -> Self {
        let [researcher, other] = researchers;
        Self {
            relay,
            researcher,
            other,
            nodes,
            rng: Randomness::from_rng(planned.rng()),
        }
    }

    /// Hands them out, evenly over the time of the accident, unless everything is healed before.
    pub(super) async fn work(mut self, planned: Planned) {
        for _ in 0..FORGED {
            sleep(planned.lasting / FORGED).await;
            if !self.relay.is_faulty() {
                return;
            }
            let forged = self.make();
            self.relay.forge(forged);
        }
    }

    fn make(&mut self) -> Forged {
        let (draw, which, who) = (
            self.rng.next_u32() % KINDS,
            self.rng.next_u64(),
            self.rng.next_u64(),
        );
        let (at, by) = (self.rng.next_u64(), (self.rng.next_u32() % 255 + 1) as u8);
        let seen = self.relay.seen(which);
        let another = self.relay.seen(self.rng.next_u64());
        let Some((n, mut message)) = seen.filter(|_| draw >= MADE) else {
            return self.made(draw % MADE, which, who);
        };
        let node = self.node(who);
        let mut to = None;
        let how = match draw - MADE {
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
            4 => {
                message.researcher_id = self.other.clone();
                format!("#{n} of another researcher")
            }
            5 => {
                let how = format!("#{n} in the mailbox of {node}");
                to = Some(node);
                how
            }
            6 => {
                message
                    .overlay
                    .truncate((at % message.overlay.len().max(1) as u64) as usize);
                format!("#{n} cut short")
            }
            7 | 8 => {
                let (other, another) = another.unwrap_or_else(|| (n, message.clone()));
                if draw - MADE == 7 {
                    let half = message.overlay.len().min(another.overlay.len()) / 2;
                    message.overlay.truncate(half);
                    message.overlay.extend(&another.overlay[half..]);
                    format!("#{n} with the end of #{other}")
                } else {
                    (message.salt, message.nonce) = (another.salt, another.nonce);
                    format!("#{n} with salt and nonce of #{other}")
                }
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
        Forged { message, to, how }
    }

    /// One without a model: invented, or what anybody can make who knows the published key.
    fn made(&mut self, draw: u32, from: u64, to: u64) -> Forged {
        let (source, dest) = (self.node(from), self.node(to));
        let (kind, fields) = match draw {
            0 => ("ChannelSetupRequest", Vec::new()),
            1 => {
                // Of a key that it has the other half of.
                let key = SecretKey::generate_from_rng(&mut self.rng).public_key();
                let pem = public_key_pem(&key).unwrap_or_default().into_bytes();
                (
                    "ChannelSetupReply",
                    vec![("public_key".into(), Value::Bin(pem))],
                )
            }
            _ => return self.invented(source, dest, from.is_multiple_of(2)),
        };
        let id = RequestId::fresh(&mut self.rng);
        let inner = Inner::new(
            source.clone(),
            dest.clone(),
            Some(id),
            kind,
            Value::Map(fields),
        );
        let keys = ChannelKeys::published();
        let sealed = inner.ok().zip(keys.ok()).and_then(|(inner, keys)| {
            overlay::seal(keys, &self.researcher, &inner, true, &mut self.rng).ok()
        });
        match sealed {
            Some(message) => Forged {
                message,
                to: None,
                how: format!("a {kind} in the name of {source}"),
            },
            None => self.invented(source, dest, true),
        }
    }

    fn invented(&mut self, source: NodeId, dest: NodeId, setup: bool) -> Forged {
        let mut bytes = |count| {
            let mut bytes = vec![0; count];
            self.rng.fill_bytes(&mut bytes);
            bytes
        };
        let message = OverlayMessage {
            researcher_id: self.researcher.clone(),
            source,
            dest,
            overlay: bytes(INVENTED),
            setup,
            salt: bytes(32),
            nonce: bytes(16),
        };
        Forged {
            message,
            to: None,
            how: "invented".into(),
        }
    }

    fn node(&self, draw: u64) -> NodeId {
        // A scenario has two nodes at least.
        self.nodes[(draw % self.nodes.len() as u64) as usize].clone()
    }
}
