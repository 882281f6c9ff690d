//! Peers whose identity key a person has confirmed, and those of whom none is known.

use crate::harness::{Daemon, Folder, Network, introduce, json, told, until};
use crate::{channels, data, pin, strangers, why_not};

fn unpin(network: &Network, node: &str, peer: &str) {
    json(&["peer", "unpin", peer, "--data", &data(network, node)]);
}

#[test]
fn a_node_that_knows_nobody_talks_to_nobody_and_says_why() {
    let network = strangers(&["a", "b"]);

    let why = why_not(&network);

    assert!(why.contains("this node does not talk to"), "{why}");
    assert!(
        why.contains("its key is not known, and suite 1 is not allowed"),
        "{why}"
    );
    for node in ["a", "b"] {
        assert_eq!(network.node(node).status()["sent"], serde_json::json!({}));
    }
    let log = network.node("a").log();
    assert!(
        log.contains("this node talks to no peer") && log.contains("peer pin"),
        "{log}"
    );
}

#[test]
fn a_pin_counts_at_once_on_a_running_node_and_so_does_taking_it_back() {
    let network = strangers(&["a", "b"]);
    why_not(&network);
    pin(&network, "a", "b");
    pin(&network, "b", "a");

    network.set_up("dh");

    for (node, peer) in [("a", "b"), ("b", "a")] {
        assert_eq!(channels(network.node(node)), [(2, peer.to_owned())]);
        let secured = told(network.node(node), "channel_secured");
        assert_eq!(secured.len(), 1, "{secured:?}");
        assert_eq!(
            (&secured[0]["peer"], &secured[0]["suite"]),
            (&peer.into(), &2.into())
        );
    }
    unpin(&network, "a", "b");
    let why = why_not(&network);
    assert!(
        why.contains("suite 2 was spoken with it: none lower is"),
        "{why}"
    );
    assert_eq!(channels(network.node("a")), []);
}

#[test]
fn no_lower_suite_is_spoken_with_whom_a_higher_one_was_whatever_the_policy_allows_now() {
    let network = strangers(&["a", "b"]);
    pin(&network, "a", "b");
    pin(&network, "b", "a");
    network.set_up("dh");

    for (node, peer) in [("a", "b"), ("b", "a")] {
        unpin(&network, node, peer);
        let anybody = "version = 1\n[channels]\nsuite-1 = \"any\"\n";
        network
            .folder
            .write(&format!("{node}/policy.toml"), anybody);
        json(&["plugin", "reload", "--data", &data(&network, node)]);
    }

    let why = why_not(&network);
    assert!(why.contains("none lower is"), "{why}");
}

#[test]
fn a_policy_that_allows_suite_1_counts_for_peers_without_a_key_from_the_next_reload_on() {
    let network = strangers(&["a", "b"]);
    for (node, peer) in [("a", "b"), ("b", "a")] {
        let policy = format!("version = 1\n[channels]\nsuite-1 = [\"{peer}\"]\n");
        network.folder.write(&format!("{node}/policy.toml"), policy);
    }
    why_not(&network);
    for node in ["a", "b"] {
        json(&["plugin", "reload", "--data", &data(&network, node)]);
    }

    network.set_up("dh");

    assert_eq!(channels(network.node("a")), [(1, "b".to_owned())]);
}

#[test]
fn sessions_are_made_anew_after_a_restart_and_nothing_is_lost() {
    let folder = Folder::new();
    introduce(&folder, &["a", "b"]);
    let relay = Daemon::relay(folder.path(), "relay");
    let nodes = ["a", "b"].map(|id| Daemon::secure_node(folder.path(), id, &relay.address));
    let mut network = Network {
        relay,
        nodes: nodes.into(),
        folder,
    };
    network.until_connected();
    network.set_up("dh");

    // Neither end tells the other, and each finds out by itself.
    for node in ["a", "b"] {
        network.node_mut(node).kill();
        network.node_mut(node).start_again();
        network.until_connected();
        network.set_up("server-key");
        network.set_up("dh");
    }

    until("both ends have the session", || {
        let both = ["a", "b"].map(|node| channels(network.node(node)).len());
        (both == [1, 1]).then_some(())
    });
}
