//! Clients that mean harm, or are broken.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use backchannel::message::{ResearcherId, ToResearcher};
use backchannel::proto::researcher::TaskResult;
use backchannel::relay::DropReason;
use backchannel::transport::chunks::{MAX_SLICE, cut};
use backchannel::transport::{Link, LinkError};
use futures::{StreamExt, stream};
use tokio::time::timeout;
use tonic::Code;

use crate::harness::{Node, PATIENCE, Raw, overlay, researcher, start_relay};

fn slice(size: i32, iteration: i32) -> TaskResult {
    TaskResult {
        size,
        iteration,
        bytes: vec![0; MAX_SLICE].into(),
    }
}

#[tokio::test]
async fn refuses_a_second_node_under_a_connected_id() {
    let folder = tempfile::tempdir().unwrap();
    let relay = start_relay(folder.path(), 0).await.unwrap();
    let mut honest = Node::start("a", &relay);
    honest.greeted().await;

    let mut raw = Raw::connect(&relay).await;
    let refused = timeout(PATIENCE, async {
        loop {
            // Let in only if it comes between two polls of the honest one.
            if let Err(refused) = raw.poll("a").await {
                return refused;
            }
        }
    });
    assert_eq!(refused.await.unwrap().code(), Code::AlreadyExists);
    honest.connected().await;

    let second = Node::start("a", &relay);
    let state = second
        .until(|state| matches!(state.link, Link::Disconnected { .. }))
        .await;
    let Link::Disconnected { error, .. } = state.link else {
        unreachable!()
    };
    assert!(matches!(*error, LinkError::IdInUse(_)), "{error}");
    honest.connected().await;

    // Once the first has left, the second is let in by itself.
    honest.transport.stop().await;
    second.connected().await;
}

#[tokio::test]
async fn refuses_a_message_that_never_ends_and_frees_its_memory() {
    let folder = tempfile::tempdir().unwrap();
    let relay = start_relay(folder.path(), 0).await.unwrap();
    let mut b = Node::start("b", &relay);
    b.greeted().await;
    let mut client = Raw::connect(&relay).await;
    client.greeted("a").await;

    // Three of 300 MiB: the memory set aside for messages in the making would not hold them.
    for _ in 0..3 {
        let sent = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&sent);
        let endless = stream::iter(1..=79).map(move |n| {
            count.fetch_add(1, Ordering::Relaxed);
            slice(79, n)
        });
        let refused = timeout(PATIENCE, client.0.reply_task(endless))
            .await
            .unwrap()
            .unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{refused}");
        assert!(sent.load(Ordering::Relaxed) < 79);
    }
    assert_eq!(relay.counts().dropped_because[&DropReason::Unreadable], 3);

    // Three that are broken off half way.
    for _ in 0..3 {
        let half = stream::iter((1..=20).map(|n| slice(27, n))).chain(stream::pending());
        let call = client.0.reply_task(half);
        assert!(
            timeout(std::time::Duration::from_millis(500), call)
                .await
                .is_err()
        );
    }

    // An honest one of nearly the largest size.
    let large = ToResearcher::Overlay(overlay("a", "b", 100_000_000)).encode();
    timeout(PATIENCE, async {
        loop {
            let slices = stream::iter(cut(large.clone()).map(TaskResult::from));
            match client.0.reply_task(slices).await {
                Ok(_) => break,
                // Until the relay has heard of the broken calls.
                Err(status) => assert_eq!(status.code(), Code::ResourceExhausted, "{status}"),
            }
        }
    })
    .await
    .unwrap();
    assert_eq!(b.next_overlay().await.overlay.len(), 100_000_000);
}

#[tokio::test]
async fn refuses_what_is_no_message_or_for_another_researcher() {
    let folder = tempfile::tempdir().unwrap();
    let relay = start_relay(folder.path(), 0).await.unwrap();
    let mut client = Raw::connect(&relay).await;
    client.greeted("a").await;
    let mut foreign = overlay("a", "b", 10);
    foreign.researcher_id = ResearcherId::try_from("another").unwrap();

    for bytes in [
        b"garbage".to_vec(),
        vec![0xc1],
        ToResearcher::Overlay(foreign).encode(),
    ] {
        let slices = stream::iter(cut(bytes).map(TaskResult::from));
        let refused = client.0.reply_task(slices).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument);
    }
    let counts = relay.counts();
    assert_eq!(counts.dropped_because[&DropReason::Unreadable], 2);
    assert_eq!(counts.dropped_because[&DropReason::Foreign], 1);
}

#[tokio::test]
async fn refuses_to_hear_a_node_that_has_not_polled() {
    let folder = tempfile::tempdir().unwrap();
    let relay = start_relay(folder.path(), 0).await.unwrap();
    let mut client = Raw::connect(&relay).await;
    let message = ToResearcher::Overlay(overlay("a", "a", 10)).encode();

    let slices = stream::iter(cut(message).map(TaskResult::from));
    let refused = client.0.reply_task(slices).await.unwrap_err();

    assert_eq!(refused.code(), Code::FailedPrecondition);
}

#[tokio::test]
async fn refuses_polls_of_another_protocol_or_with_an_impossible_id() {
    let folder = tempfile::tempdir().unwrap();
    let relay = start_relay(folder.path(), 0).await.unwrap();
    let mut client = Raw::connect(&relay).await;

    for version in ["6", "8", "7.1", ""] {
        let refused = client.poll_with("a", version).await.unwrap_err();
        assert_eq!(refused.code(), Code::FailedPrecondition, "{version}");
    }
    for id in ["", "a\nb"] {
        assert_eq!(
            client.poll(id).await.unwrap_err().code(),
            Code::InvalidArgument
        );
    }
    assert!(relay.nodes().is_empty());
    assert!(client.poll_with("a", "7.0").await.is_ok());
}

#[tokio::test]
async fn a_reply_that_nobody_asked_for_is_counted_and_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let relay = start_relay(folder.path(), 0).await.unwrap();
    let a = Node::start("a", &relay);
    let reply = ToResearcher::Error {
        request_id: Some("request_1".parse().unwrap()),
        researcher_id: researcher(),
        node_id: a.id.clone(),
        node_name: "a".to_owned(),
        extra_msg: String::new(),
        errnum: None,
    };

    a.outgoing.send(reply.into()).await.unwrap();

    a.until(|state| state.acknowledged == 1).await;
    assert_eq!(relay.counts().dropped_because[&DropReason::Unasked], 1);
}
