//! A relay that is not ours, and carries what ours would refuse.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use backchannel::message::{OverlayMessage, ResearcherId, ToNode, ToResearcher};
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
use tokio::time::timeout;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Identity, Server, ServerTlsConfig};
use tonic::{Request, Response, Status, Streaming};

use crate::harness::{Daemon, Folder, PATIENCE, RESEARCHER, until};

type Slices = Pin<Box<dyn Stream<Item = Result<TaskResponse, Status>> + Send>>;

/// Hands out what the test gives it, one message per poll, and keeps what nodes say.
struct AnyRelay {
    to_node: Arc<Mutex<mpsc::Receiver<Vec<u8>>>>,
    from_node: mpsc::Sender<ToResearcher>,
}

#[tonic::async_trait]
impl ResearcherService for AnyRelay {
    type GetTaskStream = Slices;
    type GetTaskUnaryStream = Slices;

    async fn get_task(
        &self,
        _: Request<Streaming<TaskRequest>>,
    ) -> Result<Response<Slices>, Status> {
        Err(Status::unimplemented("not used"))
    }

    async fn get_task_unary(&self, _: Request<TaskRequest>) -> Result<Response<Slices>, Status> {
        let to_node = self.to_node.clone();
        let slices = stream::once(async move {
            let message = to_node.lock().await.recv().await.unwrap_or_default();
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
                self.from_node.send(said).await.expect("a test");
            }
        }
        Ok(Response::new(Empty {}))
    }

    async fn feedback(&self, _: Request<FeedbackMessage>) -> Result<Response<Empty>, Status> {
        Ok(Response::new(Empty {}))
    }
}

/// Starts a relay of [`RESEARCHER`] with its certificate in `folder`.
async fn any_relay(
    folder: &Folder,
) -> (
    SocketAddr,
    mpsc::Sender<Vec<u8>>,
    mpsc::Receiver<ToResearcher>,
) {
    let researcher = RESEARCHER.parse().expect("an id");
    ServerIdentity::load_or_make(folder.path(), "127.0.0.1", &researcher).expect("a certificate");
    let pem = |name: &str| std::fs::read(folder.at(name)).expect("a PEM file");
    let identity = Identity::from_pem(pem("relay-certificate.pem"), pem("relay-key.pem"));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let (to_node, tasks) = mpsc::channel(1000);
    let (results, from_node) = mpsc::channel(1000);
    let relay = AnyRelay {
        to_node: Arc::new(Mutex::new(tasks)),
        from_node: results,
    };
    let server = Server::builder()
        .tls_config(ServerTlsConfig::new().identity(identity))
        .expect("TLS")
        .add_service(ResearcherServiceServer::new(relay));
    tokio::spawn(server.serve_with_incoming(TcpIncoming::from(listener)));
    (address, to_node, from_node)
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_of_a_foreign_researcher_do_not_stop_the_node() {
    let folder = Folder::new();
    let (address, to_node, mut from_node) = any_relay(&folder).await;
    let path = folder.path().to_owned();
    let node = tokio::task::spawn_blocking(move || Daemon::node(&path, "n", &address.to_string()));
    let node = node.await.expect("a node");
    let ping = |researcher: &str, number: usize| ToNode::Ping {
        request_id: Some(format!("request_{number}").parse().expect("an id")),
        researcher_id: researcher.parse().expect("an id"),
    };
    let foreign = |setup| OverlayMessage {
        researcher_id: ResearcherId::try_from("RESEARCHER_other").expect("an id"),
        source: "p".parse().expect("an id"),
        dest: "n".parse().expect("an id"),
        overlay: vec![7; 300],
        setup,
        salt: vec![1; 32],
        nonce: vec![2; 16],
    };

    // Each foreign one before an honest one, which the node answers on the same connection.
    for number in 0..10 {
        for message in [
            ToNode::Overlay(foreign(false)),
            ToNode::Overlay(foreign(true)),
            ping("RESEARCHER_other", number),
            ping(RESEARCHER, number),
        ] {
            to_node.send(message.encode()).await.expect("a relay");
        }
        let answer = timeout(PATIENCE, from_node.recv())
            .await
            .expect("an answer in time");
        let Some(ToResearcher::PingReply {
            request_id,
            researcher_id,
            ..
        }) = answer
        else {
            panic!("{answer:?} is no answer to a ping");
        };
        assert_eq!(researcher_id.as_str(), RESEARCHER);
        assert_eq!(
            request_id.map(|id| id.to_string()),
            Some(format!("request_{number}"))
        );
    }
    // Nothing of the foreign ones went further.
    let more = timeout(Duration::from_millis(100), from_node.recv()).await;
    assert!(more.is_err(), "{more:?}");
    let status = node.status();
    assert_eq!(status["dropped"], serde_json::json!({}), "{status}");
    until("each is in the log, as a line or as one left out", || {
        let module = "backchannel::transport::client";
        let (lines, left_out) = node.logged("another researcher", module);
        (lines + left_out == 30).then_some(())
    });
}
