//! What holds when real processes are killed, stopped, and asked what they cannot answer.

#[path = "../harness/mod.rs"]
mod harness;
mod kill;
mod killed_writing;
mod open_requests;
mod relay_restart;
mod stop;
mod waiting;
