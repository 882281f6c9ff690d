//! What the corpora in `tests/fuzz/corpus` begin with: recordings of Fed-BioMed, and what our own encoders write.
//!
//! With `BACKCHANNEL_WRITE_SEEDS=1` the test here writes them; without, it compares. A corpus may hold more: what once broke.

mod sessions;
mod trace;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use prost::Message;
use serde_json::Value as Json;
use time::macros::datetime;

use super::channel::CHANNEL;
use super::manifest::{component, nested, with_manifest};
use crate::handlers::{Capability, Demand, Limit, Manifest};
use crate::message::{Inner, MAX_DEPTH, ToNode, Value};
use crate::packages::{Digest, Package, Role, Signature, SigningKey, Statement, pack};
use crate::proto::researcher::TaskResult;
use crate::transport::chunks::Slice;

/// The files of one corpus, by name.
type Corpus = BTreeMap<String, Vec<u8>>;

/// Signs the seed of the bundles, and nothing else.
const KEY: &str = "untrusted comment: minisign encrypted secret key
RWRTY0Iy34HEqE6DTRT/NFLYnMjTtIxQxuxfaKVe17ivXOeANaAAABAAAAAAAAAAAAIAAAAAfr7eQd8oUcNfERw5s+8vt6Iw4tEAhYx2xU1EY1WrhOP9C7IPdkuuFgOtLC8Z5ti9AaIZP3ymGQOlhxPJxyCyWXu4CXvhq0zaaZ6/8YrPNe0CDt21XGDSWomFqdmqRLZTDiBmQY8GZB4=
";
const PASSPHRASE: &str = "seeds";

fn project() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn recorded(file: &str) -> Json {
    let path = project().join("tests/fixtures/fedbiomed").join(file);
    let text = fs::read_to_string(&path).expect("a recording");
    serde_json::from_str(&text).expect("JSON")
}

fn list<'a>(json: &'a Json, name: &str) -> &'a [Json] {
    json[name].as_array().expect("a list")
}

fn bytes(json: &Json, name: &str) -> Vec<u8> {
    hex::decode(json[name].as_str().expect("hexadecimal text")).expect("hexadecimal text")
}

/// A case's name, to be one of a file.
fn file_name(case: &Json, name: &str) -> String {
    let text = case[name].as_str().expect("a name");
    text.replace(|c: char| !c.is_ascii_alphanumeric(), "-")
}

fn chunk_reassembly() -> Corpus {
    let slices = |what: u8, slices: &[(i32, i32, &str)]| {
        let mut input = vec![what];
        for (size, iteration, bytes) in slices {
            let slice = Slice {
                size: *size,
                iteration: *iteration,
                bytes: (*bytes).to_owned().into(),
            };
            input.extend(TaskResult::from(slice).encode_length_delimited_to_vec());
        }
        input
    };
    let full: Vec<_> = (1..=27).map(|iteration| (27, iteration, "")).collect();
    let mut corpus = Corpus::from([
        ("one".into(), slices(0, &[(1, 1, "abc")])),
        (
            "two-messages".into(),
            slices(0, &[(2, 1, "ab"), (2, 2, "c"), (1, 1, ""), (1, 1, "d")]),
        ),
        (
            "out-of-order".into(),
            slices(0, &[(3, 1, "a"), (3, 3, "b"), (3, 1, "c"), (2, 2, "d")]),
        ),
        (
            "sizes".into(),
            slices(0, &[(0, 1, ""), (-1, 1, ""), (1025, 1, "")]),
        ),
        ("cut-off".into(), slices(0, &[(1024, 1, "a")])),
        ("too-long".into(), slices(1, &full)),
        (
            "full-and-small".into(),
            slices(1, &[(2, 1, ""), (2, 2, "")]),
        ),
        ("cut-none".into(), b"\x02\x00\x00\x00x".to_vec()),
        ("cut-full".into(), b"\x02\x01\x00\x00xyz".to_vec()),
        ("cut-full-and-one".into(), b"\x02\x01\x00\x01xyz".to_vec()),
        ("cut-two-less-one".into(), b"\x02\x02\xff\xffxyz".to_vec()),
    ]);
    let frames = recorded("frames.json");
    let mut together = vec![0];
    for frame in list(&frames, "task_result") {
        let frame = bytes(frame, "protobuf");
        prost::encode_length_delimiter(frame.len(), &mut together).expect("written");
        together.extend(frame);
    }
    corpus.insert("recorded".into(), together);
    corpus
}

