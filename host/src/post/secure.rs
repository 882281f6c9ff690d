//! Messages to peers whose identity key is known: suites 2 and 3, and the handshakes they take.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep_until, timeout_at};

use super::{Post, PostError};
use crate::handlers::Outgoing;
use crate::journeys::End;
use crate::message::{
    Inner, MessageId, NodeId, OverlayMessage, RequestId, ResearcherId, ToResearcher,
};
use crate::requests::{REPLY_TIMEOUT, Sent};
use crate::secure_channels::{Established, Suite};
use crate::sessions::{self, Agreed, RENEWED_AFTER, SealError};
use crate::tasks::blocking;

/// How often a peer is asked for its identity key.
const INTRODUCTIONS: u32 = 3;

/// So long a peer that may have lost requests is waited for: longer than an answer takes that waits for nothing, and short enough for
/// another one to come in time.
const DOUBTED_FOR: Duration = Duration::from_secs(5);

/// What handshakes are called where messages are counted and listed.
pub const HANDSHAKE: &str = "handshake";

impl Post {
    /// Seals a message for a peer, after a handshake if need be (up to 30 s; lost ones are begun again).
    pub(super) async fn seal_securely(
        &self,
        researcher: &ResearcherId,
        inner: &Inner,
    ) -> Result<OverlayMessage, PostError> {
        let peer = &inner.dest;
        let established = self.secure.established(peer, researcher);
        let deadline = Instant::now() + REPLY_TIMEOUT;
        loop {
            // From now on it counts, although it is awaited only below.
            let session = established.notified();
            let sealed = self.secure.seal(researcher, inner);
            let handing = sealed.map_err(|error| self.not_sealed(peer, error))?;
            if let Some(handshake) = handing.handshake {
                self.hand_over_handshake(handshake).await?;
            }
            if let Some(message) = handing.message {
                return Ok(message);
            }
            if Instant::now() >= deadline {
                return Err(PostError::ChannelSilent(peer.clone()));
            }
            // Either way there is something new: a session, or time for another handshake.
            let _ = timeout_at(handing.again.min(deadline), session).await;
        }
    }

    /// Hands over what a handshake is made of.
    pub async fn hand_over_handshake(&self, message: OverlayMessage) -> Result<(), PostError> {
        self.chronicle.metrics.sent(HANDSHAKE);
        let journey = self.chronicle.journeys.leaves(&message, HANDSHAKE, None);
        let handed_over = self.outbox.send(ToResearcher::Overlay(message).into());
        handed_over.await.map_err(|_| PostError::Stopping)?;
        journey.end(End::Done);
        Ok(())
    }

    /// Learns the key of a peer whose first is believed: asks it, up to three times in 30 s.
    pub(super) async fn meet(
        &self,
        researcher: &ResearcherId,
        peer: &NodeId,
    ) -> Result<(), PostError> {
        for _ in 0..INTRODUCTIONS {
            self.introduce(researcher, peer, true).await?;
            let deadline = Instant::now() + REPLY_TIMEOUT / INTRODUCTIONS;
            loop {
                // From now on it counts, although it is awaited only below.
                let met = self.secure.met();
                match self.secure.suite_with(peer) {
                    Suite::FirstUse => {}
                    Suite::Secure => return Ok(()),
                    Suite::Suite1 => return Err(PostError::ChannelSilent(peer.clone())),
                    Suite::None(why) => return Err(PostError::NoSuite(peer.clone(), why)),
                }
                if timeout_at(deadline, met).await.is_err() {
                    break;
                }
            }
        }
        Err(PostError::ChannelSilent(peer.clone()))
    }

    /// Tells a peer this node's identity key, and asks for the peer's, or does not.
    pub async fn introduce(
        &self,
        researcher: &ResearcherId,
        peer: &NodeId,
        asks: bool,
    ) -> Result<(), PostError> {
        let introduction = self.secure.introduction(researcher, peer, asks);
        self.hand_over_handshake(introduction).await
    }

    /// To be told when there is a new session with a peer. The peer may have forgotten the one before, and so could not
    /// open what it was asked in that; what it has not answered is sent again. At once, if nothing else explains a new session. If it was
    /// due, a peer that has forgotten nothing is about to answer: then after [`DOUBTED_FOR`].
    pub fn has_session(self: &Arc<Self>, researcher: &ResearcherId, peer: &NodeId, agreed: Agreed) {
        let Established { higher, early } = self.secure.is_established(peer, researcher, agreed);
        if let Some(suite) = higher {
            tracing::info!(%peer, "channel ready, in suite {}", suite.number());
            let (post, peer) = (self.clone(), peer.clone());
            self.spawn(async move { post.secured(peer, suite).await });
        }
        let (post, researcher, peer) = (self.clone(), researcher.clone(), peer.clone());
        let now = Instant::now();
        self.spawn(async move {
            if !early {
                sleep_until(now + DOUBTED_FOR).await;
            }
            let may_be_lost = |sent: &Sent| {
                let before = now.saturating_duration_since(sent.at);
                sent.researcher == researcher && sent.at < now && before < RENEWED_AFTER
            };
            for (id, sent) in post.requests.unanswered(&peer) {
                if may_be_lost(&sent) {
                    let (again, peer) = (post.clone(), peer.clone());
                    post.spawn(async move { again.send_again(&peer, id, sent).await });
                }
            }
        });
    }

    /// Begins a handshake with a peer that seems to have forgotten its session.
    pub async fn begin_session(
        &self,
        researcher: &ResearcherId,
        peer: &NodeId,
    ) -> Result<(), PostError> {
        let begun = self.secure.begin(peer, researcher);
        match begun.map_err(|error| self.not_sealed(peer, error))? {
            Some(handshake) => self.hand_over_handshake(handshake).await,
            None => Ok(()),
        }
    }

    /// From now on, nothing lower is spoken with the peer.
    async fn secured(&self, peer: NodeId, suite: sessions::Suite) {
        let (channels, of, number) = (self.channels.clone(), peer.clone(), suite.number());
        if let Some(Err(error)) = blocking(move || channels.secured(&of, number)).await {
            tracing::error!(%peer, "that suite {number} was spoken is not remembered: {error}");
        }
    }

    fn not_sealed(&self, peer: &NodeId, error: SealError) -> PostError {
        match self.secure.why_not(peer) {
            Some(why) => PostError::NoSuite(peer.clone(), why),
            None => PostError::NotAMessage(error.to_string()),
        }
    }

    /// What a request says is kept once it is sealed: what still waits for a session is not sent twice.
    pub(super) async fn ask_securely(
        &self,
        researcher: &ResearcherId,
        to: &NodeId,
        id: RequestId,
        outgoing: Outgoing,
    ) -> Result<MessageId, PostError> {
        let inner = self.inner(to, Some(id.clone()), outgoing.clone())?;
        let sealed = self.seal_securely(researcher, &inner).await?;
        self.requests.keep(&id, researcher, &outgoing);
        self.hand_over(sealed, &inner).await
    }
}
