//! The way out: seals what this node has to say to a peer, after making sure that their channel is ready.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

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

/// How soon after one request for the key of a ready channel the next may follow.
const RENEWAL_INTERVAL: Duration = Duration::from_secs(2);

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
    /// At most one for each ready channel.
    renewals: Mutex<HashMap<NodeId, Renewal>>,
}

/// The last time a channel's key was asked for.
struct Renewal {
    begun: Instant,
    progress: watch::Receiver<Progress>,
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
            renewals: Mutex::default(),
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

    /// Sends a request of this node's: again, if the peer turns out to have a new key before it has answered.
    pub async fn ask(
        self: &Arc<Self>,
        researcher: &ResearcherId,
        to: &NodeId,
        id: RequestId,
        outgoing: Outgoing,
    ) -> Result<(), PostError> {
        self.requests.keep(&id, researcher, &outgoing);
        self.send(researcher, to, Some(id), outgoing).await
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

    /// Asks a peer for its key although the channel is ready: it seems to have lost its store and to use another key.
    /// Begins at once; the future ends with the peer's answer, or after 10 s without one. If the key has changed by
    /// then, this node's unanswered requests are sent again.
    ///
    /// Anyone can make a relay deliver noise in a peer's name, so doubt costs one small request per peer in
    /// [`RENEWAL_INTERVAL`] and nothing else: the known key stays until an answer to that very request brings another.
    /// The answer is protected with the published key, for suite 1 has nothing better. So a relay that reads the request
    /// can forge the answer, as it can at first contact; [`Channels::set_peer_key`] therefore logs every change.
    pub fn renew(
        self: &Arc<Self>,
        researcher: &ResearcherId,
        peer: &NodeId,
    ) -> impl Future<Output = ()> + use<> {
        let mut progress = self.renewal_under_way(researcher, peer);
        async move {
            let ended = progress.wait_for(|progress| *progress != Progress::Asking);
            drop(ended.await);
        }
    }

    /// To be told when a peer asks for this node's key. A peer that does so while it owes an answer may have lost its
    /// store: then it could not read the request. Unless the channel is new, and this is the peer's half of its set-up.
    pub fn asked_for_own_key(self: &Arc<Self>, researcher: &ResearcherId, peer: &NodeId) {
        let ready = self.channels.keys(peer).is_some();
        let new = |last: &Renewal| last.begun.elapsed() < RENEWAL_INTERVAL;
        if ready
            && !self.requests.unanswered(peer).is_empty()
            && !self.renewals().get(peer).is_some_and(new)
        {
            drop(self.renew(researcher, peer));
        }
    }

    fn renewal_under_way(
        self: &Arc<Self>,
        researcher: &ResearcherId,
        peer: &NodeId,
    ) -> watch::Receiver<Progress> {
        let mut renewals = self.renewals();
        let mut begun = Instant::now();
        if let Some(last) = renewals.get(peer) {
            if *last.progress.borrow() == Progress::Asking {
                return last.progress.clone();
            }
            begun = begun.max(last.begun + RENEWAL_INTERVAL);
        }
        let (report, progress) = watch::channel(Progress::Asking);
        let renewal = Renewal {
            begun,
            progress: progress.clone(),
        };
        renewals.insert(peer.clone(), renewal);
        drop(renewals);
        let (post, researcher, peer) = (self.clone(), researcher.clone(), peer.clone());
        tokio::spawn(async move {
            sleep_until(begun).await;
            let answered = post.ask_again(&researcher, &peer).await;
            let _ = report.send(if answered {
                Progress::Ready
            } else {
                Progress::Silent
            });
        });
        progress
    }

    async fn ask_again(self: &Arc<Self>, researcher: &ResearcherId, peer: &NodeId) -> bool {
        let known = self.channels.keys(peer);
        let Some(plugin) = self.plugins.for_kind("ChannelSetupReply") else {
            return false;
        };
        if !self.ask_for_key(plugin.name(), researcher, peer).await {
            return false;
        }
        let now = self.channels.keys(peer);
        let changed = match (&known, &now) {
            (Some(known), Some(now)) => !Arc::ptr_eq(known, now),
            _ => known.is_some() != now.is_some(),
        };
        if changed {
            for (id, researcher, outgoing) in self.requests.unanswered(peer) {
                if let Err(error) = self.send(&researcher, peer, Some(id), outgoing).await {
                    tracing::warn!(%peer, "request not sent again: {error}");
                }
            }
        }
        true
    }

    async fn set_up(&self, researcher: &ResearcherId, peer: &NodeId) -> bool {
        let Some(plugin) = self.plugins.for_kind("ChannelSetupReply") else {
            tracing::error!(
                "FB324: no plugin treats ChannelSetupReply, so no channel can be set up"
            );
            return false;
        };
        for _ in 0..ATTEMPTS {
            if self.ask_for_key(plugin.name(), researcher, peer).await {
                tracing::info!(%peer, "channel ready");
                let (_, progress) = watch::channel(Progress::Ready);
                let begun = Instant::now();
                self.renewals()
                    .insert(peer.clone(), Renewal { begun, progress });
                return true;
            }
        }
        tracing::warn!(%peer, "{}", PostError::ChannelSilent(peer.clone()));
        false
    }

    /// One request for a peer's key, and the wait for the answer.
    async fn ask_for_key(&self, plugin: &str, researcher: &ResearcherId, peer: &NodeId) -> bool {
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

    fn renewals(&self) -> MutexGuard<'_, HashMap<NodeId, Renewal>> {
        self.renewals.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn under_way(&self) -> MutexGuard<'_, HashMap<NodeId, watch::Receiver<Progress>>> {
        self.under_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handlers::Runtime;
    use crate::key_store::KeyStore;
    use crate::primitives;

    const PEER: &str = "b";

    struct Desk {
        post: Arc<Post>,
        sent: mpsc::Receiver<ToResearcher>,
        researcher: ResearcherId,
        peer: NodeId,
    }

    /// A post whose channel with the peer is ready.
    fn desk() -> Desk {
        let own = NodeId::try_from("a").expect("a valid id");
        let peer = NodeId::try_from(PEER).expect("a valid id");
        let randomness = Randomness::from_seed(1);
        let store = Arc::new(KeyStore::in_memory(&own, &randomness).expect("a store"));
        let channels = Arc::new(Channels::load(store).expect("loaded"));
        channels
            .set_peer_key(&peer, &key(b"first"))
            .expect("a ready channel");
        let runtime = Runtime::new().expect("an engine");
        let plugins = Arc::new(Plugins::built_in(&runtime, None).expect("plugins"));
        let (outbox, sent) = mpsc::channel(1000);
        let post = Post::new(
            own,
            channels,
            Requests::default(),
            plugins,
            outbox,
            randomness,
            Counters::default(),
        );
        Desk {
            post: Arc::new(post),
            sent,
            researcher: ResearcherId::try_from("r").expect("a valid id"),
            peer,
        }
    }

    fn key(label: &[u8]) -> Vec<u8> {
        let public = primitives::derive_secret_key(&[9; 32], label).public_key();
        primitives::public_key_pem(&public)
            .expect("a key")
            .into_bytes()
    }

    impl Desk {
        /// The next message that leaves, opened as far as `keys` go.
        async fn next(&mut self, keys: &ChannelKeys) -> Inner {
            match self.sent.recv().await {
                Some(ToResearcher::Overlay(message)) => {
                    overlay::open(keys, &message).expect("a message for these keys")
                }
                other => panic!("{other:?} is no overlay"),
            }
        }

        /// What the router does when the peer answers `request` with `pem`.
        fn answer(&self, request: &Inner, pem: &[u8]) {
            self.post
                .channels
                .set_peer_key(&self.peer, pem)
                .expect("a key");
            let plugin = self.post.plugins.for_kind("ChannelSetupReply");
            let plugin = plugin.expect("built in").name();
            let id = request.request_id.as_ref();
            self.post
                .requests
                .deliver(plugin, &self.peer, id, Vec::new())
                .expect("it was asked");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn forged_messages_cost_one_request_per_interval_and_no_key() {
        let mut desk = desk();
        let known = desk.post.channels.keys(&desk.peer).expect("ready");
        let began = Instant::now();
        for _ in 0..20 {
            for _ in 0..1000 {
                drop(desk.post.renew(&desk.researcher, &desk.peer));
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
            // The peer is there and answers, with the key that it always had.
            while let Ok(ToResearcher::Overlay(message)) = desk.sent.try_recv() {
                let request = overlay::open(ChannelKeys::published().expect("published"), &message)
                    .expect("a set-up");
                assert_eq!(request.kind, "ChannelSetupRequest");
                desk.answer(&request, &key(b"first"));
            }
        }

        let asked = desk.post.counters.now().sent["ChannelSetupRequest"];
        let intervals = began.elapsed().as_secs() / RENEWAL_INTERVAL.as_secs();
        assert!(asked <= intervals + 1, "{asked} in {intervals} intervals");
        let now = desk.post.channels.keys(&desk.peer).expect("still ready");
        assert!(Arc::ptr_eq(&known, &now));
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_peer_keeps_its_key() {
        let desk = desk();
        let known = desk.post.channels.keys(&desk.peer).expect("ready");

        desk.post.renew(&desk.researcher, &desk.peer).await;
        let now = desk.post.channels.keys(&desk.peer).expect("still ready");
        assert!(Arc::ptr_eq(&known, &now));
    }

    #[tokio::test(start_paused = true)]
    async fn an_unanswered_request_is_sent_again_under_the_new_key() {
        let mut desk = desk();
        let old = desk.post.channels.keys(&desk.peer).expect("ready");
        let ticket =
            desk.post
                .requests
                .register("key-request", &desk.peer, &Randomness::from_seed(2));
        let outgoing = Outgoing {
            kind: "KeyRequest".into(),
            fields: Value::Map(vec![("secagg_id".into(), "run".into())]),
        };
        let asked = desk.post.ask(
            &desk.researcher,
            &desk.peer,
            ticket.id().clone(),
            outgoing.clone(),
        );
        asked.await.expect("sent");
        assert!(desk.sent.recv().await.is_some(), "under the old key");

        // The peer has lost its store, cannot read the request, and begins a set-up of its own.
        desk.post.asked_for_own_key(&desk.researcher, &desk.peer);
        let published = ChannelKeys::published().expect("published");
        let request = desk.next(published).await;
        desk.answer(&request, &key(b"second"));

        let at_peer = ChannelKeys::new(
            &primitives::derive_secret_key(&[9; 32], b"second"),
            &old.own_public_key(),
        );
        let again = desk.next(&at_peer).await;
        assert_eq!(again.request_id.as_ref(), Some(ticket.id()));
        assert_eq!(again.kind, outgoing.kind);
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_owes_nothing_may_ask_without_being_asked_back() {
        let mut desk = desk();

        desk.post.asked_for_own_key(&desk.researcher, &desk.peer);
        tokio::time::sleep(REPLY_TIMEOUT).await;
        assert!(desk.sent.try_recv().is_err());
    }
}
