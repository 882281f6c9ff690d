//! What an operator can see of a node: its audit log, its numbers, its messages; and what nobody may ever see in any of them.

mod audit;
mod explain;
#[path = "../harness/mod.rs"]
mod harness;
mod numbers;
mod recording;
mod secrets;

use harness::{Daemon, json};
use serde_json::Value;

/// The lines of a node's audit log with this operation.
fn told(node: &Daemon, operation: &str) -> Vec<Value> {
    let shown = json(&[
        "audit",
        "show",
        "--data",
        node.data(),
        "--operation",
        operation,
        "--all",
    ]);
    shown["records"].as_array().expect("a list").clone()
}
