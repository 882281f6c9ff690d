//! `jls.json`: Joye-Libert encryption, sums, and the level of real numbers above.

use backchannel::secure_sum::ServerKey;
use backchannel::secure_sum::additive::Share;
use backchannel::secure_sum::joye_libert::{
    Ciphertext, Packing, aggregate, biprime, hash_of, protect,
};
use backchannel::secure_sum::quantize::Quantization;
use num_bigint::BigUint;
use serde_json::Value as Json;

use crate::fixture::{Report, floats, integer, list, load, number, numbers, same_floats, text};

pub const FILE: &str = "jls.json";

#[test]
fn vectors_jls() {
    let file = load(FILE);
    let mut report = Report::new(FILE);
    assert_eq!(biprime(), text(&file, "biprime_N"));
    for case in list(&file, "hash") {
        check_hash(case);
        report.checked();
    }
    for case in list(&file, "protect") {
        check_protect(case);
        report.checked();
    }
    for case in list(&file, "crypter") {
        check_crypter(case);
        report.checked();
    }
    report.finish();
}

/// t is the index of a plaintext times 2⁵¹², plus the round.
fn check_hash(case: &Json) {
    let t: BigUint = text(case, "t").parse().expect("a number");
    let index = usize::try_from(&t >> 512).expect("an index");
    let round = u64::try_from(&t % (BigUint::from(1u8) << 512)).expect("a round");
    assert_eq!(hash_of(index, round), text(case, "H"));
}

fn keys(case: &Json) -> Vec<ServerKey> {
    let keys = list(case, "user_keys").iter();
    keys.map(|key| ServerKey::from_integer(&integer(key)).expect("a key"))
        .collect()
}

fn ciphertexts(json: &Json) -> Vec<Ciphertext> {
    let texts = json.as_array().expect("a list").iter();
    texts
        .map(|text| text.as_str().expect("text").parse().expect("a ciphertext"))
        .collect()
}

fn check_protect(case: &Json) {
    let keys = keys(case);
    let parties = number(&case["n_users"]) as usize;
    let round = number(&case["tau"]);
    // The recorded values are quantised and weighted training parameters.
    let packing = Packing::new(Quantization::TRAINING.value_bits(), parties).expect("fits");
    assert_eq!(
        packing.per_plaintext() as u64,
        number(&case["per_ciphertext"])
    );

    let inputs = list(case, "inputs");
    let mut protected = Vec::new();
    for ((key, input), theirs) in keys.iter().zip(inputs).zip(list(case, "ciphertexts")) {
        let ours = protect(key, packing, round, &numbers(input)).expect("protected");
        assert_eq!(ours, ciphertexts(theirs));
        protected.push(ours);
    }
    assert_eq!(protected.len(), parties);
    let researcher = ServerKey::from_integer(&integer(&case["server_key"])).expect("a key");
    let sums = numbers(&case["aggregate"]);
    let ours = aggregate(&researcher, packing, round, &protected, sums.len());
    assert_eq!(ours, Ok(sums));
}

fn check_crypter(case: &Json) {
    let keys = keys(case);
    let quantization = Quantization {
        clipping_range: number(&case["clipping_range"]),
        ..Quantization::TRAINING
    };
    let packing = Packing::new(quantization.value_bits(), keys.len()).expect("fits");
    let (round, weights) = (number(&case["round"]), numbers(&case["weights"]));
    let theirs: Vec<_> = list(case, "encrypted").iter().map(ciphertexts).collect();
    for (index, key) in keys.iter().enumerate() {
        let params = floats(&case["params"][index]);
        let values = quantization
            .encode(&params, Some(weights[index]))
            .expect("in range");
        let ours = protect(key, packing, round, &values).expect("protected");
        assert_eq!(ours, theirs[index]);
    }
    let reported: Vec<_> = keys
        .iter()
        .map(|key| Share::from_integer(&key.to_integer()).expect("a share"))
        .collect();
    let researcher = ServerKey::of_researcher(&reported);
    let aggregated = floats(&case["aggregated"]);
    let sums = aggregate(&researcher, packing, round, &theirs, aggregated.len()).expect("opened");
    let total = weights.iter().sum();
    let ours = quantization.decode(&sums, total).expect("in range");
    assert!(
        same_floats(&ours, &aggregated),
        "{ours:?} is not {aggregated:?}"
    );
}
