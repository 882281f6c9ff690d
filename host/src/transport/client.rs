//! A node's side of `ResearcherService`: polls for messages, hands on what comes, and comes back when the connection
//! is lost.

use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rand_core::Rng;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tokio_util::sync::CancellationToken;
use tonic::metadata::MetadataMap;
use tonic::transport::Channel;
use tonic::{Code, Request, Status, Streaming};

use super::backoff::Backoff;
use super::certificate::Certificate;
use super::chunks::Reassembly;
use super::connect::{ServerAddress, connect};
use super::line::{self, Mouth};
use super::outbox::{self, Letter};
use super::prove::{Prover, prove};
use super::receipt::{self, Received};
use super::state::{Link, LinkError, TransportState};
use super::token::{self, Token};
use crate::message::researcher::reply_address;
use crate::message::{
    MAX_MESSAGE_BYTES, MessageError, NodeId, PROTOCOL_VERSION, RequestId, ResearcherId, ToNode,
};
use crate::proto::relay::line_client::LineClient;
use crate::proto::relay::{Begin, FromRelay};
use crate::proto::researcher::TaskRequest;
use crate::proto::researcher::researcher_service_client::ResearcherServiceClient;

/// How long a poll may last. Longer than the 3600 s that a relay holds it, so that it is the relay that ends it.
const POLL_LIMIT: Duration = Duration::from_secs(3660);

/// A server of the reference answers nothing before it has a message, so after this time a poll counts as held.
const HELD_AFTER: Duration = Duration::from_millis(100);

/// The same of a server that wanted a proof: it is ours, and answers at once. What is said before it has would be said in vain.
const HELD_AFTER_PROOF: Duration = Duration::from_secs(5);

/// How long a node that stops waits for the relay to say what it has taken of what was said on a line.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// A poll that ends without a message sooner than this was not held.
const SHORTEST_HOLD: Duration = Duration::from_secs(1);

pub(super) type Client = ResearcherServiceClient<Channel>;

/// A connection over which the relay takes messages from this node.
#[derive(Clone)]
pub(super) struct Connection {
    pub(super) client: Client,
    /// What the relay wants to see with them, if it does.
    pub(super) token: Option<Token>,
    /// The line, if there is one.
    pub(super) mouth: Option<Mouth>,
}

/// What a transport needs to know.
#[derive(Debug, Clone)]
pub struct TransportConfig {
    /// Under which id this node polls.
    pub node_id: NodeId,
    /// Where the relay listens.
    pub relay: ServerAddress,
    /// The only certificate that the relay may show. Messages must come in the name of its researcher.
    pub certificate: Certificate,
    /// Answers a relay of ours that wants to see who this node is. Without one, such a relay does not serve it.
    pub prover: Option<Prover>,
}

/// A message from the researcher that could not be read. The reference answers with an `ErrorMessage` FB301.
#[derive(Debug)]
pub struct Malformed {
    /// To be repeated in the answer, as far as the message says so.
    pub request_id: Option<RequestId>,
    /// Who asks, as far as the message says so.
    pub researcher_id: Option<ResearcherId>,
    /// What is wrong with it.
    pub error: MessageError,
}

/// A running transport. Dropping it stops it at once; [`Transport::stop`] does so without losing messages.
pub struct Transport {
    state: watch::Receiver<TransportState>,
    stop: CancellationToken,
    polling: JoinHandle<()>,
    sending: JoinHandle<()>,
}

impl Transport {
    /// Starts to connect, and from then on hands what comes to `incoming` and sends what comes out of `outgoing`. Must
    /// be called within a tokio runtime.
    ///
    /// Messages wait at the relay while `incoming` is full. One from `outgoing` is kept until the relay has
    /// acknowledged it, at most 300 s; as the acknowledgement may be lost, the relay may get it twice. Messages may
    /// overtake each other. `rng` spreads the waits between attempts.
    pub fn start(
        config: TransportConfig,
        incoming: mpsc::Sender<Result<ToNode, Malformed>>,
        outgoing: mpsc::Receiver<Letter>,
        rng: impl Rng + Send + 'static,
    ) -> Self {
        let (shared, state) = Shared::new(rng);
        let shared = Arc::new(shared);
        let (connections, connection) = watch::channel(None);
        let stop = CancellationToken::new();
        let poller = Poller {
            config,
            shared: Arc::clone(&shared),
            connections,
            incoming,
            received: Mutex::new(Received::None),
            token: Mutex::default(),
            stop: stop.clone(),
            on_line: AtomicBool::new(false),
            without_lines: AtomicBool::new(false),
        };
        let polling = tokio::spawn(async move {
            let mut running = pin!(poller.run());
            // `connections` keeps the connection for what is still to be sent.
            tokio::select! {
                () = poller.stop.cancelled() => {
                    if poller.on_line.load(Ordering::Relaxed) {
                        let _ = timeout(LAST_WORDS, running).await;
                    }
                }
                () = poller.incoming.closed() => {}
                () = &mut running => {}
            }
            poller.shared.update(|state| state.link = Link::Stopped);
        });
        let sending = tokio::spawn(outbox::run(shared, outgoing, connection, stop.clone()));
        Self {
            state,
            stop,
            polling,
            sending,
        }
    }

