//! A node that is killed over a researcher's request tells so when it is started again. Else the researcher would wait its
//! full 60 s.

use serde_json::Value;

use crate::harness::{Network, Peer, Running, Wire, kept, until};

/// A node and a peer that know each other. The node's wire can be held; the peer holds its keys of runs.
async fn node_and_peer() -> (Network, Wire, Peer) {
    let (network, wire) = Network::start_wired("n");
    let peer = Peer::join(&network, "p", "n").await;
    peer.set_up(&network, "earlier run");
    peer.hold();
    (network, wire, peer)
}

/// A set-up in which the node has asked the peer for its key of the run, and the peer has not answered. It has answered the
/// researcher, who waits for the node only.
async fn under_way(network: &Network, peer: &Peer) -> Running {
    let (relay, parties) = (network.relay.data().to_owned(), "n,p".to_owned());
    let command = ["secagg", "setup", "--relay", &relay, "--scheme", "dh"];
    let run = ["--parties", &parties, "--id", "run", "-o", "json"];
    let under_way = Running::start(&[&command[..], &run].concat());
    until("the node asks the peer", || {
        (peer.held().len() == 1).then_some(())
    });
    under_way
}

/// The node has been killed: the researcher hears of it when it runs again, and it forgets the request then.
fn is_told_at_the_next_start(network: &mut Network, under_way: Running) {
    assert_eq!(kept(network, "n").open_requests.len(), 1);
    network.node_mut("n").start_again();
    let outcome = under_way.outcome();

    assert_eq!(outcome.code, 1, "{outcome:?}");
    assert!(
        outcome.out.contains("FB318") && outcome.out.contains("started again"),
        "{outcome:?}"
    );
    let (status, _) = network.node_mut("n").stop();
    assert!(status.success(), "{status}");
    assert_eq!(kept(network, "n").open_requests, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_researcher_hears_of_a_node_killed_while_it_waits_for_a_peer() {
    let (mut network, _wire, peer) = node_and_peer().await;
    let under_way = under_way(&network, &peer).await;

    network.node_mut("n").kill();
    is_told_at_the_next_start(&mut network, under_way);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_researcher_hears_of_a_node_killed_between_its_last_step_and_its_reply() {
    let (mut network, wire, peer) = node_and_peer().await;
    let under_way = under_way(&network, &peer).await;
    // The peer's answer still comes, as the node polls already; the node's to the researcher does not leave.
    wire.hold();
    peer.release().await;
    let has_run = |status: &Value| {
        let contexts = status["contexts"].as_array().expect("a list").iter();
        contexts.into_iter().any(|one| one["secagg_id"] == "run")
    };
    until("the node has the secrets", || {
        has_run(&network.node("n").status()).then_some(())
    });

    network.node_mut("n").kill();
    // What it had written already is lost with it.
    wire.cut();
    is_told_at_the_next_start(&mut network, under_way);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_whose_answer_was_taken_is_answered_once() {
    let (mut network, _wire, peer) = node_and_peer().await;
    peer.release().await;
    peer.set_up(&network, "run");

    let (status, _) = network.node_mut("n").stop();
    assert!(status.success(), "{status}");
    assert_eq!(kept(&network, "n").open_requests, []);
    let before = network.relay.status()["dropped"].clone();
    network.node_mut("n").start_again();
    network.until_connected();
    peer.set_up(&network, "later run");
    assert_eq!(network.relay.status()["dropped"], before);
}
