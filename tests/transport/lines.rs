//! Lines: messages of a node and for it on one stream.

use std::time::Duration;

use backchannel::message::{PROTOCOL_VERSION, ToResearcher};
use backchannel::proto::relay::line_client::LineClient;
use backchannel::proto::relay::{Begin, FromNode, FromRelay};
use backchannel::proto::researcher::TaskRequest;
use backchannel::proto::researcher::researcher_service_client::ResearcherServiceClient;
use backchannel::relay::Relay;
use backchannel::transport::connect::connect;
use backchannel::transport::line::{LONGEST_SAID, is_offered};
use backchannel::transport::receipt::{Received, number_of};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;
use tonic::{Code, Request, Status, Streaming};

use crate::harness::{Node, PATIENCE, address_of, overlay, start_relay};

/// A line on which only that is said and confirmed what a test says.
struct Raw {
    said: mpsc::Sender<FromNode>,
    heard: Streaming<FromRelay>,
    number: u64,
}

async fn channel(relay: &Relay) -> Channel {
    let channel = connect(&address_of(relay), relay.certificate()).await;
    channel.unwrap()
}

/// Polls once, for the number of that poll.
async fn poll(channel: &Channel, id: &str) -> u64 {
    let mut request = Request::new(TaskRequest {
        node: id.to_owned(),
        protocol_version: PROTOCOL_VERSION.to_owned(),
    });
    // Otherwise the greeting that comes on this poll would not come again.
    Received::None.write(request.metadata_mut());
    let mut client = ResearcherServiceClient::new(channel.clone());
    let answer = client.get_task_unary(request).await.unwrap();
    assert!(is_offered(answer.metadata()));
    number_of(answer.metadata()).unwrap()
}

fn begin(id: &str, poll: u64) -> FromNode {
    let begin = Begin {
        node: id.to_owned(),
        protocol_version: PROTOCOL_VERSION.to_owned(),
        poll,
    };
    FromNode {
        begin: Some(begin),
        ..FromNode::default()
    }
}

fn saying(message: ToResearcher) -> FromNode {
    FromNode {
        message: message.encode().into(),
        ..FromNode::default()
    }
}

impl Raw {
    /// Begins a line with `first`.
    async fn begin(channel: &Channel, first: FromNode, received: Received) -> Result<Self, Status> {
        let (said, receiver) = mpsc::channel(100);
        said.send(first).await.unwrap();
        let mut request = Request::new(ReceiverStream::new(receiver));
        received.write(request.metadata_mut());
        let answer = LineClient::new(channel.clone()).talk(request).await?;
        Ok(Self {
            said,
            number: number_of(answer.metadata()).unwrap(),
            heard: answer.into_inner(),
        })
    }

    async fn open(relay: &Relay, id: &str, received: Received) -> Self {
        let channel = channel(relay).await;
        let first = begin(id, poll(&channel, id).await);
        Self::begin(&channel, first, received).await.unwrap()
    }

    async fn next(&mut self) -> Result<FromRelay, Status> {
        let frame = timeout(PATIENCE, self.heard.message()).await;
        Ok(frame.expect("a frame in time")?.expect("a frame"))
    }

    /// The size of the next overlay message. Greetings are passed over.
    async fn next_overlay(&mut self) -> usize {
        loop {
            let slice = self.next().await.unwrap().slice;
            if let Some(slice) = slice
                && let Ok(ToResearcher::Overlay(message)) = ToResearcher::decode(&slice.bytes)
            {
                return message.overlay.len();
            }
        }
    }

    /// Why it ends.
    async fn end(mut self) -> Code {
        loop {
            if let Err(status) = self.next().await {
                return status.code();
            }
        }
    }
}

/// The sizes of the next messages, sorted: messages may overtake each other.
async fn lengths(node: &mut Node, messages: usize) -> Vec<usize> {
    let mut lengths = Vec::with_capacity(messages);
    for _ in 0..messages {
        lengths.push(node.next_overlay().await.overlay.len());
    }
    lengths.sort_unstable();
    lengths
}

fn all(messages: usize) -> Vec<usize> {
    (1..=messages).collect()
}

#[tokio::test]
async fn refuses_a_line_that_does_not_say_whose_it_is_or_says_so_twice() {
    let folder = tempfile::tempdir().unwrap();
    let relay = start_relay(folder.path(), 0).await.unwrap();
    let channel = channel(&relay).await;
    let number = poll(&channel, "a").await;
    let nobody = FromNode::default();
    let mut other_version = begin("a", number);
    other_version.begin.as_mut().unwrap().protocol_version = "8".to_owned();
    for (first, code) in [
        (nobody, Code::InvalidArgument),
        (begin("", number), Code::InvalidArgument),
        (other_version, Code::FailedPrecondition),
    ] {
        let refused = Raw::begin(&channel, first, Received::None).await;
        assert_eq!(refused.err().map(|status| status.code()), Some(code));
    }

    let line = Raw::open(&relay, "b", Received::None).await;
    line.said.send(begin("c", 0)).await.unwrap();
    assert_eq!(line.end().await, Code::InvalidArgument);
}