    /// The state, now and at each change.
    pub fn state(&self) -> watch::Receiver<TransportState> {
        self.state.clone()
    }

    /// Stops polling, waits up to 2 s for the relay to take what was to be sent, and returns the last state.
    pub async fn stop(mut self) -> TransportState {
        self.stop.cancel();
        for task in [&mut self.polling, &mut self.sending] {
            if let Err(error) = task.await {
                tracing::error!(%error, "a task of the transport ended early");
            }
        }
        self.state.borrow().clone()
    }
}

impl Drop for Transport {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// What polling and sending have in common.
pub(super) struct Shared {
    pub(super) backoff: Backoff,
    state: watch::Sender<TransportState>,
}

impl Shared {
    pub(super) fn new(rng: impl Rng + Send + 'static) -> (Self, watch::Receiver<TransportState>) {
        let (sender, state) = watch::channel(TransportState::new());
        let shared = Self {
            backoff: Backoff::new(rng),
            state: sender,
        };
        (shared, state)
    }

    pub(super) fn update(&self, change: impl FnOnce(&mut TransportState)) {
        self.state.send_modify(change);
    }
}

struct Poller {
    config: TransportConfig,
    shared: Arc<Shared>,
    connections: watch::Sender<Option<Connection>>,
    incoming: mpsc::Sender<Result<ToNode, Malformed>>,
    /// What came last, on whichever connection.
    received: Mutex<Received>,
    /// What the relay gave last for a proof. One that was started again since takes it for nothing, and says so.
    token: Mutex<Option<Token>>,
    stop: CancellationToken,
    /// Whether there is a line: it is not to be cut off.
    on_line: AtomicBool,
    /// Whether lines that are offered are not there, as behind a proxy that lets through only what it knows.
    without_lines: AtomicBool,
}

impl Poller {
    /// Connects and polls, again and again. Ends with a line that ends as this node stops.
    async fn run(&self) {
        let mut failures = 0;
        loop {
            let error = match connect(&self.config.relay, &self.config.certificate).await {
                Ok(channel) => match self.poll_until_lost(channel, &mut failures).await {
                    Some(error) => error,
                    None => return,
                },
                Err(error) => error.into(),
            };
            self.connections.send_replace(None);
            self.report(error);
            sleep(self.shared.backoff.after(failures)).await;
            failures += 1;
        }
    }

    fn report(&self, error: LinkError) {
        self.shared.update(|state| {
            let mut since = Instant::now();
            match &state.link {
                // An attempt that fails like the one before is no news.
                Link::Disconnected {
                    error: before,
                    since: earlier,
                } => {
                    since = *earlier;
                    if before.to_string() != error.to_string() {
                        tracing::warn!(%error, advice = error.advice(), "FB628: no connection to the relay, trying again");
                    }
                }
                _ => tracing::warn!(%error, advice = error.advice(), "FB628: no connection to the relay, trying again"),
            }
            state.link = Link::Disconnected {
                since,
                error: error.into(),
            };
        });
    }

