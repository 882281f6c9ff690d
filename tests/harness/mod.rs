//! Networks of real processes: the built program as relay and nodes of this machine, and its commands.
//!
//! Everything started here is killed when it is dropped. When the test fails, the logs are part of its output.
//! Tests wait for conditions, never for a time: [`until`].

#![allow(dead_code, unused_imports, reason = "each test program uses its part")]

mod command;
mod daemon;
mod kept;
mod network;
mod peer;
mod wire;

use std::time::{Duration, Instant};

pub use command::{Outcome, Problem, Running, finished, json, problem, run};
pub use daemon::{Daemon, allow_suite_1, told};
pub use kept::{Kept, copy_of_store, kept, kept_in};
pub use network::{Folder, Network, introduce};
pub use peer::{Peer, pem, sealed};
pub use wire::Wire;

/// Longer than anything takes on a busy machine. A test that passes never waits for it.
pub const PATIENCE: Duration = Duration::from_secs(90);

/// The researcher of all networks here.
pub const RESEARCHER: &str = "RESEARCHER_test";

/// Waits for a condition: looks until it gives something.
pub fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(began.elapsed() < PATIENCE, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
