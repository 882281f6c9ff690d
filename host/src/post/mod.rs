//! The way out: seals what this node has to say to a peer, after making sure that their channel is ready. Peers whose identity key is
//! known are talked to in suite 2 (`secure`), others in suite 1.

mod renewal;
mod secure;
mod set_up;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Semaphore, mpsc};

use tokio_util::sync::CancellationToken;

use crate::channels::Channels;
use crate::chronicle::Chronicle;
use crate::handlers::{Demand, Outgoing, Plugins};
use crate::journeys::End;
use crate::message::{
    Inner, MessageId, NodeId, OverlayMessage, RequestId, ResearcherId, ToResearcher,
};
use crate::overlay::{self, ChannelKeys};
use crate::randomness::Randomness;
use crate::requests::Requests;
use crate::secure_channels::{SecureChannels, Suite};
use crate::tasks::Tasks;
use crate::transport::Letter;
use renewal::Renewal;
pub use secure::HANDSHAKE;
pub use set_up::Occasion;
use set_up::UnderWay;

/// Seals messages and hands them to the transport.
pub struct Post {
    own: NodeId,
    channels: Arc<Channels>,
    secure: Arc<SecureChannels>,
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
    /// The operator's decision, or what the policy comes to: no suite may be spoken with it.
    #[error("this node does not talk to {0}: {1}")]
    NoSuite(NodeId, String),
    /// What the plugin demands.
    #[error("the plugin demands of peers {1}, and {0} has none here")]
    Unassured(NodeId, Demand),
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
        secure: Arc<SecureChannels>,
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
            secure,
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

    /// Whether this node talks to all of these, itself left out, and is as sure of them as is demanded: the first with whom it is not
    /// so, and why.
    pub fn talks_to(&self, parties: &[NodeId], demand: Option<Demand>) -> Result<(), PostError> {
        let mut others = parties.iter().filter(|party| **party != self.own);
        others.try_for_each(|party| match self.secure.suite_with(party) {
            Suite::None(why) => Err(PostError::NoSuite(party.clone(), why)),
            Suite::Secure | Suite::Suite1 | Suite::FirstUse => match demand {
                Some(demand @ Demand::IdentityKey) if !self.secure.is_confirmed(party) => {
                    Err(PostError::Unassured(party.clone(), demand))
                }
                _ => Ok(()),
            },
        })
    }

    /// Answers a message of `to` in the suite that it came in; the answer's id.
    pub async fn reply(
        &self,
        researcher: &ResearcherId,
        to: &NodeId,
        request_id: Option<RequestId>,
        outgoing: Outgoing,
    ) -> Result<MessageId, PostError> {
        let inner = self.inner(to, request_id, outgoing)?;
        match self.secure.suite_with(to) {
            Suite::Secure => {
                let sealed = self.seal_securely(researcher, &inner).await?;
                return self.hand_over(sealed, &inner).await;
            }
            Suite::Suite1 => {}
            Suite::FirstUse => return Err(PostError::ChannelSilent(to.clone())),
            Suite::None(why) => return Err(PostError::NoSuite(to.clone(), why)),
        }
        let silent = || PostError::ChannelSilent(to.clone());
        let keys = self.channels.keys(to).ok_or_else(silent)?;
        self.seal_and_hand_over(&keys, researcher, &inner, false)
            .await
    }

    /// Sends a request of this node's. Its channel with `to` is set up first if need be, or its session (up to 30 s). Sends it
    /// again if the peer turns out to have lost what it read it with before it has answered.
    pub async fn ask(
        self: &Arc<Self>,
        researcher: &ResearcherId,
        to: &NodeId,
        id: RequestId,
        outgoing: Outgoing,
    ) -> Result<MessageId, PostError> {
        match self.secure.suite_with(to) {
            Suite::Secure => return self.ask_securely(researcher, to, id, outgoing).await,
            Suite::FirstUse => {
                self.meet(researcher, to).await?;
                return self.ask_securely(researcher, to, id, outgoing).await;
            }
            Suite::Suite1 => {}
            Suite::None(why) => return Err(PostError::NoSuite(to.clone(), why)),
        }
        self.requests.keep(&id, researcher, &outgoing);
        let keys = self.channel(researcher, to, Occasion::OwnMessage).await?;
        let inner = self.inner(to, Some(id), outgoing)?;
        self.seal_and_hand_over(&keys, researcher, &inner, false)
            .await
    }

    /// Sends a message that belongs to a channel set-up of suite 1, under the published key.
    pub async fn send_setup(
        &self,
        researcher: &ResearcherId,
        to: &NodeId,
        request_id: Option<RequestId>,
        outgoing: Outgoing,
    ) -> Result<MessageId, PostError> {
        let keys = self.channels.published();
        let inner = self.inner(to, request_id, outgoing)?;
        self.seal_and_hand_over(keys, researcher, &inner, true)
            .await
    }

    fn inner(
        &self,
        to: &NodeId,
        request_id: Option<RequestId>,
        outgoing: Outgoing,
    ) -> Result<Inner, PostError> {
        let Outgoing { kind, fields } = outgoing;
        Inner::new(self.own.clone(), to.clone(), request_id, kind, fields)
            .map_err(|error| PostError::NotAMessage(error.to_string()))
    }

    async fn seal_and_hand_over(
        &self,
        keys: &ChannelKeys,
        researcher: &ResearcherId,
        inner: &Inner,
        setup: bool,
    ) -> Result<MessageId, PostError> {
        let mut randomness = self.randomness.clone();
        let sealed = overlay::seal(keys, researcher, inner, setup, &mut randomness)
            .map_err(|error| PostError::NotAMessage(error.to_string()))?;
        self.hand_over(sealed, inner).await
    }

    async fn hand_over(
        &self,
        sealed: OverlayMessage,
        inner: &Inner,
    ) -> Result<MessageId, PostError> {
        let request = inner.request_id.as_ref().map(ToString::to_string);
        let journey = self
            .chronicle
            .journeys
            .leaves(&sealed, &inner.kind, request);
        let id = journey.id();
        self.chronicle.metrics.sent(&inner.kind);
        let handed_over = self.outbox.send(ToResearcher::Overlay(sealed).into()).await;
        handed_over.map_err(|_| PostError::Stopping)?;
        tracing::debug!(%id, peer = %inner.dest, kind = inner.kind, "sent");
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
