//! The two frames of a handshake, made and read.

use rand_core::CryptoRng;

use super::frame::{FirstHandshake, Frame, Kind, MAC_BYTES, Nonce, SecondHandshake};
use super::hello::{FirstHello, Hello};
use super::prologue::{Limits, Place};
use super::session::{Answered, Begun, Indices, Way};
use super::{Moment, Opened, Refused, SALT_BYTES, SealError, Sessions, Suite};
use crate::message::{NodeId, OverlayMessage, ResearcherId};
use crate::noise::{Initiator, NoiseError, Responder};

impl From<NoiseError> for Refused {
    fn from(_: NoiseError) -> Self {
        Self::Handshake
    }
}

impl Sessions {
    /// HS1, which takes the place of one that was not answered.
    pub(super) fn first_handshake(
        &mut self,
        to: &NodeId,
        researcher: &ResearcherId,
        now: Moment,
        rng: &mut impl CryptoRng,
    ) -> Result<OverlayMessage, SealError> {
        let peer = self.peers.get_mut(to);
        let peer = peer.ok_or_else(|| SealError::UnknownPeer(to.clone()))?;
        let limits = peer.limits();
        let suite = limits.begins_in();
        let link = peer.links.entry(researcher.clone()).or_default();
        let place = Place {
            suite,
            federation: &peer.known.federation,
            initiator: &self.own,
            responder: to,
            researcher,
        };
        let place = place.encode();
        let prologue = [&place[..], &limits.encode()].concat();
        let timestamp = self.last.next(now.wall);
        let hello = FirstHello {
            timestamp,
            hello: self.hello,
        };
        let index = link.fresh_index(rng);
        let mut salt = [0; SALT_BYTES];
        rng.fill_bytes(&mut salt);

        let noise = Initiator::new(suite.protocol(), peer.statics.clone(), &prologue);
        let (noise, awaiting) = noise
            .write(&hello.encode(), rng)
            .map_err(|_| SealError::Handshake)?;
        let frame = Frame::First(FirstHandshake {
            sender: index,
            noise: &noise,
            mac: &[0; MAC_BYTES],
        });
        let nonce = Nonce::FIRST.encode();
        let mut overlay = frame.encode(suite);
        if let Some((frame, mac)) = overlay.split_last_chunk_mut() {
            *mac = peer.marks.first(&salt, &nonce, frame, &place, limits);
        }

        self.last = timestamp;
        let begun = Begun {
            suite,
            index,
            awaiting,
            prologue,
            at: now.running,
        };
        link.pair.begin(Box::new(begun), now.running);
        Ok(OverlayMessage {
            researcher_id: researcher.clone(),
            source: self.own.clone(),
            dest: to.clone(),
            overlay,
            setup: true,
            salt: salt.to_vec(),
            nonce: nonce.to_vec(),
        })
    }

