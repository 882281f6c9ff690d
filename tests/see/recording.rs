//! What a node records of its plugins: what their operator allows, without secrets, and enough to run it again.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use backchannel::handlers::{BUILT_IN, Plugin, Runtime, Terms};
use backchannel::replay::{self, Difference};
use backchannel::trace::{Bytes, Effect, Ended, Entry, Session, Trace, Value, Work};

use crate::harness::{Daemon, Folder, Network, introduce, run, told};

const POLICY: &str =
    "version = 1\n[plugin.key-request]\nrecord = true\n[plugin.additive-sharing]\nrecord = true\n";

/// A network in which `a` records. Its nodes know each other, whatever the policy says.
fn recording(policy: &str) -> (Network, String) {
    let folder = Folder::new();
    introduce(&folder, &["a", "b"]);
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
        Daemon::secure_node(folder.path(), "b", &relay.address),
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

/// Everything in the trace that has a share in it, by the place where it stands.
fn shares(trace: &Trace) -> BTreeMap<&'static str, Vec<&Bytes>> {
    let mut shares = BTreeMap::<_, Vec<_>>::new();
    let mut add = |place, bytes| shares.entry(place).or_default().push(bytes);
    let of_it = |session: &&Session| session.plugin == "additive-sharing";
    for session in trace.sessions.iter().filter(of_it) {
        match &session.work {
            Work::Message(incoming) if incoming.kind == "AdditiveSSharingReply" => {
                add("came", &incoming.fields);
            }
            _ => {}
        }
        for call in &session.calls {
            if let Entry::Step(answers) = &call.entry {
                answers.iter().for_each(|one| add("answered", &one.body));
            }
            for asked in &call.host_calls {
                if let ("sharing.share-for", Value::Bytes(share)) = (&*asked.import, &asked.result)
                {
                    add("asked for", share);
                }
            }
            let Ended::Effects { effects, .. } = &call.ended else {
                continue;
            };
            for effect in effects {
                match effect {
                    Effect::Publish { body, .. } => add("published", body),
                    Effect::Reply { fields, .. } => add("sent", fields),
                    Effect::Deliver { body } => add("delivered", body),
                    Effect::EstablishServerKey { shares } => {
                        shares.iter().for_each(|one| add("established", &one.body));
                    }
                    _ => {}
                }
            }
        }
    }
    shares
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

    let shares = shares(&trace);
    let places: Vec<_> = shares.keys().copied().collect();
    let all = [
        "answered",
        "asked for",
        "came",
        "delivered",
        "established",
        "published",
        "sent",
    ];
    assert_eq!(places, all);
    for (place, shown) in &shares {
        assert!(
            shown.iter().all(|bytes| bytes.has_secrets()),
            "{place}: {shown:?}"
        );
    }
    assert_eq!(shares["asked for"].len(), 1, "one other party");

    let runtime = Runtime::metered().expect("an engine");
    for name in ["key-request", "additive-sharing"] {
        let built_in = BUILT_IN
            .iter()
            .find(|one| one.name == name)
            .expect("built in");
        let terms = Terms::granting(built_in.grants);
        let plugin = Plugin::load(&runtime, built_in.component, terms).expect("loaded");
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