#[tokio::test]
async fn nobody_takes_over_the_line_of_a_connected_node() {
    let folder = tempfile::tempdir().unwrap();
    let relay = start_relay(folder.path(), 0).await.unwrap();
    let a = Node::start("a", &relay);
    a.connected().await;

    let elsewhere = channel(&relay).await;
    let refused = Raw::begin(&elsewhere, begin("a", 1), Received::None).await;

    let code = refused.err().map(|status| status.code());
    assert_eq!(code, Some(Code::AlreadyExists));
}

#[tokio::test]
async fn a_message_that_is_none_is_refused_and_those_after_it_are_taken() {
    let folder = tempfile::tempdir().unwrap();
    let relay = start_relay(folder.path(), 0).await.unwrap();
    let mut b = Node::start("b", &relay);
    b.greeted().await;
    let mut a = Raw::open(&relay, "a", Received::None).await;
    let mut foreign = overlay("a", "b", 1);
    foreign.researcher_id = "somebody".parse().unwrap();
    for message in [overlay("a", "b", 10), foreign, overlay("a", "b", 20)] {
        let said = saying(ToResearcher::Overlay(message));
        a.said.send(said).await.unwrap();
    }

    let mut refused = Vec::new();
    loop {
        let frame = a.next().await.unwrap();
        refused.extend(frame.refused);
        if frame.taken == 3 {
            break;
        }
    }

    let [refusal] = &refused[..] else {
        panic!("{refused:?}");
    };
    assert_eq!(refusal.message, 2);
    assert_eq!(Code::from(refusal.code), Code::InvalidArgument);
    for length in [10, 20] {
        assert_eq!(b.next_overlay().await.overlay.len(), length);
    }
}

#[tokio::test]
async fn refuses_a_message_that_would_keep_others_waiting() {
    let folder = tempfile::tempdir().unwrap();
    let relay = start_relay(folder.path(), 0).await.unwrap();
    let line = Raw::open(&relay, "a", Received::None).await;
    let large = saying(ToResearcher::Overlay(overlay("a", "b", 2 * LONGEST_SAID)));
    line.said.send(large).await.unwrap();
    assert_eq!(line.end().await, Code::OutOfRange);
}

#[tokio::test]
async fn what_was_not_confirmed_when_a_line_broke_comes_on_the_next_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let relay = start_relay(folder.path(), 0).await.unwrap();
    let a = Node::start("a", &relay);
    a.connected().await;
    let mut line = Raw::open(&relay, "b", Received::None).await;
    // The greeting is the first message.
    line.next().await.unwrap();
    // One after the other: they may overtake each other.
    for length in 1..=5 {
        a.send(overlay("a", "b", length)).await;
        assert_eq!(line.next_overlay().await, length);
    }
    // It says on the line that two have come, and in the next call that one more has.
    let confirmed = FromNode {
        received: 3,
        ..FromNode::default()
    };
    line.said.send(confirmed).await.unwrap();
    let number = line.number;
    drop(line);

    let mut next = loop {
        let channel = channel(&relay).await;
        let received = Received::Poll {
            number,
            messages: 4,
        };
        // Until the relay has noticed the end of the connection.
        if let Ok(next) = Raw::begin(&channel, begin("b", 0), received).await {
            break next;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };

    for length in 4..=5 {
        assert_eq!(next.next_overlay().await, length);
    }
    a.send(overlay("a", "b", 6)).await;
    assert_eq!(next.next_overlay().await, 6);
}

#[tokio::test]
async fn a_node_that_stops_has_said_all_that_it_had_to_say_once() {
    const MESSAGES: usize = 300;
    let folder = tempfile::tempdir().unwrap();
    let relay = start_relay(folder.path(), 0).await.unwrap();
    let mut b = Node::start("b", &relay);
    b.greeted().await;
    let mut a = Node::start("a", &relay);
    a.greeted().await;
    for length in 1..=MESSAGES {
        a.send(overlay("a", "b", length)).await;
    }

    let state = a.transport.stop().await;

    assert_eq!(state.unacknowledged, 0, "{state:?}");
    assert_eq!(lengths(&mut b, MESSAGES).await, all(MESSAGES));
    let counts = relay.counts();
    assert_eq!(counts.forwarded["OverlayMessage"], MESSAGES as u64);
}

#[tokio::test]
async fn many_messages_both_ways_come_once_each() {
    const MESSAGES: usize = 3000;
    let folder = tempfile::tempdir().unwrap();
    let relay = start_relay(folder.path(), 0).await.unwrap();
    let mut nodes = [Node::start("a", &relay), Node::start("b", &relay)];
    for node in &mut nodes {
        node.greeted().await;
    }
    let [mut a, mut b] = nodes;
    let says = |from: &Node, to: &'static str| {
        let (from, outgoing) = (from.id.to_string(), from.outgoing.clone());
        tokio::spawn(async move {
            for length in 1..=MESSAGES {
                let message = overlay(&from, to, length);
                let letter = ToResearcher::Overlay(message).into();
                outgoing.send(letter).await.unwrap();
                // A mailbox holds a thousand.
                if length % 200 == 0 {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            }
        })
    };
    let saying = [says(&a, "b"), says(&b, "a")];
    assert_eq!(lengths(&mut b, MESSAGES).await, all(MESSAGES));
    assert_eq!(lengths(&mut a, MESSAGES).await, all(MESSAGES));
    for said in saying {
        said.await.unwrap();
    }
}
