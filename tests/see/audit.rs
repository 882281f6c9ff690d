use std::fs;
use std::path::PathBuf;

use backchannel::message::{NodeId, OverlayMessage, RequestId};

use crate::harness::{Daemon, Network, Peer, allow_suite_1, json, problem, sealed, told, until};

/// The copy of a log, to be damaged.
struct Copy {
    folder: PathBuf,
    lines: Vec<String>,
}

impl Copy {
    fn of(node: &Daemon, name: &str) -> Self {
        let from = PathBuf::from(node.data());
        let folder = from.with_file_name(name);
        fs::create_dir(&folder).expect("a folder");
        for file in ["audit.jsonl", "audit.head"] {
            fs::copy(from.join(file), folder.join(file)).expect("copied");
        }
        let text = fs::read_to_string(folder.join("audit.jsonl")).expect("a log");
        let lines = text.lines().map(str::to_owned).collect();
        Self { folder, lines }
    }

    /// What `audit verify` says of these lines.
    fn refused(&self, lines: &[String]) -> String {
        fs::write(self.folder.join("audit.jsonl"), lines.join("\n") + "\n").expect("written");
        let folder = self.folder.to_str().expect("text");
        problem(5, &["audit", "verify", "--data", folder]).why
    }
}

#[test]
fn verify_detects_whatever_is_done_to_a_line() {
    let mut network = Network::start(&["a", "b"]);
    network.set_up("dh");
    network.node_mut("a").stop();
    let node = network.node("a");
    let whole = json(&["audit", "verify", "--data", node.data()]);
    assert_eq!(whole["ok"], true);
    let count = whole["lines"].as_u64().expect("a count");
    assert!(count > 8, "{whole}");
    let copy = Copy::of(node, "copy");
    let lines = &copy.lines;

    let removed = [&lines[..3], &lines[4..]].concat();
    assert!(copy.refused(&removed).contains("line 4 is missing"));
    let mut changed = lines.clone();
    changed[3] = changed[3].replace("\"component_id\":\"a\"", "\"component_id\":\"b\"");
    assert!(copy.refused(&changed).contains("line 4 was changed"));
    let mut last = lines.clone();
    *last.last_mut().expect("a line") = last[last.len() - 1].replace("success", "failure");
    assert!(
        copy.refused(&last)
            .contains("was changed: audit.head notes another")
    );
    let mut moved = lines.clone();
    moved.swap(2, 3);
    assert!(copy.refused(&moved).contains("line 3 does not belong here"));
    let mut inserted = lines.clone();
    inserted.insert(3, inserted[3].replace("success", "failure"));
    assert!(
        copy.refused(&inserted)
            .contains("line 4 does not belong here")
    );
    let cut = &lines[..lines.len() - 2];
    assert!(copy.refused(cut).contains("are missing at the end"));
    let beginning = &lines[1..];
    assert!(copy.refused(beginning).contains("line 1 is missing"));
    fs::remove_file(copy.folder.join("audit.head")).expect("removed");
    assert!(copy.refused(lines).contains("audit.head is not there"));

    // All of it written anew, head included: only who noted a line elsewhere can tell.
    let noted = format!(
        "{}:{}",
        whole["last"],
        whole["hash"].as_str().expect("a hash")
    );
    let holds = ["audit", "verify", "--data", node.data(), "--holds", &noted];
    assert_eq!(json(&holds)["ok"], true);
    let other = format!("{}:{}", whole["last"], "0".repeat(64));
    let why = problem(
        5,
        &["audit", "verify", "--data", node.data(), "--holds", &other],
    )
    .why;
    assert!(why.contains("was noted with"), "{why}");
}

#[test]
fn a_killed_node_leaves_half_a_line_at_most_and_says_so_when_it_is_back() {
    let mut network = Network::start(&["a", "b"]);
    network.set_up("dh");
    network.node_mut("a").kill();
    let node = network.node("a");
    let path = PathBuf::from(node.data()).join("audit.jsonl");
    let mut text = fs::read_to_string(&path).expect("a log");
    text.push_str("{\"seq\":12345,\"pre");
    fs::write(&path, text).expect("written");
    let whole = json(&["audit", "verify", "--data", node.data()]);
    assert!(
        whole["notes"][0]
            .as_str()
            .is_some_and(|note| note.contains("half a line")),
        "{whole}"
    );

    network.node_mut("a").start_again();
    network.until_connected();
    network.set_up("dh");
    let node = network.node("a");
    assert_eq!(told(node, "torn_line")[0]["text"], "{\"seq\":12345,\"pre");
    assert_eq!(
        json(&["audit", "verify", "--data", node.data()])["ok"],
        true
    );
    assert_eq!(told(node, "node_started").len(), 2);
}

