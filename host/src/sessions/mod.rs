//! Suites 2 and 3: channels that are secure against the relay itself. Handshakes, sessions, and the messages in them.
//!
//! ```text
//! A                                relay                                B
//!   HS1: Noise KK -> e, es, ss {timestamp, roster, capabilities} mac1 ──▶   answered: opens only
//!   ◀── HS2: Noise KK <- e, ee, se {roster, capabilities}
//!   DATA: nothing, or a message ────────────────────────────────────────▶   proven: seals too
//! ```
//!
//! Suite 3 has a handshake with ML-KEM-768 beside the curve (`e1` in HS1, `ekem1` in HS2), and is otherwise the same. Which of them two
//! nodes speak follows from the [`Limits`] of both: the highest that both offer, if both accept it. A node begins in the highest that it
//! offers, and never in a lower one because nothing came of that: the relay could see to it. Who reads an authentic HS1 knows the other's
//! limits, and begins itself if it offers less.
//!
//! Both know the other's identity key beforehand; who says so is not known here. A session belongs to a peer *and* a researcher, so
//! a message of one relay is none of another. Frames travel in outer messages as Fed-BioMed has them, and a relay of
//! Fed-BioMed's forwards them.
//!
//! Functions of their input: keys, time and randomness come in as values, messages go out. Nothing is sent, awaited or stored. A
//! message that is refused changes nothing, but the count of handshakes that a peer may have treated; and, if what the peer sealed is no
//! message, its key is used all the same.
//!
//! # What a relay can do
//!
//! Delay and lose. It cannot read or make a message, move it to another peer, researcher or session, have it treated twice, or in another
//! state of the channel than it was sent in; nor have a node forget a session, use an older one, or a lower suite than both
//! have. What each part does for that is said there: `frame`, `prologue`, `marks`, `key_tree`, `session`, `pair`.
//!
//! # Where this is more than the design says
//!
//! - HS2 has a code too (`mac1` is that of HS1), in the place of the salt, which a handshake has no use for: forged ones, which need
//!   only a sender index that the relay has seen, cost an HMAC as well; and the index in it, which Noise knows nothing of, cannot be
//!   changed.
//! - The limits in the prologue are the initiator's. They are not sent, and `mac1` covers the prologue: the responder finds them
//!   among the few that there can be before it computes on a curve.
//! - Of a peer's handshakes, each that was answered stays until a later one is proven, and not only the last: the peer may have any of
//!   them, and seal with it. The model found that messages are lost otherwise.
//! - Per-message keys are the leaves of a tree and not the links of a chain: see `key_tree`.
//! - Nothing is sealed after 15 minutes, so that all that is sealed arrives within the 20, although a relay may hold it for 5.

mod bucket;
mod frame;
mod handshake;
mod hello;
mod key_tree;
mod marks;
#[cfg(test)]
mod model;
mod padding;
mod pair;
mod peer;
mod prologue;
mod refused;
mod session;
mod suite;

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use p256::{PublicKey, SecretKey};
use rand_core::CryptoRng;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::message::{
    FederationId, Inner, MAX_MESSAGE_BYTES, NodeId, OverlayMessage, ResearcherId, Value,
};
use crate::noise::TAG_BYTES;
pub use frame::FrameError;
use frame::{Frame, Kind, Nonce};
pub use hello::Hello;
use hello::Timestamp;
pub use pair::OPENS_FOR as ENDS_AFTER;
use peer::{Link, Peer, Stage};
pub use prologue::Limits;
pub use refused::Refused;
pub use session::RENEWED_AFTER;
use session::Way;
pub use suite::Suite;

/// Length of a salt, in bytes.
const SALT_BYTES: usize = 32;
/// What an outer message has beside what is sealed, at most, in bytes: ids, names of fields, salt, nonce, header and tag.
const OUTER_BYTES: usize = 4096;

/// What this node has with each of its peers. Cannot be printed; secrets are zeroized when dropped.
pub struct Sessions {
    own: NodeId,
    /// In a place of its own, so that no copy of it is left where this was moved from.
    identity: Box<SecretKey>,
    hello: Hello,
    /// Of the last handshake that was begun.
    last: Timestamp,
    peers: BTreeMap<NodeId, Peer>,
}

