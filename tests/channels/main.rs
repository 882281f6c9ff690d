//! Which nodes talk to each other in which suite, as their operators decide it: real nodes, one relay.

#[path = "../harness/mod.rs"]
mod harness;
mod known;
mod met;

use harness::{Daemon, Network};

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

/// What a researcher hears of a set-up that fails.
fn why_not(network: &Network) -> String {
    let failed = network.begin_set_up("dh").outcome();
    assert_ne!(failed.code, 0, "{failed:?}");
    format!("{}{}", failed.out, failed.err)
}
