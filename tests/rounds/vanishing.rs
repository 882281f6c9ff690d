//! Parties that disappear.

use serde_json::json;

use super::{FAILED, begin, ended, parties, unruly};
use crate::harness::until;

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
    let params = json!({ "rounds": 1000, "seconds": 3, "quorum": 1 });
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
