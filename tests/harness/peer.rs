//! A node made of the library's public parts, which does what a test tells it to: a host would never ask a peer what
//! that cannot answer.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use backchannel::message::{
    Inner, MessageId, NodeId, OverlayMessage, ProtocolOutcome, ProtocolRunReply, RequestId,
    ResearcherId, SecaggReply, ToNode, ToResearcher, Value,
};
use backchannel::overlay::{self, ChannelKeys};
use backchannel::primitives::{derive_secret_key, parse_public_key_pem, public_key_pem};
use backchannel::randomness::Randomness;
use backchannel::transport::{
    Letter, Link, Malformed, Transport, TransportConfig, fetch_certificate,
};
use p256::PublicKey;
use p256::elliptic_curve::sec1::ToSec1Point;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::{Network, PATIENCE, RESEARCHER, json};

/// The seed that the peer's keys derive from.
const SEED: [u8; 32] = [7; 32];

/// A peer of one real node, with a channel to it. It answers by itself what a node must answer, unless told otherwise.
pub struct Peer {
    answering: Arc<Answering>,
    task: JoinHandle<()>,
    // Polls for as long as it is kept.
    _transport: Transport,
}

/// What the task that answers shares with the test.
struct Answering {
    id: NodeId,
    node: NodeId,
    keys: OnceLock<ChannelKeys>,
    outgoing: mpsc::Sender<Letter>,
    randomness: Randomness,
    replies: watch::Sender<BTreeMap<RequestId, Instant>>,
    /// Requests for keys of runs that wait for [`Peer::release`], if they are to wait.
    held: Mutex<Option<Vec<Inner>>>,
    /// The replies to [`Peer::say`].
    heard: Mutex<BTreeMap<RequestId, Inner>>,
    silent: AtomicBool,
    /// What it answers who asks for a parcel, if it answers at all.
    parcel: Mutex<Option<Vec<(Value, Value)>>>,
    /// How often it was asked for one.
    asked_for_parcels: AtomicUsize,
    /// Requests for one that it has not answered.
    put_off: Mutex<Vec<RequestId>>,
}

impl Peer {
    /// Joins the network under `id` and sets up its channel with `node`.
    pub async fn join(network: &Network, id: &str, node: &str) -> Self {
        let relay = network.relay.address.parse().expect("an address");
        let certificate = fetch_certificate(&relay).await.expect("a certificate");
        let node_id: NodeId = id.parse().expect("an id");
        let randomness = Randomness::from_system().expect("randomness");
        let (incoming_sender, incoming) = mpsc::channel(10_000);
        let (outgoing, outgoing_receiver) = mpsc::channel(10_000);
        let config = TransportConfig {
            node_id: node_id.clone(),
            relay,
            certificate,
            prover: None,
        };
        let transport = Transport::start(
            config,
            incoming_sender,
            outgoing_receiver,
            randomness.clone(),
        );
        let mut state = transport.state();
        let connected = state.wait_for(|state| matches!(state.link, Link::Connected { .. }));
        let connected = timeout(PATIENCE, connected).await;
        connected
            .expect("a connection in time")
            .expect("a transport");

        let answering = Arc::new(Answering {
            id: node_id,
            node: node.parse().expect("an id"),
            keys: OnceLock::new(),
            outgoing,
            randomness,
            replies: watch::Sender::default(),
            held: Mutex::default(),
            heard: Mutex::default(),
            silent: AtomicBool::default(),
            parcel: Mutex::default(),
            asked_for_parcels: AtomicUsize::default(),
            put_off: Mutex::default(),
        });
        let peer = Self {
            task: tokio::spawn(answering.clone().run(incoming)),
            answering,
            _transport: transport,
        };
        let published = ChannelKeys::published().expect("the published key");
        let request = peer.answering.fresh_id();
        let sealed = peer
            .answering
            .seal(published, "ChannelSetupRequest", &request, vec![]);
        peer.send(sealed).await;
        peer.until_answered(&[request]).await;
        peer
    }

