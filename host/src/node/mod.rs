//! A node: everything wired together in one place (`wiring.rs`), then connected to its researcher, and stopped.
//!
//! ```text
//! transport ──overlay──▶ router ──▶ handlers ──effects──▶ post ──▶ transport
//!     └──researcher's requests──▶ setups ──▶ handlers ──▶ post ──────▲
//! ```

mod error;
mod identities;
mod meeting;
mod recording;
mod store;
mod trust;
mod wiring;

use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use crate::audit::{Audit, Component, Event};
use crate::channels::Channels;
use crate::chronicle::Chronicle;
use crate::clock::Clock;
use crate::handlers::{Body, CompiledCode, Outgoing, Plugins, Recorder, Runtime, Strain};
use crate::key_store::{KeyStore, StoreError};
use crate::message::{NodeId, ResearcherId, Value};
use crate::metrics::Family;
use crate::node_proof::{NodeHalf, Place};
use crate::plugins::{Change, Folder, InForce, Kept, Loader, NotLoaded, ReloadError, What};
use crate::policy::ChannelRules;
pub use crate::post::PostError;
use crate::randomness::Randomness;
use crate::requests::Requests;
use crate::secure_channels::SecureChannels;
use crate::transport::{
    Certificate, Fingerprint, Link, Prover, ServerAddress, Transport, TransportConfig,
    TransportState,
};
pub use error::NodeError;
use meeting::meet_researcher;
use recording::Recording;
pub(crate) use store::{open_stopped, open_store, relock, restore, tidy_stopped};
pub use trust::{Trusted, trust};
pub(crate) use wiring::{Ground, Wiring};

/// How long a stop waits for answers to leave.
const STOP_LIMIT: Duration = Duration::from_secs(1);
/// What an operator is told whose node can talk to nobody.
const ALONE: &str = "this node talks to no peer: it knows nobody's identity key, and suite 1 is not allowed; apply a roster (`backchannel roster apply`), pin peers (`backchannel peer pin`), or, in a network of Fed-BioMed, write suite-1 = \"any\" under [channels] in policy.toml";
/// What an operator is told whose node has an older store than before.
const SET_BACK: &str = "security: this key store is older than what was last used here: a backup that was put back? What was stored, pinned and treated since is forgotten: look at `backchannel peer list`, and have researchers repeat set-ups; in suite 1, messages of since then can be treated again";
/// How often a running node looks whether what it knows of its peers has expired.
const LOOKED_AT_EVERY: Duration = Duration::from_secs(60);

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
    /// A trace to be begun, for the plugins whose recording the policy allows.
    pub record: Option<PathBuf>,
    /// This program, to compile plugins in processes of their own. Without it they are compiled in the node's.
    pub compiler: Option<PathBuf>,
}

/// A running node.
pub struct Node {
    config: NodeConfig,
    certificate: Certificate,
    store: Arc<KeyStore>,
    plugins: Arc<InForce>,
    wiring: Wiring,
    link: watch::Receiver<TransportState>,
    transport: Mutex<Option<Transport>>,
    recording: Option<Recording>,
    randomness: Randomness,
    clock: Clock,
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
    audit: Audit,
}

