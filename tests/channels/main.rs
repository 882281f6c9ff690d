//! Which nodes talk to each other in which suite, as their operators decide it: real nodes, one relay.

#[path = "../harness/mod.rs"]
mod harness;
mod hybrid;
mod known;
mod met;

use harness::{Daemon, Folder, Network, json};

/// Suite and peer of each channel that a node has.
fn channels(node: &Daemon) -> Vec<(u64, String)> {
    let status = node.status();
    let channels = status["channels"].as_array().expect("a list").iter();
    let mut channels: Vec<_> = channels
        .map(|channel| {
            let peer = channel["peer"].as_str().expect("a text").to_owned();
            (channel["suite"].as_u64().expect("a number"), peer)
        })
        .collect();
    channels.sort();
    channels
}

fn data(network: &Network, node: &str) -> String {
    network.node(node).data().to_owned()
}

/// What pins `peer` at `node`: its file and its fingerprint.
fn pin(network: &Network, node: &str, peer: &str) {
    let file = network.folder.at(&format!("{peer}.toml"));
    let export = ["identity", "export", "--data", &data(network, peer)];
    let exported = json(&[&export[..], &["--to", &file]].concat());
    let fingerprint = exported["fingerprint"].as_str().expect("a text");
    let pin = ["peer", "pin", peer, &file, "--fingerprint", fingerprint];
    json(&[&pin[..], &["--data", &data(network, node)]].concat());
}

/// Nodes that know nobody.
fn strangers(ids: &[&str]) -> Network {
    started_in(Folder::new(), ids)
}

/// Nodes that have what is in the folder, and their relay.
fn started_in(folder: Folder, ids: &[&str]) -> Network {
    let relay = Daemon::relay(folder.path(), "relay");
    let nodes = ids
        .iter()
        .map(|id| Daemon::secure_node(folder.path(), id, &relay.address));
    let nodes = nodes.collect();
    let network = Network {
        relay,
        nodes,
        folder,
    };
    network.until_connected();
    network
}

/// What a researcher hears of a set-up that fails.
fn why_not(network: &Network) -> String {
    let failed = network.begin_set_up("dh").outcome();
    assert_ne!(failed.code, 0, "{failed:?}");
    format!("{}{}", failed.out, failed.err)
}
