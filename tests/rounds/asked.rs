//! Peers that ask for parcels which are not theirs, and parties that answer what no host would.

use std::time::Duration;

use backchannel::message::Value;
use serde_json::json;

use super::{FAILED, begin, begin_among, ended, parties, unruly};
use crate::harness::{Network, Peer, Running, until};

/// Long enough for a state to come, and never waited for when it has come.
const PATIENT: Duration = Duration::from_secs(15);

#[tokio::test(flavor = "multi_thread")]
async fn who_is_no_party_gets_nothing_and_who_asks_of_no_run_is_put_off() {
    let network = unruly(&["a", "b"]);
    let peer = Peer::join(&network, "p", "a").await;
    let params = json!({ "rounds": 1, "seconds": 30 });
    let (ran, code) = ended(begin(&network, "unruly", &params, &["--id", "run_1"]));
    assert_eq!(code, 0, "{ran}");

    let stranger = peer.fetch("run_1", PATIENT).await;
    assert_eq!(peer.fetched(&stranger).await, "nothing");
    let unknown = peer.fetch("run_2", Duration::from_millis(50)).await;
    assert_eq!(peer.fetched(&unknown).await, "later");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wait_for_a_parcel_delays_nothing_else_of_that_peer() {
    let network = unruly(&["a", "b"]);
    let peer = Peer::join(&network, "p", "a").await;
    peer.set_up(&network, "earlier run");
    let waits = peer.fetch("never begun", PATIENT).await;
    let asked = peer.ask("earlier run").await;
    peer.until_answered(std::slice::from_ref(&asked)).await;
    assert_eq!(peer.answered(&waits), None, "it still waits");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_party_handed_over_can_be_had_after_its_end() {
    let network = unruly(&["a"]);
    let peer = Peer::join(&network, "p", "a").await;
    peer.hand_over(said("p"));
    let running = with_peer(&network, "run_1", 30);
    let (ran, _) = ended(running);
    assert_eq!(parties(&ran)["a"]["outcome"], "done", "{ran}");

    for _ in 0..2 {
        let late = peer.fetch("run_1", PATIENT).await;
        assert_eq!(peer.fetched(&late).await, "held");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_no_host_gives_is_as_good_as_none_and_its_party_is_named() {
    let network = unruly(&["a"]);
    let peer = Peer::join(&network, "p", "a").await;
    let answers = [
        vec![("state".into(), "sold".into())],
        vec![("state".into(), "held".into())],
        held(vec![0; (8 << 20) + 1]),
    ];
    for (run, answer) in answers.into_iter().enumerate() {
        peer.hand_over(answer);
        let (ran, code) = ended(with_peer(&network, &format!("run_{run}"), 600));
        assert_eq!(code, FAILED, "{ran}");
        let text = parties(&ran)["a"]["text"].to_string();
        assert!(text.contains("handed nothing over: p"), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_parcel_that_is_none_of_the_protocols_blames_who_handed_it_over() {
    let network = unruly(&["a"]);
    let peer = Peer::join(&network, "p", "a").await;
    peer.hand_over(held(b"no map".to_vec()));
    let (ran, code) = ended(with_peer(&network, "run_1", 600));
    assert_eq!(code, FAILED, "{ran}");
    assert_eq!(parties(&ran)["a"]["blames"], json!(["p"]), "{ran}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_party_that_always_says_later_is_asked_in_measure_and_missed_in_the_end() {
    let network = unruly(&["a"]);
    let peer = Peer::join(&network, "p", "a").await;
    peer.hand_over(vec![("state".into(), "later".into())]);
    let (ran, code) = ended(with_peer(&network, "run_1", 2));
    assert_eq!(code, FAILED, "{ran}");
    let text = parties(&ran)["a"]["text"].to_string();
    assert!(text.contains("handed nothing over: p"), "{text}");
    // Once in a sixteenth of the round, and once at its end.
    let asked = peer.asked_for_parcels();
    assert!((2..=18).contains(&asked), "{asked} times");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_party_that_does_not_answer_is_asked_again() {
    let network = unruly(&["a"]);
    let peer = Peer::join(&network, "p", "a").await;
    let running = with_peer(&network, "run_1", 40);
    until("it is asked", || {
        (peer.asked_for_parcels() > 0).then_some(())
    });
    // The first request gets no answer: as if that were lost.
    peer.hand_over(said("p"));
    let (ran, _) = ended(running);
    assert_eq!(parties(&ran)["a"]["outcome"], "done", "{ran}");
    assert!(peer.asked_for_parcels() > 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_counts_although_it_was_asked_for_again_meanwhile() {
    let network = unruly(&["a"]);
    let peer = Peer::join(&network, "p", "a").await;
    let running = with_peer(&network, "run_1", 40);
    until("it is asked again", || {
        (peer.asked_for_parcels() > 1).then_some(())
    });
    peer.hand_over_late(said("p")).await;
    let (ran, _) = ended(running);
    assert_eq!(parties(&ran)["a"]["outcome"], "done", "{ran}");
}

/// Begins a run of one round of a node and its peer.
fn with_peer(network: &Network, run: &str, seconds: u32) -> Running {
    let params = json!({ "rounds": 1, "seconds": seconds });
    begin_among(network, "a,p", "unruly", &params, &["--id", run])
}

/// A parcel as it is handed over.
fn held(parcel: Vec<u8>) -> Vec<(Value, Value)> {
    vec![
        ("state".into(), "held".into()),
        ("parcel".into(), Value::Bin(parcel)),
    ]
}

/// The parcel of a party of the unruly protocol.
fn said(name: &str) -> Vec<(Value, Value)> {
    let fields = vec![("name".into(), name.into()), ("ballast".into(), "".into())];
    held(Value::Map(fields).encode())
}