impl Opened {
    /// Loads the plugins, meets the researcher, and begins to poll.
    pub async fn start(self) -> Result<Arc<Node>, NodeError> {
        let Self {
            config,
            randomness,
            store,
            audit,
        } = self;
        if store.was_set_back() {
            tracing::warn!("{SET_BACK}");
            audit.record(Event::StoreSetBack);
            // As long as it is not in the log, it is told of at the next start again.
            if audit.flush(STOP_LIMIT).await {
                let noticed = store.notice_set_back();
                noticed.map_err(|source| NodeError::store(&config.data, source))?;
            }
        }
        let runtime = Runtime::new()
            .map_err(|error| NodeError::Runtime(format!("{error:#}")))?
            .compiling_in(config.compiler.clone());
        let plugins = Arc::new(put_in_force(runtime, &config.data, &store, &audit)?);
        let quarantines = plugins.plugins().keep_quarantines(store.clone());
        quarantines.map_err(|source| NodeError::store(&config.data, source))?;
        for name in plugins.plugins().current().all().keys() {
            record_loaded(&audit, plugins.plugins(), name);
        }
        // Data that is not there is no reason not to start; and much of it takes a while to look at.
        let looked_at = plugins.clone();
        tokio::task::spawn_blocking(move || warn_of_inputs(&looked_at));
        let certificate = meet_researcher(&config, &store, &audit).await?;
        audit.record(Event::NodeStarted {
            researcher_address: config.researcher.to_string(),
            researcher_id: certificate.researcher_id().to_string(),
        });
        let recording = match &config.record {
            Some(path) => Some(begin_recording(path, &plugins, &audit, &randomness)?),
            None => None,
        };
        let recorder = recording
            .as_ref()
            .map_or_else(Recorder::none, |recording| recording.recorder(&config.id));
        let clock = Clock::of_system();
        let chronicle = Chronicle::new(audit, clock.clone());
        let in_force = plugins.clone();
        chronicle
            .rules
            .told(move |plugin, setting| in_force.place(plugin, setting));

        let rules = plugins.policy().channels.clone();
        let identities = identities::identities(&store, rules, clock.now(), &randomness)
            .map_err(|source| NodeError::store(&config.data, source))?;
        if identities.is_alone() {
            tracing::warn!("{ALONE}");
        }
        let acquaint = identities::acquaint(
            store.clone(),
            plugins.clone(),
            chronicle.audit.clone(),
            clock.clone(),
            randomness.clone(),
        );
        let ground = Ground {
            id: config.id.clone(),
            name: config.name.clone(),
            store: store.clone(),
            identities,
            acquaint: Some(acquaint),
            plugins: plugins.plugins().clone(),
            randomness: randomness.clone(),
            clock: clock.clone(),
            chronicle,
            recorder,
            strain: Strain::none(),
        };
        let started = Wiring::start(ground);
        let (wiring, ends) = started.map_err(|source| NodeError::store(&config.data, source))?;
        let identity = store
            .identity(&randomness)
            .map_err(|source| NodeError::store(&config.data, source))?;
        let transport = Transport::start(
            TransportConfig {
                node_id: config.id.clone(),
                relay: config.researcher.clone(),
                certificate: certificate.clone(),
                prover: Some(prover(NodeHalf::new(config.id.clone(), identity))),
            },
            ends.incoming,
            ends.outgoing,
            randomness.clone(),
        );
        let node = Arc::new(Node {
            config,
            certificate,
            store,
            plugins,
            wiring,
            link: transport.state(),
            transport: Mutex::new(Some(transport)),
            recording,
            randomness,
            clock,
            started: Instant::now(),
        });
        tokio::spawn(kept_up_to_date(Arc::downgrade(&node)));
        Ok(node)
    }
}

/// Shows relays of ours who this node is.
fn prover(half: NodeHalf) -> Prover {
    Prover::new(move |challenge| {
        let place = Place {
            researcher: challenge.certificate.researcher_id().clone(),
            certificate: challenge.certificate.fingerprint().to_bytes(),
        };
        half.prove(&place, challenge.nonce, challenge.relay_key)
    })
}

/// As long as there is the node, what expires does so without anybody's doing.
async fn kept_up_to_date(node: Weak<Node>) {
    loop {
        tokio::time::sleep(LOOKED_AT_EVERY).await;
        let Some(node) = node.upgrade() else { return };
        tokio::task::spawn_blocking(move || node.look_at_peers());
    }
}

impl Node {
    /// Opens a node's store, which nobody else can open from then on.
    pub fn open(config: NodeConfig) -> Result<Opened, NodeError> {
        let randomness = Randomness::from_system()?;
        let store = Arc::new(open_store(&config.data, &config.id, &randomness)?);
        // Drawn at the first start: peers must be told of it before anything can be sealed with it.
        let identity = store.identity(&randomness);
        identity.map_err(|source| NodeError::store(&config.data, source))?;
        let component = Component {
            component_id: config.id.to_string(),
            component_name: config.name.clone(),
        };
        let audit = Audit::open(&config.data, component)?;
        if !store.is_encrypted() {
            tracing::warn!("the key store is not encrypted: policy.toml says key = \"off\"");
        }
        Ok(Opened {
            config,
            randomness,
            store,
            audit,
        })
    }