    /// Answers HS1 with HS2. What is cheap comes first: the code, the limits, the count; then the curve.
    pub(super) fn open_first(
        &mut self,
        message: &OverlayMessage,
        suite: Suite,
        FirstHandshake { sender, noise, mac }: FirstHandshake<'_>,
        now: Moment,
        rng: &mut impl CryptoRng,
    ) -> Result<Opened, Refused> {
        let (source, researcher) = (&message.source, &message.researcher_id);
        let peer = self.peers.get_mut(source).ok_or(Refused::UnknownPeer)?;
        let place = Place {
            suite,
            federation: &peer.known.federation,
            initiator: source,
            responder: &self.own,
            researcher,
        };
        let place = place.encode();
        let before_mac = message.overlay.len().saturating_sub(MAC_BYTES);
        let frame = message.overlay.get(..before_mac).unwrap_or_default();
        let (salt, nonce) = (&message.salt, &message.nonce);
        let limits = peer
            .marks
            .limits_of_first(suite, salt, nonce, frame, &place, mac);
        let limits = limits.ok_or(Refused::Mac)?;
        is_agreed(suite, limits, peer.limits())?;
        let known = peer.links.get(researcher);
        let lower_id = self.own < *source;
        if known.is_some_and(|link| link.goes_first(suite, lower_id, now.running)) {
            return Err(Refused::OursGoesFirst);
        }
        if !peer.bucket.take(now.running) {
            return Err(Refused::TooMany);
        }
        let prologue = [&place[..], &limits.encode()].concat();
        let responder = Responder::new(suite.protocol(), peer.statics.clone(), &prologue);
        let (payload, answering) = responder.read(noise)?;
        let first = FirstHello::read(&payload).ok_or(Refused::Handshake)?;
        if known.is_some_and(|link| first.timestamp <= link.latest) {
            return Err(Refused::Stale);
        }

        let (noise, transport) = answering.write(&self.hello.encode(), rng)?;
        let link = peer.links.entry(researcher.clone()).or_default();
        let indices = Indices {
            own: link.fresh_index(rng),
            peer: sender,
        };
        let frame = Frame::Second(SecondHandshake {
            sender: indices.own,
            receiver: sender,
            noise: &noise,
        });
        let overlay = frame.encode(suite);
        let nonce = Nonce::of_answer(sender).encode();
        let salt = peer.marks.second(&nonce, &overlay, &prologue);
        let answered = Answered::new(suite, indices, first.hello, &transport, now.running);
        link.latest = first.timestamp;
        link.pair.tidy(now.running);
        link.pair.answer(answered, now.running);
        Ok(Opened::Answer(OverlayMessage {
            researcher_id: researcher.clone(),
            source: self.own.clone(),
            dest: source.clone(),
            overlay,
            setup: true,
            salt: salt.to_vec(),
            nonce: nonce.to_vec(),
        }))
    }

    /// Takes HS2, and proves to its sender that there is a session.
    pub(super) fn open_second(
        &mut self,
        message: &OverlayMessage,
        salt: &[u8; SALT_BYTES],
        suite: Suite,
        second: SecondHandshake<'_>,
        now: Moment,
        rng: &mut impl CryptoRng,
    ) -> Result<Opened, Refused> {
        let SecondHandshake {
            sender,
            receiver,
            noise,
        } = second;
        let (source, researcher) = (&message.source, &message.researcher_id);
        let peer = self.peers.get_mut(source).ok_or(Refused::UnknownPeer)?;
        let link = peer.links.get_mut(researcher).ok_or(Refused::NotAwaited)?;
        link.pair.tidy(now.running);
        let begun = link.pair.begun();
        let begun = begun.filter(|begun| (begun.suite, begun.index) == (suite, receiver));
        let begun = begun.ok_or(Refused::NotAwaited)?;
        let (nonce, frame) = (&message.nonce, &message.overlay);
        if !peer.marks.is_second(salt, nonce, frame, &begun.prologue) {
            return Err(Refused::Mac);
        }
        let (payload, transport) = begun.awaiting.read(noise)?;
        let hello = Hello::read(&payload).ok_or(Refused::Handshake)?;

        let mut session = begun.established(sender, hello, &transport);
        let agreed = session.agreed(link.is_due(now.running));
        let way = Way {
            researcher,
            source: &self.own,
            dest: source,
        };
        let sending = session.sending(now.running);
        let proof = sending.and_then(|sending| sending.seal(Kind::Data, way, &[], rng));
        let proof = proof.ok_or(Refused::NotAwaited)?;
        link.pair.establish(session, now.running);
        peer.spoke(suite);
        Ok(Opened::Established { proof, agreed })
    }
}

/// Whether a handshake of this suite is what both nodes' limits come to. The peer's are authentic, although it may not have said them
/// lately.
fn is_agreed(suite: Suite, peer: Limits, own: Limits) -> Result<(), Refused> {
    match peer.agreed(own) {
        Some(agreed) if agreed == suite.number() => Ok(()),
        Some(agreed) if agreed > suite.number() => Err(Refused::Downgrade),
        Some(agreed) => Err(Refused::TooHigh { suite, agreed }),
        None => Err(Refused::NoCommonSuite { peer, own }),
    }
}
