//! Asking a peer for its key once more: it may have lost its store, and use another.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::Post;
use crate::message::{NodeId, RequestId, ResearcherId};
use crate::requests::Sent;

/// How soon after one request for the key of a ready channel the next may follow.
const RENEWAL_INTERVAL: Duration = Duration::from_secs(2);

/// The last time a channel's key was asked for.
pub(super) struct Renewal {
    pub(super) begun: Instant,
    pub(super) ended: CancellationToken,
}

impl Renewal {
    /// Whether it still holds another one back.
    fn matters(&self) -> bool {
        self.begun.elapsed() < RENEWAL_INTERVAL || !self.ended.is_cancelled()
    }
}

impl Post {
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
        self.renewal_under_way(researcher, peer).cancelled_owned()
    }

    /// Sends a request again that the peer may not have read.
    pub(super) async fn send_again(self: &Arc<Self>, peer: &NodeId, id: RequestId, sent: Sent) {
        let asked = self.ask(&sent.researcher, peer, id, sent.outgoing).await;
        if let Err(error) = asked {
            tracing::warn!(%peer, "request not sent again: {error}");
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

    /// Notes that a peer has just given its key.
    pub(super) fn just_asked(&self, peer: &NodeId) {
        let (begun, ended) = (Instant::now(), CancellationToken::new());
        ended.cancel();
        let mut renewals = self.renewals();
        renewals.retain(|_, last| last.matters());
        renewals.insert(peer.clone(), Renewal { begun, ended });
    }

    fn renewal_under_way(
        self: &Arc<Self>,
        researcher: &ResearcherId,
        peer: &NodeId,
    ) -> CancellationToken {
        let mut renewals = self.renewals();
        renewals.retain(|_, last| last.matters());
        let mut begun = Instant::now();
        if let Some(last) = renewals.get(peer) {
            if !last.ended.is_cancelled() {
                return last.ended.clone();
            }
            begun = begun.max(last.begun + RENEWAL_INTERVAL);
        }
        let ended = CancellationToken::new();
        let renewal = Renewal {
            begun,
            ended: ended.clone(),
        };
        renewals.insert(peer.clone(), renewal);
        drop(renewals);
        let (post, researcher, peer) = (self.clone(), researcher.clone(), peer.clone());
        let end = ended.clone().drop_guard();
        self.spawn(async move {
            sleep_until(begun).await;
            post.ask_again(&researcher, &peer).await;
            drop(end);
        });
        ended
    }

    async fn ask_again(self: &Arc<Self>, researcher: &ResearcherId, peer: &NodeId) {
        let known = self.channels.keys(peer);
        let Some(plugin) = self.plugins.for_kind("ChannelSetupReply") else {
            return;
        };
        if !self.ask_for_key(plugin.name(), researcher, peer).await {
            return;
        }
        let now = self.channels.keys(peer);
        let changed = match (&known, &now) {
            (Some(known), Some(now)) => !Arc::ptr_eq(known, now),
            _ => known.is_some() != now.is_some(),
        };
        if changed {
            for (id, sent) in self.requests.unanswered(peer) {
                self.send_again(peer, id, sent).await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use tokio::sync::mpsc;

    use super::*;
    use crate::audit::Audit;
    use crate::channels::Channels;
    use crate::chronicle::Chronicle;
    use crate::clock::Clock;
    use crate::handlers::{Outgoing, PluginSet, Plugins, Runtime};
    use crate::key_store::KeyStore;
    use crate::message::{Inner, OverlayMessage, ToResearcher, Value};
    use crate::overlay::{self, ChannelKeys};
    use crate::primitives;
    use crate::randomness::Randomness;
    use crate::requests::{REPLY_TIMEOUT, Requests};
    use crate::secure_channels::{Identities, SecureChannels, SuiteWith};
    use crate::sessions::Hello;
    use crate::tasks::Tasks;
    use crate::transport::Letter;

    const PEER: &str = "b";

    struct Desk {
        post: Arc<Post>,
        sent: mpsc::Receiver<Letter>,
        researcher: ResearcherId,
        peer: NodeId,
    }

    /// A post whose channel with the peer is ready.
    fn desk() -> Desk {
        let own = NodeId::try_from("a").expect("a valid id");
        let peer = NodeId::try_from(PEER).expect("a valid id");
        let randomness = Randomness::from_seed(1);
        let store = Arc::new(KeyStore::in_memory(&own, &randomness).expect("a store"));
        let channels = Arc::new(Channels::load(store, Audit::none()).expect("loaded"));
        channels
            .set_peer_key(&peer, &key(b"first"))
            .expect("a ready channel");
        let runtime = Runtime::new().expect("an engine");
        let plugins = Plugins::new(PluginSet::built_in(&runtime).expect("plugins"));
        let (outbox, sent) = mpsc::channel(1000);
        let clock = Clock::of_system();
        let nobody = Identities {
            own: primitives::derive_secret_key(&[9; 32], b"identity"),
            hello: Hello::default(),
            peers: BTreeMap::new(),
            others: SuiteWith::Suite1,
        };
        let secure =
            SecureChannels::new(own.clone(), nobody, None, clock.clone(), randomness.clone());
        let post = Post::new(
            own,
            channels,
            Arc::new(secure),
            Requests::default(),
            plugins,
            outbox,
            randomness,
            Chronicle::new(Audit::none(), clock),
            Tasks::default(),
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

    fn overlay_in(letter: Letter) -> OverlayMessage {
        match letter.take() {
            ToResearcher::Overlay(message) => message,
            other => panic!("{other:?} is no overlay"),
        }
    }

    impl Desk {
        /// The next message that leaves, opened as far as `keys` go.
        async fn next(&mut self, keys: &ChannelKeys) -> Inner {
            let message = overlay_in(self.sent.recv().await.expect("a message"));
            overlay::open(keys, &message).expect("a message for these keys")
        }

        /// What the router does when the peer answers `request` with `pem`.
        fn answer(&self, request: &Inner, pem: &[u8]) {
            self.post
                .channels
                .set_peer_key(&self.peer, pem)
                .expect("a key");
            let plugin = self.post.plugins.for_kind("ChannelSetupReply");
            let plugin = plugin.expect("built in");
            let id = request.request_id.as_ref();
            self.post
                .requests
                .take(plugin.name(), &self.peer, id)
                .expect("it was asked")
                .deliver(Vec::new().into());
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
            while let Ok(letter) = desk.sent.try_recv() {
                let message = overlay_in(letter);
                let request = overlay::open(ChannelKeys::published().expect("published"), &message)
                    .expect("a set-up");
                assert_eq!(request.kind, "ChannelSetupRequest");
                desk.answer(&request, &key(b"first"));
            }
        }

        let asked = desk.post.chronicle.metrics.messages().sent["ChannelSetupRequest"];
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
