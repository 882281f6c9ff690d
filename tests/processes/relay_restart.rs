//! A relay that is stopped and started between a request and its reply.

use serde_json::Value;

use crate::harness::{Network, Peer, until};

fn queued(network: &Network, node: &str) -> u64 {
    let status = network.relay.status();
    let nodes = status["nodes"].as_array().expect("a list");
    let node = nodes
        .iter()
        .find(|one| one["id"] == node)
        .expect("a node that polled");
    node["queued"].as_u64().expect("a number")
}

fn forwarded(network: &Network) -> u64 {
    network.relay.status()["forwarded"]["OverlayMessage"]
        .as_u64()
        .unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reply_made_while_the_relay_was_away_arrives() {
    let mut network = Network::start(&["n"]);
    let peer = Peer::join(&network, "p", "n").await;
    peer.set_up(&network, "run");
    let replies = |network: &Network| {
        network.node("n").status()["sent"]["KeyReply"]
            .as_u64()
            .unwrap_or_default()
    };
    let before = (replies(&network), forwarded(&network));

    // The request leaves the relay, and reaches no more than the node's socket.
    network.node("n").pause();
    let request = peer.ask("run").await;
    until("the relay has handed the request over", || {
        (forwarded(&network) > before.1 && queued(&network, "n") == 0).then_some(())
    });
    network.relay.stop();
    network.node("n").resume();
    until("the node has made its reply", || {
        (replies(&network) > before.0).then_some(())
    });
    assert_eq!(peer.answered(&request), None);

    network.relay.start_again();
    peer.until_answered(&[request]).await;
}

#[test]
fn a_set_up_that_loses_its_relay_fails_by_name_and_the_next_one_succeeds() {
    let mut network = Network::start(&["a", "b"]);
    network.set_up("dh");
    let channels =
        |network: &Network| ["a", "b"].map(|node| network.node(node).status()["channels"].clone());
    let before = channels(&network);
    let said = forwarded(&network);

    // The relay has a's request for b and goes down with it: a had handed it over, and b has read no more than its socket holds.
    network.node("b").pause();
    let under_way = network.begin_set_up("dh");
    until("the relay has a request for b", || {
        (forwarded(&network) > said).then_some(())
    });
    let (status, _) = network.relay.stop();
    assert!(status.success(), "{status}");
    network.node("b").resume();
    let outcome = under_way.outcome();
    let said: Value = serde_json::from_str(&outcome.out).expect("an object");
    assert_eq!(
        (outcome.code, &said["ok"]),
        (4, &Value::Bool(false)),
        "{outcome:?}"
    );
    for part in ["what", "why", "to_do"] {
        assert_ne!(
            said["error"][part].as_str().unwrap_or_default(),
            "",
            "{said}"
        );
    }

    network.relay.start_again();
    network.until_connected();
    network.set_up("dh");
    network.set_up("server-key");
    assert_eq!(channels(&network), before);
    for node in ["a", "b"] {
        assert_eq!(
            network.node(node).status()["sent"]["ChannelSetupRequest"],
            1,
            "of the first set-up"
        );
    }
}
