//! A session's two directions, and the states it goes through.
//!
//! ```text
//! root        = HKDF-Expand(Noise key of the direction, "backchannel suite 2 messages" ‖ initiator's index ‖ responder's index)
//! leaf        = key_tree(root)[counter], erased when used
//! message key = HKDF(salt: the outer message's salt, leaf, "backchannel suite 2 message")
//! AAD         = researcher, source, dest, setup, salt, nonce, frame header, handshake hash; each after its length
//! sealed, tag = ChaCha20-Poly1305(message key, nonce: 0u32 ‖ counter, AAD, padded content)
//! ```
//!
//! All of it is the same in suite 3, where the header says so, and the Noise key comes of another handshake.
//!
//! The salt makes the key of a message another one even if a node's memory is put back to an earlier state, as that of a virtual
//! machine may be, and a counter comes twice. The indices are mixed in because the second one is in no handshake message of Noise.

use std::time::Duration;

use rand_core::CryptoRng;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::frame::{HEADER_BYTES, Index, Kind, Nonce};
use super::key_tree::{KeyTree, MOST_MESSAGES, WINDOW};
use super::padding::{pad, padded_bytes, unpad};
use super::{Agreed, Hello, Refused, SALT_BYTES, Suite, TAG_BYTES};
use crate::message::{NodeId, OverlayMessage, ResearcherId};
use crate::noise::{AwaitingReply, Transport};
use crate::primitives::{
    chacha20_poly1305_open, chacha20_poly1305_seal, hkdf_sha256, hkdf_sha256_expand, put,
};

/// So many messages after its beginning, a session is to be replaced.
const RENEWED_AFTER_MESSAGES: u64 = 1 << 16;
/// So old, a session is to be replaced.
pub const RENEWED_AFTER: Duration = Duration::from_secs(10 * 60);
/// So old, nothing is sealed with it: its receiver opens messages for as long, and as long again as a relay may hold one.
const SEALS_FOR: Duration = super::pair::OPENS_FOR.saturating_sub(super::pair::HELD);

/// Which way a message goes.
#[derive(Clone, Copy)]
pub(super) struct Way<'a> {
    pub(super) researcher: &'a ResearcherId,
    pub(super) source: &'a NodeId,
    pub(super) dest: &'a NodeId,
}

/// What this node seals with.
pub(super) struct Sending {
    suite: Suite,
    receiver: Index,
    keys: KeyTree,
    next: u64,
    hash: [u8; 32],
}

/// What this node opens with.
pub(super) struct Receiving {
    suite: Suite,
    index: Index,
    keys: KeyTree,
    /// After the latest that was opened.
    next: u64,
    hash: [u8; 32],
}

/// A handshake that this node began.
pub(super) struct Begun {
    pub(super) suite: Suite,
    pub(super) index: Index,
    pub(super) awaiting: AwaitingReply,
    pub(super) prologue: Vec<u8>,
    pub(super) at: Duration,
}

/// A handshake of the peer that this node answered: opens, and seals nothing until something was opened.
pub(super) struct Answered(Established);

/// A session that both ends are known to have: seals and opens.
pub(super) struct Established {
    sending: Sending,
    receiving: Receiving,
    /// What the peer said of itself.
    peer: Hello,
    /// When the peer may first have had it, or earlier.
    began: Duration,
}

/// A session after which there is another: opens what is still on its way.
pub(super) struct Superseded(Receiving);

/// The indices of both ends.
pub(super) struct Indices {
    pub(super) own: Index,
    pub(super) peer: Index,
}

impl Begun {
    /// The session, once the answer was read.
    pub(super) fn established(
        &self,
        peer: Index,
        hello: Hello,
        transport: &Transport,
    ) -> Established {
        let (initiator, responder) = (self.index, peer);
        let indices = Indices {
            own: self.index,
            peer,
        };
        let ends = [initiator, responder];
        Established::new(self.suite, indices, ends, hello, transport, self.at)
    }

