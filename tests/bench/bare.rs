//! The floor: bare tonic over TLS in a process of its own, which passes on what comes on one line to another and knows nothing of messages.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use backchannel::proto::relay::line_server::{Line, LineServer};
use backchannel::proto::relay::{FromNode, FromRelay, Slice};
use backchannel::proto::researcher::researcher_service_server::{
    ResearcherService, ResearcherServiceServer,
};
use backchannel::proto::researcher::{
    Empty, FeedbackMessage, TaskRequest, TaskResponse, TaskResult,
};
use backchannel::transport::{Certificate, ServerAddress, ServerIdentity, fetch_certificate};
use futures::stream::{self, BoxStream, StreamExt};
use prost::bytes::Bytes;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Identity, Server, ServerTlsConfig};
use tonic::{Request, Response, Status, Streaming};

use crate::harness::{Folder, RESEARCHER};
use crate::wire::Wire;

/// The argument that makes this program the server.
pub const SERVE: &str = "serve-bare";
/// Whose messages come back to it.
const ECHO: &str = "echo";
/// Frames that wait for a line.
const WAITING: usize = 256;

/// What hands frames to a line.
type Sender = mpsc::Sender<Result<FromRelay, Status>>;

/// The lines, by whose they are.
#[derive(Default)]
struct Lines(Arc<Mutex<BTreeMap<String, Sender>>>);

/// Whom a node's messages go to: those of `node-2` to `node-3` and back, those of `a` to `b`.
fn receiver_of(node: &str) -> String {
    let number = node.strip_prefix("node-").map(str::parse::<u32>);
    match number {
        Some(number) => format!("node-{}", number.expect("a number") ^ 1),
        None if node == ECHO => ECHO.to_owned(),
        None => "b".to_owned(),
    }
}

fn frame(bytes: Bytes) -> FromRelay {
    let slice = Slice {
        size: 1,
        iteration: 1,
        bytes,
    };
    FromRelay {
        slice: Some(slice),
        ..FromRelay::default()
    }
}

#[tonic::async_trait]
impl Line for Lines {
    type TalkStream = ReceiverStream<Result<FromRelay, Status>>;

    async fn talk(
        &self,
        request: Request<Streaming<FromNode>>,
    ) -> Result<Response<Self::TalkStream>, Status> {
        let mut said = request.into_inner();
        let first = said.message().await?.and_then(|first| first.begin);
        let node = first.expect("a beginning").node;
        let (sender, receiver) = mpsc::channel(WAITING);
        sender
            .try_send(Ok(frame(Bytes::from_static(b"hello"))))
            .expect("room");
        self.0.lock().expect("lines").insert(node.clone(), sender);
        let lines = self.0.clone();
        tokio::spawn(async move {
            let to = receiver_of(&node);
            while let Ok(Some(FromNode { message, .. })) = said.message().await {
                if message.is_empty() {
                    continue;
                }
                let to = lines.lock().expect("lines")[&to].clone();
                to.send(Ok(frame(message))).await.expect("open");
            }
        });
        Ok(Response::new(ReceiverStream::new(receiver)))
    }
}

/// Holds polls and does nothing else.
struct Polls;

#[tonic::async_trait]
impl ResearcherService for Polls {
    type GetTaskStream = stream::Empty<Result<TaskResponse, Status>>;
    type GetTaskUnaryStream = BoxStream<'static, Result<TaskResponse, Status>>;

    async fn get_task(
        &self,
        _: Request<Streaming<TaskRequest>>,
    ) -> Result<Response<Self::GetTaskStream>, Status> {
        Err(Status::unimplemented("not measured"))
    }

    async fn get_task_unary(
        &self,
        _: Request<TaskRequest>,
    ) -> Result<Response<Self::GetTaskUnaryStream>, Status> {
        Ok(Response::new(stream::pending().boxed()))
    }

    async fn reply_task(
        &self,
        _: Request<Streaming<TaskResult>>,
    ) -> Result<Response<Empty>, Status> {
        Err(Status::unimplemented("not measured"))
    }

    async fn feedback(&self, _: Request<FeedbackMessage>) -> Result<Response<Empty>, Status> {
        Err(Status::unimplemented("not measured"))
    }
}

/// Serves until it is killed. What it prints is its address.
pub fn serve() {
    let folder = Folder::new();
    let researcher = RESEARCHER.parse().expect("an id");
    ServerIdentity::load_or_make(folder.path(), "127.0.0.1", &researcher).expect("a certificate");
    let file = |name| std::fs::read(folder.path().join(name)).expect("a file");
    let identity = Identity::from_pem(file("relay-certificate.pem"), file("relay-key.pem"));
    drop(folder);
    runtime().block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        println!("{}", listener.local_addr().expect("an address"));
        Server::builder()
            .tls_config(ServerTlsConfig::new().identity(identity))
            .expect("TLS")
            .add_service(ResearcherServiceServer::new(Polls))
            .add_service(LineServer::new(Lines::default()))
            .serve_with_incoming(TcpIncoming::from(listener).with_nodelay(Some(true)))
            .await
            .expect("serves");
    });
}

/// A runtime as the program has it.
pub fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .expect("a runtime")
}

/// The server, running.
pub struct Bare {
    child: Child,
    pub address: ServerAddress,
}

impl Bare {
    pub fn start() -> Self {
        let program = std::env::current_exe().expect("this program");
        let mut child = Command::new(program)
            .arg(SERVE)
            .stdout(Stdio::piped())
            .spawn()
            .expect("the server starts");
        let mut lines = BufReader::new(child.stdout.take().expect("its output")).lines();
        let address = lines.next().expect("a line").expect("a line");
        Self {
            child,
            address: address.parse().expect("an address"),
        }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub async fn certificate(&self) -> Certificate {
        let shown = fetch_certificate(&self.address).await;
        shown.expect("a certificate")
    }

    /// How long it takes to hear back, of messages of `bytes` one at a time.
    pub async fn ping_pong(&self, bytes: usize, times: usize) -> Vec<Duration> {
        let mut wire = Wire::open(&self.address, &self.certificate().await, ECHO).await;
        wire.hear_greeting().await;
        let message = Bytes::from(vec![7; bytes]);
        let mut measured = Vec::with_capacity(times);
        for _ in 0..times {
            let begun = Instant::now();
            wire.say(message.clone()).await;
            wire.hear().await;
            measured.push(begun.elapsed());
        }
        measured
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