/// What a node knows of a peer beforehand. Of both ends, each must know the other in the same federation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// The peer's identity key.
    pub identity: PublicKey,
    /// Who says that it is: the list that has both.
    pub federation: FederationId,
    /// How it is to be talked to.
    pub limits: Limits,
}

/// The time, by both kinds of clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// Since any moment of the caller's choice, always the same. Never goes back.
    pub running: Duration,
    /// Since 1970, by the wall clock. May jump.
    pub wall: Duration,
}

/// A message to be sent, or what is to be sent before.
#[derive(Debug, Clone, PartialEq)]
pub enum Sealed {
    /// Hand the message over.
    Message {
        /// What was sealed.
        message: OverlayMessage,
        /// Hand this over too: the session is to be replaced, and is used until it is.
        handshake: Option<OverlayMessage>,
    },
    /// There is no session to seal with. Seal again when one is [established](Opened::Established), or at that time.
    NeedsHandshake {
        /// Hand this over; `None` when one is under way.
        handshake: Option<OverlayMessage>,
        /// When it can be taken for lost: as [`Moment::running`].
        again: Duration,
    },
}

/// Why a message was not sealed. Always this host's fault or its plugin's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// The receiver has no identity key here, or none that counts any more.
    #[error("the identity key of {0} is not known")]
    UnknownPeer(NodeId),
    /// It names another sender than this node.
    #[error("the message names another sender than this node")]
    Source,
    /// It would not fit in a message.
    #[error("the message has {0} bytes with its padding, the limit is {MAX_MESSAGE_BYTES}")]
    TooLarge(usize),
    /// A handshake could not be made: the cipher failed, which it never does.
    #[error("the handshake could not be made")]
    Handshake,
}

/// What a handshake came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Agreed {
    /// The suite of the session.
    pub suite: Suite,
    /// What the peer said of itself.
    pub peer: Hello,
    /// The session before it was to be replaced. Otherwise the peer may have forgotten that.
    pub in_turn: bool,
}

/// What a message was. What it proves of its sender, it proves by the identity key.
#[derive(Debug, Clone, PartialEq)]
pub enum Opened {
    /// A message to be treated.
    Message {
        /// What the peer says.
        inner: Inner,
        /// This node has a new session to seal with: what waits for one can go.
        established: Option<Agreed>,
    },
    /// Nothing to treat: who begins a session shows in this way that it has it.
    Nothing {
        /// As with a message.
        established: Option<Agreed>,
    },
    /// The peer began a handshake: hand the answer over.
    Answer(OverlayMessage),
    /// The peer answered this node's handshake: there is a new session to seal with.
    Established {
        /// Hand this over, before anything else: the peer seals nothing before it has opened something.
        proof: OverlayMessage,
        /// What was agreed.
        agreed: Agreed,
    },
    /// The peer has forgotten its current session.
    Closed,
}

/// Whether a message says that it is of a suite from the second on.
pub fn is_frame(message: &OverlayMessage) -> bool {
    message.overlay.starts_with(&frame::MAGIC)
}

impl Sessions {
    /// Of node `own`, whose `identity` is known to its peers, and which says `hello`.
    pub fn new(own: NodeId, identity: SecretKey, hello: Hello) -> Self {
        Self {
            own,
            identity: Box::new(identity),
            hello,
            last: Timestamp::default(),
            peers: BTreeMap::new(),
        }
    }

    /// Takes this as what is known of a peer. What there is with it stays where it was agreed with the same identity key in the same
    /// federation, and in a suite that is still accepted.
    pub fn know(&mut self, peer: NodeId, known: Known, now: Moment) {
        match self.peers.get_mut(&peer) {
            Some(before) if before.is(&known) => before.limit(known.limits),
            _ => {
                let peer_now = Peer::new(&self.identity, known, now);
                self.peers.insert(peer, peer_now);
            }
        }
    }

    /// Begins no session with a peer any more, and answers none. Those that there are live out their time.
    pub fn retire(&mut self, peer: &NodeId) {
        if let Some(peer) = self.peers.get_mut(peer) {
            peer.retired = true;
        }
    }

    /// Takes this as what this node says of itself from now on.
    pub fn say(&mut self, hello: Hello) {
        self.hello = hello;
    }

    /// Forgets a peer and all sessions with it.
    pub fn forget(&mut self, peer: &NodeId) {
        self.peers.remove(peer);
    }

    /// Whether a peer's identity is known.
    pub fn knows(&self, peer: &NodeId) -> bool {
        self.peers.contains_key(peer)
    }

