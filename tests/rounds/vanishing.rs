//! Parties that disappear.

use serde_json::json;

use super::{FAILED, begin, ended, parties, unruly};
use crate::harness::{json as command, kept, until};

#[test]
fn without_a_quorum_the_run_ends_and_names_who_was_silent() {
    let mut network = unruly(&["a", "b", "c"]);
    network.node_mut("c").pause();
    let params = json!({ "rounds": 1, "seconds": 2 });
    let (ran, code) = ended(begin(&network, "unruly", &params, &["--wait", "20"]));
    network.node_mut("c").resume();
    assert_eq!(code, FAILED, "{ran}");
    let text = parties(&ran)["a"]["text"].to_string();
    assert!(
        text.contains("needs 2 parties") && text.contains("nothing over: c"),
        "{text}"
    );
}

#[test]
fn the_others_finish_without_a_party_that_dies_in_the_middle() {
    let mut network = unruly(&["a", "b", "c"]);
    // So many that one of them is under way whenever it dies.
    let params = json!({ "rounds": 300, "seconds": 3, "quorum": 1 });
    let running = begin(&network, "unruly", &params, &["--quorum", "2"]);
    until("the run is under way", || {
        let status = network.node("a").status();
        (status["received"]["RoundReply"].as_u64() > Some(20)).then_some(())
    });
    network.node_mut("c").kill();
    let (ran, code) = ended(running);
    assert_eq!(code, 0, "{ran}");
    let parties = parties(&ran);
    assert_eq!(parties["a"]["result"]["missing"], json!(["c"]), "{ran}");
    assert_eq!(parties["b"]["result"]["missing"], json!(["c"]), "{ran}");
}

#[test]
fn who_waits_for_a_dead_party_is_waited_for() {
    let mut network = unruly(&["a", "b", "c"]);
    // Of `c` nothing comes. `b` waits for it in its first round for as long as `a` may in its second, which needs nobody else.
    network.node_mut("c").pause();
    let mut params = json!({ "rounds": 2, "seconds": 6, "quorum": 0 });
    params["waits_for"] = json!({ "a": ["b"], "b": ["c", "a"] });
    let running = begin(&network, "unruly", &params, &["--wait", "25"]);
    let (ran, _) = ended(running);
    network.node_mut("c").resume();
    let result = &parties(&ran)["a"]["result"];
    assert_eq!(result["missing"], json!([]), "{ran}");
    assert_eq!(result["heard"], json!(["b"]), "{ran}");
    assert_eq!(
        parties(&ran)["b"]["result"]["missing"],
        json!(["c"]),
        "{ran}"
    );
}

#[test]
fn a_run_that_lacks_connected_parties_is_not_begun() {
    let mut network = unruly(&["a", "b", "c"]);
    network.node_mut("c").stop();
    until("the relay notices", || {
        let status = network.relay.status();
        let nodes = status["nodes"].as_array().expect("nodes").clone();
        nodes
            .iter()
            .any(|node| node["id"] == "c" && node["connected"] == false)
            .then_some(())
    });
    let params = json!({ "rounds": 1, "seconds": 2, "quorum": 1 });
    let (ran, code) = ended(begin(&network, "unruly", &params, &[]));
    assert_eq!(code, FAILED, "{ran}");
    assert_eq!(parties(&ran)["a"]["outcome"], "was not asked");

    let (ran, code) = ended(begin(&network, "unruly", &params, &["--quorum", "2"]));
    assert_eq!(code, 0, "{ran}");
    assert_eq!(parties(&ran)["a"]["result"]["heard"], json!(["b"]));
}

#[test]
fn a_node_that_was_killed_in_its_part_says_so_when_it_is_started_again() {
    let mut network = unruly(&["a", "b"]);
    // Nothing comes of `b`, so `a` is in its first round whenever it dies.
    network.node_mut("b").pause();
    let params = json!({ "rounds": 1, "seconds": 600 });
    let running = begin(&network, "unruly", &params, &["--id", "run_1"]);
    until("the run is under way", || {
        let audit = std::fs::read_to_string(format!("{}/audit.jsonl", network.node("a").data()));
        audit.ok()?.contains("run_1").then_some(())
    });
    network.node_mut("a").kill();
    assert_eq!(kept(&network, "a").open_requests.len(), 1);
    network.node_mut("a").start_again();
    network.node_mut("b").resume();
    let (ran, code) = ended(running);
    assert_eq!(code, FAILED, "{ran}");
    let parties = parties(&ran);
    let text = parties["a"]["text"].to_string();
    assert!(text.contains("was started again"), "{text}");
    // It need not wait for a part that will not go on.
    let text = parties["b"]["text"].to_string();
    assert!(text.contains("handed nothing over: a"), "{text}");
    network.node_mut("a").stop();
    assert_eq!(kept(&network, "a").open_requests, []);
}

#[test]
fn a_plugin_that_is_taken_back_ends_its_part_and_the_others_hear_of_it_at_once() {
    let mut network = unruly(&["a", "b", "c"]);
    // Nothing comes of `c`, so `b` stays in its first round, and `a` waits for its second.
    network.node_mut("c").pause();
    let mut params = json!({ "rounds": 2, "seconds": 600 });
    params["waits_for"] = json!({ "a": ["b"], "b": ["c"] });
    let running = begin(&network, "unruly", &params, &["--wait", "30"]);
    until("the second round of `b` is asked for", || {
        let asked = network.node("a").status()["sent"]["RoundRequest"].as_u64();
        (asked >= Some(2)).then_some(())
    });
    let disable = ["plugin", "disable", "unruly", "--data"];
    command(&[&disable, &[network.node("b").data()][..]].concat());
    let (ran, code) = ended(running);
    network.node_mut("c").resume();
    assert_eq!(code, FAILED, "{ran}");
    let parties = parties(&ran);
    let text = parties["b"]["text"].to_string();
    assert!(text.contains("switched off on this node"), "{text}");
    let text = parties["a"]["text"].to_string();
    assert!(text.contains("handed nothing over: b"), "{text}");
}
