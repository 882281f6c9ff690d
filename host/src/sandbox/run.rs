//! One run of a simulation, from its first node's start to what is broken.

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use super::Simulation;
use super::evidence::{Evidence, Left};
use super::faults::{Fate, LONGEST_DELAY, Plan, Planned};
use super::invariants::{self, Violation};
use super::network::{Network, RESTART, SimulatedNode};
use super::researcher::PATIENCE;
use super::scenario::{HEALED, Scenario, Start};
use crate::message::SecaggId;
use crate::trace::{Header, Made, Simulated, Trace, What};

/// How long after one the next of the set-ups begins by which it is seen that it works again.
const HEALED_APART: Duration = Duration::from_secs(11);

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
    /// How many requests that nodes made for the scenario were answered, and how many there were.
    pub asks: (usize, usize),
    /// How many runs of protocols some party had a result of, and how many there were.
    pub protocols: (usize, usize),
    /// What plugins have stored at the end: by node, plugin and key.
    pub entries: BTreeMap<(String, String, String), Vec<u8>>,
    /// Whether a node's store was set back to a copy, with which it loses what came after that.
    pub set_back: bool,
    /// What happened.
    pub trace: Trace,
    /// SHA-256 of that: of all lines before the last of its file.
    pub hash: [u8; 32],
    /// The faults of messages, by number.
    pub(super) hits: BTreeMap<u64, Fate>,
    /// The accidents that were planned.
    pub(super) accidents: Vec<Planned>,
}

impl Verdict {
    /// Leaves away what happened, which is large, and can be had again from the seed.
    pub fn forget_trace(&mut self) {
        self.trace.events = Vec::new();
        self.trace.sessions = Vec::new();
    }
}

/// The faults of a run: those that the seed draws, and those that the scenario lists.
fn plan(scenario: &Scenario, seed: u64) -> Plan {
    let starts = scenario.starts.iter().map(|start| start.at);
    let begins: Vec<_> = starts
        .chain(scenario.runs.iter().map(|run| run.at))
        .collect();
    let (nodes, during) = (scenario.nodes.len(), scenario.heal / 2);
    let mut plan = Plan::draw(&scenario.faults, nodes, during, &begins, seed);
    plan.accidents.extend(scenario.accidents.iter().cloned());
    plan.accidents.sort_by_key(|planned| planned.at);
    plan
}

/// Runs a network on a clock of its own, which goes on when there is nothing more to do.
pub(super) fn run(simulation: &Simulation, seed: u64) -> io::Result<Verdict> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()?;
    runtime.block_on(simulated(simulation, seed))
}

async fn simulated(simulation: &Simulation, seed: u64) -> io::Result<Verdict> {
    let scenario = &simulation.scenario;
    let plan = plan(scenario, seed);
    let accidents = plan.accidents.clone();
    let network = Network::new(scenario, &simulation.sets, plan, seed);
    let mut network = network.map_err(io::Error::other)?;
    network.start();
    network.pass(scenario.heal).await;
    network.heal().await;
    let healed = heal(simulation, &mut network).await;
    if let Some(over) = network.researcher.runs_are_over() {
        network.pass(over).await;
    }
    // What was delayed the longest has come then, and all that it led to has ended.
    let rest = LONGEST_DELAY + PATIENCE;
    network.pass(network.record.now() + rest).await;

    let lasted = network.record.now();
    let nodes = Left::of(&network);
    let asked = network.asking.ended();
    let ledger = network.relay.clone().into_ledger();
    let simulated = Simulated {
        scenario: scenario.to_string(),
        seed,
    };
    let header = Header::of_this_build(Made::Sim(simulated));
    let mut trace = network.record.clone().into_trace(header);
    let evidence = Evidence {
        scenario,
        events: &trace.events,
        sessions: &trace.sessions,
        seen: &ledger.seen,
        outcomes: &network.researcher.outcomes,
        healed: &healed,
        ran: &network.researcher.ran,
        asked: &asked,
        nodes: &nodes,
    };
    let violations = invariants::check(&evidence);
    let outcomes = &network.researcher.outcomes;
    let done = outcomes.iter().filter(|outcome| outcome.is_success());
    let answered = asked.iter().filter(|asked| asked.is_answered());
    let ran = &network.researcher.ran;
    let came_to_something = ran.iter().filter(|ran| ran.has_result());
    let (set_ups, asks, protocols) = (
        (done.count(), outcomes.len()),
        (answered.count(), asked.len()),
        (came_to_something.count(), ran.len()),
    );
    let entries = nodes.iter().flat_map(|node| {
        let entries = node.entries.iter();
        entries.map(|((plugin, key), value)| {
            let name = (node.id.clone(), plugin.clone(), key.clone());
            (name, value.clone())
        })
    });
    let at = u64::try_from(lasted.as_micros()).unwrap_or(u64::MAX);
    trace.events.extend(violations.iter().map(|violation| {
        let invariant = violation.invariant.to_string();
        let how = violation.how.clone();
        let what = What::Broken { invariant, how };
        crate::trace::Event { at, what }
    }));
    Ok(Verdict {
        seed,
        violations,
        injected: ledger.counts,
        set_ups,
        asks,
        protocols,
        entries: entries.collect(),
        set_back: nodes.iter().any(|node| !node.put_back.is_empty()),
        hash: trace.write(io::sink())?,
        trace,
        hits: ledger.hits,
        accidents,
    })
}

/// Lets the nodes come back, and has them set up what each of them has a plugin for; its names.
async fn heal(simulation: &Simulation, network: &mut Network) -> Vec<SecaggId> {
    let back = network.record.now() + RESTART;
    network.pass(back).await;
    network.nodes.iter().for_each(SimulatedNode::pardon);
    let may_be_dead = &simulation.scenario.expect.refuses_to_start;
    let nodes = simulation.scenario.nodes.iter().zip(&simulation.sets);
    let nodes = nodes.filter(|(node, _)| !may_be_dead.contains(node));
    let (parties, sets): (Vec<_>, Vec<_>) = nodes.map(|(node, set)| (node.clone(), set)).unzip();
    let mut healed = Vec::new();
    for (n, (scheme, run)) in (0..).zip(HEALED) {
        let at = back + n * HEALED_APART;
        let possible = sets
            .iter()
            .all(|set| set.for_request(scheme.kind()).is_some());
        let Some(run) = run
            .parse::<SecaggId>()
            .ok()
            .filter(|_| possible && parties.len() > 1)
        else {
            continue;
        };
        network.pass(at).await;
        network.start_now(&Start {
            at,
            scheme,
            run: run.clone(),
            parties: Some(parties.clone()),
        });
        healed.push(run);
    }
    network.pass(network.record.now() + PATIENCE).await;
    if let Some(last) = network.last_step() {
        network.pass(last + PATIENCE).await;
    }
    healed
}
