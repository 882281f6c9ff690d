//! Where the reference breaks, ours holds: each weakness that was found in Fed-BioMed by experiment, as a rule that a real
//! node process keeps. `tests/interop/README.md` has the table, with the tests elsewhere that show the rest.

mod burst;
mod foreign;
mod forged;
#[path = "../harness/mod.rs"]
mod harness;
mod middle;
mod noise;
mod relay;
mod replay;

use harness::{Daemon, Network, json};

/// Has the researcher set `run` up between the node `n` and the peer `peer`.
fn set_up(network: &Network, peer: &str, run: &str) {
    let parties = format!("n,{peer}");
    json(&command(network, &parties, run));
}

fn command<'a>(network: &'a Network, parties: &'a str, run: &'a str) -> [&'a str; 10] {
    let relay = network.relay.data();
    [
        "secagg",
        "setup",
        "--relay",
        relay,
        "--scheme",
        "dh",
        "--parties",
        parties,
        "--id",
        run,
    ]
}

/// A number of a status: `list`, `name`.
fn count(daemon: &Daemon, list: &str, name: &str) -> u64 {
    daemon.status()[list][name].as_u64().unwrap_or_default()
}
