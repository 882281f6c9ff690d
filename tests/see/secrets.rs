//! No secret leaves a node by what it tells of itself.

use std::fs;

use backchannel::key_store::records::ContextSecret;
use backchannel::randomness::Randomness;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::harness::{Network, copy_of_store, kept, run};

/// The ways in which bytes end up in text.
fn spellings(secret: &[u8]) -> Vec<Vec<u8>> {
    let decimal: Vec<_> = secret.iter().map(u8::to_string).collect();
    vec![
        secret.to_vec(),
        hex::encode(secret).into_bytes(),
        hex::encode_upper(secret).into_bytes(),
        STANDARD
            .encode(secret)
            .trim_end_matches('=')
            .as_bytes()
            .to_vec(),
        decimal.join(", ").into_bytes(),
        decimal.join(",").into_bytes(),
    ]
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

#[test]
fn nothing_that_a_node_tells_holds_one_of_its_secrets() {
    let mut network = Network::start(&["a", "b"]);
    network.set_up("dh");
    network.set_up("server-key");
    let data = network.node("a").data().to_owned();
    let mut outputs: Vec<(String, Vec<u8>)> = Vec::new();
    let mut keep = |name: &str, out: Vec<u8>| outputs.push((name.to_owned(), out));
    for words in [
        &["status"][..],
        &["identity", "show"],
        &["identity", "export"],
        &["peer", "list"],
        &["explain"],
        &["plugin", "top"],
        &["plugin", "list"],
        &["logs", "--lines", "2000"],
        &["audit", "show", "--all"],
        &["audit", "verify"],
    ] {
        for format in ["text", "json"] {
            let shown = run(&[words, &["--data", &data, "-o", format]].concat());
            assert_eq!(shown.code, 0, "{words:?}: {shown:?}");
            keep(&format!("{words:?} {format}"), shown.out.into_bytes());
        }
    }
    keep("the log", network.node("a").log().into_bytes());
    network.node_mut("a").stop();
    for name in ["audit.jsonl", "audit.head"] {
        let path = network.folder.path().join("a").join(name);
        keep(name, fs::read(path).expect("a file"));
    }

    let mut secrets: Vec<(String, Vec<u8>)> = Vec::new();
    let kept = kept(&network, "a");
    let store = copy_of_store(network.folder.path(), "a");
    secrets.push(("the seed".into(), store.seed().as_bytes().to_vec()));
    let identity = store.identity(&Randomness::from_seed(0)).expect("a key");
    secrets.push(("the identity key".into(), identity.to_bytes().to_vec()));
    for (peer, channel) in &kept.channels {
        secrets.push((format!("channel {peer}"), channel.own.as_bytes().to_vec()));
    }
    for (id, context) in &kept.contexts {
        match &context.secret {
            ContextSecret::Pairs(pairs) => {
                for secret in pairs.values() {
                    secrets.push((format!("context {id}"), secret.as_bytes().to_vec()));
                }
            }
            ContextSecret::ServerKey(key) => secrets.push((format!("context {id}"), key.clone())),
        }
    }
    assert_eq!(
        secrets.len(),
        5,
        "seed, identity, channel, pair secret, server key"
    );
    for (whose, secret) in &secrets {
        for spelling in spellings(secret) {
            for (name, output) in &outputs {
                assert!(!contains(output, &spelling), "{whose} is in {name}");
            }
        }
    }
    // The search finds what is there.
    let (_, log) = outputs
        .iter()
        .find(|(name, _)| name == "the log")
        .expect("the log");
    assert!(contains(log, b"set up"));
}