    pub(super) fn hash(&self, hash: &mut Sha256) {
        hash.update(self.index.0);
        hash.update(self.awaiting.hash());
    }
}

impl Answered {
    /// The session of a handshake that is being answered.
    pub(super) fn new(
        suite: Suite,
        indices: Indices,
        hello: Hello,
        transport: &Transport,
        now: Duration,
    ) -> Self {
        let ends = [indices.peer, indices.own];
        Self(Established::new(
            suite, indices, ends, hello, transport, now,
        ))
    }

    pub(super) fn suite(&self) -> Suite {
        self.0.suite()
    }

    pub(super) fn receiving(&mut self) -> &mut Receiving {
        &mut self.0.receiving
    }

    pub(super) fn hash(&self, hash: &mut Sha256) {
        self.0.hash(hash);
    }
}

impl Established {
    fn new(
        suite: Suite,
        indices: Indices,
        [initiator, responder]: [Index; 2],
        peer: Hello,
        transport: &Transport,
        began: Duration,
    ) -> Self {
        let keys = |key: &[u8; 32]| {
            let label = b"backchannel suite 2 messages";
            KeyTree::new(hkdf_sha256_expand(
                key,
                &[label, &initiator.0, &responder.0],
            ))
        };
        Self {
            sending: Sending {
                suite,
                receiver: indices.peer,
                keys: keys(&transport.sending),
                next: 0,
                hash: transport.hash,
            },
            receiving: Receiving {
                suite,
                index: indices.own,
                keys: keys(&transport.receiving),
                next: 0,
                hash: transport.hash,
            },
            peer,
            began,
        }
    }

    pub(super) fn suite(&self) -> Suite {
        self.sending.suite
    }

    pub(super) fn agreed(&self, in_turn: bool) -> Agreed {
        Agreed {
            suite: self.suite(),
            peer: self.peer,
            in_turn,
        }
    }

    pub(super) fn receiving(&mut self) -> &mut Receiving {
        &mut self.receiving
    }

    /// What to seal with, unless it is too old or used up.
    pub(super) fn sending(&mut self, now: Duration) -> Option<&mut Sending> {
        let usable = now < self.began + SEALS_FOR && self.sending.next < MOST_MESSAGES;
        usable.then_some(&mut self.sending)
    }

    /// Whether there should be another.
    pub(super) fn is_due(&self, now: Duration) -> bool {
        now >= self.began + RENEWED_AFTER || self.sending.next >= RENEWED_AFTER_MESSAGES
    }

    /// Whether there should be another, or the peer may find so: it counts what it has sealed, of which some is still on its way.
    pub(super) fn is_due_at_either_end(&self, now: Duration) -> bool {
        self.is_due(now) || self.receiving.next + WINDOW >= RENEWED_AFTER_MESSAGES
    }

    pub(super) fn hash(&self, hash: &mut Sha256) {
        self.sending.hash(hash);
        self.receiving.hash(hash);
    }
}

impl Superseded {
    pub(super) fn suite(&self) -> Suite {
        self.0.suite
    }

    pub(super) fn receiving(&mut self) -> &mut Receiving {
        &mut self.0
    }

    pub(super) fn hash(&self, hash: &mut Sha256) {
        self.0.hash(hash);
    }
}

impl From<Answered> for Established {
    fn from(session: Answered) -> Self {
        session.0
    }
}

impl From<Answered> for Superseded {
    fn from(session: Answered) -> Self {
        Self(session.0.receiving)
    }
}

impl From<Established> for Superseded {
    fn from(session: Established) -> Self {
        Self(session.receiving)
    }
}

