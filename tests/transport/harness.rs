//! A relay and nodes on this machine.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use backchannel::message::{
    NodeId, OverlayMessage, PROTOCOL_VERSION, ResearcherId, ToNode, ToResearcher,
};
use backchannel::proto::researcher::researcher_service_client::ResearcherServiceClient;
use backchannel::proto::researcher::{TaskRequest, TaskResponse};
use backchannel::randomness::Randomness;
use backchannel::relay::{Listing, Relay, RelayConfig, RelayError};
use backchannel::transport::connect::connect;
use backchannel::transport::receipt::Received;
use backchannel::transport::{
    Certificate, Letter, Link, LinkError, Malformed, Prover, ServerAddress, Transport,
    TransportConfig, TransportState,
};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tonic::transport::Channel;
use tonic::{Request, Status, Streaming};

/// Longer than anything takes on a busy machine. A test that passes never waits for it.
pub const PATIENCE: Duration = Duration::from_secs(60);

pub fn researcher() -> ResearcherId {
    "RESEARCHER_test".parse().unwrap()
}

pub async fn start_relay(data_dir: &Path, port: u16) -> Result<Relay, RelayError> {
    start_relay_with(data_dir, port, None).await
}

/// A relay that knows its nodes, if it is given a roster.
pub async fn start_relay_with(
    data_dir: &Path,
    port: u16,
    listing: Option<Listing>,
) -> Result<Relay, RelayError> {
    let config = RelayConfig {
        listen: ([127, 0, 0, 1], port).into(),
        host: "localhost".to_owned(),
        researcher_id: researcher(),
        data_dir: data_dir.to_owned(),
        identity: None,
        listing,
    };
    Relay::start(config, Randomness::from_system().unwrap()).await
}

pub fn address_of(relay: &Relay) -> ServerAddress {
    ServerAddress::new("127.0.0.1", relay.local_addr().port()).unwrap()
}

pub fn overlay(source: &str, dest: &str, length: usize) -> OverlayMessage {
    OverlayMessage {
        researcher_id: researcher(),
        source: source.parse().unwrap(),
        dest: dest.parse().unwrap(),
        overlay: (0..length).map(|i| (i % 251) as u8).collect(),
        setup: false,
        salt: vec![1; 32],
        nonce: vec![2; 16],
    }
}

/// A node's transport with both its queues.
pub struct Node {
    pub id: NodeId,
    pub transport: Transport,
    pub incoming: mpsc::Receiver<Result<ToNode, Malformed>>,
    pub outgoing: mpsc::Sender<Letter>,
}

impl Node {
    pub fn start(id: &str, relay: &Relay) -> Self {
        Self::start_with(id, address_of(relay), relay.certificate().clone())
    }

    pub fn start_with(id: &str, relay: ServerAddress, certificate: Certificate) -> Self {
        Self::start_proving(id, relay, certificate, None)
    }

    /// A node that can show who it is, if it is given what to show it with.
    pub fn start_proving(
        id: &str,
        relay: ServerAddress,
        certificate: Certificate,
        prover: Option<Prover>,
    ) -> Self {
        let id: NodeId = id.parse().unwrap();
        let (incoming_sender, incoming) = mpsc::channel(10_000);
        let (outgoing, outgoing_receiver) = mpsc::channel(10_000);
        let config = TransportConfig {
            node_id: id.clone(),
            relay,
            certificate,
            prover,
        };
        let rng = ChaCha20Rng::seed_from_u64(id.as_str().len() as u64);
        let transport = Transport::start(config, incoming_sender, outgoing_receiver, rng);
        Self {
            id,
            transport,
            incoming,
            outgoing,
        }
    }

    pub async fn send(&self, message: OverlayMessage) {
        self.outgoing
            .send(ToResearcher::Overlay(message).into())
            .await
            .unwrap();
    }

    pub async fn next(&mut self) -> ToNode {
        timeout(PATIENCE, self.incoming.recv())
            .await
            .expect("a message in time")
            .unwrap()
            .unwrap()
    }

    /// The next overlay message. Pings, with which a relay greets, are passed over.
    pub async fn next_overlay(&mut self) -> OverlayMessage {
        loop {
            match self.next().await {
                ToNode::Overlay(message) => return message,
                ToNode::Ping { .. } => {}
                other => panic!("unexpected: {other:?}"),
            }
        }
    }

    /// Waits for a state.
    pub async fn until(&self, wanted: impl FnMut(&TransportState) -> bool) -> TransportState {
        let mut state = self.transport.state();
        timeout(PATIENCE, state.wait_for(wanted))
            .await
            .expect("the state in time")
            .unwrap()
            .clone()
    }

    /// Waits for the relay's greeting: from then on it knows the node.
    pub async fn greeted(&mut self) {
        let first = self.next().await;
        assert!(
            matches!(first, ToNode::Ping { .. }),
            "unexpected: {first:?}"
        );
    }

    /// Waits until there is no connection, and gives why.
    pub async fn not_connected(&self) -> Arc<LinkError> {
        let state = self
            .until(|state| matches!(state.link, Link::Disconnected { .. }))
            .await;
        let Link::Disconnected { error, .. } = state.link else {
            unreachable!()
        };
        error
    }

    /// Waits until the node takes itself for connected.
    pub async fn connected(&self) {
        self.until(|state| matches!(state.link, Link::Connected { .. }))
            .await;
    }
}

/// A client that does only what a test tells it to.
pub struct Raw(pub ResearcherServiceClient<Channel>);

impl Raw {
    pub async fn connect(relay: &Relay) -> Self {
        let channel = connect(&address_of(relay), relay.certificate())
            .await
            .unwrap();
        Self(ResearcherServiceClient::new(channel))
    }

    pub async fn poll(&mut self, id: &str) -> Result<Streaming<TaskResponse>, Status> {
        self.poll_with(id, PROTOCOL_VERSION).await
    }

    pub async fn poll_with(
        &mut self,
        id: &str,
        version: &str,
    ) -> Result<Streaming<TaskResponse>, Status> {
        let request = TaskRequest {
            node: id.to_owned(),
            protocol_version: version.to_owned(),
        };
        Ok(self.0.get_task_unary(request).await?.into_inner())
    }

    /// A poll as our own nodes do it.
    pub async fn poll_confirming(
        &mut self,
        id: &str,
        received: Received,
    ) -> Result<Streaming<TaskResponse>, Status> {
        let mut request = Request::new(TaskRequest {
            node: id.to_owned(),
            protocol_version: PROTOCOL_VERSION.to_owned(),
        });
        received.write(request.metadata_mut());
        Ok(self.0.get_task_unary(request).await?.into_inner())
    }

    /// Polls until the relay's greeting has come.
    pub async fn greeted(&mut self, id: &str) {
        let mut slices = self.poll(id).await.unwrap();
        while timeout(PATIENCE, slices.message())
            .await
            .unwrap()
            .unwrap()
            .is_some()
        {}
    }
}
