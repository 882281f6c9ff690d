//! What comes through, and what survives.

use std::time::Duration;

use backchannel::message::{ToNode, ToResearcher};
use backchannel::relay::DropReason;
use backchannel::transport::Link;
use backchannel::transport::chunks::Reassembly;
use backchannel::transport::receipt::Received;
use tokio::time::{sleep, timeout};

use crate::harness::{Node, PATIENCE, Raw, overlay, researcher, start_relay};

#[tokio::test]
async fn two_nodes_exchange_small_and_large_messages() {
    let folder = tempfile::tempdir().unwrap();
    let relay = start_relay(folder.path(), 0).await.unwrap();
    let (mut a, mut b) = (Node::start("a", &relay), Node::start("b", &relay));
    a.connected().await;
    b.connected().await;

    for length in [512, 9_000_000] {
        a.send(overlay("a", "b", length)).await;
        assert_eq!(b.next_overlay().await, overlay("a", "b", length));
        b.send(overlay("b", "a", length)).await;
        assert_eq!(a.next_overlay().await, overlay("b", "a", length));
    }

    let counts = relay.counts();
    assert_eq!(counts.forwarded["OverlayMessage"], 4);
    assert!(counts.dropped.is_empty(), "{counts:?}");
    let state = a.transport.stop().await;
    assert_eq!((state.acknowledged, state.unacknowledged), (2, 0));
    assert!(matches!(state.link, Link::Stopped));
    relay.stop().await;
}

#[tokio::test]
async fn a_new_node_is_told_its_researcher_first() {
    let folder = tempfile::tempdir().unwrap();
    let relay = start_relay(folder.path(), 0).await.unwrap();
    let mut a = Node::start("a", &relay);

    let first = a.next().await;

    assert!(
        matches!(first, ToNode::Ping { researcher_id, request_id: Some(_) } if researcher_id == researcher())
    );
}

#[tokio::test]
async fn a_relay_restarted_between_request_and_reply_costs_no_message() {
    let folder = tempfile::tempdir().unwrap();
    let relay = start_relay(folder.path(), 0).await.unwrap();
    let (port, certificate) = (relay.local_addr().port(), relay.certificate().clone());
    let (mut a, mut b) = (Node::start("a", &relay), Node::start("b", &relay));
    a.connected().await;
    b.connected().await;
    a.send(overlay("a", "b", 1)).await;
    assert_eq!(b.next_overlay().await.overlay.len(), 1);

    relay.stop().await;
    // Handed over while there is no relay; larger than what the network's buffers would swallow.
    for length in 2..100 {
        b.send(overlay("b", "a", length)).await;
    }
    b.send(overlay("b", "a", 9_000_000)).await;
    b.until(|state| state.unacknowledged > 0).await;
    let relay = start_relay(folder.path(), port).await.unwrap();

    assert_eq!(relay.certificate(), &certificate);
    let mut lengths = Vec::new();
    for _ in 0..99 {
        lengths.push(a.next_overlay().await.overlay.len());
    }
    lengths.sort_unstable();
    assert_eq!(lengths, (2..100).chain([9_000_000]).collect::<Vec<_>>());

    // And on it goes.
    a.send(overlay("a", "b", 3)).await;
    assert_eq!(b.next_overlay().await.overlay.len(), 3);
    let state = b.until(|state| state.unacknowledged == 0).await;
    assert!(state.connections >= 2, "{state:?}");
    assert_eq!((state.expired, state.refused), (0, 0));
    assert!(relay.counts().dropped.is_empty());
}

#[tokio::test]
async fn a_stopping_relay_hands_out_what_it_has() {
    let folder = tempfile::tempdir().unwrap();
    let relay = start_relay(folder.path(), 0).await.unwrap();
    let (a, mut b) = (Node::start("a", &relay), Node::start("b", &relay));
    a.connected().await;
    b.connected().await;
    for length in 0..50 {
        a.send(overlay("a", "b", length)).await;
    }
    a.until(|state| state.acknowledged == 50).await;

    relay.stop().await;

    for _ in 0..50 {
        b.next_overlay().await;
    }
}

#[tokio::test]
async fn a_message_whose_delivery_broke_off_is_delivered_again() {
    let folder = tempfile::tempdir().unwrap();
    let relay = start_relay(folder.path(), 0).await.unwrap();
    let a = Node::start("a", &relay);
    a.connected().await;
    let mut first = Raw::connect(&relay).await;
    first.greeted("b").await;
    a.send(overlay("a", "b", 30_000_000)).await;

    let mut slices = first.poll("b").await.unwrap();
    let slice = timeout(PATIENCE, slices.message())
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    assert_eq!((slice.size, slice.iteration), (8, 1));
    drop((slices, first));

    let mut second = Raw::connect(&relay).await;
    let whole = timeout(PATIENCE, async {
        loop {
            // Refused until the relay has noticed that the first connection is gone.
            let Ok(mut slices) = second.poll("b").await else {
                sleep(Duration::from_millis(20)).await;
                continue;
            };
            let mut message = Reassembly::default();
            while let Some(slice) = slices.message().await.unwrap() {
                if let Some(whole) = message.push(slice.into()).unwrap() {
                    // On the new connection the relay greets anew.
                    if let Ok(ToResearcher::Overlay(whole)) = ToResearcher::decode(&whole) {
                        return whole;
                    }
                }
            }
        }
    })
    .await
    .unwrap();
    assert_eq!(whole, overlay("a", "b", 30_000_000));
}

#[tokio::test]
async fn a_message_that_left_for_a_dead_connection_arrives_over_the_next() {
    let folder = tempfile::tempdir().unwrap();
    let relay = start_relay(folder.path(), 0).await.unwrap();
    let a = Node::start("a", &relay);
    a.connected().await;
    let mut first = Raw::connect(&relay).await;
    first.greeted("b").await;

    // To the relay it is delivered; the node reads no more of this connection.
    let unread = first.poll_confirming("b", Received::None).await.unwrap();
    a.send(overlay("a", "b", 1000)).await;
    timeout(PATIENCE, async {
        while !relay.counts().delivered.contains_key("OverlayMessage") {
            sleep(Duration::from_millis(20)).await;
        }
    })
    .await
    .unwrap();
    drop((unread, first));

    let mut b = Node::start("b", &relay);
    assert_eq!(b.next_overlay().await, overlay("a", "b", 1000));
    // And not again: to be given the next message, the node has said that it came.
    a.send(overlay("a", "b", 2000)).await;
    assert_eq!(b.next_overlay().await, overlay("a", "b", 2000));
}

#[tokio::test]
async fn messages_beyond_a_full_mailbox_are_dropped_and_counted() {
    let folder = tempfile::tempdir().unwrap();
    let relay = start_relay(folder.path(), 0).await.unwrap();
    Raw::connect(&relay).await.greeted("absent").await;
    let a = Node::start("a", &relay);
    for _ in 0..5000 {
        a.send(overlay("a", "absent", 10)).await;
    }

    a.until(|state| state.acknowledged == 5000).await;

    let counts = relay.counts();
    assert_eq!(counts.forwarded["OverlayMessage"], 1000);
    assert_eq!(counts.dropped["OverlayMessage"], 4000);
    assert_eq!(counts.dropped_because[&DropReason::Full], 4000);
    let absent = relay
        .nodes()
        .into_iter()
        .find(|node| node.id.as_str() == "absent")
        .unwrap();
    assert_eq!(absent.queued, 1000);
}
