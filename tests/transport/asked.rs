//! What a node says to servers that ask for a proof, and to those that do not: servers that do what a test tells them to.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use backchannel::proto::relay::node_proof_server::{NodeProof, NodeProofServer};
use backchannel::proto::relay::{ChallengeReply, ChallengeRequest, ProveReply, ProveRequest};
use backchannel::proto::researcher::researcher_service_server::{
    ResearcherService, ResearcherServiceServer,
};
use backchannel::proto::researcher::{
    Empty, FeedbackMessage, TaskRequest, TaskResponse, TaskResult,
};
use backchannel::transport::{
    Certificate, LinkError, Prover, ServerAddress, ServerIdentity, line, receipt, token,
};
use futures::{Stream, StreamExt, stream};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tonic::metadata::{KeyAndValueRef, MetadataMap};
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Identity, Server, ServerTlsConfig};
use tonic::{Request, Response, Status, Streaming};

use crate::consortium::{prover, secret};
use crate::harness::{Node, overlay, researcher};

type Headers = BTreeMap<String, String>;

/// What a server saw.
#[derive(Default)]
struct Seen {
    polls: Mutex<Vec<Headers>>,
    replies: Mutex<Vec<Headers>>,
    challenges: AtomicUsize,
    proofs: AtomicUsize,
}

/// How a server asks for a proof.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Asks {
    /// As Fed-BioMed's: it does not.
    Never,
    /// It does not, and offers a line that does not get through to it.
    NeverAndOffersALine,
    /// Whatever it is shown.
    Always,
    /// With a key that is none.
    Nonsense,
    /// And does not know what that is.
    WithoutService,
}

#[derive(Clone)]
struct Fake {
    asks: Asks,
    seen: Arc<Seen>,
}

fn headers(metadata: &MetadataMap) -> Headers {
    let text = |pair| match pair {
        KeyAndValueRef::Ascii(key, value) => (key.to_string(), format!("{value:?}")),
        KeyAndValueRef::Binary(key, value) => (key.to_string(), format!("{value:?}")),
    };
    metadata.iter().map(text).collect()
}

#[tonic::async_trait]
impl ResearcherService for Fake {
    type GetTaskStream = stream::Empty<Result<TaskResponse, Status>>;
    type GetTaskUnaryStream =
        std::pin::Pin<Box<dyn Stream<Item = Result<TaskResponse, Status>> + Send>>;

    async fn get_task(
        &self,
        _: Request<Streaming<TaskRequest>>,
    ) -> Result<Response<Self::GetTaskStream>, Status> {
        Ok(Response::new(stream::empty()))
    }

    async fn get_task_unary(
        &self,
        request: Request<TaskRequest>,
    ) -> Result<Response<Self::GetTaskUnaryStream>, Status> {
        let headers = headers(request.metadata());
        self.seen.polls.lock().unwrap().push(headers);
        let mut answer: Response<Self::GetTaskUnaryStream> =
            Response::new(stream::pending().boxed());
        match self.asks {
            Asks::Never => {}
            Asks::NeverAndOffersALine => {
                receipt::number(answer.metadata_mut(), 1);
                line::offer(answer.metadata_mut());
            }
            _ => return Err(token::wanted("prove it".to_owned())),
        }
        Ok(answer)
    }

    async fn reply_task(
        &self,
        request: Request<Streaming<TaskResult>>,
    ) -> Result<Response<Empty>, Status> {
        let headers = headers(request.metadata());
        self.seen.replies.lock().unwrap().push(headers);
        Ok(Response::new(Empty {}))
    }

    async fn feedback(&self, _: Request<FeedbackMessage>) -> Result<Response<Empty>, Status> {
        Ok(Response::new(Empty {}))
    }
}

#[tonic::async_trait]
impl NodeProof for Fake {
    async fn challenge(
        &self,
        _: Request<ChallengeRequest>,
    ) -> Result<Response<ChallengeReply>, Status> {
        self.seen.challenges.fetch_add(1, Ordering::SeqCst);
        let relay_key = match self.asks {
            Asks::Nonsense => vec![5; 33],
            _ => secret("r").public().to_bytes().to_vec(),
        };
        Ok(Response::new(ChallengeReply {
            nonce: vec![1; 48],
            relay_key,
        }))
    }

