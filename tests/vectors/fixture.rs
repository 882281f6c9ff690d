//! Reading a file of vectors, and reporting what was checked.

use std::io::Write;
use std::path::PathBuf;

use backchannel::message::{Integer, OverlayMessage, Value};
use backchannel::primitives::{parse_public_key_pem, parse_secret_key_pem, public_key_pem};
use num_bigint::BigInt;
use p256::{PublicKey, SecretKey};
use serde_json::Value as Json;

/// What was checked of one file.
pub struct Report {
    file: &'static str,
    checked: usize,
    lines: Vec<String>,
}

impl Report {
    pub fn new(file: &'static str) -> Self {
        let lines = Vec::new();
        Self {
            file,
            checked: 0,
            lines,
        }
    }

    /// One more case was checked.
    pub fn checked(&mut self) {
        self.checked += 1;
    }

    /// The reference accepts `case` and we refuse it. Fails unless our error is a stricter rule on purpose.
    pub fn stricter(&mut self, case: &str, reason: Option<&str>, error: &dyn std::fmt::Display) {
        let file = self.file;
        let Some(reason) = reason else {
            panic!("{file}: {case}: the reference accepts it, we refuse it: {error}");
        };
        self.note(format!("stricter than the reference: {case}: {reason}"));
    }

    pub fn note(&mut self, line: String) {
        self.lines.push(line);
    }

    /// Prints the report; fails if nothing was checked.
    pub fn finish(self) {
        let mut text = format!("vectors {}: {} cases checked\n", self.file, self.checked);
        for line in &self.lines {
            text += &format!("    {line}\n");
        }
        print(&text);
        assert_ne!(self.checked, 0, "{} has no cases", self.file);
    }
}

/// Past the test harness, which keeps what `print!` writes unless a test fails.
pub fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes()).expect("stdout is open");
}

fn folder() -> PathBuf {
    let top = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
    match std::env::var_os("BACKCHANNEL_VECTORS") {
        Some(folder) => top.join(folder),
        None => top.join("tests/fixtures/fedbiomed"),
    }
}

/// The names of all files of vectors, sorted.
pub fn files() -> Vec<String> {
    let folder = folder();
    let entries = std::fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("cannot read the folder {}: {error}", folder.display()));
    let mut names: Vec<String> = entries
        .map(|entry| entry.expect("the folder can be read").file_name())
        .map(|name| name.to_string_lossy().into_owned())
        .filter(|name| name.ends_with(".json"))
        .collect();
    names.sort_unstable();
    names
}

/// A whole file.
pub fn load(file: &str) -> Json {
    let path = folder().join(file);
    let text = std::fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

pub fn list<'a>(json: &'a Json, field: &str) -> &'a [Json] {
    let items = json[field].as_array();
    items.unwrap_or_else(|| panic!("`{field}` is not a list"))
}

pub fn object<'a>(json: &'a Json, field: &str) -> &'a serde_json::Map<String, Json> {
    let fields = json[field].as_object();
    fields.unwrap_or_else(|| panic!("`{field}` is not an object"))
}

pub fn text<'a>(json: &'a Json, field: &str) -> &'a str {
    let text = json[field].as_str();
    text.unwrap_or_else(|| panic!("`{field}` is not text"))
}

pub fn bytes(json: &Json, field: &str) -> Vec<u8> {
    hex::decode(text(json, field)).unwrap_or_else(|_| panic!("`{field}` is not hexadecimal"))
}

pub fn array<const N: usize>(json: &Json, field: &str) -> [u8; N] {
    let bytes = bytes(json, field);
    bytes
        .try_into()
        .unwrap_or_else(|_| panic!("`{field}` has not {N} bytes"))
}

/// A number, or a decimal text.
pub fn number(json: &Json) -> u64 {
    let number = json.as_u64().or_else(|| json.as_str()?.parse().ok());
    number.unwrap_or_else(|| panic!("{json} is not a number of 64 bits"))
}

pub fn numbers(json: &Json) -> Vec<u64> {
    let items = json.as_array().expect("a list of numbers");
    items.iter().map(number).collect()
}