    /// The suite of the session with a peer at a researcher, if there is one.
    pub fn session(
        &mut self,
        peer: &NodeId,
        researcher: &ResearcherId,
        now: Moment,
    ) -> Option<Suite> {
        let link = self.peers.get_mut(peer)?.links.get_mut(researcher)?;
        link.pair.tidy(now.running);
        link.pair.current().map(|session| session.suite())
    }

    fn is_retired(&self, peer: &NodeId) -> bool {
        self.peers.get(peer).is_some_and(|peer| peer.retired)
    }

    /// Seals `content` for its receiver, to be relayed by `researcher`; or says that a handshake is due first.
    pub fn seal(
        &mut self,
        researcher: &ResearcherId,
        content: &Inner,
        now: Moment,
        rng: &mut impl CryptoRng,
    ) -> Result<Sealed, SealError> {
        if content.source != self.own {
            return Err(SealError::Source);
        }
        let text = Zeroizing::new(content.encode());
        self.seal_content(&content.dest, researcher, &text, now, rng)
    }

    /// [`seal`](Self::seal) of any bytes.
    pub(crate) fn seal_content(
        &mut self,
        to: &NodeId,
        researcher: &ResearcherId,
        content: &[u8],
        now: Moment,
        rng: &mut impl CryptoRng,
    ) -> Result<Sealed, SealError> {
        let bytes = padding::padded_bytes(content.len());
        if bytes > MAX_MESSAGE_BYTES - OUTER_BYTES {
            return Err(SealError::TooLarge(bytes));
        }
        let (own, retired) = (self.own.clone(), self.is_retired(to));
        let link = self.link(to, researcher)?;
        link.pair.tidy(now.running);
        let Some(session) = link.pair.current_mut() else {
            return self.needs_handshake(to, researcher, now, rng);
        };
        let due = session.is_due(now.running) && !retired;
        let sending = session.sending(now.running);
        let way = Way {
            researcher,
            source: &own,
            dest: to,
        };
        let sealed = sending.and_then(|sending| sending.seal(Kind::Data, way, content, rng));
        let Some(message) = sealed else {
            return self.needs_handshake(to, researcher, now, rng);
        };
        let handshake = match due {
            true => self.begin(to, researcher, now, rng)?,
            false => None,
        };
        Ok(Sealed::Message { message, handshake })
    }

    fn needs_handshake(
        &mut self,
        to: &NodeId,
        researcher: &ResearcherId,
        now: Moment,
        rng: &mut impl CryptoRng,
    ) -> Result<Sealed, SealError> {
        let handshake = self.begin(to, researcher, now, rng)?;
        let again = self.link(to, researcher)?.pair.may_begin_at();
        Ok(Sealed::NeedsHandshake { handshake, again })
    }

    /// Begins a handshake, to be handed over. `None` when one is under way that may still succeed.
    pub fn begin(
        &mut self,
        peer: &NodeId,
        researcher: &ResearcherId,
        now: Moment,
        rng: &mut impl CryptoRng,
    ) -> Result<Option<OverlayMessage>, SealError> {
        if self.is_retired(peer) {
            return Err(SealError::UnknownPeer(peer.clone()));
        }
        let link = self.link(peer, researcher)?;
        link.pair.tidy(now.running);
        if now.running < link.pair.may_begin_at() {
            return Ok(None);
        }
        self.first_handshake(peer, researcher, now, rng).map(Some)
    }

    /// Forgets what there is with a peer at a researcher, and tells the peer, if there is a session to tell it with.
    pub fn close(
        &mut self,
        peer: &NodeId,
        researcher: &ResearcherId,
        now: Moment,
        rng: &mut impl CryptoRng,
    ) -> Option<OverlayMessage> {
        let links = &mut self.peers.get_mut(peer)?.links;
        let mut pair = std::mem::take(&mut links.get_mut(researcher)?.pair);
        let way = Way {
            researcher,
            source: &self.own,
            dest: peer,
        };
        let sending = pair.current_mut()?.sending(now.running)?;
        sending.seal(Kind::Close, way, &[], rng)
    }

