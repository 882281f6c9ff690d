//! A node: everything wired together in one place, then started and stopped.
//!
//! ```text
//! transport ──overlay──▶ router ──▶ handlers ──effects──▶ post ──▶ transport
//!     └──researcher's requests──▶ setups ──▶ handlers ──▶ post ──────▲
//! ```

use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::channels::Channels;
use crate::control::{self, ControlError, NodeControl};
use crate::counters::Counters;
use crate::handlers::{CompiledCode, LoadError, Materials, Plugins, Runtime, Services};
use crate::key_store::{KeyStore, StoreError};
use crate::message::{NodeId, ResearcherId, ToNode, ToResearcher};
use crate::post::Post;
use crate::randomness::Randomness;
use crate::requests::Requests;
use crate::router::Router;
use crate::setups::Setups;
use crate::transport::{
    Certificate, CertificateError, ConnectError, Fingerprint, Link, Malformed, ServerAddress,
    Transport, TransportConfig, TransportState, fetch_certificate,
};

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

/// Why a node does not start.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// The data directory.
    #[error("the data directory {path} cannot be used: {source}")]
    Data {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The key store.
    #[error("the key store {path} cannot be opened: {source}")]
    Store {
        /// Which.
        path: PathBuf,
        /// Why.
        source: StoreError,
    },
    /// The operating system.
    #[error("the operating system gives no randomness: {0}")]
    Randomness(#[from] getrandom::Error),
    /// The wasm engine.
    #[error("the wasm engine does not start: {0}")]
    Runtime(String),
    /// A plugin.
    #[error("a plugin cannot be loaded: {0}")]
    Plugin(#[from] LoadError),
    /// The researcher's certificate file.
    #[error("the researcher's certificate cannot be used: {0}")]
    Certificate(CertificateError),
    /// The researcher cannot be met.
    #[error(transparent)]
    Researcher(#[from] ConnectError),
    /// The researcher shows another certificate than when this node met it first.
    #[error(
        "the researcher at {address} shows another certificate: {seen}, this node knows {known}"
    )]
    OtherCertificate {
        /// Where.
        address: String,
        /// What it shows.
        seen: Fingerprint,
        /// What is pinned.
        known: Fingerprint,
    },
    /// The control socket.
    #[error(transparent)]
    Control(#[from] ControlError),
}

impl NodeError {
    /// What the operator can do about it.
    pub fn advice(&self) -> String {
        match self {
            Self::Data { .. } => "name a directory that you may write to with --data".into(),
            Self::Store { source, .. } => source.advice().into(),
            Self::Randomness(_) => "wait until the machine has booted, then start again".into(),
            Self::Runtime(_) => "raise the limit of address space (ulimit -v) to at least 100 GiB; it is reserved, not used".into(),
            Self::Plugin(error) => error.advice(),
            Self::Certificate(_) => "ask the researcher for the server's certificate in PEM form".into(),
            Self::Researcher(ConnectError::BadCertificate { .. } | ConnectError::WrongCertificate { .. }) => {
                "ask the researcher for a certificate whose O= is the researcher's id".into()
            }
            Self::Researcher(_) => "check host, port and firewall, and that the researcher's server runs".into(),
            Self::OtherCertificate { .. } => {
                "ask the researcher whether the server has a new certificate; if so, start with --certificate FILE".into()
            }
            Self::Control(error) => error.advice().into(),
        }
    }
}

impl Node {
    /// Starts a node: opens its store, loads its plugins, meets its researcher, and begins to poll.
    pub async fn start(config: NodeConfig) -> Result<Arc<Self>, NodeError> {
        let randomness = Randomness::from_system()?;
        let store = Arc::new(open_store(&config, &randomness)?);
        let runtime = Runtime::new().map_err(|error| NodeError::Runtime(format!("{error:#}")))?;
        let plugins = Arc::new(load_plugins(&runtime, &config.data, &store)?);
        let certificate = meet_researcher(&config, &store).await?;

        let channels = Arc::new(
            Channels::load(store.clone()).map_err(|source| store_error(&config.data, source))?,
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
            post,
            randomness.clone(),
        ));
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
        let node = Arc::new(Self {
            config,
            certificate,
            store,
            channels,
            plugins,
            requests,
            router: router.clone(),
            link: transport.state(),
            transport: Mutex::new(Some(transport)),
            counters,
            tasks: TaskTracker::new(),
            stopping: CancellationToken::new(),
            started: Instant::now(),
        });
        let _ = control::serve_node(
            &node.config.data,
            NodeControl(node.clone()),
            node.stopping.clone(),
        )?;
        node.tasks
            .spawn(sort(inbox, router, setups, outbox, node.stopping.clone()));
        Ok(node)
    }

    /// Stops the node: nothing more is taken in, what may not be cancelled ends, what was sealed is handed over if the
    /// relay can be reached.
    pub async fn stop(&self) {
        self.stopping.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        self.router.stop().await;
        let transport = self
            .transport
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(transport) = transport {
            transport.stop().await;
        }
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

/// Overlays to the router, the rest to the set-ups. Neither ever holds up the other.
async fn sort(
    mut inbox: mpsc::Receiver<Result<ToNode, Malformed>>,
    router: Arc<Router>,
    setups: Arc<Setups>,
    outbox: mpsc::Sender<ToResearcher>,
    stopping: CancellationToken,
) {
    loop {
        let message = tokio::select! {
            message = inbox.recv() => message,
            () = stopping.cancelled() => return,
        };
        match message {
            Some(Ok(ToNode::Overlay(message))) => router.submit(message),
            Some(Err(malformed)) => {
                if let Some(answer) = setups.answer_malformed(malformed) {
                    let _ = outbox.send(answer).await;
                }
            }
            Some(Ok(request)) => {
                let (setups, outbox) = (setups.clone(), outbox.clone());
                tokio::spawn(async move {
                    if let Some(answer) = setups.answer(request).await {
                        // Only a node that stops has no transport left.
                        let _ = outbox.send(answer).await;
                    }
                });
            }
            None => return,
        }
    }
}

fn open_store(config: &NodeConfig, randomness: &Randomness) -> Result<KeyStore, NodeError> {
    make_private_folder(&config.data).map_err(|source| NodeError::Data {
        path: config.data.clone(),
        source,
    })?;
    KeyStore::open(&store_path(&config.data), &config.id, randomness)
        .map_err(|source| store_error(&config.data, source))
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

/// The certificate to expect: the operator's file, or the one met first, or, the very first time, the one shown now.
async fn meet_researcher(config: &NodeConfig, store: &KeyStore) -> Result<Certificate, NodeError> {
    let address = config.researcher.to_string();
    let failed = |source| store_error(&config.data, source);
    if let Some(path) = &config.certificate {
        let pem = std::fs::read(path).map_err(|source| {
            NodeError::Certificate(CertificateError::File {
                path: path.clone(),
                source,
            })
        })?;
        return still_shown(
            config,
            Certificate::from_pem(&pem).map_err(NodeError::Certificate)?,
        )
        .await;
    }
    let Some(der) = store.researcher_certificate(&address).map_err(failed)? else {
        let seen = fetch_certificate(&config.researcher).await?;
        store
            .put_researcher_certificate(&address, seen.der())
            .map_err(failed)?;
        tracing::warn!(
            researcher = %seen.researcher_id(), fingerprint = %seen.fingerprint(),
            "first contact: this certificate is trusted from now on; compare its fingerprint with the researcher"
        );
        return Ok(seen);
    };
    let damaged = || failed(StoreError::Damaged("the researcher's certificate".into()));
    still_shown(
        config,
        Certificate::from_der(der.as_slice().into()).map_err(|_| damaged())?,
    )
    .await
}

/// `known`, unless the server shows another. One that cannot be reached right now is met later, by the transport.
async fn still_shown(config: &NodeConfig, known: Certificate) -> Result<Certificate, NodeError> {
    match fetch_certificate(&config.researcher).await {
        Ok(seen) if seen.der() != known.der() => Err(NodeError::OtherCertificate {
            address: config.researcher.to_string(),
            seen: seen.fingerprint(),
            known: known.fingerprint(),
        }),
        Ok(_) => Ok(known),
        Err(error) => {
            tracing::warn!("{error}; trying again");
            Ok(known)
        }
    }
}

/// Makes a folder that only its owner can enter. One that is there is left as it is: it may serve others too.
pub fn make_private_folder(path: &Path) -> std::io::Result<()> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
}

fn store_path(data: &Path) -> PathBuf {
    data.join("node.redb")
}

fn store_error(data: &Path, source: StoreError) -> NodeError {
    NodeError::Store {
        path: store_path(data),
        source,
    }
}
