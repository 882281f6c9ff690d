//! Prints the secagg contexts of a stopped node, secrets included, one JSON object per line: for tests that compare
//! them with what the other parties hold. The product has no such command.
//!
//! ```text
//! interop-contexts NODE_ID FILE
//! ```
//!
//! `FILE` is the `node.redb` of that node's data directory.

use std::error::Error;
use std::path::Path;

use backchannel::key_store::records::ContextSecret;
use backchannel::key_store::{KeyStore, Lock};
use backchannel::message::NodeId;
use backchannel::randomness::Randomness;
use num_bigint::BigInt;
use serde_json::{Value, json};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, id, file] = arguments.as_slice() else {
        return Err("usage: interop-contexts NODE_ID FILE".into());
    };
    let file = Path::new(file);
    if !file.exists() {
        return Err(format!("{} is missing", file.display()).into());
    }
    // As a node has it whose policy says nothing else.
    let lock: Lock = std::fs::read_to_string(file.with_file_name("store.key"))?.parse()?;
    let id = NodeId::try_from(id.as_str())?;
    let store = KeyStore::open(file, &id, &lock, &Randomness::from_system()?)?;
    for (secagg_id, context) in store.contexts()? {
        let secret = match &context.secret {
            ContextSecret::Pairs(secrets) => secrets
                .iter()
                .map(|(peer, secret)| (peer.clone(), hex::encode(secret.as_bytes()).into()))
                .collect::<serde_json::Map<String, Value>>()
                .into(),
            ContextSecret::ServerKey(key) => {
                Value::from(BigInt::from_signed_bytes_be(key).to_string())
            }
        };
        let line = json!({ "secagg_id": secagg_id.as_str(), "secret": secret });
        println!("{line}");
    }
    Ok(())
}