    /// Why the connection was given up; `None` as this node stops.
    async fn poll_until_lost(&self, channel: Channel, failures: &mut u32) -> Option<LinkError> {
        let client = ResearcherServiceClient::new(channel.clone())
            .max_decoding_message_size(MAX_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_MESSAGE_BYTES);
        // Whether a proof was given, and no poll held since: a relay that asks again then would ask for ever.
        let mut proven = false;
        loop {
            let began = Instant::now();
            match self.poll(&channel, &client).await {
                _ if self.stop.is_cancelled() => return None,
                Ok(0) if began.elapsed() < SHORTEST_HOLD => return Some(LinkError::PollNotHeld),
                Ok(_) => (*failures, proven) = (0, false),
                Err(LinkError::NoLine) => {
                    tracing::info!(
                        "the line that the relay offers cannot be reached; polling instead"
                    );
                    self.without_lines.store(true, Ordering::Relaxed);
                }
                Err(LinkError::ProofWanted(_)) if !proven => {
                    proven = true;
                    if let Err(error) = self.prove(channel.clone()).await {
                        return Some(error);
                    }
                }
                Err(error) => {
                    if began.elapsed() >= SHORTEST_HOLD {
                        *failures = 0;
                    }
                    return Some(error);
                }
            }
        }
    }

    /// Shows the relay who this node is. Nothing of it is remembered beyond this transport: what it protects is the relay's, so a server
    /// that asks for no proof takes nothing from the node.
    async fn prove(&self, channel: Channel) -> Result<(), LinkError> {
        let config = &self.config;
        let prover = config.prover.as_ref();
        let prover = prover.ok_or_else(|| LinkError::ProofWanted(config.node_id.clone()))?;
        let token = prove(channel, &config.node_id, prover, &config.certificate).await?;
        *self.token() = Some(token.clone());
        self.connections.send_if_modified(|connection| {
            let connection = connection.as_mut();
            connection.map(|known| known.token = Some(token)).is_some()
        });
        tracing::info!("proven to the relay who this node is");
        Ok(())
    }

    /// Polls once, or talks on a line if the relay offers one; returns how many messages came. Of a poll one, or none if nothing came in all
    /// the time.
    async fn poll(&self, channel: &Channel, client: &Client) -> Result<u64, LinkError> {
        let deadline = Instant::now() + POLL_LIMIT;
        let mut request = Request::new(TaskRequest {
            node: self.config.node_id.to_string(),
            protocol_version: PROTOCOL_VERSION.to_owned(),
        });
        request.set_timeout(POLL_LIMIT);
        let held_after = match self.sign(request.metadata_mut()) {
            true => HELD_AFTER_PROOF,
            false => HELD_AFTER,
        };
        let mut own = client.clone();
        let mut call = pin!(own.get_task_unary(request));
        let answer = match timeout(held_after, &mut call).await {
            Ok(answer) => answer,
            Err(_) => {
                self.held(client, None);
                match timeout_at(deadline, call).await {
                    Ok(answer) => answer,
                    Err(_) => return Ok(0),
                }
            }
        };
        let answer = answer.map_err(|status| self.call_failed(status))?;
        let number = receipt::number_of(answer.metadata());
        let is_offered =
            line::is_offered(answer.metadata()) && !self.without_lines.load(Ordering::Relaxed);
        if let Some(number) = number.filter(|_| is_offered) {
            drop(answer);
            return self.talk(channel, client, number).await;
        }
        let mut slices = answer.into_inner();
        self.held(client, None);
        let mut message = Reassembly::default();
        let mut count = 0;
        loop {
            match timeout_at(deadline, slices.message()).await {
                Ok(Ok(Some(slice))) => {
                    if let Some(bytes) = message.push(slice.into())? {
                        count += 1;
                        self.hand_on(&bytes).await;
                        *self.received() = Received::of(number, count);
                    }
                }
                Ok(Ok(None)) => {
                    message.end()?;
                    return Ok(count);
                }
                Ok(Err(status)) => return Err(self.call_failed(status)),
                Err(_) => return Ok(count),
            }
        }
    }

    /// Talks on a line, in place of a poll of this number; returns how many messages came.
    async fn talk(&self, channel: &Channel, client: &Client, poll: u64) -> Result<u64, LinkError> {
        let begin = Begin {
            node: self.config.node_id.to_string(),
            protocol_version: PROTOCOL_VERSION.to_owned(),
            poll,
        };
        let (mouth, counts, said) = line::line(begin, self.stop.clone());
        let mut request = Request::new(said);
        self.sign(request.metadata_mut());
        let mut line =
            LineClient::new(channel.clone()).max_decoding_message_size(MAX_MESSAGE_BYTES);
        let answer = timeout(HELD_AFTER_PROOF, line.talk(request)).await;
        let answer = answer
            .unwrap_or_else(|_| Err(Status::deadline_exceeded("no answer to a line")))
            .map_err(|status| match status.code() {
                Code::Unimplemented => LinkError::NoLine,
                _ => self.call_failed(status),
            })?;
        let number = receipt::number_of(answer.metadata());
        self.held(client, Some(mouth));
        self.on_line.store(true, Ordering::Relaxed);
        let ended = self.listen(answer.into_inner(), &counts, number).await;
        self.on_line.store(false, Ordering::Relaxed);
        ended
    }

