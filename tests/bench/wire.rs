//! A client that says and hears messages on a line and does nothing else: what it costs is the same whatever serves it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use backchannel::message::{OverlayMessage, PROTOCOL_VERSION};
use backchannel::proto::relay::line_client::LineClient;
use backchannel::proto::relay::{Begin, FromNode, FromRelay};
use backchannel::proto::researcher::TaskRequest;
use backchannel::proto::researcher::researcher_service_client::ResearcherServiceClient;
use backchannel::transport::connect::connect;
use backchannel::transport::receipt::{Received, number_of};
use backchannel::transport::{Certificate, ServerAddress};
use prost::bytes::Bytes;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Streaming};

use crate::harness::RESEARCHER;

/// How many messages are said before the other end has said that they came: less than a relay sends without hearing that.
pub const WINDOW: u64 = 128;

/// A node's line.
pub struct Wire {
    pub said: mpsc::Sender<FromNode>,
    pub heard: Streaming<FromRelay>,
    /// How many whole messages have come.
    pub received: Arc<AtomicU64>,
}

impl Wire {
    /// Polls as node `id`, and goes over to a line as a relay offers it.
    pub async fn open(address: &ServerAddress, certificate: &Certificate, id: &str) -> Self {
        let channel = connect(address, certificate).await.expect("connected");
        let mut polls = ResearcherServiceClient::new(channel.clone());
        let mut request = Request::new(TaskRequest {
            node: id.to_owned(),
            protocol_version: PROTOCOL_VERSION.to_owned(),
        });
        // Whoever says what has arrived gets the rest again: the greeting that comes on this poll is not read.
        Received::None.write(request.metadata_mut());
        let answer = polls.get_task_unary(request);
        let poll = number_of(answer.await.expect("a poll").metadata()).unwrap_or_default();
        let (said, receiver) = mpsc::channel(WINDOW as usize);
        let begin = Begin {
            node: id.to_owned(),
            protocol_version: PROTOCOL_VERSION.to_owned(),
            poll,
        };
        let begin = FromNode {
            begin: Some(begin),
            ..FromNode::default()
        };
        said.send(begin).await.expect("room");
        let mut line = LineClient::new(channel).max_decoding_message_size(32 << 20);
        let mut request = Request::new(ReceiverStream::new(receiver));
        Received::None.write(request.metadata_mut());
        let heard = line.talk(request).await;
        Self {
            said,
            heard: heard.expect("a line").into_inner(),
            received: Arc::default(),
        }
    }

    /// Says a message.
    pub async fn say(&self, message: Bytes) {
        let frame = FromNode {
            begin: None,
            message,
            received: self.received.load(Ordering::Relaxed),
        };
        self.said.send(frame).await.expect("open");
    }

    /// Waits for the next whole message.
    pub async fn hear(&mut self) {
        loop {
            let frame = self.heard.message().await.expect("open").expect("open");
            if frame
                .slice
                .is_some_and(|slice| slice.iteration == slice.size)
            {
                self.received.fetch_add(1, Ordering::Relaxed);
                return;
            }
        }
    }

    /// What came before anybody spoke: a greeting.
    pub async fn hear_greeting(&mut self) {
        let greeted = tokio::time::timeout(Duration::from_secs(5), self.hear());
        greeted.await.expect("a greeting");
    }
}

/// A message of `from` to `to` with so many bytes of ciphertext, as it travels.
pub fn message(from: &str, to: &str, bytes: usize) -> Bytes {
    let message = OverlayMessage {
        researcher_id: RESEARCHER.parse().expect("an id"),
        source: from.parse().expect("an id"),
        dest: to.parse().expect("an id"),
        overlay: vec![7; bytes],
        setup: false,
        salt: vec![7; 32],
        nonce: vec![7; 16],
    };
    message.encode().into()
}