    /// Has the researcher set `run` up between node and peer. From then on they know each other.
    pub fn set_up(&self, network: &Network, run: &str) {
        let Answering { id, node, .. } = &*self.answering;
        let (relay, parties) = (network.relay.data(), format!("{node},{id}"));
        json(&[
            "secagg",
            "setup",
            "--relay",
            relay,
            "--scheme",
            "dh",
            "--parties",
            &parties,
            "--id",
            run,
        ]);
    }

    /// Its keys on the channel.
    pub fn keys(&self) -> &ChannelKeys {
        self.answering.keys.get().expect("a channel")
    }

    /// Its public key on the channel, as nodes store it.
    pub fn public_key(&self) -> Vec<u8> {
        let key = self.keys().own_public_key();
        key.to_sec1_point(false).as_bytes().to_vec()
    }

    /// Hands a message to the relay as it is, whatever it claims.
    pub async fn send(&self, message: OverlayMessage) {
        self.answering.send(ToResearcher::Overlay(message)).await;
    }

    /// A request for the node's key of a run, to be sent.
    pub fn request(&self, run: &str) -> (RequestId, OverlayMessage) {
        let id = self.answering.fresh_id();
        let fields = vec![("secagg_id".into(), run.into())];
        let sealed = self.answering.seal(self.keys(), "KeyRequest", &id, fields);
        (id, sealed)
    }

    /// Asks the node for an echo, which the guests under `tests/guests` can give. Does not wait.
    pub async fn echo(&self, text: &str) -> RequestId {
        let fields = vec![("text".into(), text.into())];
        self.say("EchoRequest", fields).await.0
    }

    /// What the echo said, if it came.
    pub fn echoed(&self, request: &RequestId) -> Option<String> {
        let heard = self.heard(request)?;
        Some(heard.fields.get("text")?.as_str()?.to_owned())
    }

    /// From now on it does not tell its keys of runs, until it is to [release](Self::release) them.
    pub fn hold(&self) {
        self.answering.held().get_or_insert_default();
    }

    /// The node's requests that it holds.
    pub fn held(&self) -> Vec<Inner> {
        self.answering.held().clone().unwrap_or_default()
    }

    /// Answers what it holds.
    pub async fn release(&self) {
        let held = self.answering.held().take();
        for request in held.unwrap_or_default() {
            self.answering.answer(self.keys(), request).await;
        }
    }

    /// From now on who asks it for a parcel, of whatever run and round, gets a reply with these fields.
    pub fn hand_over(&self, fields: Vec<(Value, Value)>) {
        *self.answering.parcel.lock().expect("no panic") = Some(fields);
    }

    /// Answers the first request for a parcel that it has not answered, late as that is.
    pub async fn hand_over_late(&self, fields: Vec<(Value, Value)>) {
        let first = self.answering.put_off.lock().expect("no panic").remove(0);
        let sealed = self
            .answering
            .seal(self.keys(), "RoundReply", &first, fields);
        self.send(sealed).await;
    }

    /// How often it was asked for a parcel.
    pub fn asked_for_parcels(&self) -> usize {
        self.answering.asked_for_parcels.load(Ordering::SeqCst)
    }

    /// Asks the node for a parcel, of the first round of a run of its unruly plugin. Does not wait.
    pub async fn fetch(&self, run: &str, patience: Duration) -> RequestId {
        let patience = u64::try_from(patience.as_millis()).expect("short");
        let fields = vec![
            ("protocol".into(), "unruly".into()),
            ("run_id".into(), run.into()),
            ("round".into(), Value::Int(0_u64.into())),
            ("patience_ms".into(), Value::Int(patience.into())),
        ];
        self.say("RoundRequest", fields).await.0
    }

    /// How its answer says that it stands with the parcel.
    pub async fn fetched(&self, request: &RequestId) -> String {
        self.until_answered(std::slice::from_ref(request)).await;
        let heard = self.heard(request).expect("an answer");
        let state = heard.fields.get("state").and_then(Value::as_str);
        state.expect("a state").to_owned()
    }

    /// From now on it answers nothing.
    pub fn fall_silent(&self) {
        self.answering.silent.store(true, Ordering::SeqCst);
    }

    /// Sends the node a message of any kind. Does not wait.
    pub async fn say(&self, kind: &str, fields: Vec<(Value, Value)>) -> (RequestId, MessageId) {
        let id = self.answering.fresh_id();
        let said = self.say_under(&id, kind, fields).await;
        (id, said)
    }