pub fn floats(json: &Json) -> Vec<f64> {
    let items = json.as_array().expect("a list of numbers");
    let float = |item: &Json| item.as_f64().expect("a number");
    items.iter().map(float).collect()
}

/// Equal to the last bit.
pub fn same_floats(one: &[f64], other: &[f64]) -> bool {
    one.iter()
        .map(|value| value.to_bits())
        .eq(other.iter().map(|value| value.to_bits()))
}

/// A number or a decimal text of any size.
pub fn integer(json: &Json) -> Integer {
    let text = json
        .as_str()
        .map_or_else(|| json.to_string(), str::to_owned);
    let big: BigInt = text
        .parse()
        .unwrap_or_else(|_| panic!("{text} is not an integer"));
    Integer::from_signed_bytes_be(&big.to_signed_bytes_be()).expect("an integer within the limit")
}

/// A typed value; `None` for what only Python has.
pub fn value(json: &Json) -> Option<Value> {
    let inner = &json["v"];
    let items = || -> Option<Vec<Value>> {
        let items = inner.as_array().expect("a list of values");
        items.iter().map(value).collect()
    };
    Some(match json["t"].as_str() {
        // The elements of a recorded set are bare.
        None => match json {
            Json::Null => Value::Nil,
            Json::Bool(truth) => Value::Bool(*truth),
            Json::String(text) => Value::Str(text.clone()),
            bare => Value::Int(integer(bare)),
        },
        Some("nil") => Value::Nil,
        Some("bool") => Value::Bool(inner.as_bool().expect("a Boolean")),
        Some("int") => Value::Int(integer(inner)),
        Some("float") => Value::Float(f64::from_be_bytes(array(json, "bits"))),
        Some("str") => Value::Str(text(json, "v").to_owned()),
        Some("bin") => Value::Bin(bytes(json, "v")),
        Some("list") => Value::List(items()?),
        Some("tuple") => Value::Tuple(items()?),
        Some("set") => Value::Set(items()?),
        Some("map") => {
            let pairs = inner.as_array().expect("a list of pairs");
            let pair = |pair: &Json| Some((value(&pair[0])?, value(&pair[1])?));
            Value::Map(pairs.iter().map(pair).collect::<Option<_>>()?)
        }
        Some(_) => return None,
    })
}

/// A typed value that must be one of ours.
pub fn known_value(json: &Json, field: &str) -> Value {
    value(&json[field]).unwrap_or_else(|| panic!("`{field}` is of a type that only Python has"))
}

/// A map without the field, and with the field in its place if there is a value.
pub fn with_field(map: &Value, field: &str, value: Option<Value>) -> Value {
    let mut entries = map.as_map().expect("a map").to_vec();
    entries.retain(|(name, _)| name.as_str() != Some(field));
    entries.extend(value.map(|value| (field.into(), value)));
    Value::Map(entries)
}

/// An outer message of recorded fields, read as if they had come from a relay.
pub fn outer(fields: &Value) -> Result<OverlayMessage, backchannel::message::MessageError> {
    let mut entries = fields.as_map().expect("a map of fields").to_vec();
    if fields.get("protocol_version").is_none() {
        entries.push(("protocol_version".into(), "7".into()));
    }
    if fields.get("__type_message__").is_none() {
        let kind = Value::Map(vec![
            ("module".into(), "fedbiomed.common.message".into()),
            ("class".into(), "OverlayMessage".into()),
        ]);
        entries.push(("__type_message__".into(), kind));
    }
    OverlayMessage::decode(&Value::Map(entries).encode())
}

/// A recorded key pair, checked in all the forms it is recorded in.
pub fn key_pair(json: &Json) -> (SecretKey, PublicKey) {
    let secret = parse_secret_key_pem(text(json, "private_pem").as_bytes()).expect("a private key");
    assert_eq!(secret.to_bytes().as_slice(), bytes(json, "private_scalar"));
    let pem = text(json, "public_pem");
    let public = parse_public_key_pem(pem.as_bytes()).expect("a public key");
    assert_eq!(public, secret.public_key());
    assert_eq!(*public.to_sec1_bytes(), bytes(json, "public_sec1"));
    assert_eq!(public_key_pem(&public).expect("PEM"), pem);
    (secret, public)
}