    /// Sends `peer` a request of this kind, with `fields` (a map with text keys), as the plugin that treats the kind would in a run; what
    /// that plugin delivers of the answer, `None` if there is none within 30 s. Errors: no plugin treats the kind, or the node does not
    /// talk to the peer.
    pub async fn ask(
        &self,
        peer: &NodeId,
        kind: &str,
        fields: Value,
    ) -> Result<Option<Body>, PostError> {
        let outgoing = Outgoing {
            kind: kind.to_owned(),
            fields,
        };
        self.wiring.ask(self.researcher_id(), peer, outgoing).await
    }

    /// Stops the node: nothing more is taken in, what may not be cancelled ends, what was sealed is handed over if the
    /// relay can be reached.
    pub async fn stop(&self) {
        self.wiring.stop().await;
        let transport = self
            .transport
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(transport) = transport {
            transport.stop().await;
        }
        // What is left is an answer that no relay takes.
        let ended = tokio::time::timeout(STOP_LIMIT, self.wiring.ended());
        if ended.await.is_err() {
            self.wiring.kill();
        }
        if let Some(recording) = &self.recording {
            recording.end();
        }
        let audit = &self.wiring.chronicle.audit;
        audit.record(Event::NodeStopped);
        if !audit.flush(STOP_LIMIT).await {
            tracing::error!("the end of the audit log could not be written in time");
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

    /// Its numbers of the moment, for monitoring.
    pub fn families(&self) -> Vec<Family> {
        let chronicle = self.chronicle();
        let audit = chronicle.audit.state();
        let mut families = chronicle.metrics.families();
        families.extend([
            Family::gauge(
                "backchannel_uptime_seconds",
                "Time since the node started",
                self.uptime().as_secs(),
            ),
            Family::gauge(
                "backchannel_connected",
                "Whether the last poll reached the researcher's server",
                self.connection().connected.into(),
            ),
            Family::gauge(
                "backchannel_channels",
                "Peers with a stored channel of suite 1",
                self.channels().peers().len() as u64,
            ),
            Family::gauge(
                "backchannel_sessions",
                "Peers with a session of suite 2 now, at each researcher",
                self.secure().live().len() as u64,
            ),
            Family::gauge(
                "backchannel_requests_pending",
                "Requests to peers that wait for their reply",
                self.requests().pending() as u64,
            ),
            Family::counter(
                "backchannel_audit_lines",
                "Lines of the audit log, since it began",
                audit.seq,
            ),
            Family::counter(
                "backchannel_audit_records_lost",
                "Audit records lost since the start, as the disk did not keep up",
                audit.lost,
            ),
            Family::gauge(
                "backchannel_audit_failing",
                "Whether the audit log cannot be written",
                audit.failing.is_some().into(),
            ),
        ]);
        families
    }

    /// Its data directory.
    pub(crate) fn data(&self) -> &Path {
        &self.config.data
    }

    pub(crate) fn store(&self) -> &Arc<KeyStore> {
        &self.store
    }

    pub(crate) fn channels(&self) -> &Channels {
        &self.wiring.channels
    }

    pub(crate) fn plugins(&self) -> &Plugins {
        self.plugins.plugins()
    }

    /// Reads the policy again and puts it in force; see [`InForce::reload`]. Blocks.
    pub(crate) fn reload(&self) -> Result<Vec<Change>, Kept> {
        let reloaded = self.plugins.reload();
        let audit = &self.chronicle().audit;
        let (changes, refused) = match &reloaded {
            Ok(changes) => (changes, None),
            Err(kept) => (&kept.taken_back, Some(&kept.why)),
        };
        for change in changes {
            tracing::info!("policy.toml: {change}");
            if !matches!(change.what, What::Stopped) {
                record_loaded(audit, self.plugins(), &change.plugin);
            }
        }
        if let Some(why) = refused {
            if let ReloadError::Plugins(failed) = why {
                failed
                    .iter()
                    .for_each(|not_loaded| record_refused(audit, not_loaded));
            }
            audit.record(Event::PolicyRefused {
                why: why.to_string(),
            });
            tracing::error!(
                "policy.toml is refused, the node keeps what it had: {why}; {}",
                why.advice()
            );
        } else {
            audit.record(Event::PolicyReloaded {
                changes: changes.iter().map(ToString::to_string).collect(),
            });
            warn_of_inputs(&self.plugins);
            self.look_at_peers();
        }
        reloaded
    }

    /// Reads again what store, policy and time come to about peers, and goes by that. What cannot be read changes nothing. Blocks.
    pub(crate) fn look_at_peers(&self) {
        let rules = self.channel_rules();
        let now = self.clock.now();
        match identities::identities(&self.store, rules, now, &self.randomness) {
            Ok(identities) => self.wiring.secure.know(identities),
            Err(error) => tracing::error!("what is known of peers stays as it was: {error}"),
        }
    }

    /// Deletes what a plugin has stored, once it does not run any more. Blocks.
    pub(crate) fn forget(&self, plugin: &str) -> Result<(), StoreError> {
        if plugin.is_empty() || self.plugins().current().get(plugin).is_some() {
            return Ok(());
        }
        self.plugins().release(plugin);
        self.store.forget_plugin(plugin)
    }

    pub(crate) fn channel_rules(&self) -> ChannelRules {
        self.plugins.policy().channels.clone()
    }

    pub(crate) fn secure(&self) -> &SecureChannels {
        &self.wiring.secure
    }

    pub(crate) fn requests(&self) -> &Requests {
        &self.wiring.requests
    }

    pub(crate) fn chronicle(&self) -> &Chronicle {
        &self.wiring.chronicle
    }
}

fn begin_recording(
    path: &Path,
    plugins: &Arc<InForce>,
    audit: &Audit,
    randomness: &Randomness,
) -> Result<Recording, NodeError> {
    let begun = Recording::begin(path, plugins, audit.clone(), randomness.clone());
    begun.map_err(|source| NodeError::Recording {
        path: path.to_owned(),
        source,
    })
}

/// The policy of the data directory, with the plugins that it allows.
fn put_in_force(
    runtime: Runtime,
    data: &Path,
    store: &KeyStore,
    audit: &Audit,
) -> Result<InForce, NodeError> {
    let cache = match CompiledCode::new(&data.join("compiled"), store.seed()) {
        Ok(cache) => Some(cache),
        Err(error) => {
            tracing::warn!("compiled code will not be kept: {error}");
            None
        }
    };
    let loader = Loader::new(Folder::of(data), runtime.keeping(cache));
    let (in_force, failed) = InForce::start(data, loader)?;
    for not_loaded in failed {
        let todo = not_loaded.why.advice();
        tracing::error!("a plugin is left out: {not_loaded}; {todo}");
        record_refused(audit, &not_loaded);
    }
    Ok(in_force)
}

fn warn_of_inputs(plugins: &InForce) {
    for not_given in plugins.inputs_not_given() {
        let todo = not_given.why.advice();
        tracing::warn!("{not_given}; {todo}");
    }
}

fn record_loaded(audit: &Audit, plugins: &Plugins, name: &str) {
    if let Some(plugin) = plugins.current().get(name) {
        let (grants, inputs) = (plugin.grants().iter(), plugin.terms().inputs.iter());
        audit.record(Event::PluginLoaded {
            plugin: name.to_owned(),
            version: plugin.manifest().version.clone(),
            digest: hex::encode(plugin.digest()),
            grants: grants.map(|grant| grant.name().to_owned()).collect(),
            inputs: inputs
                .map(|(name, input)| format!("{name}: {input}"))
                .collect(),
        });
    }
}

fn record_refused(audit: &Audit, not_loaded: &NotLoaded) {
    audit.record(Event::PluginRefused {
        plugin: not_loaded.plugin.clone(),
        digest: String::new(),
        why: not_loaded.why.to_string(),
    });
}

/// Makes a folder that only its owner can enter. One that is there is left as it is: it may serve others too.
pub fn make_private_folder(path: &Path) -> std::io::Result<()> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
}
