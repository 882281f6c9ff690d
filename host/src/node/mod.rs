//! A node: everything wired together in one place, then started and stopped.
//!
//! ```text
//! transport ──overlay──▶ router ──▶ handlers ──effects──▶ post ──▶ transport
//!     └──researcher's requests──▶ setups ──▶ handlers ──▶ post ──────▲
//! ```

mod error;
mod meeting;

use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::channels::Channels;
use crate::counters::Counters;
use crate::handlers::{CompiledCode, Materials, Plugins, Runtime, Services};
use crate::key_store::KeyStore;
use crate::message::{NodeId, RequestId, ResearcherId, ToNode, ToResearcher};
use crate::post::Post;
use crate::randomness::Randomness;
use crate::requests::Requests;
use crate::router::Router;
use crate::setups::Setups;
use crate::transport::{
    Certificate, Fingerprint, Letter, Link, Malformed, ServerAddress, Transport, TransportConfig,
    TransportState,
};
pub use error::NodeError;
use meeting::meet_researcher;

/// How long a stop waits for answers to leave.
const STOP_LIMIT: Duration = Duration::from_secs(1);
/// A researcher's requests that are waiting for their answer.
const MOST_REQUESTS: usize = 1000;
/// Messages between transport and the rest of the node, each way.
const BETWEEN: usize = 1000;

/// What a node is started with.
#[derive(Clone, Debug)]
pub struct NodeConfig {
    /// Its id: one of a kind in the network.
    pub id: NodeId,
    /// Its name for people.
    pub name: String,
    /// Where the researcher's server listens.
    pub researcher: ServerAddress,
    /// The researcher's certificate (PEM). Without one, the certificate met first is remembered.
    pub certificate: Option<PathBuf>,
    /// Its data directory.
    pub data: PathBuf,
}

/// A running node.
pub struct Node {
    config: NodeConfig,
    certificate: Certificate,
    store: Arc<KeyStore>,
    channels: Arc<Channels>,
    plugins: Arc<Plugins>,
    requests: Requests,
    router: Arc<Router>,
    setups: Arc<Setups>,
    post: Arc<Post>,
    link: watch::Receiver<TransportState>,
    transport: Mutex<Option<Transport>>,
    counters: Counters,
    tasks: TaskTracker,
    stopping: CancellationToken,
    started: Instant,
}

/// How the node stands with its researcher.
pub struct Connection {
    /// Whether the last poll reached it.
    pub connected: bool,
    /// One line for people.
    pub text: String,
}

/// A node that holds its data directory, and nobody knows of yet.
pub struct Opened {
    config: NodeConfig,
    randomness: Randomness,
    store: Arc<KeyStore>,
}

impl Opened {
    /// Loads the plugins, meets the researcher, and begins to poll.
    pub async fn start(self) -> Result<Arc<Node>, NodeError> {
        let Self {
            config,
            randomness,
            store,
        } = self;
        let runtime = Runtime::new().map_err(|error| NodeError::Runtime(format!("{error:#}")))?;
        let plugins = Arc::new(load_plugins(&runtime, &config.data, &store)?);
        let certificate = meet_researcher(&config, &store).await?;

        let channels = Arc::new(
            Channels::load(store.clone())
                .map_err(|source| NodeError::store(&config.data, source))?,
        );
        let counters = Counters::default();
        let requests = Requests::default();
        let services = Services {
            channels: channels.clone(),
            materials: Materials::default(),
            randomness: randomness.clone(),
        };
        let (outbox, outgoing) = mpsc::channel(BETWEEN);
        let post = Arc::new(Post::new(
            config.id.clone(),
            channels.clone(),
            requests.clone(),
            plugins.clone(),
            outbox.clone(),
            randomness.clone(),
            counters.clone(),
        ));
        let router = Arc::new(Router::new(
            config.id.clone(),
            plugins.clone(),
            services.clone(),
            requests.clone(),
            post.clone(),
            counters.clone(),
        ));
        let setups = Arc::new(Setups::new(
            config.id.clone(),
            config.name.clone(),
            plugins.clone(),
            services,
            store.clone(),
            requests.clone(),
            post.clone(),
            randomness.clone(),
        ));
        // Before the first request comes.
        let left_open = setups
            .left_open(certificate.researcher_id())
            .map_err(|source| NodeError::store(&config.data, source))?;
        let (incoming, inbox) = mpsc::channel(BETWEEN);
        let transport = Transport::start(
            TransportConfig {
                node_id: config.id.clone(),
                relay: config.researcher.clone(),
                certificate: certificate.clone(),
            },
            incoming,
            outgoing,
            randomness,
        );
        let node = Arc::new(Node {
            config,
            certificate,
            store,
            channels,
            plugins,
            requests,
            router: router.clone(),
            setups: setups.clone(),
            post,
            link: transport.state(),
            transport: Mutex::new(Some(transport)),
            counters,
            tasks: TaskTracker::new(),
            stopping: CancellationToken::new(),
            started: Instant::now(),
        });
        let sorting = Sorting {
            router,
            setups,
            outbox,
            tasks: node.tasks.clone(),
            stopping: node.stopping.clone(),
        };
        sorting.answer_left_open(left_open);
        node.tasks.spawn(sorting.run(inbox));
        Ok(node)
    }
}

impl Node {
    /// Opens a node's store, which nobody else can open from then on.
    pub fn open(config: NodeConfig) -> Result<Opened, NodeError> {
        let randomness = Randomness::from_system()?;
        let store = Arc::new(open_store(&config.data, &config.id, &randomness)?);
        Ok(Opened {
            config,
            randomness,
            store,
        })
    }

