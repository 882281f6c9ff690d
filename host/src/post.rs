//! The way out: seals what this node has to say to a peer, after making sure that their channel is ready.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use crate::channels::Channels;
use crate::counters::Counters;
use crate::handlers::{Outgoing, Plugins};
use crate::message::{Inner, NodeId, RequestId, ResearcherId, ToResearcher, Value};
use crate::overlay::{self, ChannelKeys};
use crate::randomness::Randomness;
use crate::requests::{REPLY_TIMEOUT, Requests};

/// How often a peer is asked for its key within [`REPLY_TIMEOUT`], in case a relay lost the request or the reply.
const ATTEMPTS: u32 = 3;

/// How many set-ups may be under way because of messages whose sender is not known yet: anyone can make a relay
/// deliver those, under any name.
const UNASKED_SETUPS: usize = 64;

/// Seals messages and hands them to the transport.
pub struct Post {
    own: NodeId,
    channels: Arc<Channels>,
    requests: Requests,
    plugins: Arc<Plugins>,
    outbox: mpsc::Sender<ToResearcher>,
    randomness: Randomness,
    counters: Counters,
    under_way: Mutex<HashMap<NodeId, watch::Receiver<Progress>>>,
}

/// Why a message did not leave.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PostError {
    /// The peer's or the relay's doing: no answer to a channel set-up.
    #[error("FB324: a node did not answer during channel setup: {0}")]
    ChannelSilent(NodeId),
    /// Too many set-ups that strangers made us begin.
    #[error(
        "FB324: no channel with {0}, and too many set-ups under way to begin another for a stranger"
    )]
    TooManySetups(NodeId),
    /// A guest's doing: its fields do not make a message.
    #[error("FB324: {0}")]
    NotAMessage(String),
    /// The node is stopping.
    #[error("the node is stopping")]
    Stopping,
}

#[derive(Clone, Copy, PartialEq)]
enum Progress {
    Asking,
    Ready,
    Silent,
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
    /// A post for node `own` that hands sealed messages to `outbox`.
    pub fn new(
        own: NodeId,
        channels: Arc<Channels>,
        requests: Requests,
        plugins: Arc<Plugins>,
        outbox: mpsc::Sender<ToResearcher>,
        randomness: Randomness,
        counters: Counters,
    ) -> Self {
        Self {
            own,
            channels,
            requests,
            plugins,
            outbox,
            randomness,
            counters,
            under_way: Mutex::default(),
        }
    }

    /// Sends a message on the channel with `to`, which is set up first if need be (up to 30 s).
    pub async fn send(
        self: &Arc<Self>,
        researcher: &ResearcherId,
        to: &NodeId,
        request_id: Option<RequestId>,
        outgoing: Outgoing,
    ) -> Result<(), PostError> {
        let keys = self.channel(researcher, to, Occasion::OwnMessage).await?;
        self.seal_and_hand_over(&keys, researcher, to, request_id, outgoing, false)
            .await
    }

    /// Sends a message that belongs to a channel set-up, under the published key.
    pub async fn send_setup(
        &self,
        researcher: &ResearcherId,
        to: &NodeId,
        request_id: Option<RequestId>,
        outgoing: Outgoing,
    ) -> Result<(), PostError> {
        self.seal_and_hand_over(
            self.channels.published(),
            researcher,
            to,
            request_id,
            outgoing,
            true,
        )
        .await
    }

    /// The keys of the channel with `peer`. Without them, asks the peer for its key and waits: one set-up per peer at a
    /// time, whoever waits for it.
    pub async fn channel(
        self: &Arc<Self>,
        researcher: &ResearcherId,
        peer: &NodeId,
        occasion: Occasion,
    ) -> Result<Arc<ChannelKeys>, PostError> {
        if let Some(keys) = self.channels.keys(peer) {
            return Ok(keys);
        }
        let mut progress = self.setup_under_way(researcher, peer, occasion)?;
        let outcome = progress
            .wait_for(|progress| *progress != Progress::Asking)
            .await;
        drop(outcome);
        self.channels
            .keys(peer)
            .ok_or_else(|| PostError::ChannelSilent(peer.clone()))
    }

    fn setup_under_way(
        self: &Arc<Self>,
        researcher: &ResearcherId,
        peer: &NodeId,
        occasion: Occasion,
    ) -> Result<watch::Receiver<Progress>, PostError> {
        let mut under_way = self.under_way();
        if let Some(progress) = under_way.get(peer) {
            return Ok(progress.clone());
        }
        if occasion == Occasion::StrangersMessage && under_way.len() >= UNASKED_SETUPS {
            return Err(PostError::TooManySetups(peer.clone()));
        }
        let (report, progress) = watch::channel(Progress::Asking);
        under_way.insert(peer.clone(), progress.clone());
        drop(under_way);
        let (post, researcher, peer) = (self.clone(), researcher.clone(), peer.clone());
        tokio::spawn(async move {
            let ready = post.set_up(&researcher, &peer).await;
            post.under_way().remove(&peer);
            let _ = report.send(if ready {
                Progress::Ready
            } else {
                Progress::Silent
            });
        });
        Ok(progress)
    }

    async fn set_up(&self, researcher: &ResearcherId, peer: &NodeId) -> bool {
        let Some(plugin) = self.plugins.for_kind("ChannelSetupReply") else {
            tracing::error!(
                "FB324: no plugin treats ChannelSetupReply, so no channel can be set up"
            );
            return false;
        };
        for _ in 0..ATTEMPTS {
            let ticket = self
                .requests
                .register(plugin.name(), peer, &self.randomness);
            let request = Outgoing {
                kind: "ChannelSetupRequest".into(),
                fields: Value::Map(Vec::new()),
            };
            let id = Some(ticket.id().clone());
            if let Err(error) = self.send_setup(researcher, peer, id, request).await {
                tracing::warn!(%peer, "channel set-up: {error}");
                return false;
            }
            if ticket
                .reply_by(Instant::now() + REPLY_TIMEOUT / ATTEMPTS)
                .await
                .is_some()
            {
                tracing::info!(%peer, "channel ready");
                return true;
            }
        }
        tracing::warn!(%peer, "{}", PostError::ChannelSilent(peer.clone()));
        false
    }

    async fn seal_and_hand_over(
        &self,
        keys: &ChannelKeys,
        researcher: &ResearcherId,
        to: &NodeId,
        request_id: Option<RequestId>,
        outgoing: Outgoing,
        setup: bool,
    ) -> Result<(), PostError> {
        let wrong = |error: &dyn std::error::Error| PostError::NotAMessage(error.to_string());
        let Outgoing { kind, fields } = outgoing;
        let inner = Inner::new(self.own.clone(), to.clone(), request_id, kind, fields)
            .map_err(|error| wrong(&error))?;
        let sealed = overlay::seal(
            keys,
            researcher,
            &inner,
            setup,
            &mut self.randomness.clone(),
        )
        .map_err(|error| wrong(&error))?;
        self.counters.sent(&inner.kind);
        self.outbox
            .send(ToResearcher::Overlay(sealed))
            .await
            .map_err(|_| PostError::Stopping)
    }

    fn under_way(&self) -> MutexGuard<'_, HashMap<NodeId, watch::Receiver<Progress>>> {
        self.under_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
