//! `lom.json`: masks, sums, quantisation.

use std::collections::BTreeMap;

use backchannel::message::NodeId;
use backchannel::primitives::chacha20_xor;
use backchannel::secure_sum::quantize::{
    CLIPPING_RANGE, TARGET_RANGE, apply_weight, average, quantize, reverse,
};
use backchannel::secure_sum::{LomError, aggregate, nonce_from_id, protect};
use serde_json::Value as Json;
use zeroize::Zeroizing;

use crate::fixture::{
    Report, array, bytes, floats, list, load, number, numbers, object, same_floats, text,
};

pub const FILE: &str = "lom.json";

type Secrets = BTreeMap<NodeId, Zeroizing<[u8; 32]>>;

#[test]
fn vectors_lom() {
    let file = load(FILE);
    let mut report = Report::new(FILE);
    for case in list(&file, "protect") {
        check_protect(case);
        report.checked();
    }
    for case in list(&file, "crypter") {
        check_crypter(case);
        report.checked();
    }
    for case in list(&file, "overflow_rule") {
        check_overflow(case);
        report.checked();
    }
    for case in list(&file, "quantize") {
        check_quantize(case);
        report.checked();
    }
    report.finish();
}

fn id(text: &str) -> NodeId {
    text.parse().expect("an id")
}

fn check_protect(case: &Json) {
    let nonce = nonce_from_id(text(case, "secagg_id"));
    assert_eq!(nonce, array(case, "nonce16"));
    let round = number(&case["tau"]);
    let parties: Vec<NodeId> = list(case, "node_ids")
        .iter()
        .map(|party| id(party.as_str().expect("an id")))
        .collect();
    let pairs = object(case, "pairs");
    for (pair, keys) in pairs {
        let (one, other) = pair.split_once('|').expect("two ids");
        check_mask([id(one), id(other)], keys, &nonce, round);
    }

    let mut protected = Vec::new();
    for own in &parties {
        let with_own = |(pair, keys): (&String, &Json)| {
            let (one, other) = pair.split_once('|').expect("two ids");
            let peer = match (one == own.as_str(), other == own.as_str()) {
                (true, _) => other,
                (_, true) => one,
                _ => return None,
            };
            Some((id(peer), Zeroizing::new(array(keys, "secret"))))
        };
        let secrets: Secrets = pairs.iter().filter_map(with_own).collect();
        let input = numbers(&case["inputs"][own.as_str()]);
        let ours = protect(own, &secrets, &parties, &nonce, round, &input).expect("protected");
        assert_eq!(ours, numbers(&case["protected"][own.as_str()]), "{own}");
        protected.push(ours);
    }
    assert_eq!(aggregate(&protected), Ok(numbers(&case["aggregate"])));
}

/// The mask of one pair is what protecting zeros gives the party that adds it; the seed is checked by its formula.
fn check_mask(pair: [NodeId; 2], keys: &Json, nonce: &[u8; 16], round: u64) {
    let secret: [u8; 32] = array(keys, "secret");
    let mut seed = [0; 32];
    seed[..16].copy_from_slice(&u128::from(round).to_be_bytes());
    chacha20_xor(&secret, nonce, &mut seed[..16]);
    assert_eq!(seed, array(keys, "seed"));

    let mask: Vec<u64> = bytes(keys, "mask_bytes")
        .chunks_exact(8)
        .map(|word| u64::from_le_bytes(word.try_into().expect("8 bytes")))
        .collect();
    let (peer, own) = (pair.iter().min(), pair.iter().max());
    let (peer, own) = (peer.expect("two ids").clone(), own.expect("two ids"));
    let secrets = Secrets::from([(peer, Zeroizing::new(secret))]);
    let zeros = vec![0; mask.len()];
    let ours = protect(own, &secrets, &pair, nonce, round, &zeros);
    assert_eq!(ours, Ok(mask));
}

/// Recorded without the pair secrets: the masks show in the sum only, where they must cancel out.
fn check_crypter(case: &Json) {
    assert_eq!(
        nonce_from_id(text(case, "nonce_text")),
        array(case, "nonce16")
    );
    let clipping_range = clipping_range(case);
    let weights = list(case, "weights");
    let mut expected_sums: Option<Vec<u64>> = None;
    let mut encrypted = Vec::new();
    for ((party, params), weight) in object(case, "params").iter().zip(weights) {
        let quantized = quantize(&floats(params), clipping_range, TARGET_RANGE).expect("in range");
        assert_eq!(quantized, numbers(&case["quantized"][party]), "{party}");
        let weighted = match weight.is_null() {
            true => quantized,
            false => apply_weight(&quantized, number(weight), TARGET_RANGE).expect("in range"),
        };
        expected_sums = Some(match expected_sums {
            None => weighted,
            Some(sums) => sums.iter().zip(&weighted).map(|(a, b)| a + b).collect(),
        });
        encrypted.push(numbers(&case["encrypted"][party]));
    }
    assert_eq!(encrypted.len(), object(case, "encrypted").len());
    let sums = aggregate(&encrypted).expect("vectors of one length");
    assert_eq!(Some(&sums), expected_sums.as_ref());
    let averages = average(&sums, number(&case["total_sample_size"])).expect("a weight");
    let ours = reverse(&averages, clipping_range, TARGET_RANGE).expect("in range");
    let theirs = floats(&case["aggregated"]);
    assert!(same_floats(&ours, &theirs), "{ours:?} is not {theirs:?}");
}

fn check_overflow(case: &Json) {
    let bits = number(&case["value_bits"]);
    let count = number(&case["nodes"]);
    let parties: Vec<NodeId> = (0..count).map(|party| id(&format!("n{party}"))).collect();
    let secret = |party: &NodeId| (party.clone(), Zeroizing::new([1; 32]));
    let secrets: Secrets = parties.iter().map(secret).collect();
    let largest = [1 << (bits - 1)];
    let ours = protect(&parties[0], &secrets, &parties, &[0; 16], 1, &largest);
    if case["result"].as_str() == Some("ok") {
        assert!(ours.is_ok(), "{bits} bits, {count} nodes");
    } else {
        let is_overflow = matches!(ours, Err(LomError::Overflow { .. }));
        assert!(is_overflow, "{bits} bits, {count} nodes");
    }
}

fn check_quantize(case: &Json) {
    let (clipping_range, target_range) = (clipping_range(case), number(&case["target_range"]));
    let quantized = quantize(&floats(&case["values"]), clipping_range, target_range);
    assert_eq!(quantized, Ok(numbers(&case["quantized"])));
    let numbers: Vec<f64> = numbers(&case["quantized"])
        .iter()
        .map(|value| *value as f64)
        .collect();
    let ours = reverse(&numbers, clipping_range, target_range).expect("in range");
    let theirs = floats(&case["reversed"]);
    assert!(same_floats(&ours, &theirs), "{ours:?} is not {theirs:?}");
}

fn clipping_range(case: &Json) -> u64 {
    match &case["clipping_range"] {
        Json::Null => CLIPPING_RANGE,
        range => number(range),
    }
}
