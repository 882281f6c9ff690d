//! One waiting message delays no other.

use std::time::Duration;

use crate::harness::{Network, Peer};

/// A real node, and a peer that has a channel with it.
async fn node_and_peer() -> (Network, Peer) {
    let network = Network::start(&["n"]);
    let peer = Peer::join(&network, "p", "n").await;
    (network, peer)
}

fn median(mut durations: Vec<Duration>) -> Duration {
    durations.sort_unstable();
    durations[durations.len() / 2]
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unanswerable_request_delays_none_of_a_hundred_answerable_ones() {
    let (network, peer) = node_and_peer().await;
    peer.set_up(&network, "run");

    // Alone and beside an unanswerable one by turns, so that a busy machine slows both alike.
    let (mut alone, mut beside, mut unanswerable) = (vec![], vec![], vec![]);
    for _ in 0..5 {
        alone.extend(peer.latencies("run", 100).await);
        unanswerable.push(peer.ask("a run that nobody sets up").await);
        beside.extend(peer.latencies("run", 100).await);
    }
    // This one becomes answerable after all: its answer shows that the others overtook it while it waited.
    let late = peer.ask("late run").await;
    peer.latencies("run", 100).await;
    assert_eq!(peer.answered(&late), None);
    peer.set_up(&network, "late run");
    peer.until_answered(&[late]).await;

    let (alone, beside) = (median(alone), median(beside));
    println!("median latency: {alone:?} alone, {beside:?} beside an unanswerable request");
    // Ten times is far more than noise, and far less than the 30 s of one request that waits for another.
    assert!(
        beside < 10 * alone,
        "{beside:?} beside an unanswerable request, {alone:?} alone"
    );
    for request in &unanswerable {
        assert_eq!(peer.answered(request), None);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_and_fifty_unanswerable_requests_stop_no_answerable_one() {
    let (network, peer) = node_and_peer().await;
    peer.set_up(&network, "run");

    let mut unanswerable = Vec::new();
    for number in 0..150 {
        unanswerable.push(peer.ask(&format!("unknown run {number}")).await);
    }
    peer.latencies("run", 100).await;

    assert!(
        unanswerable
            .iter()
            .all(|request| peer.answered(request).is_none())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sender_that_blocks_itself_blocks_nobody_else() {
    let network = Network::start(&["n", "m"]);
    let peer = Peer::join(&network, "p", "n").await;
    // The node knows the peer: what strangers may take up is another matter.
    peer.set_up(&network, "run");
    // More than the node treats at a time for one sender.
    for number in 0..300 {
        peer.ask(&format!("unknown run {number}")).await;
    }

    network.set_up("dh");
    network.set_up("server-key");
}
