//! What a node records of its plugins: what their operator allows, without secrets, and enough to run it again.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use backchannel::handlers::{BUILT_IN, Plugin, Runtime, Terms};
use backchannel::replay::{self, Difference};
use backchannel::trace::{Trace, Work};

use super::told;
use crate::harness::{Daemon, Folder, Network, run};

const POLICY: &str =
    "version = 1\n[plugin.key-request]\nrecord = true\n[plugin.additive-sharing]\nrecord = true\n";

/// A network in which `a` records.
fn recording(policy: &str) -> (Network, String) {
    let folder = Folder::new();
    fs::create_dir(folder.path().join("a")).expect("a folder");
    folder.write("a/policy.toml", policy);
    let trace = folder.at("a.trace");
    let relay = Daemon::relay(folder.path(), "relay");
    let recording = [
        "node",
        "--id",
        "a",
        "--researcher",
        &relay.address,
        "--record",
        &trace,
    ];
    let nodes = vec![
        Daemon::start(folder.path(), "a", &recording),
        Daemon::node(folder.path(), "b", &relay.address),
    ];
    let network = Network {
        relay,
        nodes,
        folder,
    };
    network.until_connected();
    (network, trace)
}

/// What `a` recorded once it has set up pair secrets and a server key.
fn recorded(policy: &str) -> (Folder, String) {
    let (mut network, trace) = recording(policy);
    network.set_up("dh");
    network.set_up("server-key");
    network.node_mut("a").stop();
    assert!(!told(network.node("a"), "plugin_recorded").is_empty());
    (network.folder, trace)
}

fn read(path: &str) -> Trace {
    let text = fs::read(path).expect("a trace");
    Trace::read(&text[..]).expect("a trace that can be read")
}

#[test]
fn nothing_is_recorded_of_a_plugin_whose_operator_did_not_allow_it() {
    let (_folder, path) = recorded("version = 1\n[plugin.key-request]\nrecord = true\n");

    let trace = read(&path);

    assert!(trace.whole);
    assert!(!trace.sessions.is_empty());
    assert!(
        trace
            .sessions
            .iter()
            .all(|session| session.plugin == "key-request")
    );
    let mode = fs::metadata(&path).expect("a file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn consent_is_taken_back_and_given_again_while_the_node_runs() {
    let allowed = "version = 1\n[plugin.key-request]\nrecord = true\n";
    let (mut network, path) = recording(allowed);
    let put_in_force = |network: &Network, policy: &str| {
        network.folder.write("a/policy.toml", policy);
        let reloaded = run(&["plugin", "reload", "--data", network.node("a").data()]);
        assert_eq!(reloaded.code, 0, "{reloaded:?}");
    };

    let first = network.set_up("dh");
    put_in_force(&network, "version = 1\n");
    network.set_up("dh");
    put_in_force(&network, allowed);
    let last = network.set_up("dh");
    network.node_mut("a").stop();

    let runs: Vec<_> = read(&path)
        .sessions
        .iter()
        .filter_map(|session| match &session.work {
            Work::Run(run) => Some(run.run.clone()),
            Work::Message(_) => None,
        })
        .collect();
    assert_eq!(runs, [first, last]);
    assert_eq!(told(network.node("a"), "plugin_recorded").len(), 2);
}

#[test]
fn shares_are_left_out_and_what_was_recorded_runs_again_all_the_same() {
    let (_folder, path) = recorded(POLICY);
    let trace = read(&path);

    let text = fs::read_to_string(&path).expect("a trace");
    assert!(
        text.contains("sharing.share-for"),
        "the share was asked for"
    );
    let shares: Vec<_> = trace
        .sessions
        .iter()
        .flat_map(|session| &session.calls)
        .flat_map(|call| &call.host_calls)
        .filter(|call| call.import == "sharing.share-for")
        .collect();
    assert_eq!(shares.len(), 1, "one other party");
    assert!(
        shares[0].result.to_string().contains("secret"),
        "{}",
        shares[0].result
    );

    let runtime = Runtime::metered().expect("an engine");
    for name in ["key-request", "additive-sharing"] {
        let built_in = BUILT_IN
            .iter()
            .find(|one| one.name == name)
            .expect("built in");
        let terms = Terms::granting(built_in.grants);
        let plugin = Plugin::load(&runtime, built_in.component, terms, None).expect("loaded");
        let of_it: Vec<_> = trace
            .sessions
            .iter()
            .filter(|session| session.plugin == name)
            .collect();
        // A run, the peer's request, and the peer's reply.
        assert_eq!(of_it.len(), 3, "{name}");
        assert!(
            of_it
                .iter()
                .any(|session| matches!(session.work, Work::Run(_)))
        );
        let again = replay::again(&Arc::new(plugin), of_it.iter().copied()).expect("replayed");
        for (then, now) in of_it.iter().zip(again) {
            let now = now.expect("run again");
            assert_eq!(Difference::first(then, &now, true), None, "{}", then.work);
        }
    }
}