fn outer_message() -> Corpus {
    let mut corpus = Corpus::new();
    for (number, case) in list(&recorded("messages.json"), "vectors")
        .iter()
        .enumerate()
    {
        let name = format!("recorded-{number:02}-{}", file_name(case, "class"));
        corpus.insert(name, bytes(case, "msgpack"));
    }
    for case in list(&recorded("overlay.json"), "vectors") {
        let name = format!("recorded-{}", file_name(case, "name"));
        corpus.insert(name, bytes(case, "overlay_message_msgpack"));
    }
    let other = ToNode::Other {
        class: "TrainRequest".into(),
        request_id: None,
        researcher_id: Some(CHANNEL.researcher.clone()),
    };
    corpus.insert("other".into(), other.encode());
    corpus
}

/// Inner messages, hostile ones among them, in the bytes that were signed.
fn inner_messages() -> Vec<(String, Vec<u8>)> {
    let mut messages = Vec::new();
    for case in list(&recorded("overlay.json"), "vectors") {
        messages.push((file_name(case, "name"), bytes(case, "message_msgpack")));
    }
    for case in list(&recorded("accept_reject.json"), "vectors") {
        let payload = bytes(case, "payload_msgpack");
        // A map of two, whose first key is `message`.
        let message = payload.strip_prefix(b"\x82\xa7message");
        let end = payload.windows(10).position(|at| at == b"\xa9signature");
        if let (Some(message), Some(end)) = (message, end) {
            messages.push((file_name(case, "name"), message[..end - 9].to_vec()));
        }
    }
    let fields = Value::Map(vec![
        ("nothing".into(), Value::Nil),
        ("number".into(), Value::Float(0.5)),
        ("tuple".into(), Value::Tuple(vec![true.into(), "é".into()])),
        (
            "set".into(),
            Value::Set(vec![1.into(), Value::Bin(vec![0; 3])]),
        ),
        (
            "map".into(),
            Value::Map(vec![(5.into(), Value::List(vec![]))]),
        ),
    ]);
    let of_a_plugin = |fields| {
        let (source, dest) = (CHANNEL.source.clone(), CHANNEL.dest.clone());
        let own = Inner::new(source, dest, None, "SiteGreeting", fields).expect("a message");
        own.to_value().encode()
    };
    messages.push(("of-a-plugin".into(), of_a_plugin(fields)));
    // As deep as a message can be on its own; what is around it when it is sealed makes it deeper.
    let deepest = (1..MAX_DEPTH).fold(Value::Nil, |within, _| Value::List(vec![within]));
    let deepest = Value::Map(vec![("deepest".into(), deepest)]);
    messages.push(("deepest".into(), of_a_plugin(deepest)));
    messages
}

fn inner_message() -> Corpus {
    let mut corpus: Corpus = inner_messages().into_iter().collect();
    let recorded = recorded("serializer.json");
    // The longest come without their bytes.
    let with_bytes = |name| {
        let cases = list(&recorded, name).iter();
        cases.filter(|case| case["msgpack"].is_string())
    };
    for case in with_bytes("decode") {
        let name = format!("value-{}", file_name(case, "name"));
        corpus.insert(name, bytes(case, "msgpack"));
    }
    let values: Vec<_> = with_bytes("encode")
        .map(|case| bytes(case, "msgpack"))
        .collect();
    let mut together = vec![0xdc, 0, values.len() as u8];
    together.extend(values.concat());
    corpus.insert("values".into(), together);
    corpus
}

fn overlay_open() -> Corpus {
    let mut corpus = Corpus::from([
        ("on-the-way-unchanged".into(), vec![0]),
        ("within-unchanged".into(), vec![1]),
        ("within-changed".into(), vec![1, 0, 0, 0, 9, 1]),
        // A byte more in front of the message, which makes the first key's text longer than its bytes.
        ("within-inserted".into(), vec![1, 0, 2, 0, 1, 0xd9]),
    ]);
    for part in 0..7 {
        corpus.insert(format!("on-the-way-{part}"), vec![0, part, 0, 0, 3, 1]);
    }
    for (name, message) in inner_messages() {
        corpus.insert(
            format!("signed-{name}"),
            [&[2], message.as_slice()].concat(),
        );
        if name.contains("setup") || name == "plain" {
            corpus.insert(
                format!("anyone-{name}"),
                [&[3], message.as_slice()].concat(),
            );
        }
    }
    corpus
}