impl Sending {
    /// Seals a message and erases its key; `None` when all keys are used. Nothing of `content` for a closing frame.
    pub(super) fn seal(
        &mut self,
        kind: Kind,
        way: Way<'_>,
        content: &[u8],
        rng: &mut impl CryptoRng,
    ) -> Option<OverlayMessage> {
        let leaf = self.keys.leaf(self.next)?;
        let nonce = Nonce {
            receiver: Some(self.receiver),
            counter: self.next,
        };
        let mut salt = [0; SALT_BYTES];
        rng.fill_bytes(&mut salt);
        let mut message = OverlayMessage {
            researcher_id: way.researcher.clone(),
            source: way.source.clone(),
            dest: way.dest.clone(),
            overlay: Vec::new(),
            setup: false,
            salt: salt.to_vec(),
            nonce: nonce.encode().to_vec(),
        };
        let aad = aad(&message, self.suite, kind, &self.hash);
        // Sealed in the buffer that leaves, which is of its final size from the start: a large message is written once.
        let most = HEADER_BYTES + padded_bytes(content.len()) + TAG_BYTES;
        let mut frame = Zeroizing::new(Vec::with_capacity(most));
        frame.extend_from_slice(&kind.header(self.suite));
        if kind != Kind::Close {
            pad(&mut frame, content);
        }
        let key = message_key(&salt, leaf.secret());
        let (_, text) = frame.split_at_mut_checked(HEADER_BYTES)?;
        let tag = chacha20_poly1305_seal(&key, &nonce.of_cipher(), &aad, text).ok()?;
        frame.extend_from_slice(&tag);
        message.overlay = std::mem::take(&mut frame);
        self.keys.erase(leaf);
        self.next += 1;
        Some(message)
    }

    fn hash(&self, hash: &mut Sha256) {
        hash.update(self.receiver.0);
        hash.update(self.next.to_be_bytes());
        hash.update(self.hash);
        self.keys.hash(hash);
    }
}

impl Receiving {
    pub(super) fn index(&self) -> Index {
        self.index
    }

    /// Opens a message and erases its key. Errors change nothing, but that of the padding: its sender is the peer.
    pub(super) fn open(
        &mut self,
        message: &OverlayMessage,
        (suite, kind): (Suite, Kind),
        counter: u64,
        sealed: &[u8],
        tag: &[u8; TAG_BYTES],
    ) -> Result<Zeroizing<Vec<u8>>, Refused> {
        if suite != self.suite {
            return Err(Refused::Tag);
        }
        let leaf = self.keys.leaf(counter).ok_or(Refused::Spent)?;
        let nonce = Nonce {
            receiver: Some(self.index),
            counter,
        };
        let aad = aad(message, self.suite, kind, &self.hash);
        let key = message_key(&message.salt, leaf.secret());
        let mut text = Zeroizing::new(sealed.to_vec());
        chacha20_poly1305_open(&key, &nonce.of_cipher(), &aad, &mut text, tag)
            .map_err(|_| Refused::Tag)?;
        self.keys.erase(leaf);
        self.keys.erase_before(counter.saturating_sub(WINDOW));
        self.next = self.next.max(counter + 1);
        if kind == Kind::Close {
            return Ok(text);
        }
        unpad(&mut text).ok_or(Refused::Padding)?;
        Ok(text)
    }

    fn hash(&self, hash: &mut Sha256) {
        hash.update(self.index.0);
        hash.update(self.hash);
        self.keys.hash(hash);
    }
}

fn message_key(salt: &[u8], leaf: &[u8; 32]) -> Zeroizing<[u8; 32]> {
    hkdf_sha256(salt, leaf, &[b"backchannel suite 2 message"])
}