    async fn prove(&self, _: Request<ProveRequest>) -> Result<Response<ProveReply>, Status> {
        self.seen.proofs.fetch_add(1, Ordering::SeqCst);
        Ok(Response::new(ProveReply { token: vec![7; 32] }))
    }
}

/// A running server of that sort.
struct Running {
    seen: Arc<Seen>,
    address: ServerAddress,
    certificate: Certificate,
    server: JoinHandle<()>,
    _folder: tempfile::TempDir,
}

impl Running {
    async fn start(asks: Asks) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let identity =
            ServerIdentity::load_or_make(folder.path(), "localhost", &researcher()).unwrap();
        let [certificate, key] = ["relay-certificate.pem", "relay-key.pem"]
            .map(|name| std::fs::read(folder.path().join(name)).unwrap());
        let tls = ServerTlsConfig::new().identity(Identity::from_pem(certificate, key));
        let fake = Fake {
            asks,
            seen: Arc::default(),
        };
        let seen = fake.seen.clone();
        let proof = (asks != Asks::WithoutService).then(|| NodeProofServer::new(fake.clone()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let router = Server::builder()
            .tls_config(tls)
            .unwrap()
            .add_optional_service(proof)
            .add_service(ResearcherServiceServer::new(fake));
        let server = tokio::spawn(async move {
            let served = router.serve_with_incoming(TcpIncoming::from(listener));
            served.await.unwrap();
        });
        Self {
            seen,
            address: ServerAddress::new("127.0.0.1", port).unwrap(),
            certificate: identity.certificate().clone(),
            server,
            _folder: folder,
        }
    }

    fn node(&self, prover: Option<Prover>) -> Node {
        Node::start_proving("a", self.address.clone(), self.certificate.clone(), prover)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.server.abort();
    }
}

#[tokio::test]
async fn a_server_that_asks_for_no_proof_sees_no_difference() {
    let server = Running::start(Asks::Never).await;
    for prover in [None, Some(prover("a", secret("a")))] {
        let node = server.node(prover);
        node.connected().await;
        node.send(overlay("a", "b", 10)).await;
        node.until(|state| state.acknowledged == 1).await;
        node.transport.stop().await;
    }

    for calls in [&server.seen.polls, &server.seen.replies] {
        let calls = calls.lock().unwrap();
        assert_eq!(calls.len(), 2);
        assert_eq!(calls[0], calls[1]);
        let ours = calls[0].keys().filter(|key| key.contains("backchannel"));
        let ours: Vec<_> = ours.collect();
        assert!(
            ours.is_empty() || ours == ["backchannel-received"],
            "{ours:?}"
        );
    }
    assert_eq!(server.seen.challenges.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_node_polls_where_a_line_does_not_get_through() {
    let server = Running::start(Asks::NeverAndOffersALine).await;
    let node = server.node(None);

    node.connected().await;
    node.send(overlay("a", "b", 10)).await;
    node.until(|state| state.acknowledged == 1).await;

    assert_eq!(server.seen.polls.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn a_node_does_not_prove_itself_without_end() {
    let server = Running::start(Asks::Always).await;
    let node = server.node(Some(prover("a", secret("a"))));

    let error = node.not_connected().await;

    assert!(matches!(*error, LinkError::ProofWanted(_)), "{error}");
    // Once for each attempt, of which each waits longer.
    node.transport.stop().await;
    let proofs = server.seen.proofs.load(Ordering::SeqCst);
    let polls = server.seen.polls.lock().unwrap().len();
    assert!(
        proofs >= 1 && polls >= proofs && polls <= 2 * proofs,
        "{proofs} {polls}"
    );
    assert!(server.seen.replies.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_node_answers_no_question_that_makes_no_sense() {
    let server = Running::start(Asks::Nonsense).await;
    let error = server
        .node(Some(prover("a", secret("a"))))
        .not_connected()
        .await;
    assert!(matches!(*error, LinkError::BadChallenge), "{error}");
    assert_eq!(server.seen.proofs.load(Ordering::SeqCst), 0);

    let server = Running::start(Asks::WithoutService).await;
    let error = server
        .node(Some(prover("a", secret("a"))))
        .not_connected()
        .await;
    assert!(matches!(*error, LinkError::Call(_)), "{error}");
}