    /// Opens what came from the relay. An error changes nothing that anybody but the peer could have caused.
    pub fn open(
        &mut self,
        message: &OverlayMessage,
        now: Moment,
        rng: &mut impl CryptoRng,
    ) -> Result<Opened, Refused> {
        if message.dest != self.own {
            return Err(Refused::NotForUs);
        }
        if !self.peers.contains_key(&message.source) {
            return Err(Refused::UnknownPeer);
        }
        let (suite, frame) = Frame::read(&message.overlay)?;
        if message.setup != frame.kind().is_set_up() {
            return Err(FrameError::SetUp.into());
        }
        if message.setup && self.is_retired(&message.source) {
            return Err(Refused::UnknownPeer);
        }
        let salt = message.salt.as_slice().try_into();
        let salt: &[u8; SALT_BYTES] = salt.map_err(|_| FrameError::Salt)?;
        let nonce = Nonce::read(&message.nonce)?;
        match frame {
            Frame::First(first) => {
                if nonce != Nonce::FIRST {
                    return Err(FrameError::Nonce.into());
                }
                self.open_first(message, suite, first, now, rng)
            }
            Frame::Second(second) => {
                if nonce != Nonce::of_answer(second.receiver) {
                    return Err(FrameError::Nonce.into());
                }
                self.open_second(message, salt, suite, second, now, rng)
            }
            Frame::Data { sealed, tag } => {
                let (content, established) =
                    self.open_sealed(message, (suite, Kind::Data), nonce, sealed, tag, now)?;
                if content.is_empty() {
                    return Ok(Opened::Nothing { established });
                }
                let inner = Inner::from_value(Value::decode(&content)?)?;
                if (&inner.source, &inner.dest) != (&message.source, &message.dest) {
                    return Err(Refused::Ids);
                }
                Ok(Opened::Message { inner, established })
            }
            Frame::Close { tag } => {
                self.open_sealed(message, (suite, Kind::Close), nonce, &[], tag, now)?;
                Ok(Opened::Closed)
            }
        }
    }

    /// Forgets what is too old, with all peers. To be called now and then: keys are not kept longer than they are of use.
    pub fn tidy(&mut self, now: Moment) {
        for peer in self.peers.values_mut() {
            for link in peer.links.values_mut() {
                link.pair.tidy(now.running);
            }
        }
    }

    /// A digest of all that there is, to see that two states are the same: for tests and simulations.
    pub fn digest(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(self.last.encode());
        for (name, peer) in &self.peers {
            peer.hash(name, &mut hash);
        }
        hash.finalize().into()
    }

    /// The content of a sealed message, and what was agreed if this message proved a session.
    fn open_sealed(
        &mut self,
        message: &OverlayMessage,
        (suite, kind): (Suite, Kind),
        nonce: Nonce,
        sealed: &[u8],
        tag: &[u8; TAG_BYTES],
        now: Moment,
    ) -> Result<(Zeroizing<Vec<u8>>, Option<Agreed>), Refused> {
        let index = nonce.receiver.ok_or(FrameError::Nonce)?;
        let peer = self.peers.get_mut(&message.source);
        let peer = peer.ok_or(Refused::UnknownPeer)?;
        let link = peer.links.get_mut(&message.researcher_id);
        let link = link.ok_or(Refused::UnknownSession)?;
        link.pair.tidy(now.running);
        let (stage, receiving) = link.find(index).ok_or(Refused::UnknownSession)?;
        let content = receiving.open(message, (suite, kind), nonce.counter, sealed, tag)?;
        let in_turn = link.is_due(now.running);
        match (stage, kind) {
            (Stage::Answered(place), Kind::Close) => link.pair.answered_ended(place),
            (Stage::Current, Kind::Close) => link.pair.current_ended(now.running),
            (Stage::Answered(place), _) => link.pair.confirm(place, now.running),
            (Stage::Current, _) => link.pair.heard(now.running),
            (Stage::Previous, _) => {}
        }
        let proven = matches!(stage, Stage::Answered(_)) && kind != Kind::Close;
        let session = link.pair.current().filter(|_| proven);
        let established = session.map(|session| session.agreed(in_turn));
        if established.is_some() {
            peer.spoke(suite);
        }
        Ok((content, established))
    }

    fn link(&mut self, peer: &NodeId, researcher: &ResearcherId) -> Result<&mut Link, SealError> {
        match self.peers.get_mut(peer) {
            Some(peer) => Ok(peer.links.entry(researcher.clone()).or_default()),
            None => Err(SealError::UnknownPeer(peer.clone())),
        }
    }
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sessions").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;