fn manifest() -> Corpus {
    let mut corpus = Corpus::new();
    for (name, component) in backchannel_artifacts::ALL {
        let manifest = Manifest::read(component).expect("a manifest");
        let json = serde_json::to_vec(&manifest).expect("JSON");
        corpus.insert(format!("{name}.json"), json);
    }
    let all = Manifest {
        name: "all-2".into(),
        version: "1.0.0-rc.1+x".into(),
        licence: "MIT OR Apache-2.0".into(),
        authors: vec!["Ada".into(), "Zoë".into()],
        description: String::new(),
        contract: "0.1.0".into(),
        kinds: vec!["SiteGreeting".into()],
        initiates: vec!["SecaggRequest".into()],
        protocols: vec![],
        capabilities: Capability::ALL
            .map(|one| (one.name().into(), "why".into()))
            .into(),
        limits: Limit::ALL
            .map(|one| (one.name().into(), *one.range().end()))
            .into(),
        assurance: Some(Demand::IdentityKey),
    };
    let json = serde_json::to_vec(&all).expect("JSON");
    let whole = component(&[with_manifest(&json)]);
    let outer = component(&[nested(&whole), with_manifest(b"{}")]);
    corpus.insert("all.json".into(), json);
    corpus.insert("all.wasm".into(), whole);
    corpus.insert("nested.wasm".into(), outer);
    corpus.insert("module.wasm".into(), b"\0asm\x01\0\0\0".to_vec());
    corpus
}

fn policy() -> Corpus {
    let text = |text: &str| text.as_bytes().to_vec();
    Corpus::from([
        ("empty".into(), vec![]),
        ("all".into(), text(ALL_OF_A_POLICY)),
        ("crlf".into(), text(&ALL_OF_A_POLICY.replace('\n', "\r\n"))),
        (
            "dotted".into(),
            text(
                "version = 1\nplugin.key-request.enabled = false\nplugin.key-request.limits.memory-mib = 8\n",
            ),
        ),
        (
            "inline".into(),
            text(
                "version = 1\nplugin = { key-request = { limits = { in-flight = 3 } } } # as one may write it\n",
            ),
        ),
        (
            "out-of-order".into(),
            text(
                "version = 1\n[plugin.key-request.limits]\nmemory-mib = 8\n[trust]\nrequire = 0\n[plugin.key-request]\nenabled = true\n[plugin]\n",
            ),
        ),
        ("later".into(), text("version = 2\n")),
    ])
}

fn roster() -> Corpus {
    let text = |text: &str| text.as_bytes().to_vec();
    let alone = ROSTER.split_once("[[node]]").expect("nodes").0;
    Corpus::from([
        ("two".into(), text(ROSTER)),
        ("empty".into(), text(alone)),
        ("twice".into(), text(&ROSTER.replace("\"b\"", "\"a\""))),
        (
            "later".into(),
            text(&ROSTER.replace("format = 1", "format = 2")),
        ),
        (
            "no-point".into(),
            text(&ROSTER.replace("p256:03", "p256:05")),
        ),
    ])
}

/// The keys are G and 2·G of P-256.
const ROSTER: &str = r#"format = 1
federation = "heart-eu"
version = 7
issued = 2026-11-20T08:00:00Z
expires = 2027-05-31T02:00:00.5+02:00
minimum-suite = 2

[[node]]
id = "b"
site = "Hospital B, Köln"
key = "p256:036b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"

[[node]]
id = "a"
site = "Hospital A"
key = "p256:037cf27b188d034f7e8a52380304b51ac3c08969e277f21b35a60b48fc47669978"
minimum-suite = 1
"#;

const ALL_OF_A_POLICY: &str = r#"# ours
version = 1 # one

[roster]
threshold = 1
[roster.keys]
dr-kim = "RWTk7BxvSVhF1RneBTtEQWskMNo1772WLJqiS8h33yGYKWIKg6TJjtms"

[channels]
suite-1 = ["b", "c"]
suite-3 = "any"
trust-on-first-use = false

[trust]
require = 1
keys.dr-kim = "RWTk7BxvSVhF1RneBTtEQWskMNo1772WLJqiS8h33yGYKWIKg6TJjtms"

[plugin.key-request] # built in
enabled = true

