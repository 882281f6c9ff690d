//! Protocols of several parties, on real nodes through a real relay: what holds when parties misbehave, fall silent or disappear.

mod asked;
mod cheating;
mod granted;
#[path = "../harness/mod.rs"]
mod harness;
mod together;
mod vanishing;

use std::collections::BTreeMap;

use harness::{Folder, Network, Outcome, Running, json};
use serde_json::{Value, json};

/// The exit code of work that was begun and failed.
const FAILED: i32 = 1;

/// Nodes that run a protocol of `component`, the plugin of this name.
fn nodes_with(ids: &[&str], name: &str, component: &[u8]) -> Network {
    let folder = Folder::new();
    let file = folder.write("component.wasm", component);
    for id in ids {
        let data = folder.at(id);
        let plugin = |words: &[&str]| json(&[&["plugin"], words, &["--data", &data]].concat());
        std::fs::create_dir(&data).expect("a folder");
        plugin(&["install", &file]);
        plugin(&[
            "approve",
            name,
            "--all-declared",
            "--reason",
            "trial",
            "--by",
            "Ada",
        ]);
        plugin(&["enable", name]);
    }
    Network::start_in(folder, ids)
}

/// Nodes with the unruly plugin.
fn unruly(ids: &[&str]) -> Network {
    nodes_with(ids, "unruly", backchannel_test_guests::UNRULY)
}

/// Begins a run among all nodes.
fn begin(network: &Network, protocol: &str, params: &Value, more: &[&str]) -> Running {
    begin_among(network, &network.parties(), protocol, params, more)
}

/// Begins a run among these parties.
fn begin_among(
    network: &Network,
    parties: &str,
    protocol: &str,
    params: &Value,
    more: &[&str],
) -> Running {
    let params = params.as_object().expect("parameters").iter();
    let params: Vec<_> = params
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    let mut words = vec![
        "run",
        protocol,
        "--relay",
        network.relay.data(),
        "--parties",
        parties,
        "-o",
        "json",
    ];
    for param in &params {
        words.extend(["--param", param]);
    }
    words.extend(more);
    Running::start(&words)
}

/// What came of a run: its object, and the exit code.
fn ended(running: Running) -> (Value, i32) {
    let Outcome { code, out, err } = running.outcome();
    let ran = serde_json::from_str(&out).unwrap_or_else(|_| panic!("no result: {out}{err}"));
    (ran, code)
}

/// How it ended for each party.
fn parties(ran: &Value) -> BTreeMap<String, Value> {
    let parties = ran["parties"].as_array().expect("parties").iter();
    parties
        .map(|party| {
            (
                party["id"].as_str().expect("an id").to_owned(),
                party.clone(),
            )
        })
        .collect()
}

/// Parameters of the unruly protocol: a round or more of which each waits for `seconds`, and who does what in the last.
fn acts(rounds: u32, seconds: u32, acts: &Value) -> Value {
    json!({ "rounds": rounds, "seconds": seconds, "acts": acts })
}
