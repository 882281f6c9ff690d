//! Simulations for tests: their plugins are compiled once.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::{Mutex, OnceLock, PoisonError};

use backchannel::handlers::Runtime;
use backchannel::report::Report;
use backchannel::sandbox::{Scenario, Simulation, Stock, Verdict};

/// Some of everything.
pub const FAULTS: &str = "drop=0.1,dup=0.1,corrupt=0.05,reorder=0.05,delay=10ms..20s,kill=1,power=1,torn=2,partition=2,relay=1,full=1,read-only=1,io=1";

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
