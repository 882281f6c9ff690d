//! Whole networks in one process: the host's own code from router to store, and real wasm guests, with network, clock,
//! randomness and disks that are simulated. A seed gives the same run again, byte for byte.
//!
//! What is not simulated: gRPC, TLS and the connection's coming and going ([`crate::transport`], [`crate::relay`]), which
//! `tests/transport` and `tests/processes` hold.
//!
//! In reading order: [`Faults`] and what is drawn from them; the simulated disk, relay and network; [`Invariant`]; and
//! [`simulate`], which puts them together.

mod accidents;
mod disk;
mod faults;
mod invariants;
mod network;
mod record;
mod relay;
mod shrink;

use std::collections::BTreeMap;
use std::time::Duration;

use faults::{Fate, LONGEST_DELAY, Plan, Planned};
pub use faults::{Faults, FaultsError};
use invariants::Found;
pub use invariants::{Invariant, Violation};
use network::Network;
pub use shrink::Shrunk;

use crate::handlers::PluginSet;
use crate::trace::{Header, Made, Simulated, Trace, What};

/// How long faults last in a run.
const FAULTY: Duration = Duration::from_secs(120);
/// How long after one set-up the next begins, unless the first takes longer.
const APART: Duration = Duration::from_secs(15);
/// The set-ups that faults may hit.
const SET_UPS: [(&str, &str); 4] = [
    ("SecaggRequest", "dh-0"),
    ("AdditiveSSSetupRequest", "key-0"),
    ("SecaggRequest", "dh-1"),
    ("AdditiveSSSetupRequest", "key-1"),
];

/// What is simulated.
#[derive(Clone, Debug)]
pub struct Simulation {
    /// How many nodes.
    pub nodes: usize,
    /// What may happen to them.
    pub faults: Faults,
}

/// What came of one run.
#[derive(Debug)]
pub struct Verdict {
    /// What it was drawn from.
    pub seed: u64,
    /// What was broken.
    pub violations: Vec<Violation>,
    /// How many faults of each kind there were.
    pub injected: BTreeMap<&'static str, u64>,
    /// How many of the set-ups succeeded, and how many there were.
    pub set_ups: (usize, usize),
    /// What happened.
    pub trace: Trace,
    /// SHA-256 of that: of all lines before the last of its file.
    pub hash: [u8; 32],
    hits: BTreeMap<u64, Fate>,
    accidents: Vec<Planned>,
}

/// Runs a network of `simulation` from `seed`: it sets up contexts while faults last, is healed, and sets up more.
///
/// Returns an error when the machine cannot give a runtime.
pub fn simulate(
    simulation: &Simulation,
    plugins: &PluginSet,
    seed: u64,
) -> std::io::Result<Verdict> {
    let begins: Vec<_> = begins().map(|(at, ..)| at).collect();
    let plan = Plan::draw(
        &simulation.faults,
        simulation.nodes,
        FAULTY / 2,
        &begins,
        seed,
    );
    run(simulation, plugins, seed, plan)
}

/// Runs it again with fewer and fewer of its faults, as long as it still breaks what it broke.
pub fn shrink(
    simulation: &Simulation,
    plugins: &PluginSet,
    broken: &Verdict,
) -> std::io::Result<Shrunk> {
    shrink::shrink(broken, |plan| run(simulation, plugins, broken.seed, plan))
}

/// When each set-up begins, if those before it have ended.
fn begins() -> impl Iterator<Item = (Duration, &'static str, &'static str)> {
    (0..)
        .zip(SET_UPS)
        .map(|(n, (kind, id))| (Duration::from_secs(1) + n * APART, kind, id))
}

fn run(
    simulation: &Simulation,
    plugins: &PluginSet,
    seed: u64,
    plan: Plan,
) -> std::io::Result<Verdict> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()?;
    runtime.block_on(async {
        let accidents = plan.accidents.clone();
        let network = Network::new(simulation.nodes, plugins.clone(), plan, seed);
        let mut network = network.ok_or(std::io::ErrorKind::InvalidInput)?;
        network.start();
        for (at, kind, id) in begins() {
            network.pass(at.max(network.relay.now())).await;
            network.set_up(kind, id).await;
        }
        network.pass(FAULTY.max(network.relay.now())).await;
        network.heal().await;
        network
            .pass(network.relay.now() + Network::restart_after())
            .await;
        network.set_up("SecaggRequest", "dh-healed").await;
        network.set_up("AdditiveSSSetupRequest", "key-healed").await;
        // What was delayed the longest has come then.
        network.pass(network.relay.now() + LONGEST_DELAY).await;
        let mut found = Found::default();
        for run in ["dh-healed", "key-healed"] {
            let outcome = network.outcomes.iter().find(|(id, _)| id.as_str() == run);
            found.healing(run, outcome.map(|(_, outcome)| outcome));
        }
        found.nodes(&network);
        let secrets = invariants::secrets(&network);
        let succeeded = network.outcomes.values().filter(|it| it.is_success());
        let set_ups = (succeeded.count(), network.outcomes.len());
        let left = network.relay.clone().into_left();
        found.relay(&left.seen, &secrets);
        for Violation { invariant, how } in &found.0 {
            let (invariant, how) = (invariant.to_string(), how.clone());
            network.record.event(What::Broken { invariant, how });
        }
        let simulated = Simulated {
            scenario: format!(
                "nodes = {}\nfaults = {:?}\n",
                simulation.nodes,
                simulation.faults.to_string()
            ),
            seed,
        };
        let header = Header::of_this_build(Made::Sim(simulated));
        let trace = network.record.clone().into_trace(header);
        Ok(Verdict {
            seed,
            violations: found.0,
            injected: left.counts,
            set_ups,
            hash: trace.write(std::io::sink())?,
            trace,
            hits: left.hits,
            accidents,
        })
    })
}