/// All around what is sealed.
fn aad(message: &OverlayMessage, suite: Suite, kind: Kind, hash: &[u8; 32]) -> Vec<u8> {
    let mut aad = Vec::with_capacity(512);
    put(&mut aad, message.researcher_id.as_str().as_bytes());
    put(&mut aad, message.source.as_str().as_bytes());
    put(&mut aad, message.dest.as_str().as_bytes());
    put(&mut aad, &[u8::from(message.setup)]);
    put(&mut aad, &message.salt);
    put(&mut aad, &message.nonce);
    put(&mut aad, &kind.header(suite));
    put(&mut aad, hash);
    aad
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;

    use super::*;

    const OWN: Index = Index([1; 4]);
    const PEER: Index = Index([2; 4]);

    /// One end of a session.
    fn session() -> Established {
        let key = |byte| Zeroizing::new([byte; 32]);
        let transport = Transport {
            sending: key(1),
            receiving: key(2),
            hash: [3; 32],
        };
        let indices = Indices {
            own: OWN,
            peer: PEER,
        };
        let now = Duration::ZERO;
        let ends = [OWN, PEER];
        Established::new(Suite::Two, indices, ends, Hello::default(), &transport, now)
    }

    fn seal(sending: &mut Sending, content: &[u8], seed: u64) -> Option<OverlayMessage> {
        let [source, dest] = ["a", "b"].map(|id| id.parse().expect("an id"));
        let way = Way {
            researcher: &"researcher".parse().expect("an id"),
            source: &source,
            dest: &dest,
        };
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        sending.seal(Kind::Data, way, content, &mut rng)
    }

    #[test]
    fn a_session_is_to_be_replaced_after_so_many_messages_and_ends_after_twice_as_many() {
        let (mut session, now) = (session(), Duration::ZERO);
        session.sending.next = RENEWED_AFTER_MESSAGES - 1;
        assert!(!session.is_due(now));
        seal(&mut session.sending, b"", 1).expect("a key");
        assert!(session.is_due(now));

        session.sending.next = MOST_MESSAGES - 1;
        let sending = session.sending(now).expect("one more");
        seal(sending, b"", 1).expect("the last key");
        assert!(session.sending(now).is_none());
        assert_eq!(seal(&mut session.sending, b"", 1), None);
    }

    #[test]
    fn a_session_is_due_for_a_peer_that_may_have_sealed_so_many_messages() {
        let (mut session, now) = (session(), Duration::ZERO);
        session.receiving.next = RENEWED_AFTER_MESSAGES - WINDOW - 1;
        assert!(!session.is_due_at_either_end(now));
        session.receiving.next += 1;
        assert!(session.is_due_at_either_end(now));
        assert!(!session.is_due(now));
    }

    #[test]
    fn a_session_is_to_be_replaced_after_ten_minutes_and_seals_for_fifteen() {
        let mut session = session();
        let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
        let before = |time: Duration| time - Duration::from_nanos(1);
        assert!(!session.is_due(before(minutes(10))));
        assert!(session.is_due(minutes(10)));
        assert!(session.sending(before(minutes(15))).is_some());
        assert!(session.sending(minutes(15)).is_none());
    }

    #[test]
    fn a_counter_that_comes_twice_does_not_use_a_key_twice() {
        // A machine is put back to an earlier state, and draws something else then.
        let [one, two] = [1, 2].map(|seed| {
            let mut session = session();
            seal(&mut session.sending, b"the same", seed).expect("a key")
        });
        assert_eq!(one.nonce, two.nonce);
        let body = |message: &OverlayMessage| message.overlay[8..].to_vec();
        let (one, two) = (body(&one), body(&two));
        let same = one.iter().zip(&two).filter(|(a, b)| a == b).count();
        assert!(same < one.len() / 8, "{same} bytes are the same");
    }

    #[test]
    fn both_directions_and_other_indices_have_other_keys() {
        let leaf = |keys: &KeyTree| *keys.leaf(0).expect("a key").secret();
        let one = session();
        let transport = Transport {
            sending: Zeroizing::new([1; 32]),
            receiving: Zeroizing::new([2; 32]),
            hash: [3; 32],
        };
        let indices = Indices {
            own: OWN,
            peer: Index([4; 4]),
        };
        let ends = [OWN, Index([4; 4])];
        let other = Established::new(
            Suite::Two,
            indices,
            ends,
            Hello::default(),
            &transport,
            Duration::ZERO,
        );
        let keys = [
            leaf(&one.sending.keys),
            leaf(&one.receiving.keys),
            leaf(&other.sending.keys),
            leaf(&other.receiving.keys),
        ];
        for (at, key) in keys.iter().enumerate() {
            assert!(!keys[..at].contains(key), "{at}");
        }
    }
}