    /// Sends the node a message of any kind that claims to belong to this request.
    pub async fn say_under(
        &self,
        request: &RequestId,
        kind: &str,
        fields: Vec<(Value, Value)>,
    ) -> MessageId {
        let sealed = self.answering.seal(self.keys(), kind, request, fields);
        let id = sealed.id();
        self.send(sealed).await;
        id
    }

    /// What the node answered to something that was [said](Self::say).
    pub fn heard(&self, request: &RequestId) -> Option<Inner> {
        self.answering.heard().get(request).cloned()
    }

    /// Asks the node for its key of a run. Does not wait.
    pub async fn ask(&self, run: &str) -> RequestId {
        let (id, sealed) = self.request(run);
        self.send(sealed).await;
        id
    }

    /// Waits until all these requests have their reply.
    pub async fn until_answered(&self, requests: &[RequestId]) {
        let mut replies = self.answering.replies.subscribe();
        let all = replies
            .wait_for(|replies| requests.iter().all(|request| replies.contains_key(request)));
        timeout(PATIENCE, all)
            .await
            .expect("replies in time")
            .expect("a peer");
    }

    /// When the reply came, if it did.
    pub fn answered(&self, request: &RequestId) -> Option<Instant> {
        assert!(!self.task.is_finished(), "the peer failed");
        self.answering.replies.borrow().get(request).copied()
    }

    /// Asks for `run` so many times at once and waits for all replies: how long each took.
    pub async fn latencies(&self, run: &str, times: usize) -> Vec<Duration> {
        let mut asked = Vec::with_capacity(times);
        for _ in 0..times {
            asked.push((self.ask(run).await, Instant::now()));
        }
        let requests: Vec<_> = asked.iter().map(|(request, _)| request.clone()).collect();
        self.until_answered(&requests).await;
        let took = |(request, since): &(RequestId, Instant)| {
            self.answered(request).map(|came| came - *since)
        };
        asked.iter().filter_map(took).collect()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Answering {
    async fn run(self: Arc<Self>, mut incoming: mpsc::Receiver<Result<ToNode, Malformed>>) {
        while let Some(message) = incoming.recv().await {
            let message = message.expect("a message");
            if !self.silent.load(Ordering::SeqCst) {
                self.treat(message).await;
            }
        }
    }

    async fn treat(&self, message: ToNode) {
        match message {
            ToNode::Ping {
                request_id,
                researcher_id,
            } => {
                let (node_id, node_name) = (self.id.clone(), self.id.to_string());
                self.send(ToResearcher::PingReply {
                    request_id,
                    researcher_id,
                    node_id,
                    node_name,
                })
                .await;
            }
            ToNode::SecaggSetup(setup) => {
                let reply = SecaggReply {
                    request_id: setup.request_id,
                    researcher_id: setup.researcher_id,
                    secagg_id: setup.secagg_id,
                    success: true,
                    node_id: self.id.clone(),
                    node_name: self.id.to_string(),
                    msg: None,
                };
                self.send(ToResearcher::SecaggReply(reply)).await;
            }
            // It takes part only as far as it hands parcels over.
            ToNode::ProtocolRun(run) => {
                let reply = ProtocolRunReply {
                    request_id: run.request_id,
                    researcher_id: run.researcher_id,
                    node_id: self.id.clone(),
                    node_name: self.id.to_string(),
                    protocol: run.protocol,
                    run_id: run.run_id,
                    outcome: ProtocolOutcome::Failed {
                        blamed: Vec::new(),
                        why: "made up".to_owned(),
                    },
                };
                self.send(ToResearcher::ProtocolRunReply(reply)).await;
            }
            ToNode::Overlay(message) if message.setup => {
                let published = ChannelKeys::published().expect("the published key");
                let inner = overlay::open(published, &message).expect("a set-up message");
                self.set_channel_up(published, inner).await;
            }
            ToNode::Overlay(message) => {
                let keys = self.keys.get().expect("a channel");
                let inner = overlay::open(keys, &message).expect("a message of the channel");
                self.answer(keys, inner).await;
            }
            other => panic!("unexpected: {other:?}"),
        }
    }

    async fn set_channel_up(&self, published: &ChannelKeys, inner: Inner) {
        let own = derive_secret_key(&SEED, self.id.as_str().as_bytes());
        if inner.kind == "ChannelSetupRequest" {
            let fields = vec![("public_key".into(), pem(&own.public_key()))];
            let id = inner.request_id.expect("a request's id");
            let sealed = self.seal(published, "ChannelSetupReply", &id, fields);
            self.send(ToResearcher::Overlay(sealed)).await;
        } else {
            let pem = inner
                .fields
                .get("public_key")
                .and_then(Value::as_bin)
                .expect("a key");
            let public = parse_public_key_pem(pem).expect("a key");
            self.keys.get_or_init(|| ChannelKeys::new(&own, &public));
            self.remember(inner.request_id);
        }
    }

    async fn answer(&self, keys: &ChannelKeys, inner: Inner) {
        match inner.kind.as_str() {
            "KeyReply" => self.remember(inner.request_id),
            kind if kind.ends_with("Reply") => {
                let request = inner.request_id.clone();
                let id = request.clone().expect("a request's id");
                self.heard().insert(id, inner);
                self.remember(request);
            }
            "RoundRequest" => {
                self.asked_for_parcels.fetch_add(1, Ordering::SeqCst);
                let parcel = self.parcel.lock().expect("no panic").clone();
                let id = inner.request_id.expect("a request's id");
                match parcel {
                    Some(fields) => {
                        let sealed = self.seal(keys, "RoundReply", &id, fields);
                        self.send(ToResearcher::Overlay(sealed)).await;
                    }
                    None => self.put_off.lock().expect("no panic").push(id),
                }
            }
            "KeyRequest" => {
                if let Some(held) = &mut *self.held() {
                    held.push(inner);
                    return;
                }
                let run = inner.fields.get("secagg_id").expect("a run").clone();
                let key = derive_secret_key(&SEED, b"run").public_key();
                let fields = vec![("public_key".into(), pem(&key)), ("secagg_id".into(), run)];
                let id = inner.request_id.expect("a request's id");
                let sealed = self.seal(keys, "KeyReply", &id, fields);
                self.send(ToResearcher::Overlay(sealed)).await;
            }
            other => panic!("unexpected: {other}"),
        }
    }

    fn remember(&self, request: Option<RequestId>) {
        self.replies.send_modify(|replies| {
            let earlier = replies.insert(request.expect("a request's id"), Instant::now());
            assert_eq!(earlier, None, "answered twice");
        });
    }

    fn held(&self) -> std::sync::MutexGuard<'_, Option<Vec<Inner>>> {
        self.held.lock().expect("no panic")
    }

    fn heard(&self) -> std::sync::MutexGuard<'_, BTreeMap<RequestId, Inner>> {
        self.heard.lock().expect("no panic")
    }

