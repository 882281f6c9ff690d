//! `additive.json`: shares, and a whole server-key set-up.

use std::collections::BTreeMap;

use backchannel::message::{Integer, Value};
use backchannel::secure_sum::additive::SECRET_BITS;
use backchannel::secure_sum::{ServerKey, Share, commitments_sum_to_identity};
use num_bigint::BigInt;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use serde_json::Value as Json;

use crate::fixture::{Report, integer, known_value, list, load, number, object, text};

pub const FILE: &str = "additive.json";

#[test]
fn vectors_additive() {
    let file = load(FILE);
    let mut report = Report::new(FILE);
    for case in list(&file, "split") {
        check_split(case, &mut report);
        report.checked();
    }
    let mut by_types = 0;
    for case in list(&file, "errors_and_edges") {
        match expressible(case) {
            Some((secret, parties)) => {
                check_edge(case, &secret, parties);
                report.checked();
            }
            None => by_types += 1,
        }
    }
    check_set_up(&file["servkey_three_parties"]);
    report.checked();
    report.note(format!(
        "{by_types} cases are excluded by our types: a negative number of parties, a bit length, secrets that are no integer"
    ));
    report.finish();
}

fn share(integer: &Integer) -> Share {
    let share = Share::from_integer(integer).expect("a share within the limit");
    assert_eq!(&share.to_integer(), integer);
    share
}

fn key(integer: &Integer) -> ServerKey {
    let key = ServerKey::from_integer(integer).expect("a key within the limit");
    assert_eq!(&key.to_integer(), integer);
    key
}

/// The integers of a value: itself, or its elements.
fn integers(value: &Value) -> Vec<Integer> {
    let int = |value: &Value| value.as_int().expect("an integer").clone();
    match value.as_list() {
        Some(items) => items.iter().map(int).collect(),
        None => vec![int(value)],
    }
}

/// The recorded shares sum to the secret in our arithmetic, place by place if it is a list; our own shares do as well.
fn check_split(case: &Json, report: &mut Report) {
    let secrets = integers(&known_value(case, "secret"));
    assert_eq!(integers(&known_value(case, "sum")), secrets);
    let parties = number(&case["n"]) as usize;
    let shares = known_value(case, "shares");
    let shares: Vec<Vec<Integer>> = shares
        .as_list()
        .expect("shares")
        .iter()
        .map(integers)
        .collect();
    assert_eq!(shares.len(), parties);
    for (place, secret) in secrets.iter().enumerate() {
        let column: Vec<Share> = shares.iter().map(|one| share(&one[place])).collect();
        assert_eq!(&Share::sum(&column).to_integer(), secret);
        if let Err(error) = split_ourselves(secret, parties) {
            let name = format!("split for {parties}");
            report.stricter(&name, error.stricter_than_reference(), &error);
        }
    }
}

fn split_ourselves(
    secret: &Integer,
    parties: usize,
) -> Result<(), backchannel::secure_sum::ShareError> {
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let split = key(secret).split(parties, &mut rng)?;
    assert_eq!(split.given.len(), parties - 1);
    let end: BigInt = BigInt::from(1) << SECRET_BITS;
    for given in &split.given {
        let given = BigInt::from_signed_bytes_be(&given.to_integer().to_signed_bytes_be());
        assert!(BigInt::from(0) <= given && given <= end);
    }
    let sum = Share::sum(split.given.iter().chain([&split.kept]));
    assert_eq!(&sum.to_integer(), secret);
    Ok(())
}

/// Secret and number of parties, if our types can hold them. A bit length is no argument of ours.
fn expressible(case: &Json) -> Option<(Integer, usize)> {
    let secret: BigInt = text(case, "secret").parse().ok()?;
    let secret = Integer::from_signed_bytes_be(&secret.to_signed_bytes_be()).ok()?;
    let parties = usize::try_from(case["n"].as_i64()?).ok()?;
    case["bit_length"].is_null().then_some((secret, parties))
}

fn check_edge(case: &Json, secret: &Integer, parties: usize) {
    let is_accepted = case["result"].as_str() == Some("ok");
    let ours = split_ourselves(secret, parties);
    assert_eq!(ours.is_ok(), is_accepted, "{secret:?} for {parties}");
}

/// Every number that a set-up makes, from the keys and shares given; and its commitments.
fn check_set_up(run: &Json) {
    let integers = |field: &str| -> BTreeMap<String, Integer> {
        let entries = object(run, field).iter();
        entries
            .map(|(party, number)| (party.clone(), integer(number)))
            .collect()
    };
    let (keys, kept) = (integers("user_key"), integers("share_kept"));
    let reported = integers("reply_share");
    let given = |from: &str, to: &str| share(&integer(&run["share_given"][from][to]));
    let parties = list(run, "parties");
    let parties: Vec<&str> = parties
        .iter()
        .map(|id| id.as_str().expect("an id"))
        .collect();
    assert!(parties.len() >= 2);

    let mut commitments = Vec::new();
    let mut replies = Vec::new();
    for own in &parties {
        let others = || parties.iter().filter(|peer| *peer != own);
        let own_share = share(&kept[*own]);
        let gave: Vec<Share> = others().map(|peer| given(own, peer)).collect();
        let all = Share::sum(gave.iter().chain([&own_share]));
        assert_eq!(all.to_integer(), keys[*own], "{own}");

        let received: Vec<Share> = others().map(|peer| given(peer, own)).collect();
        let reply = Share::sum(received.iter().chain([&own_share]));
        assert_eq!(reply.to_integer(), reported[*own], "{own}");
        commitments.push(key(&keys[*own]).commitment());
        replies.push(reply);
    }
    let researcher = ServerKey::of_researcher(&replies);
    assert_eq!(
        researcher.to_integer(),
        integer(&run["researcher_server_key"])
    );
    assert_eq!(commitments_sum_to_identity(&commitments), Ok(false));
    commitments.push(researcher.commitment());
    assert_eq!(commitments_sum_to_identity(&commitments), Ok(true));
}