    /// Hands on what comes on a line, which is the poll of this number.
    async fn listen(
        &self,
        mut heard: Streaming<FromRelay>,
        counts: &line::Counts,
        number: Option<u64>,
    ) -> Result<u64, LinkError> {
        let mut message = Reassembly::default();
        let mut count = 0;
        loop {
            let FromRelay {
                slice,
                taken,
                refused,
            } = match heard.message().await {
                Ok(Some(frame)) => frame,
                Ok(None) => {
                    message.end()?;
                    return Ok(count);
                }
                Err(status) => return Err(self.call_failed(status)),
            };
            counts.taken(taken, refused);
            // What comes while this node stops comes again, wherever it is started next.
            let slice = slice.filter(|_| !self.stop.is_cancelled());
            if let Some(slice) = slice
                && let Some(bytes) = message.push(slice.into())?
            {
                self.hand_on(&bytes).await;
                count = counts.one_more_received();
                *self.received() = Received::of(number, count);
            }
        }
    }

    /// Puts on a call what this node has to show for itself; whether that is a proof.
    fn sign(&self, metadata: &mut MetadataMap) -> bool {
        self.received().write(metadata);
        let token = self.token();
        token.as_ref().map(|token| token.write(metadata)).is_some()
    }

    fn received(&self) -> MutexGuard<'_, Received> {
        self.received.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn token(&self) -> MutexGuard<'_, Option<Token>> {
        self.token.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn call_failed(&self, status: tonic::Status) -> LinkError {
        match status.code() {
            Code::AlreadyExists => LinkError::IdInUse(self.config.node_id.clone()),
            _ if token::is_wanted(&status) => LinkError::ProofWanted(self.config.node_id.clone()),
            _ => LinkError::of_call(status),
        }
    }

    /// The relay holds a poll, or a line: from now on it takes messages from this node.
    fn held(&self, client: &Client, mouth: Option<Mouth>) {
        let connection = Connection {
            client: client.clone(),
            token: self.token().clone(),
            mouth,
        };
        let is_new = self.connections.borrow().is_none();
        if is_new || connection.mouth.is_some() {
            self.connections.send_replace(Some(connection));
        }
        if !is_new {
            return;
        }
        self.shared.update(|state| {
            state.connections += 1;
            state.link = Link::Connected {
                since: Instant::now(),
            };
        });
        tracing::info!(relay = %self.config.relay, "connected to the relay");
    }

    async fn hand_on(&self, bytes: &[u8]) {
        let message = ToNode::decode(bytes).map_err(|error| {
            let (request_id, researcher_id) = reply_address(bytes);
            Malformed {
                request_id,
                researcher_id,
                error,
            }
        });
        let claimed = match &message {
            Ok(message) => researcher_of(message),
            Err(malformed) => malformed.researcher_id.as_ref(),
        };
        let own = self.config.certificate.researcher_id();
        if let Some(foreign) = claimed.filter(|claimed| *claimed != own) {
            tracing::warn!(researcher = %foreign, expected = %own, "FB628: a message of another researcher is dropped");
            self.shared.update(|state| state.foreign += 1);
            return;
        }
        self.shared.update(|state| {
            state.received += 1;
            state.malformed += u64::from(message.is_err());
        });
        // Fails only when nobody reads any more, and then the whole transport is about to end.
        let _ = self.incoming.send(message).await;
    }
}

fn researcher_of(message: &ToNode) -> Option<&ResearcherId> {
    match message {
        ToNode::Ping { researcher_id, .. }
        | ToNode::Search { researcher_id, .. }
        | ToNode::List { researcher_id, .. }
        | ToNode::SecaggDelete { researcher_id, .. } => Some(researcher_id),
        ToNode::SecaggSetup(setup) | ToNode::ServerKeySetup(setup) => Some(&setup.researcher_id),
        ToNode::ProtocolRun(run) => Some(&run.researcher_id),
        ToNode::Overlay(overlay) => Some(&overlay.researcher_id),
        ToNode::Other { researcher_id, .. } => researcher_id.as_ref(),
    }
}
