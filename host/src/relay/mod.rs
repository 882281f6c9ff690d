//! The researcher's side: a server that passes overlay messages between nodes, and asks nodes to set up keys.
//!
//! A relay reads of an overlay message who sent it, for whom it is and through which researcher it goes, and passes on
//! the very bytes that came. It holds no keys and could not read more.
//!
//! Mailboxes are in memory only. A relay that stops hands out what it can within a second; what nodes had not handed
//! over yet they keep and bring to the next one.
//!
//! Anybody may poll under any id that is not in use, unless the relay has a [roster](Listing): then the nodes that it lists prove who they are
//! ([`node_proof`](crate::node_proof)) before they get or say anything.
//!
//! Reading order: [`mailbox`], `nodes`, `poll`, `requests`, `service`, `line`, then [`Relay`]; `listing`, `challenges`, `gate`, `proving` for relays with a
//! roster.

mod challenges;
mod counts;
mod gate;
mod line;
mod listing;
pub mod mailbox;
mod nodes;
mod poll;
mod proving;
mod requests;
mod service;
mod unconfirmed;

use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use futures::TryStreamExt;
use rand_core::Rng;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Server, ServerTlsConfig};

pub use counts::{Counts, DropReason, Refusal};
pub use gate::RosterStatus;
pub use listing::{Listing, ListingError};
pub use nodes::{MAX_NODES, MAX_TOTAL_BYTES, NodeStatus};
pub use requests::{Answers, Failure, Protocol, REPLY_LIMIT, Request, Run};

use crate::message::{NodeId, ResearcherId};
use crate::metrics::Family;
use crate::node_proof::Place;
use crate::proto::relay::line_server::LineServer;
use crate::proto::relay::node_proof_server::NodeProofServer;
use crate::proto::researcher::researcher_service_server::ResearcherServiceServer;
use crate::transport::certificate::{KEPT_CERTIFICATE, KEPT_KEY};
use crate::transport::line::LONGEST_SAID;
use crate::transport::{Certificate, CertificateError, ServerIdentity, give_up_on_silence};
use counts::Tally;
use gate::Gate;
use line::Lines;
use nodes::Nodes;
use proving::Proving;
use service::{Budget, Service};

/// Largest gRPC message taken: gRPC's default, of which the reference's slices leave 194 KiB. Longer ones would be
/// held in memory before we could count them.
const MAX_GRPC_MESSAGE: usize = 4 * 1024 * 1024;

/// Largest message in which a node proves itself: an id of 256 bytes, a nonce, a proof.
const LONGEST_PROOF: usize = 4096;

/// Largest part of a line: a message, and what is around it.
const LONGEST_FRAME: usize = LONGEST_SAID + 4096;

/// A connection is tested so often, and given up when the test is not answered for as long: until then its node cannot
/// come back.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// How long a TLS handshake may take.
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(10);

/// Most calls at a time on one connection. A node needs one poll, or line, and 32 replies.
const MAX_CALLS: u32 = 128;

/// How often messages that are too old are looked for.
const SWEEP_INTERVAL: Duration = Duration::from_secs(10);

/// How long a stopping relay hands out what is there, and then how long connections may take to close.
const STOP_STEP: Duration = Duration::from_secs(1);

/// What a relay needs to know.
#[derive(Debug, Clone)]
pub struct RelayConfig {
    /// Where to listen; port 0 takes any that is free.
    pub listen: SocketAddr,
    /// The name or address under which nodes reach the relay: what the certificate is made for. Not looked at with an
    /// `identity`.
    pub host: String,
    /// The researcher on whose behalf it works.
    pub researcher_id: ResearcherId,
    /// Where certificate and key are kept, unless there is an `identity`.
    pub data_dir: PathBuf,
    /// Certificate and key to use instead: PEM files. The certificate must have the researcher's id as its `O=`.
    pub identity: Option<(PathBuf, PathBuf)>,
    /// By which roster it knows its nodes. Without one, it does not know them.
    pub listing: Option<Listing>,
}

