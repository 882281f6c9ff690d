//! What an operator can see of a node: its audit log, its numbers, its messages; and what nobody may ever see in any of them.

mod audit;
mod explain;
#[path = "../harness/mod.rs"]
mod harness;
mod numbers;
mod recording;
mod secrets;
