//! Asking a peer for its key, so that the channel with it is ready: one set-up per peer at a time, whoever waits for it.

use std::sync::Arc;

use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{Post, PostError};
use crate::handlers::Outgoing;
use crate::message::{NodeId, ResearcherId, Value};
use crate::overlay::ChannelKeys;
use crate::requests::REPLY_TIMEOUT;
use crate::tasks::blocking;

/// How often a peer is asked for its key within [`REPLY_TIMEOUT`], in case a relay lost the request or the reply.
/// Strangers are asked once.
const ATTEMPTS: u32 = 3;

/// How many set-ups may be under way because of messages whose sender is not known yet: anyone can make a relay
/// deliver those, under any name. Further ones wait.
pub(super) const UNASKED: usize = 64;

/// A set-up under way.
pub(super) struct UnderWay {
    ended: CancellationToken,
    occasion: Occasion,
}

/// What makes this node set a channel up.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Occasion {
    /// It has something to say.
    OwnMessage,
    /// Somebody claims to have something to say to it.
    StrangersMessage,
}

impl Post {
    /// The keys of the channel with `peer`; asks the peer for its key first if need be, and waits. For an own message the
    /// channel is stored.
    pub async fn channel(
        self: &Arc<Self>,
        researcher: &ResearcherId,
        peer: &NodeId,
        occasion: Occasion,
    ) -> Result<Arc<ChannelKeys>, PostError> {
        // A stranger's set-up asks once: an own message that joined it may have to begin another.
        for _ in 0..2 {
            if let Some(keys) = self.channels.keys(peer) {
                if occasion == Occasion::OwnMessage && !self.channels.is_kept(peer) {
                    self.keep(peer).await?;
                }
                return Ok(keys);
            }
            let place = match occasion {
                Occasion::OwnMessage => None,
                // Never closed: waits, does not fail.
                Occasion::StrangersMessage => self.unasked.clone().acquire_owned().await.ok(),
            };
            let ended = self.begin_or_join(researcher, peer, occasion, place);
            ended.cancelled().await;
        }
        let silent = || PostError::ChannelSilent(peer.clone());
        self.channels.keys(peer).ok_or_else(silent)
    }

    /// Whether the answer of `peer` is to be stored: this node wants to talk to it, or has.
    pub fn wants(&self, peer: &NodeId) -> bool {
        let own = |setup: &UnderWay| setup.occasion == Occasion::OwnMessage;
        self.under_way().get(peer).is_some_and(own) || self.channels.is_kept(peer)
    }

    /// Whether a set-up with `peer` is under way because this node wants to talk to it.
    pub fn awaits(&self, peer: &NodeId) -> bool {
        let own = |setup: &UnderWay| setup.occasion == Occasion::OwnMessage;
        self.under_way().get(peer).is_some_and(own)
    }

    async fn keep(&self, peer: &NodeId) -> Result<(), PostError> {
        let (channels, peer) = (self.channels.clone(), peer.clone());
        let kept = blocking(move || channels.keep(&peer)).await;
        kept.ok_or(PostError::Stopping)?
            .map_err(|error| PostError::ChannelNotKept(error.to_string()))
    }

    fn begin_or_join(
        self: &Arc<Self>,
        researcher: &ResearcherId,
        peer: &NodeId,
        occasion: Occasion,
        place: Option<OwnedSemaphorePermit>,
    ) -> CancellationToken {
        let mut under_way = self.under_way();
        if let Some(setup) = under_way.get_mut(peer) {
            if occasion == Occasion::OwnMessage {
                setup.occasion = occasion;
            }
            return setup.ended.clone();
        }
        let ended = CancellationToken::new();
        let setup = UnderWay {
            ended: ended.clone(),
            occasion,
        };
        under_way.insert(peer.clone(), setup);
        drop(under_way);
        let end = End {
            post: self.clone(),
            peer: peer.clone(),
            _told: ended.clone().drop_guard(),
        };
        let researcher = researcher.clone();
        self.spawn(async move {
            end.post.set_up(&researcher, &end.peer, occasion).await;
            drop((end, place));
        });
        ended
    }

    async fn set_up(&self, researcher: &ResearcherId, peer: &NodeId, occasion: Occasion) {
        let Some(plugin) = self.plugins.for_kind("ChannelSetupReply") else {
            tracing::error!(
                "FB324: no plugin treats ChannelSetupReply, so no channel can be set up"
            );
            return;
        };
        let attempts = match occasion {
            Occasion::OwnMessage => ATTEMPTS,
            Occasion::StrangersMessage => 1,
        };
        for _ in 0..attempts {
            if self.ask_for_key(plugin.name(), researcher, peer).await {
                tracing::info!(%peer, "channel ready");
                self.just_asked(peer);
                return;
            }
        }
        tracing::warn!(%peer, "{}", PostError::ChannelSilent(peer.clone()));
    }

    /// One request for a peer's key, and the wait for the answer.
    pub(super) async fn ask_for_key(
        &self,
        plugin: &str,
        researcher: &ResearcherId,
        peer: &NodeId,
    ) -> bool {
        let ticket = self.requests.register(plugin, peer, &self.randomness);
        let request = Outgoing {
            kind: "ChannelSetupRequest".into(),
            fields: Value::Map(Vec::new()),
        };
        let id = Some(ticket.id().clone());
        if let Err(error) = self.send_setup(researcher, peer, id, request).await {
            tracing::warn!(%peer, "channel set-up: {error}");
            return false;
        }
        let answer = ticket.reply_by(Instant::now() + REPLY_TIMEOUT / ATTEMPTS);
        answer.await.is_some()
    }
}

/// The end of a set-up, however it ends: the next one can begin, and whoever waits is told.
struct End {
    post: Arc<Post>,
    peer: NodeId,
    _told: DropGuard,
}

impl Drop for End {
    fn drop(&mut self) {
        self.post.under_way().remove(&self.peer);
    }
}