#[test]
fn every_step_of_a_nodes_life_has_its_line() {
    let mut network = Network::start(&["a", "b"]);
    let run = network.set_up("dh");
    let server_key = network.set_up("server-key");
    let words = [
        "secagg",
        "delete",
        "--relay",
        network.relay.data(),
        "--parties",
        "a,b",
        "--id",
    ];
    json(&[&words[..], &[&run]].concat());
    let node = network.node("a");

    let met = &told(node, "researcher_met")[0];
    assert_eq!(
        met["certificate"],
        json(&["status", "--data", network.relay.data()])["fingerprint"]
    );
    let loaded = told(node, "plugin_loaded");
    let names: Vec<_> = loaded
        .iter()
        .map(|line| line["plugin"].as_str().unwrap_or_default())
        .collect();
    assert_eq!(names, ["additive-sharing", "channel-setup", "key-request"]);
    assert_eq!(
        loaded[2]["grants"],
        serde_json::json!(["log", "material", "agreement"])
    );
    assert_eq!(
        told(node, "node_started")[0]["researcher_id"],
        crate::harness::RESEARCHER
    );
    assert_eq!(told(node, "channel_set_up")[0]["peer"], "b");
    let begun = told(node, "secagg_setup_start");
    assert_eq!(
        (begun.len(), &begun[0]["secagg_id"]),
        (2, &run.as_str().into())
    );
    let ended = told(node, "secagg_setup_complete");
    assert_eq!(ended[1]["secagg_id"], server_key.as_str());
    assert_eq!(ended[1]["status"], "success");
    assert_eq!(ended[1]["parties"], serde_json::json!(["a", "b"]));
    assert_eq!(told(node, "secagg_deleted")[0]["secagg_id"], run.as_str());
    let grants = told(node, "grant_used");
    let used = |plugin: &str, grant: &str| {
        grants
            .iter()
            .any(|line| line["plugin"] == plugin && line["grant"] == grant)
    };
    assert!(
        used("key-request", "agreement") && used("channel-setup", "channel-keys"),
        "{grants:?}"
    );
    for line in &ended {
        assert_eq!(line["component_id"], "a");
        assert!(
            line["timestamp"]
                .as_str()
                .is_some_and(|time| time.ends_with('Z')),
            "{line}"
        );
    }

    // A peer that lost its store has another key.
    network.node_mut("b").stop();
    let lost = network.folder.path().join("b");
    fs::remove_dir_all(&lost).expect("removed");
    allow_suite_1(&lost);
    network.node_mut("b").start_again();
    network.until_connected();
    network.set_up("dh");
    let node = network.node("a");
    let changed = &told(node, "channel_key_changed")[0];
    assert_eq!(
        (&changed["peer"], &changed["status"]),
        (&"b".into(), &"warning".into())
    );
    assert_ne!(changed["before"], changed["key"]);
    network.node_mut("a").stop();
    assert_eq!(told(network.node("a"), "node_stopped").len(), 1);
    let verified = json(&["audit", "verify", "--data", network.node("a").data()]);
    assert_eq!(verified["ok"], true, "{verified}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_forges_or_repeats_messages_is_told_of_and_cannot_fill_the_disk() {
    let network = Network::start(&["n"]);
    let peer = Peer::join(&network, "peer", "n").await;
    peer.set_up(&network, "run");
    let [n, own] = ["n", "peer"].map(|id| NodeId::try_from(id).expect("an id"));
    let id = RequestId::try_from("request_1").expect("an id");
    let request = |source: &NodeId| -> OverlayMessage {
        sealed(
            peer.keys(),
            (source, &n),
            "KeyRequest",
            &id,
            vec![("secagg_id".into(), "run".into())],
        )
    };
    peer.send(request(&n)).await;
    let genuine = request(&own);
    for _ in 0..500 {
        peer.send(genuine.clone()).await;
    }

    let node = network.node("n");
    until("all repetitions are dropped", || {
        (node.status()["dropped"]["repeated"] == 499).then_some(())
    });
    let refused = until("both are told of", || {
        let refused = told(node, "message_refused");
        let of = |reason: &str| {
            refused
                .iter()
                .filter(|line| line["reason"] == reason)
                .count()
        };
        (of("in own name") == 1 && of("repeated") >= 50).then_some(refused)
    });
    assert!(refused.len() < 70, "{} lines", refused.len());
    let mut repeated = refused.iter().filter(|line| line["reason"] == "repeated");
    let line = repeated.next().expect("a repetition");
    assert_eq!(line["message"], genuine.id().to_string());
    assert_eq!(line["peer"], "peer");
}
