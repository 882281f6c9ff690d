//! Plugins as an operator handles them, on real nodes: what a command allows or takes back is in force when it returns, no
//! message is lost to a change, and what is refused changes nothing.

mod component;
mod declared;
mod demanding;
#[path = "../harness/mod.rs"]
mod harness;
mod life;
mod quarantine;
mod refused;
mod scopes;
mod trust;

use harness::{Folder, Network, Peer, json};
use serde_json::Value;

/// A file, a value or an argument cannot be used.
const INPUT: i32 = 3;
/// Something does not match what is trusted or allowed.
const REFUSED: i32 = 5;

/// A plugin command on a data directory that succeeds.
fn plugin(data: &str, words: &[&str]) -> Value {
    json(&[&["plugin"], words, &["--data", data]].concat())
}

/// A plugin command on a data directory that fails: what, why and what to do.
fn refused(exit: i32, data: &str, words: &[&str]) -> harness::Problem {
    harness::problem(exit, &[&["plugin"], words, &["--data", data]].concat())
}

/// Installs a component; gives its digest.
fn install(folder: &Folder, data: &str, component: &[u8]) -> String {
    let file = folder.write("component.wasm", component);
    let installed = plugin(data, &["install", &file]);
    installed["digest"].as_str().expect("a digest").to_owned()
}

/// Installs, approves and enables a component; gives its digest.
fn set_to_work(folder: &Folder, data: &str, component: &[u8]) -> String {
    let digest = install(folder, data, component);
    plugin(
        data,
        &[
            "approve",
            &digest,
            "--all-declared",
            "--reason",
            "trial",
            "--by",
            "Ada",
        ],
    );
    plugin(data, &["enable", "echo"]);
    digest
}

/// How a file or a built-in plugin stands, as `plugin list` shows it.
fn row(data: &str, by: impl Fn(&Value) -> bool) -> Value {
    let list = plugin(data, &["list"]);
    let rows = list["plugins"].as_array().expect("a list");
    let found = rows.iter().find(|row| by(row));
    found
        .unwrap_or_else(|| panic!("not listed: {list}"))
        .clone()
}

fn row_of(data: &str, digest: &str) -> Value {
    row(data, |row| row["digest"] == digest)
}

/// Has the node answer an echo, and gives the text.
async fn echoed(peer: &Peer, text: &str) -> String {
    let request = peer.echo(text).await;
    peer.until_answered(std::slice::from_ref(&request)).await;
    peer.echoed(&request).expect("a text")
}

/// Messages that a node dropped for a reason so far.
fn dropped(network: &Network, node: &str, reason: &str) -> u64 {
    network.node(node).status()["dropped"][reason]
        .as_u64()
        .unwrap_or_default()
}
