use crate::harness::{Daemon, Folder, Network, Running, json, problem, run, told, until};

fn explained(node: &Daemon, id: &str) -> serde_json::Value {
    json(&["explain", id, "--data", node.data()])
}

#[test]
fn both_ends_explain_a_message_by_the_same_id() {
    let network = Network::start(&["a", "b"]);
    network.set_up("dh");
    let (a, b) = (network.node("a"), network.node("b"));
    let listed = json(&["explain", "--data", b.data()]);
    let messages = listed["messages"].as_array().expect("a list");
    let request = messages
        .iter()
        .find(|message| message["direction"] == "in" && message["kind"] == "KeyRequest");
    let id = request.expect("a's request")["id"]
        .as_str()
        .expect("an id")
        .to_owned();

    let at_b = &explained(b, &id)["journeys"][0];
    assert_eq!(at_b["outcome"], "treated");
    assert_eq!(at_b["plugin"]["name"], "key-request");
    assert_eq!(at_b["plugin"]["sha256"].as_str().map(str::len), Some(64));
    assert!(
        at_b["assurance"]
            .as_str()
            .is_some_and(|text| text.starts_with("channel key")),
        "{at_b}"
    );
    assert_eq!(at_b["effects"][0], "reply with a KeyReply");
    assert!(at_b["took"]["wall_us"].as_u64() > Some(0), "{at_b}");
    let at_a = &explained(a, &id)["journeys"][0];
    assert_eq!(
        (&at_a["direction"], &at_a["peer"]),
        (&"out".into(), &"b".into())
    );

    // The reply, from both sides.
    let reply = at_b["other"].as_str().expect("a reply");
    let sent = &explained(b, reply)["journeys"][0];
    assert_eq!(sent["other"], id.as_str());
    let came = &explained(a, reply)["journeys"][0];
    assert_eq!(
        (&came["kind"], &came["outcome"]),
        (&"KeyReply".into(), &"treated".into())
    );

    let text = run(&["explain", &id, "--data", b.data()]).out;
    for part in ["from a", "key-request", "treated", "KeyRequest"] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
    let unknown = problem(3, &["explain", "0123456789abcdef", "--data", a.data()]);
    assert!(unknown.why.contains("nor its audit log"), "{}", unknown.why);
    problem(3, &["explain", "not an id", "--data", a.data()]);
}

/// A node with this policy, beside another.
fn network_with_policy(policy: &str) -> Network {
    let folder = Folder::new();
    std::fs::create_dir(folder.path().join("a")).expect("a folder");
    folder.write("a/policy.toml", policy);
    Network::start_in(folder, &["a", "b"])
}

#[test]
fn a_limit_names_its_value_and_the_line_that_decides_it() {
    let policy = "version = 1\n\n[plugin.key-request.limits]\n# for the test\nhost-calls = 0\n";
    let network = network_with_policy(policy);
    let a = network.node("a");
    let setup = network.begin_set_up("dh");
    let hit = until("the limit is told of", || {
        let hits = told(a, "limit_hit");
        hits.into_iter().find(|hit| hit["limit"] == "host-calls")
    });
    assert_eq!(
        (&hit["value"], &hit["decided_by"]),
        (&0.into(), &"policy.toml:5".into())
    );
    assert_ne!(setup.outcome().code, 0);

    // A run, not a message: b's request came to a's plugin too, and has a journey.
    let message = until("b's request is told of", || {
        let hits = told(a, "limit_hit");
        hits.iter()
            .find_map(|hit| hit["message"].as_str().map(str::to_owned))
    });
    let journey = &explained(a, &message)["journeys"][0];
    assert_eq!(journey["outcome"], "dropped");
    assert_eq!(journey["rule"]["name"], "host-calls");
    assert_eq!(journey["rule"]["place"], "policy.toml:5");
    let status = a.status();
    assert_eq!(status["limit_hits"][0]["plugin"], "key-request", "{status}");
    let top = json(&["plugin", "top", "--data", a.data()]);
    let plugin = top["plugins"].as_array().expect("a list");
    let plugin = plugin.iter().find(|one| one["name"] == "key-request");
    let plugin = plugin.expect("the plugin");
    assert!(
        plugin["limit_hits"]["host-calls"].as_u64() >= Some(2),
        "{top}"
    );
    assert!(plugin["calls"]["limited"].as_u64() >= Some(2), "{top}");
}

#[test]
fn a_scope_names_the_line_that_keeps_a_message_out() {
    let policy = "version = 1\n\n[plugin.key-request]\nparties = [\"c\"]\n";
    let network = network_with_policy(policy);
    let a = network.node("a");
    let setup: Running = network.begin_set_up("dh");
    let refused = until("the refusal is told of", || {
        let refused = told(a, "message_refused");
        refused
            .into_iter()
            .find(|line| line["reason"] == "out of scope")
    });
    let id = refused["message"].as_str().expect("an id");
    let journey = &explained(a, id)["journeys"][0];
    assert_eq!(journey["rule"]["name"], "parties");
    assert_eq!(journey["rule"]["place"], "policy.toml:4");
    drop(setup);
}

#[test]
fn an_old_message_is_explained_from_the_audit_log_when_the_node_is_down() {
    let policy = "version = 1\n\n[plugin.key-request]\nparties = [\"c\"]\n";
    let mut network = network_with_policy(policy);
    let setup = network.begin_set_up("dh");
    let a = network.node("a");
    let refused = until("the refusal is told of", || {
        told(a, "message_refused").pop()
    });
    let id = refused["message"].as_str().expect("an id").to_owned();
    drop(setup);
    network.node_mut("a").stop();

    let explained = explained(network.node("a"), &id);
    assert_eq!(explained["journeys"], serde_json::json!([]));
    assert_eq!(explained["audit"][0]["reason"], "out of scope");
}

#[test]
fn the_log_is_shown_with_what_a_plugin_is_about() {
    let network =
        network_with_policy("version = 1\n\n[plugin.key-request.limits]\nhost-calls = 0\n");
    let a = network.node("a");
    let setup = network.begin_set_up("dh");
    until("the limit is told of", || told(a, "limit_hit").pop());
    assert_ne!(setup.outcome().code, 0);

    let lines = run(&["logs", "--data", a.data(), "-o", "json"]);
    let lines: Vec<serde_json::Value> = lines
        .out
        .lines()
        .map(|line| serde_json::from_str(line).expect("an object per line"))
        .collect();
    let dropped = lines.iter().find(|line| {
        line["text"]
            .as_str()
            .is_some_and(|text| text.contains("host-calls"))
    });
    let dropped = dropped.expect("the line of the limit");
    assert_eq!(dropped["level"], "ERROR", "{dropped}");
    let none = run(&["logs", "--plugin", "nobody", "--data", a.data()]);
    assert_eq!((none.code, none.out.as_str()), (0, ""));
}