/// Why a relay does not start.
#[derive(Debug, thiserror::Error)]
pub enum RelayError {
    /// Another program listens there.
    #[error("{listen} is in use by another program")]
    PortInUse {
        /// Where the relay was to listen.
        listen: SocketAddr,
    },
    /// The address is not this machine's.
    #[error("{listen} is not an address of this machine")]
    NotOurAddress {
        /// Where the relay was to listen.
        listen: SocketAddr,
    },
    /// The system does not allow it.
    #[error("the system does not allow to listen on {listen}")]
    NotAllowed {
        /// Where the relay was to listen.
        listen: SocketAddr,
    },
    /// Listening failed otherwise.
    #[error("cannot listen on {listen}: {source}")]
    Listen {
        /// Where the relay was to listen.
        listen: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// The certificate or its key is of no use.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// The certificate is another researcher's. Nodes would refuse every message.
    #[error("the certificate names the researcher {found}, not {expected}")]
    OtherResearcher {
        /// The researcher configured.
        expected: ResearcherId,
        /// The certificate's `O=`.
        found: ResearcherId,
    },
    /// No node can reach a relay under this address, so no certificate is made for it.
    #[error(
        "{host} stands for all addresses of this machine and is none that nodes could connect to"
    )]
    NoHost {
        /// The address.
        host: String,
    },
    /// The certificate kept in the data directory was made for another host.
    #[error("the certificate {} was not made for the host {host}", path.display())]
    OtherHost {
        /// The host configured.
        host: String,
        /// The certificate's file.
        path: PathBuf,
    },
    /// The roster is not used.
    #[error(transparent)]
    Listing(#[from] ListingError),
    /// TLS cannot be set up.
    #[error("TLS cannot be set up with this certificate and key: {0}")]
    Tls(#[source] tonic::transport::Error),
}

impl RelayError {
    /// What the operator can do about it.
    pub fn advice(&self) -> String {
        match self {
            Self::PortInUse { .. } => {
                "stop the program that listens there, or choose another port with --listen".into()
            }
            Self::NotOurAddress { .. } => {
                "listen on an address of this machine, or on 0.0.0.0 for all of them, with --listen"
                    .into()
            }
            Self::NotAllowed { .. } => {
                "choose a port from 1024 up with --listen: those below need a privilege".into()
            }
            Self::Listen { .. } => "choose another address or port with --listen".into(),
            Self::Certificate(error) => error.advice().into(),
            Self::OtherResearcher { found, .. } => format!(
                "start with --researcher-id {found}, or give another data directory or certificate"
            ),
            Self::NoHost { .. } => {
                "say with --host under which name or address nodes reach the relay".into()
            }
            Self::OtherHost { .. } => format!(
                "give --host as at the first start; or delete {KEPT_CERTIFICATE} and {KEPT_KEY} to have another made, and give that to all nodes"
            ),
            Self::Listing(error) => error.advice(),
            Self::Tls(_) => "give another certificate and key".into(),
        }
    }
}

/// A running relay. Dropping it stops it at once; [`Relay::stop`] does so in order.
pub struct Relay {
    service: Arc<Service>,
    listing: Option<Listing>,
    data_dir: PathBuf,
    certificate: Certificate,
    address: SocketAddr,
    server: JoinHandle<()>,
    sweeper: JoinHandle<()>,
}

impl Relay {
    /// Listens and serves. The certificate is the configured one, or that of the last start in the same data
    /// directory, or a new one. `rng` makes request ids and what nodes prove themselves with, so it must be
    /// cryptographically secure.
    pub async fn start(
        config: RelayConfig,
        mut rng: impl Rng + Send + 'static,
    ) -> Result<Self, RelayError> {
        let identity = match &config.identity {
            Some((certificate, key)) => ServerIdentity::load(certificate, key)?,
            None if is_unspecified(&config.host) => {
                return Err(RelayError::NoHost { host: config.host });
            }
            None => {
                ServerIdentity::load_or_make(&config.data_dir, &config.host, &config.researcher_id)?
            }
        };
        let certificate = identity.certificate().clone();
        if *certificate.researcher_id() != config.researcher_id {
            return Err(RelayError::OtherResearcher {
                expected: config.researcher_id,
                found: certificate.researcher_id().clone(),
            });
        }
        if config.identity.is_none() && !certificate.covers(&config.host) {
            return Err(RelayError::OtherHost {
                host: config.host,
                path: config.data_dir.join(KEPT_CERTIFICATE),
            });
        }
        // Before the port is taken: whoever comes first must not come in unknown.
        let roster = match &config.listing {
            Some(listing) => Some(listing.read(&config.data_dir, SystemTime::now())?),
            None => None,
        };
        let listener = TcpListener::bind(config.listen)
            .await
            .map_err(|e| cannot_listen(config.listen, e))?;
        let address = listener
            .local_addr()
            .map_err(|e| cannot_listen(config.listen, e))?;

        let (stopping, closing) = (CancellationToken::new(), CancellationToken::new());
        let tally = Arc::new(Tally::default());
        let gate = roster
            .zip(config.listing.as_ref())
            .map(|(roster, listing)| {
                let place = Place {
                    researcher: config.researcher_id.clone(),
                    certificate: certificate.fingerprint().to_bytes(),
                };
                let (only_listed, tally) = (listing.only_listed, Arc::clone(&tally));
                tracing::info!(
                    federation = %roster.federation,
                    version = roster.version,
                    nodes = roster.members.len(),
                    only_listed,
                    "the relay knows its nodes by a roster"
                );
                Arc::new(Gate::new(place, roster, only_listed, tally, &mut rng))
            });
        let nodes = Arc::new(Nodes::new(
            Arc::clone(&tally),
            stopping.clone(),
            rng.next_u64(),
        ));
        let proving = gate.clone().map(|gate| {
            let nodes = Arc::clone(&nodes);
            NodeProofServer::new(Proving { gate, nodes }).max_decoding_message_size(LONGEST_PROOF)
        });
        let service = Arc::new(Service {
            researcher_id: config.researcher_id,
            gate,
            nodes,
            requests: Arc::default(),
            tally,
            rng: Mutex::new(Box::new(rng)),
            stopping,
            closing,
            budget: Budget::new(),
        });
        let lines = Lines {
            service: Arc::clone(&service),
        };
        let tls = ServerTlsConfig::new()
            .identity(identity.for_tonic())
            .timeout(HANDSHAKE_LIMIT);
        let router = Server::builder()
            .tls_config(tls)
            .map_err(RelayError::Tls)?
            .http2_keepalive_interval(Some(KEEP_ALIVE))
            .http2_keepalive_timeout(Some(KEEP_ALIVE))
            .max_concurrent_streams(MAX_CALLS)
            .add_optional_service(proving)
            .add_service(LineServer::new(lines).max_decoding_message_size(LONGEST_FRAME))
            .add_service(
                ResearcherServiceServer::from_arc(Arc::clone(&service))
                    .max_decoding_message_size(MAX_GRPC_MESSAGE)
                    .max_encoding_message_size(MAX_GRPC_MESSAGE),
            );
        // A connection that is lost before it is set up fails at its first use.
        let incoming = TcpIncoming::from(listener)
            .with_nodelay(Some(true))
            .inspect_ok(|connection| drop(give_up_on_silence(connection)));
        let closed = service.closing.clone().cancelled_owned();
        let server = tokio::spawn(async move {
            if let Err(error) = router.serve_with_incoming_shutdown(incoming, closed).await {
                tracing::error!(%error, "the relay's server ended");
            }
        });
        let sweeper = tokio::spawn({
            let (nodes, gate) = (Arc::clone(&service.nodes), service.gate.clone());
            async move {
                loop {
                    sleep(SWEEP_INTERVAL).await;
                    nodes.sweep();
                    if let Some(gate) = &gate {
                        gate.look_at_roster();
                    }
                }
            }
        });
        tracing::info!(%address, fingerprint = %certificate.fingerprint(), "the relay listens");
        Ok(Self {
            service,
            listing: config.listing,
            data_dir: config.data_dir,
            certificate,
            address,
            server,
            sweeper,
        })
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// What it shows to nodes.
    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// The nodes it knows, sorted by id; and those under whose id somebody was refused.
    pub fn nodes(&self) -> Vec<NodeStatus> {
        let mut nodes = self.service.nodes.list();
        let Some(gate) = &self.service.gate else {
            return nodes;
        };
        for (id, (proven, refused)) in gate.standing() {
            let at = match nodes.binary_search_by(|node| node.id.cmp(&id)) {
                Ok(at) => at,
                Err(_) if refused == 0 => continue,
                Err(at) => {
                    nodes.insert(at, NodeStatus::absent(id));
                    at
                }
            };
            (nodes[at].proven, nodes[at].refused) = (Some(proven), refused);
        }
        nodes
    }

    /// The roster by which it knows them, if it has one.
    pub fn roster(&self) -> Option<RosterStatus> {
        self.service.gate.as_ref().map(|gate| gate.status())
    }

    /// Reads the roster's file again and goes by what it says now. Nodes that it lists anew, or with another key, have to prove who they
    /// are before they get or say anything more. On an error the relay keeps the one it had. Blocks.
    pub fn read_roster_again(&self) -> Result<Option<RosterStatus>, ListingError> {
        let (Some(listing), Some(gate)) = (&self.listing, &self.service.gate) else {
            return Ok(None);
        };
        gate.change(listing.read(&self.data_dir, SystemTime::now())?);
        // Two locks that are never held together.
        let mut known = self.service.nodes.list();
        known.retain(|node| gate.is_closed_to(&node.id));
        let closed = known.iter().map(|node| &node.id);
        self.service.nodes.break_off(closed);
        Ok(self.roster())
    }

    /// What went through since it started.
    pub fn counts(&self) -> Counts {
        self.service.tally.read()
    }

    /// Its numbers of the moment, for monitoring.
    pub fn families(&self) -> Vec<Family> {
        let nodes = self.nodes();
        let connected = nodes.iter().filter(|node| node.connected).count();
        let queued: usize = nodes.iter().map(|node| node.queued).sum();
        let mut families = self.counts().families();
        families.push(Family::gauge(
            "backchannel_relay_nodes_connected",
            "Nodes that are connected",
            connected as u64,
        ));
        families.push(Family::gauge(
            "backchannel_relay_messages_queued",
            "Messages waiting in mailboxes",
            queued as u64,
        ));
        if let Some(roster) = self.roster() {
            let proven = nodes.iter().filter(|node| node.proven == Some(true));
            families.push(Family::gauge(
                "backchannel_relay_nodes_proven",
                "Nodes that have proven their identity",
                proven.count() as u64,
            ));
            families.push(Family::gauge(
                "backchannel_relay_roster_expires",
                "When the roster expires, in seconds since 1970",
                u64::try_from(roster.expires.unix_timestamp()).unwrap_or(0),
            ));
        }
        families
    }

    /// Sends a request to those of `nodes` that are connected, and waits for their replies until all have come, those
    /// that did not answer are connected no more, or `limit` is over ([`REPLY_LIMIT`] is the reference's). Dropping the
    /// future gives up the request; what is sent is sent.
    pub async fn ask(
        &self,
        request: &Request,
        nodes: &BTreeSet<NodeId>,
        limit: Duration,
    ) -> Answers {
        let deadline = Instant::now() + limit;
        let id = self.service.request_id();
        let (mut asked, mut not_connected): (BTreeSet<NodeId>, BTreeSet<NodeId>) = nodes
            .iter()
            .cloned()
            .partition(|node| self.service.nodes.is_connected(node));
        let expected = self
            .service
            .requests
            .expect(id.clone(), request, asked.clone());
        let letter = self.service.letter(request, id);
        asked.retain(|node| {
            let posted = self.service.nodes.post(node, letter.clone()).is_ok();
            if !posted {
                expected.forget(node);
                not_connected.insert(node.clone());
            }
            posted
        });
        let is_connected = |node: &NodeId| self.service.nodes.is_connected(node);
        let mut answers = expected.gather(asked, is_connected, deadline).await;
        answers.not_connected.append(&mut not_connected);
        answers
    }

    /// Takes no more messages, hands out what waits for connected nodes, and closes; within 2 s in all.
    pub async fn stop(mut self) {
        self.service.stopping.cancel();
        let handed_out = async {
            while self.service.nodes.anything_due() {
                sleep(Duration::from_millis(10)).await;
            }
        };
        if timeout(STOP_STEP, handed_out).await.is_err() {
            tracing::warn!("the relay stops with messages that their nodes did not fetch in time");
        }
        self.service.closing.cancel();
        if timeout(STOP_STEP, &mut self.server).await.is_err() {
            tracing::debug!("connections that did not close in time are left to their keep-alive");
        }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.service.stopping.cancel();
        self.service.closing.cancel();
        self.server.abort();
        self.sweeper.abort();
    }
}

/// Whether it is `0.0.0.0` or `::`, under which one can listen but not be reached.
fn is_unspecified(host: &str) -> bool {
    host.parse()
        .is_ok_and(|address: IpAddr| address.is_unspecified())
}

fn cannot_listen(listen: SocketAddr, source: io::Error) -> RelayError {
    match source.kind() {
        io::ErrorKind::AddrInUse => RelayError::PortInUse { listen },
        io::ErrorKind::AddrNotAvailable => RelayError::NotOurAddress { listen },
        io::ErrorKind::PermissionDenied => RelayError::NotAllowed { listen },
        _ => RelayError::Listen { listen, source },
    }
}
