//! `serializer.json`: values and their bytes.

use backchannel::message::Value;
use serde_json::Value as Json;
use sha2::{Digest, Sha256};

use crate::fixture::{Report, bytes, known_value, list, load, number, text, value};

pub const FILE: &str = "serializer.json";

#[test]
fn vectors_serializer() {
    let file = load(FILE);
    let mut report = Report::new(FILE);
    for case in list(&file, "encode") {
        let value = known_value(case, "value");
        let encoded = value.encode();
        assert_eq!(encoded.len() as u64, number(&case["len"]), "{value:?}");
        let digest = hex::encode(Sha256::digest(&encoded));
        assert_eq!(digest, text(case, "sha256"), "{value:?}");
        if !case["msgpack"].is_null() {
            assert_eq!(encoded, bytes(case, "msgpack"), "{value:?}");
        }
        let decoded = Value::decode(&encoded).expect("our own bytes");
        assert_eq!(decoded.encode(), encoded, "{value:?}");
        report.checked();
    }
    for case in list(&file, "decode") {
        check_decode(case, &mut report);
        report.checked();
    }
    report.finish();
}

fn check_decode(case: &Json, report: &mut Report) {
    let name = text(case, "name");
    let result = Value::decode(&input(&case["msgpack"]));
    match (case.get("result"), result) {
        (Some(expected), Ok(decoded)) => {
            // Where the recording says only that it decoded, there is nothing to compare.
            if expected.is_object() {
                let expected = value(expected);
                let expected = expected.unwrap_or_else(|| panic!("{name}: a type we do not have"));
                assert_eq!(comparable(decoded), comparable(expected), "{name}");
            }
        }
        (Some(_), Err(error)) => report.stricter(name, error.stricter_than_reference(), &error),
        (None, Err(_)) => {}
        (None, Ok(_)) => panic!("{name}: the reference refuses it, we accept it"),
    }
}

/// Bytes as they are, or a prefix repeated.
fn input(json: &Json) -> Vec<u8> {
    if json.is_string() {
        return hex::decode(json.as_str().unwrap_or_default()).expect("hexadecimal");
    }
    let times = number(&json["n"]) as usize;
    let mut input = bytes(json, "repeat").repeat(times);
    input.extend(bytes(json, "then"));
    input
}

/// A set has no order in Python.
fn comparable(value: Value) -> Vec<u8> {
    match value {
        Value::Set(mut items) => {
            items.sort_by_key(Value::encode);
            Value::Set(items).encode()
        }
        other => other.encode(),
    }
}
