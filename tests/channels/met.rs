//! Peers whose identity key nobody confirmed, where the policy trusts on first use.

use crate::harness::{Daemon, Folder, Network, introduce, json, told};
use crate::{channels, started_in, why_not};

const TRUSTING: &str = "version = 1\n[channels]\ntrust-on-first-use = true\n";

fn trusting(ids: &[&str]) -> Network {
    let folder = Folder::new();
    for id in ids {
        std::fs::create_dir(folder.path().join(id)).expect("a folder");
        folder.write(&format!("{id}/policy.toml"), TRUSTING);
    }
    started_in(folder, ids)
}

#[test]
fn the_first_key_is_believed_and_marked_and_another_one_is_not() {
    let mut network = trusting(&["a", "b"]);

    network.set_up("dh");

    let a = network.node("a");
    assert_eq!(channels(a), [(2, "b".to_owned())]);
    let met = told(a, "peer_met");
    assert_eq!(
        (&met[0]["peer"], &met[0]["status"]),
        (&"b".into(), &"warning".into())
    );
    let listed = json(&["peer", "list", "--data", a.data()]);
    assert_eq!(listed["peers"][0]["source"], "first-use", "{listed}");

    // Somebody else comes in its name, or it has lost its store.
    network.node_mut("b").stop();
    let lost = network.folder.path().join("b");
    std::fs::remove_dir_all(&lost).expect("removed");
    std::fs::create_dir(&lost).expect("a folder");
    network.folder.write("b/policy.toml", TRUSTING);
    network.node_mut("b").start_again();
    network.until_connected();
    why_not(&network);
    let a = network.node("a");
    assert_eq!(told(a, "peer_met").len(), 1, "the first stays");
    assert!(a.status()["dropped"]["another identity"].as_u64() >= Some(1));
}

#[test]
fn one_side_may_know_the_other_and_be_met_by_it() {
    let folder = Folder::new();
    introduce(&folder, &["a", "b"]);
    json(&["peer", "unpin", "b", "--data", &folder.at("a")]);
    folder.write("a/policy.toml", TRUSTING);
    let relay = Daemon::relay(folder.path(), "relay");
    let nodes = ["a", "b"].map(|id| Daemon::secure_node(folder.path(), id, &relay.address));
    let network = Network {
        relay,
        nodes: nodes.into(),
        folder,
    };
    network.until_connected();

    network.set_up("dh");

    assert_eq!(told(network.node("a"), "peer_met").len(), 1);
    assert_eq!(told(network.node("b"), "peer_met").len(), 0);
    assert_eq!(channels(network.node("b")), [(2, "a".to_owned())]);
}
