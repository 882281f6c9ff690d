//! Parties that break the protocol, and plugins that break the contract.

use std::time::Instant;

use serde_json::json;

use super::{FAILED, acts, begin, ended, parties, unruly};
use crate::harness::json as command;

/// More than anything but a deadline takes: what has to come at once comes before the round is over.
const ROUND: u32 = 600;

#[test]
fn who_hands_over_what_the_protocol_does_not_call_for_is_blamed() {
    let network = unruly(&["a", "b", "c"]);
    let params = acts(2, ROUND, &json!({ "b": "say-another-name" }));
    let (ran, code) = ended(begin(&network, "unruly", &params, &[]));
    assert_eq!(code, FAILED, "{ran}");
    for honest in ["a", "c"] {
        let party = &parties(&ran)[honest];
        assert_eq!(party["blames"], json!(["b"]), "{ran}");
        assert!(
            party["text"].to_string().contains("says another name"),
            "{ran}"
        );
    }
}

#[test]
fn who_gives_up_is_missed_at_once_and_not_at_the_deadline() {
    let network = unruly(&["a", "b", "c"]);
    let params = acts(2, ROUND, &json!({ "a": "blame-the-first" }));
    let began = Instant::now();
    let (ran, code) = ended(begin(&network, "unruly", &params, &[]));
    assert_eq!(code, FAILED, "{ran}");
    let parties = parties(&ran);
    assert_eq!(parties["a"]["blames"], json!(["b"]));
    let text = parties["c"]["text"].to_string();
    assert!(text.contains("handed nothing over: a"), "{text}");
    assert!(
        began.elapsed().as_secs() < u64::from(ROUND),
        "only the deadline ended it"
    );
}

#[test]
fn who_hands_nothing_over_is_missed_and_the_others_go_on_with_a_quorum() {
    let network = unruly(&["a", "b", "c"]);
    let mut params = acts(2, ROUND, &json!({ "b": "say-nothing" }));
    params["quorum"] = json!(1);
    let (ran, code) = ended(begin(&network, "unruly", &params, &[]));
    assert_eq!(code, 0, "{ran}");
    let result = &parties(&ran)["a"]["result"];
    assert_eq!(result["missing"], json!(["b"]), "{ran}");
}

#[test]
fn a_plugin_that_traps_hangs_or_breaks_the_contract_ends_its_own_part_only() {
    let network = unruly(&["a", "b", "c"]);
    for (act, says) in [
        ("refuse-to-begin", "I would rather not"),
        ("trap-in-accept", "trapped"),
        ("trap-in-next", "trapped"),
        ("hang-in-accept", "handle-cpu-ms"),
        ("hang-in-next", "handle-cpu-ms"),
        ("hand-over-too-much", "lifted-mib = 8"),
        ("blame-a-stranger", "not another party"),
        ("gather-from-a-stranger", "not another party"),
        ("want-more-than-there-are", "more parties are needed"),
    ] {
        // Whoever fails so often is out of service.
        command(&[
            "plugin",
            "enable",
            "unruly",
            "--data",
            network.node("b").data(),
        ]);
        let mut params = acts(1, 20, &json!({ "b": act }));
        params["quorum"] = json!(1);
        let (ran, code) = ended(begin(&network, "unruly", &params, &["--quorum", "2"]));
        assert_eq!(code, 0, "{act}: {ran}");
        let parties = parties(&ran);
        let text = parties["b"]["text"].to_string();
        assert!(text.contains(says), "{act}: {text}");
        assert_eq!(parties["a"]["outcome"], "done", "{act}");
        assert_eq!(parties["c"]["outcome"], "done", "{act}");
    }
}

#[test]
fn a_plugin_that_is_stopped_again_and_again_takes_part_in_no_run() {
    let network = unruly(&["a", "b"]);
    let params = acts(1, 20, &json!({ "b": "trap-in-next" }));
    for _ in 0..5 {
        let (ran, _) = ended(begin(&network, "unruly", &params, &[]));
        let text = parties(&ran)["b"]["text"].to_string();
        assert!(text.contains("trapped"), "{text}");
    }
    let (ran, _) = ended(begin(&network, "unruly", &acts(1, 20, &json!({})), &[]));
    let parties = parties(&ran);
    let text = parties["b"]["text"].to_string();
    assert!(text.contains("out of service"), "{text}");
    let text = parties["a"]["text"].to_string();
    assert!(text.contains("handed nothing over: b"), "{text}");
}
