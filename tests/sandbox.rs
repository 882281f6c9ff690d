//! Simulated networks: what must hold holds under faults of every kind, and a seed gives the same run again.

use std::collections::BTreeMap;

use backchannel::handlers::{PluginSet, Runtime};
use backchannel::report::Report;
use backchannel::sandbox::{Simulation, Verdict, shrink, simulate};

/// Some of everything.
const FAULTS: &str =
    "drop=0.1,dup=0.1,corrupt=0.05,delay=10ms..20s,kill=2,power=1,partition=2,relay=1,full=1";

fn plugins() -> PluginSet {
    let runtime = Runtime::metered().expect("an engine");
    PluginSet::built_in(&runtime, None).expect("the built-in plugins")
}

fn simulation(nodes: usize, faults: &str) -> Simulation {
    Simulation {
        nodes,
        faults: faults.parse().expect("faults"),
    }
}

fn text(verdict: &Verdict) -> String {
    Report::of(&verdict.trace).to_string()
}

#[test]
fn nothing_is_broken_by_faults_of_every_kind() {
    let (simulation, plugins) = (simulation(3, FAULTS), plugins());
    let mut injected = BTreeMap::<_, u64>::new();
    for seed in 1..=60 {
        let verdict = simulate(&simulation, &plugins, seed).expect("run");
        if !verdict.violations.is_empty() {
            let shortest = shrink(&simulation, &plugins, &verdict).expect("run");
            panic!(
                "seed {seed}: {:?}\nwith {:#?}\n{}",
                verdict.violations,
                shortest.faults,
                text(&shortest.verdict)
            );
        }
        for (kind, count) in verdict.injected {
            *injected.entry(kind).or_default() += count;
        }
    }

    println!("60 seeds, injected: {injected:?}");
    assert_eq!(injected.len(), 9, "of every kind: {injected:?}");
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let (simulation, plugins) = (simulation(4, FAULTS), plugins());
    let mut hashes = std::collections::BTreeSet::new();
    for seed in 1..=8 {
        let first = simulate(&simulation, &plugins, seed).expect("run");
        let second = simulate(&simulation, &plugins, seed).expect("run");
        assert_eq!(text(&first), text(&second), "seed {seed}");
        assert_eq!(first.hash, second.hash, "seed {seed}");
        hashes.insert(first.hash);
    }

    assert_eq!(hashes.len(), 8, "other seeds give other runs");
}

#[test]
fn a_network_without_faults_sets_everything_up() {
    let verdict = simulate(&simulation(12, ""), &plugins(), 1).expect("run");

    assert!(verdict.violations.is_empty(), "{:?}", verdict.violations);
    assert_eq!(verdict.set_ups, (6, 6), "{}", text(&verdict));
}
