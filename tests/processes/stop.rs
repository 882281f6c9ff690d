//! Nodes and relays that are asked to end.

use std::time::Duration;

use serde_json::Value;

use crate::harness::{Network, Peer, json, kept, until};

/// What operators' tools wait before they kill: systemd 90 s, docker 10 s. Ours needs less than either.
const LIMIT: Duration = Duration::from_secs(5);

fn stop(network: &mut Network, id: Option<&str>) {
    let daemon = match id {
        Some(id) => network.node_mut(id),
        None => &mut network.relay,
    };
    let (status, took) = daemon.stop();
    assert_eq!(status.code(), Some(0), "{id:?}: {status}");
    assert!(took < LIMIT, "{id:?} took {took:?}");
}

fn without_rounds(status: &Value) -> (Value, Value) {
    (status["channels"].clone(), status["contexts"].clone())
}

#[test]
fn a_stopped_network_goes_on_where_it_was() {
    let mut network = Network::start(&["a", "b"]);
    let id = network.set_up("dh");
    network.set_up("server-key");
    let csv = network.folder.write("ages.csv", "age\n36\n41\n");
    network.protect("a", &id, 7, &csv, "age");
    let before = ["a", "b"].map(|node| without_rounds(&network.node(node).status()));
    let relay = network.relay.status();

    stop(&mut network, Some("a"));
    stop(&mut network, Some("b"));
    stop(&mut network, None);
    let on_disk = kept(&network, "a").channels;
    network.relay.start_again();
    for node in &mut network.nodes {
        node.start_again();
    }
    network.until_connected();

    assert_eq!(
        ["a", "b"].map(|node| without_rounds(&network.node(node).status())),
        before
    );
    let relay_after = network.relay.status();
    for same in ["address", "fingerprint", "researcher"] {
        assert_eq!(relay_after[same], relay[same]);
    }
    // The context still serves, in a round that was not used; and the channels need no new set-up.
    let files = ["a", "b"].map(|node| network.protect(node, &id, 8, &csv, "age"));
    let sum = json(&["secagg", "aggregate", &files[0], &files[1]]);
    assert_eq!(
        (&sum["count"], &sum["mean"]),
        (&Value::from(4), &Value::from(38.5))
    );
    network.set_up("dh");
    for node in ["a", "b"] {
        assert_eq!(
            network.node(node).status()["sent"]["ChannelSetupRequest"],
            Value::Null
        );
    }
    stop(&mut network, Some("a"));
    assert_eq!(kept(&network, "a").channels, on_disk);
}

#[tokio::test(flavor = "multi_thread")]
async fn stops_in_time_with_messages_that_wait_and_a_relay_that_is_gone() {
    let mut network = Network::start(&["n"]);
    let peer = Peer::join(&network, "p", "n").await;
    peer.set_up(&network, "run");
    for number in 0..10 {
        peer.ask(&format!("unknown run {number}")).await;
    }
    until("the node has the requests", || {
        (network.node("n").status()["received"]["KeyRequest"] == 10).then_some(())
    });

    stop(&mut network, None);
    stop(&mut network, Some("n"));
}