[plugin.overlap]
digest = "sha256:0000000000000000000000000000000000000000000000000000000000000001"
enabled = true
grants = ["log", "material"]
approved-by = "Ada"
approved-at = 2026-11-23T08:00:00Z
reason = "trial" # see ticket 7
signed-by = ["dr-kim"]
researchers = ["R1"]
experiments = ["E1", "E2"]
parties = [
    "a",
    "b", # the other hospital
]
until = 2027-12-31

[plugin.overlap.limits]
memory-mib = 64
handle-cpu-ms = 500

[[plugin.overlap.inputs]] # since ticket 9
name = "patients"
file = "cohort.csv"
column = "mrn"
kind = "ids"
min-rows = 50
[[plugin.overlap.inputs]]
name = "ages"
file = "/data/ages.json"
kind = "numbers"

[plugin.overlap.next]
digest = "sha256:0000000000000000000000000000000000000000000000000000000000000002"
grants = []
approved-by = "Ada"
approved-at = 2026-11-24T08:00:00.5+01:00
reason = "faster"

[[plugin.overlap.previous]]
digest = "sha256:0000000000000000000000000000000000000000000000000000000000000003"
grants = ["log"]
approved-by = "Zoë"
approved-at = 2026-10-01T08:00:00-08:00
reason = "first trial"
"#;

/// The signed one differs in every run, since signatures are drawn: it is written only where it is missing.
fn bundle() -> Corpus {
    let manifest = Manifest {
        name: "overlap".into(),
        version: "1.0.0".into(),
        licence: "MIT".into(),
        authors: vec![],
        description: "Nothing".into(),
        contract: "0.1.0".into(),
        kinds: vec!["Overlap".into()],
        initiates: vec![],
        protocols: vec![],
        capabilities: [("log".into(), String::new())].into(),
        limits: BTreeMap::new(),
        assurance: None,
    };
    let json = serde_json::to_vec(&manifest).expect("JSON");
    let component = component(&[with_manifest(&json)]);
    let key = SigningKey::unlock(KEY, PASSPHRASE).expect("unlocked");
    let (from, until) = (
        datetime!(2026-01-01 0:00 UTC),
        datetime!(2027-01-01 0:00 UTC),
    );
    let statement = Statement {
        name: manifest.name.clone(),
        version: manifest.version.clone(),
        sha256: Digest::of(&component),
        from,
        until,
        role: Role::Author,
        checks: vec!["read the source".into()],
    };
    let signature = Signature::sign(&component, &statement, &key).expect("signed");
    let package = Package::new(component, vec![signature], Some("Notes\n".into()));
    let signed = pack(&package, &manifest, (from, until), &key).expect("a bundle");
    Corpus::from([
        ("unchanged".into(), vec![0]),
        ("listed-anew".into(), vec![1]),
        // A byte of the component, and of the notes' name.
        ("changed-and-listed".into(), vec![1, 192 + 3, 0, 0, 9, 1]),
        ("renamed".into(), vec![0, 128 + 2, 0, 0, 0, 1]),
        ("removed-and-listed".into(), vec![1, 4, 0, 0, 0, 0]),
        ("swapped".into(), vec![0, 64 + 1, 0, 0, 0, 0]),
        ("signed.tar".into(), signed),
    ])
}

#[test]
fn the_corpora_hold_what_our_encoders_write() {
    let write = std::env::var_os("BACKCHANNEL_WRITE_SEEDS").is_some();
    for (target, seeds) in [
        ("bundle", bundle()),
        ("chunk_reassembly", chunk_reassembly()),
        ("inner_message", inner_message()),
        ("manifest", manifest()),
        ("outer_message", outer_message()),
        ("overlay_open", overlay_open()),
        ("policy", policy()),
        ("roster", roster()),
        ("trace", trace::trace()),
    ]
    .into_iter()
    .chain(sessions::corpora())
    {
        let folder = project().join("tests/fuzz/corpus").join(target);
        for (name, seed) in seeds {
            let path = folder.join(&name);
            let drawn = name == "signed.tar";
            if write && !(drawn && path.exists()) {
                fs::create_dir_all(&folder).expect("a folder");
                fs::write(&path, &seed).expect("written");
            }
            let there = fs::read(&path).unwrap_or_default();
            assert!(
                there == seed || drawn && !there.is_empty(),
                "{target}/{name} is another"
            );
        }
    }
}