    /// Stops the node: nothing more is taken in, what may not be cancelled ends, what was sealed is handed over if the
    /// relay can be reached.
    pub async fn stop(&self) {
        self.stopping.cancel();
        self.setups.stop().await;
        self.post.stop().await;
        self.router.stop().await;
        let transport = self
            .transport
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(transport) = transport {
            transport.stop().await;
        }
        self.tasks.close();
        // What is left is an answer that no relay takes.
        let _ = tokio::time::timeout(STOP_LIMIT, self.tasks.wait()).await;
    }

    /// Its id.
    pub fn id(&self) -> &NodeId {
        &self.config.id
    }

    /// Its name for people.
    pub fn name(&self) -> &str {
        &self.config.name
    }

    /// Whom it works with, by the certificate.
    pub fn researcher_id(&self) -> &ResearcherId {
        self.certificate.researcher_id()
    }

    /// The SHA-256 of the certificate it must show.
    pub fn researcher_fingerprint(&self) -> Fingerprint {
        self.certificate.fingerprint()
    }

    /// Where that listens.
    pub fn researcher_address(&self) -> String {
        self.config.researcher.to_string()
    }

    /// How the node stands with it.
    pub fn connection(&self) -> Connection {
        let state = self.link.borrow();
        let (connected, text) = match &state.link {
            Link::Connecting => (false, "connecting".to_owned()),
            Link::Connected { since } => (true, format!("for {} s", since.elapsed().as_secs())),
            Link::Disconnected { since, error } => (
                false,
                format!("for {} s: {error}", since.elapsed().as_secs()),
            ),
            Link::Stopped => (false, "stopped".to_owned()),
        };
        Connection { connected, text }
    }

    /// Since its start.
    pub fn uptime(&self) -> Duration {
        self.started.elapsed()
    }

    pub(crate) fn store(&self) -> &Arc<KeyStore> {
        &self.store
    }

    pub(crate) fn channels(&self) -> &Channels {
        &self.channels
    }

    pub(crate) fn plugins(&self) -> &Plugins {
        &self.plugins
    }

    pub(crate) fn requests(&self) -> &Requests {
        &self.requests
    }

    pub(crate) fn counters(&self) -> &Counters {
        &self.counters
    }
}

/// Where a message goes: overlays to the router, the rest to the set-ups. Neither ever holds up the other.
#[derive(Clone)]
struct Sorting {
    router: Arc<Router>,
    setups: Arc<Setups>,
    outbox: mpsc::Sender<Letter>,
    tasks: TaskTracker,
    stopping: CancellationToken,
}

impl Sorting {
    async fn run(self, mut inbox: mpsc::Receiver<Result<ToNode, Malformed>>) {
        let waiting = Arc::new(Semaphore::new(MOST_REQUESTS));
        loop {
            let message = tokio::select! {
                message = inbox.recv() => message,
                () = self.stopping.cancelled() => return,
            };
            match message {
                Some(Ok(ToNode::Overlay(message))) => self.router.submit(message),
                Some(request) => match waiting.clone().try_acquire_owned() {
                    Ok(place) => self.answer(request, place),
                    Err(_) => tracing::warn!("a researcher's request is dropped: too many wait"),
                },
                None => return,
            }
        }
    }

    fn answer(&self, request: Result<ToNode, Malformed>, place: OwnedSemaphorePermit) {
        let sorting = self.clone();
        self.tasks.spawn(async move {
            let mut open = None;
            let answer = match request {
                Ok(request) => {
                    open = request
                        .set_up()
                        .and_then(|set_up| set_up.request_id.clone());
                    sorting.setups.answer(request).await
                }
                Err(malformed) => sorting.setups.answer_malformed(malformed),
            };
            if let Some(answer) = answer {
                sorting.hand_over(answer, open, Some(place)).await;
            }
        });
    }

    /// Answers what was left open when this node ended the last time.
    fn answer_left_open(&self, left_open: Vec<(RequestId, ToResearcher)>) {
        for (request, answer) in left_open {
            let sorting = self.clone();
            self.tasks
                .spawn(async move { sorting.hand_over(answer, Some(request), None).await });
        }
    }

    /// Hands an answer to the transport, and frees its request's place. Once the relay has it, its request is not `open` any
    /// more; what no relay has taken by this node's end is answered at the next start.
    async fn hand_over(
        &self,
        answer: ToResearcher,
        open: Option<RequestId>,
        place: Option<OwnedSemaphorePermit>,
    ) {
        let (letter, receipt) = Letter::with_receipt(answer);
        // Only a node that stops has no transport left.
        let _ = self.outbox.send(letter).await;
        drop(place);
        if let (Some(open), Ok(())) = (open, receipt.await) {
            self.setups.answered(open).await;
        }
    }
}

/// Opens the key store in the data directory of the node `id`, or makes it.
pub(crate) fn open_store(
    data: &Path,
    id: &NodeId,
    randomness: &Randomness,
) -> Result<KeyStore, NodeError> {
    make_private_folder(data).map_err(|source| NodeError::Data {
        path: data.to_owned(),
        source,
    })?;
    KeyStore::open(&error::store_path(data), id, randomness)
        .map_err(|source| NodeError::store(data, source))
}

fn load_plugins(runtime: &Runtime, data: &Path, store: &KeyStore) -> Result<Plugins, NodeError> {
    let cache = match CompiledCode::new(&data.join("compiled"), store.seed()) {
        Ok(cache) => Some(cache),
        Err(error) => {
            tracing::warn!("compiled code will not be kept: {error}");
            None
        }
    };
    Ok(Plugins::built_in(runtime, cache.as_ref())?)
}

/// Makes a folder that only its owner can enter. One that is there is left as it is: it may serve others too.
pub fn make_private_folder(path: &Path) -> std::io::Result<()> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
}