    fn fresh_id(&self) -> RequestId {
        RequestId::fresh(&mut self.randomness.clone())
    }

    fn seal(
        &self,
        keys: &ChannelKeys,
        kind: &str,
        id: &RequestId,
        fields: Vec<(Value, Value)>,
    ) -> OverlayMessage {
        sealed(keys, (&self.id, &self.node), kind, id, fields)
    }

    async fn send(&self, message: ToResearcher) {
        self.outgoing
            .send(message.into())
            .await
            .expect("a transport");
    }
}

/// A message from one node to another, sealed with whatever keys.
pub fn sealed(
    keys: &ChannelKeys,
    (source, dest): (&NodeId, &NodeId),
    kind: &str,
    id: &RequestId,
    fields: Vec<(Value, Value)>,
) -> OverlayMessage {
    let fields = Value::Map(fields);
    let inner = Inner::new(source.clone(), dest.clone(), Some(id.clone()), kind, fields);
    let inner = inner.expect("a message");
    let researcher = ResearcherId::try_from(RESEARCHER).expect("an id");
    let mut randomness = Randomness::from_system().expect("randomness");
    let setup = inner.is_channel_setup();
    overlay::seal(keys, &researcher, &inner, setup, &mut randomness).expect("sealed")
}

/// A public key as messages carry it.
pub fn pem(key: &PublicKey) -> Value {
    Value::Bin(public_key_pem(key).expect("a key").into_bytes())
}
