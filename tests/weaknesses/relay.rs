//! A relay that is not ours: a test decides what it hands to which node.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;

use backchannel::message::{ToNode, ToResearcher};
use backchannel::proto::researcher::researcher_service_server::{
    ResearcherService, ResearcherServiceServer,
};
use backchannel::proto::researcher::{
    Empty, FeedbackMessage, TaskRequest, TaskResponse, TaskResult,
};
use backchannel::transport::ServerIdentity;
use backchannel::transport::chunks::{Reassembly, cut};
use futures::{Stream, StreamExt, stream};
use tokio::net::TcpListener;
use tokio::sync::{Mutex, mpsc};
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Identity, Server, ServerTlsConfig};
use tonic::{Request, Response, Status, Streaming};

use crate::harness::{Folder, RESEARCHER};

type Slices = Pin<Box<dyn Stream<Item = Result<TaskResponse, Status>> + Send>>;

/// The relay of [`RESEARCHER`], in a test's hands.
pub struct AnyRelay {
    /// Where it listens.
    pub address: String,
    to_nodes: BTreeMap<String, mpsc::Sender<Vec<u8>>>,
    from_nodes: mpsc::Receiver<ToResearcher>,
}

/// Hands out one message per poll, and keeps what nodes say.
struct Service {
    to_nodes: BTreeMap<String, Arc<Mutex<mpsc::Receiver<Vec<u8>>>>>,
    from_nodes: mpsc::Sender<ToResearcher>,
}

impl AnyRelay {
    /// Starts it for these nodes, with its certificate in `folder`.
    pub async fn start(folder: &Folder, nodes: &[&str]) -> Self {
        let researcher = RESEARCHER.parse().expect("an id");
        ServerIdentity::load_or_make(folder.path(), "127.0.0.1", &researcher)
            .expect("a certificate");
        let pem = |name: &str| std::fs::read(folder.at(name)).expect("a PEM file");
        let identity = Identity::from_pem(pem("relay-certificate.pem"), pem("relay-key.pem"));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let (results, from_nodes) = mpsc::channel(1000);
        let mut to_nodes = BTreeMap::new();
        let mut mailboxes = BTreeMap::new();
        for node in nodes {
            let (sender, receiver) = mpsc::channel(1000);
            to_nodes.insert((*node).to_owned(), sender);
            mailboxes.insert((*node).to_owned(), Arc::new(Mutex::new(receiver)));
        }
        let service = Service {
            to_nodes: mailboxes,
            from_nodes: results,
        };
        let server = Server::builder()
            .tls_config(ServerTlsConfig::new().identity(identity))
            .expect("TLS")
            .add_service(ResearcherServiceServer::new(service));
        tokio::spawn(server.serve_with_incoming(TcpIncoming::from(listener)));
        Self {
            address,
            to_nodes,
            from_nodes,
        }
    }

    /// Hands a message to a node, at one of its next polls.
    pub async fn hand(&self, node: &str, message: &ToNode) {
        let mailbox = &self.to_nodes[node];
        mailbox.send(message.encode()).await.expect("a relay");
    }

    /// What a node says next.
    pub async fn hear(&mut self) -> ToResearcher {
        self.from_nodes.recv().await.expect("a relay")
    }
}

#[tonic::async_trait]
impl ResearcherService for Service {
    type GetTaskStream = Slices;
    type GetTaskUnaryStream = Slices;

    async fn get_task(
        &self,
        _: Request<Streaming<TaskRequest>>,
    ) -> Result<Response<Slices>, Status> {
        Err(Status::unimplemented("not used"))
    }

    async fn get_task_unary(
        &self,
        request: Request<TaskRequest>,
    ) -> Result<Response<Slices>, Status> {
        let mailbox = self.to_nodes.get(&request.get_ref().node).cloned();
        let mailbox = mailbox.ok_or_else(|| Status::not_found("not a node of the test"))?;
        let slices = stream::once(async move {
            let message = mailbox.lock().await.recv().await.unwrap_or_default();
            stream::iter(cut(message).map(|slice| Ok(slice.into())))
        });
        Ok(Response::new(Box::pin(slices.flatten())))
    }

    async fn reply_task(
        &self,
        request: Request<Streaming<TaskResult>>,
    ) -> Result<Response<Empty>, Status> {
        let mut slices = request.into_inner();
        let mut message = Reassembly::default();
        while let Some(slice) = slices.message().await? {
            if let Some(whole) = message.push(slice.into()).expect("slices") {
                let said = ToResearcher::decode(&whole).expect("a message");
                self.from_nodes.send(said).await.expect("a test");
            }
        }
        Ok(Response::new(Empty {}))
    }

    async fn feedback(&self, _: Request<FeedbackMessage>) -> Result<Response<Empty>, Status> {
        Ok(Response::new(Empty {}))
    }
}
