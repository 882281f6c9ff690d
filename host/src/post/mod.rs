//! The way out: seals what this node has to say to a peer, after making sure that their channel is ready.

mod renewal;
mod set_up;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Semaphore, mpsc};

use tokio_util::sync::CancellationToken;

use crate::channels::Channels;
use crate::chronicle::Chronicle;
use crate::handlers::{Outgoing, Plugins};
use crate::journeys::End;
use crate::message::{Inner, MessageId, NodeId, RequestId, ResearcherId, ToResearcher};
use crate::overlay::{self, ChannelKeys};
use crate::randomness::Randomness;
use crate::requests::Requests;
use crate::tasks::Tasks;
use crate::transport::Letter;
use renewal::Renewal;
pub use set_up::Occasion;
use set_up::UnderWay;

/// Seals messages and hands them to the transport.
pub struct Post {
    own: NodeId,
    channels: Arc<Channels>,
    requests: Requests,
    plugins: Plugins,
    outbox: mpsc::Sender<Letter>,
    randomness: Randomness,
    chronicle: Chronicle,
    under_way: Mutex<HashMap<NodeId, UnderWay>>,
    unasked: Arc<Semaphore>,
    /// At most one for each ready channel.
    renewals: Mutex<HashMap<NodeId, Renewal>>,
    tasks: Tasks,
    stopping: CancellationToken,
}

/// Why a message did not leave.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PostError {
    /// The peer's or the relay's doing: no answer to a channel set-up.
    #[error("FB324: a node did not answer during channel setup: {0}")]
    ChannelSilent(NodeId),
    /// Ours: the channel cannot be stored.
    #[error("{0}")]
    ChannelNotKept(String),
    /// A guest's doing: its fields do not make a message.
    #[error("FB324: {0}")]
    NotAMessage(String),
    /// The node is stopping.
    #[error("the node is stopping")]
    Stopping,
}

impl Post {
    /// A post for node `own` that hands sealed messages to `outbox`.
    #[allow(
        clippy::too_many_arguments,
        reason = "built once, in the node's wiring"
    )]
    pub fn new(
        own: NodeId,
        channels: Arc<Channels>,
        requests: Requests,
        plugins: Plugins,
        outbox: mpsc::Sender<Letter>,
        randomness: Randomness,
        chronicle: Chronicle,
        tasks: Tasks,
    ) -> Self {
        Self {
            own,
            channels,
            requests,
            plugins,
            outbox,
            randomness,
            chronicle,
            under_way: Mutex::default(),
            unasked: Arc::new(Semaphore::new(set_up::UNASKED)),
            renewals: Mutex::default(),
            tasks,
            stopping: CancellationToken::new(),
        }
    }

    /// Ends all set-ups that are under way.
    pub async fn stop(&self) {
        self.stopping.cancel();
        self.tasks.ended().await;
    }

    fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        let stopping = self.stopping.clone();
        self.tasks.spawn(async move {
            stopping.run_until_cancelled_owned(work).await;
        });
    }

    /// Answers a message of `to` on the channel that it came on; the answer's id.
    pub async fn reply(
        &self,
        researcher: &ResearcherId,
        to: &NodeId,
        request_id: Option<RequestId>,
        outgoing: Outgoing,
    ) -> Result<MessageId, PostError> {
        let silent = || PostError::ChannelSilent(to.clone());
        let keys = self.channels.keys(to).ok_or_else(silent)?;
        self.seal_and_hand_over(&keys, researcher, to, request_id, outgoing, false)
            .await
    }

    /// Sends a request of this node's on the channel with `to`, which is set up first if need be (up to 30 s). Sends it
    /// again if the peer turns out to have a new key before it has answered.
    pub async fn ask(
        self: &Arc<Self>,
        researcher: &ResearcherId,
        to: &NodeId,
        id: RequestId,
        outgoing: Outgoing,
    ) -> Result<MessageId, PostError> {
        self.requests.keep(&id, researcher, &outgoing);
        let keys = self.channel(researcher, to, Occasion::OwnMessage).await?;
        self.seal_and_hand_over(&keys, researcher, to, Some(id), outgoing, false)
            .await
    }

    /// Sends a message that belongs to a channel set-up, under the published key.
    pub async fn send_setup(
        &self,
        researcher: &ResearcherId,
        to: &NodeId,
        request_id: Option<RequestId>,
        outgoing: Outgoing,
    ) -> Result<MessageId, PostError> {
        let keys = self.channels.published();
        self.seal_and_hand_over(keys, researcher, to, request_id, outgoing, true)
            .await
    }

    async fn seal_and_hand_over(
        &self,
        keys: &ChannelKeys,
        researcher: &ResearcherId,
        to: &NodeId,
        request_id: Option<RequestId>,
        outgoing: Outgoing,
        setup: bool,
    ) -> Result<MessageId, PostError> {
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
        let request = inner.request_id.as_ref().map(ToString::to_string);
        let journey = self
            .chronicle
            .journeys
            .leaves(&sealed, &inner.kind, request);
        let id = journey.id();
        self.chronicle.metrics.sent(&inner.kind);
        let handed_over = self.outbox.send(ToResearcher::Overlay(sealed).into()).await;
        handed_over.map_err(|_| PostError::Stopping)?;
        tracing::debug!(%id, peer = %to, kind = inner.kind, "sent");
        journey.end(End::Done);
        Ok(id)
    }

    fn renewals(&self) -> MutexGuard<'_, HashMap<NodeId, Renewal>> {
        self.renewals.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn under_way(&self) -> MutexGuard<'_, HashMap<NodeId, UnderWay>> {
        self.under_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
