//! Suite 3, as operators come to it one by one.

use crate::harness::{Network, json, told};
use crate::{channels, data, pin, strangers};

/// Writes what a node offers, and has it know.
fn offer(network: &Network, node: &str, suite_3: &str) {
    let policy = format!("version = 1\n[channels]\nsuite-3 = {suite_3}\n");
    network.folder.write(&format!("{node}/policy.toml"), policy);
    json(&["plugin", "reload", "--data", &data(network, node)]);
}

/// Has both forget their sessions, as the ten minutes do after which there is another.
fn restart(network: &mut Network) {
    for node in ["a", "b"] {
        network.node_mut(node).kill();
        network.node_mut(node).start_again();
    }
    network.until_connected();
}

/// The suite of the one channel that both have.
fn suite(network: &Network) -> u64 {
    let [a, b] = ["a", "b"].map(|node| channels(network.node(node)));
    assert_eq!((a.len(), b.len()), (1, 1), "{a:?} {b:?}");
    assert_eq!(a[0].0, b[0].0);
    a[0].0
}

#[test]
fn suite_3_is_spoken_once_both_offer_it_and_from_then_on() {
    let mut network = strangers(&["a", "b"]);
    pin(&network, "a", "b");
    pin(&network, "b", "a");
    for offering in ["a", "b"] {
        offer(&network, offering, "\"any\"");
        let other = if offering == "a" { "b" } else { "a" };
        offer(&network, other, "[]");
        restart(&mut network);
        network.set_up("dh");
        assert_eq!(suite(&network), 2, "{offering} alone offers it");
    }

    for node in ["a", "b"] {
        offer(&network, node, "[\"a\", \"b\"]");
    }
    restart(&mut network);
    network.set_up("dh");
    assert_eq!(suite(&network), 3);
    for (node, peer) in [("a", "b"), ("b", "a")] {
        let secured = told(network.node(node), "channel_secured");
        let last = secured.last().expect("told");
        assert_eq!((&last["peer"], &last["suite"]), (&peer.into(), &3.into()));
    }

    // What was spoken once stays, as whoever may change the policy is not the peer.
    offer(&network, "a", "[]");
    offer(&network, "b", "[]");
    restart(&mut network);
    network.set_up("dh");
    assert_eq!(suite(&network), 3);
    let peers = json(&["peer", "list", "--data", &data(&network, "a")]);
    assert_eq!(
        peers["peers"][0]["suites"],
        serde_json::json!([3]),
        "{peers}"
    );
}