    use super::*;
    use crate::primitives::derive_secret_key;

    const NOW: Moment = Moment {
        running: Duration::ZERO,
        wall: Duration::from_secs(1_800_000_000),
    };

    fn node(name: &str, peer: &str) -> Sessions {
        let key = |name: &str| derive_secret_key(&[1; 32], name.as_bytes());
        let own = name.parse().expect("an id");
        let mut sessions = Sessions::new(own, key(name), Hello::default());
        let limits = Limits {
            highest: 2,
            lowest: 2,
        };
        let known = Known {
            identity: key(peer).public_key(),
            federation: FederationId::default(),
            limits,
        };
        sessions.know(peer.parse().expect("an id"), known, NOW);
        sessions
    }

    /// What `a` said and `b` answered: a session that both can seal with.
    fn talking(rng: &mut ChaCha20Rng) -> ([Sessions; 2], NodeId, ResearcherId) {
        let (mut a, mut b) = (node("a", "b"), node("b", "a"));
        let (to, researcher) = ("b".parse().expect("an id"), "r".parse().expect("an id"));
        let first = a.begin(&to, &researcher, NOW, rng);
        let first = first.expect("known").expect("nothing under way");
        let Ok(Opened::Answer(second)) = b.open(&first, NOW, rng) else {
            panic!("no answer");
        };
        let Ok(Opened::Established { proof, .. }) = a.open(&second, NOW, rng) else {
            panic!("no session");
        };
        b.open(&proof, NOW, rng).expect("proven");
        ([a, b], to, researcher)
    }

    #[test]
    fn with_a_peer_that_is_retired_a_session_lives_out_its_time_and_none_is_begun() {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let ([mut a, mut b], to, researcher) = talking(&mut rng);
        let later = |time: Duration| Moment {
            running: time,
            wall: NOW.wall + time,
        };
        let due = later(RENEWED_AFTER + Duration::from_secs(1));
        b.retire(&"a".parse().expect("an id"));
        let first = a.begin(&to, &researcher, due, &mut rng);
        let first = first.expect("known").expect("nothing under way");
        assert_eq!(b.open(&first, due, &mut rng), Err(Refused::UnknownPeer));

        a.retire(&to);
        let sealed = a.seal_content(&to, &researcher, &[], due, &mut rng);
        let Ok(Sealed::Message { message, handshake }) = sealed else {
            panic!("{sealed:?} is no message");
        };
        assert_eq!(handshake, None);
        let nothing = Opened::Nothing { established: None };
        assert_eq!(b.open(&message, due, &mut rng), Ok(nothing));
        let over = later(Duration::from_secs(21 * 60));
        let sealed = a.seal_content(&to, &researcher, &[], over, &mut rng);
        assert_eq!(sealed, Err(SealError::UnknownPeer(to.clone())));

        let known = a.peers[&to].known.clone();
        a.know(to.clone(), known, over);
        let begun = a.begin(&to, &researcher, over, &mut rng);
        assert!(matches!(begun, Ok(Some(_))), "{begun:?}");
    }

    #[test]
    fn what_a_peer_seals_that_is_no_message_is_refused_and_the_session_goes_on() {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let ([mut a, mut b], to, researcher) = talking(&mut rng);
        let mut opened = |content: &[u8]| {
            let sealed = a.seal_content(&to, &researcher, content, NOW, &mut rng);
            let Ok(Sealed::Message { message, .. }) = sealed else {
                panic!("{sealed:?} is no message");
            };
            b.open(&message, NOW, &mut rng)
        };
        let inner = |from: &str, to: &str| {
            let [from, to] = [from, to].map(|id| id.parse().expect("an id"));
            let fields = Value::Map(Vec::new());
            Inner::new(from, to, None, "SiteGreeting", fields).expect("a message")
        };

        assert!(matches!(opened(&[0xc1]), Err(Refused::Content(_))));
        assert!(matches!(opened(&[0xc0]), Err(Refused::Message(_))));
        for (from, to) in [("c", "b"), ("a", "c"), ("b", "a")] {
            let content = inner(from, to).to_value().encode();
            assert_eq!(opened(&content), Err(Refused::Ids));
        }
        let good = inner("a", "b");
        let message = Opened::Message {
            inner: good.clone(),
            established: None,
        };
        assert_eq!(opened(&good.to_value().encode()), Ok(message));
    }
}
