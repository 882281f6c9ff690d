//! Whole networks in one process: the host's own code from router to store, and real wasm guests, with network, clock,
//! randomness and disks that are simulated. A seed gives the same run again, byte for byte.
//!
//! What is not simulated: gRPC, TLS and the connection's coming and going ([`crate::transport`], [`crate::relay`]), which
//! `tests/transport` and `tests/processes` hold.
//!
//! In reading order: [`Scenario`], what is to happen; [`Faults`] and what is drawn from them; the simulated disk, relay, researcher
//! and network; the record of a run and the evidence that it leaves; [`Invariant`]; [`Simulation`], which puts them together.

mod accidents;
mod asking;
mod cast;
mod copies;
mod disk;
mod evidence;
mod faults;
mod forger;
mod hits;
mod identities;
mod invariants;
mod network;
mod ran;
mod record;
mod relay;
mod researcher;
mod run;
mod scenario;
mod shrink;
mod suffering;
mod times;

use std::io;

pub use cast::{CastError, Stock};
pub use faults::{Faults, FaultsError};
pub use invariants::{Invariant, Violation};
pub use run::Verdict;
pub use scenario::{
    Ask, Component, Ended, Expected, Holding, Outcome, Outcomes, Role, Run, Scenario,
    ScenarioError, Scheme, SetUps, Start, Stored, Suite, Wanted,
};
pub use shrink::Shrunk;

use crate::handlers::PluginSet;

/// A scenario whose plugins are loaded.
pub struct Simulation {
    scenario: Scenario,
    /// Of each node.
    sets: Vec<PluginSet>,
}

impl Simulation {
    /// Loads the plugins of `scenario`.
    pub fn new(scenario: Scenario, stock: &mut Stock) -> Result<Self, CastError> {
        let sets = stock.cast(&scenario)?;
        Ok(Self { scenario, sets })
    }

    /// What is simulated.
    pub fn scenario(&self) -> &Scenario {
        &self.scenario
    }

    /// Runs it from `seed`.
    ///
    /// Returns an error when the machine cannot give a runtime.
    pub fn run(&self, seed: u64) -> io::Result<Verdict> {
        run::run(self, seed)
    }

    /// Runs it from `seed` twice; a second run that differs from the first breaks an invariant.
    pub fn run_twice(&self, seed: u64) -> io::Result<Verdict> {
        let mut verdict = self.run(seed)?;
        let again = self.run(seed)?;
        let broken = invariants::not_the_same(&verdict.hash, &again.hash);
        verdict.violations.extend(broken);
        Ok(verdict)
    }

    /// Runs what is left of a broken run with less and less of it, as long as it still breaks what it broke.
    pub fn shrink(&self, broken: &Verdict) -> io::Result<Shrunk> {
        shrink::shrink(self, broken)
    }

    /// The same with other things happening.
    fn with(&self, scenario: Scenario) -> Self {
        Self {
            scenario,
            sets: self.sets.clone(),
        }
    }
}
