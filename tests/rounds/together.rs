//! What comes of a run in which all do their part.

use serde_json::json;

use super::{begin, ended, nodes_with, parties, unruly};
use crate::harness::json;

#[test]
fn parties_draw_the_same_randomness() {
    let network = nodes_with(
        &["a", "b", "c"],
        "common-randomness",
        backchannel_artifacts::COMMON_RANDOMNESS,
    );
    let (ran, code) = ended(begin(&network, "common-randomness", &json!({}), &[]));
    assert_eq!(code, 0, "{ran}");
    let parties = parties(&ran);
    let random = |party: &str| {
        parties[party]["result"]["random"]
            .as_str()
            .expect("randomness")
            .to_owned()
    };
    assert_eq!(random("a").len(), 64, "{ran}");
    assert_eq!([random("a"), random("a")], [random("b"), random("c")]);

    let (again, _) = ended(begin(&network, "common-randomness", &json!({}), &[]));
    assert_ne!(super::parties(&again)["a"]["result"]["random"], random("a"));
}

#[test]
fn a_large_parcel_reaches_every_party_in_every_round() {
    let network = unruly(&["a", "b", "c"]);
    let params = json!({ "rounds": 3, "seconds": 30, "ballast": 1 << 20 });
    let (ran, code) = ended(begin(&network, "unruly", &params, &[]));
    assert_eq!(code, 0, "{ran}");
    assert_eq!(parties(&ran)["a"]["result"]["heard"], json!(["b", "c"]));
}

#[test]
fn the_name_of_a_run_serves_once() {
    let network = unruly(&["a", "b"]);
    let params = json!({ "rounds": 1, "seconds": 30 });
    let (first, code) = ended(begin(&network, "unruly", &params, &["--id", "run_1"]));
    assert_eq!(code, 0, "{first}");
    let (second, code) = ended(begin(&network, "unruly", &params, &["--id", "run_1"]));
    assert_eq!(code, super::FAILED, "{second}");
    let text = parties(&second)["a"]["text"].to_string();
    assert!(text.contains("name of another run"), "{text}");
}

#[test]
fn what_a_round_stores_is_there_in_the_next_run_and_after_a_restart() {
    let mut network = unruly(&["a", "b"]);
    let params = json!({ "rounds": 1, "seconds": 30 });
    let (first, code) = ended(begin(&network, "unruly", &params, &["--id", "run_1"]));
    assert_eq!(code, 0, "{first}");
    assert_eq!(parties(&first)["a"]["result"]["last_run"], json!(null));
    network.node_mut("a").kill();
    network.node_mut("a").start_again();
    network.until_connected();
    let (second, code) = ended(begin(&network, "unruly", &params, &["--id", "run_2"]));
    assert_eq!(code, 0, "{second}");
    assert_eq!(parties(&second)["a"]["result"]["last_run"], json!("run_1"));
}

#[test]
fn a_protocol_that_no_plugin_runs_is_refused_in_words() {
    let network = unruly(&["a", "b"]);
    let (ran, code) = ended(begin(&network, "poker", &json!({}), &[]));
    assert_eq!(code, super::FAILED, "{ran}");
    let text = parties(&ran)["b"]["text"].to_string();
    assert!(
        text.contains("no plugin on this node runs the protocol"),
        "{text}"
    );

    json(&[
        "plugin",
        "disable",
        "unruly",
        "--data",
        network.node("b").data(),
    ]);
    let params = json!({ "rounds": 1, "seconds": 2 });
    let (ran, _) = ended(begin(&network, "unruly", &params, &[]));
    let text = parties(&ran)["b"]["text"].to_string();
    assert!(text.contains("switched off on this node"), "{text}");
}
