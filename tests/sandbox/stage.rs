//! Simulations for tests: their plugins are compiled once.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::{Mutex, OnceLock, PoisonError};

use backchannel::handlers::Runtime;
use backchannel::report::Report;
use backchannel::sandbox::{Scenario, Simulation, Stock, Verdict};

/// Each kind of fault: often enough to be felt beside one other, and beside all of them.
pub const KINDS: [(&str, &str, &str); 21] = [
    ("drop", "0.2", "0.1"),
    ("dup", "0.2", "0.1"),
    ("corrupt", "0.1", "0.05"),
    ("reorder", "0.2", "0.05"),
    ("delay", "10ms..60s", "10ms..20s"),
    ("kill", "3", "1"),
    ("power", "3", "1"),
    ("torn", "3", "2"),
    ("partition", "3", "2"),
    ("relay", "3", "1"),
    ("full", "2", "1"),
    ("read-only", "2", "1"),
    ("io", "3", "1"),
    ("damage", "1", "1"),
    ("backup", "1", "1"),
    ("clock", "3", "1"),
    ("slow", "3", "1"),
    ("slow-relay", "2", "1"),
    ("slow-plugins", "3", "1"),
    ("stopped", "3", "1"),
    ("forged", "1", "1"),
];

/// Some of everything.
pub fn all_kinds() -> String {
    let kinds = KINDS.map(|(kind, _, beside_all)| format!("{kind}={beside_all}"));
    kinds.join(",")
}

/// What is simulated of a scenario.
pub fn of(scenario: Scenario) -> Simulation {
    static STOCK: OnceLock<Mutex<Stock>> = OnceLock::new();
    let stock = STOCK.get_or_init(|| {
        let runtime = Runtime::metered().expect("an engine");
        Mutex::new(Stock::new(runtime))
    });
    let mut stock = stock.lock().unwrap_or_else(PoisonError::into_inner);
    Simulation::new(scenario, &mut stock).expect("its plugins")
}

/// Nodes that agree on secrets while faults last.
pub fn nodes(nodes: usize, faults: &str) -> Simulation {
    of(Scenario::of(nodes, faults.parse().expect("faults")))
}

/// What happened in a run, for people.
pub fn text(verdict: &Verdict) -> String {
    Report::of(&verdict.trace).to_string()
}

/// Fails if a run broke something, with the shortest scenario that does.
pub fn holds(simulation: &Simulation, verdict: &Verdict) {
    if verdict.violations.is_empty() {
        return;
    }
    let shortest = simulation.shrink(verdict).expect("run");
    panic!(
        "seed {}: {:#?}\n{}\n{}",
        verdict.seed,
        verdict.violations,
        shortest.scenario,
        text(&shortest.verdict)
    );
}

/// How often each fault hit in runs of three nodes, none of which broke what must hold.
pub fn unbroken(faults: &str, seeds: RangeInclusive<u64>) -> BTreeMap<&'static str, u64> {
    let simulation = nodes(3, faults);
    let mut injected = BTreeMap::new();
    for seed in seeds {
        let verdict = simulation.run(seed).expect("run");
        holds(&simulation, &verdict);
        for (kind, count) in verdict.injected {
            *injected.entry(kind).or_default() += count;
        }
    }
    println!("{faults}: {injected:?}");
    injected
}
