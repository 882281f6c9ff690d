//! Simulated networks: what must hold holds under each fault alone and all together, and a seed gives the same run again.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::sync::OnceLock;

use backchannel::handlers::{PluginSet, Runtime};
use backchannel::report::Report;
use backchannel::sandbox::{Simulation, Verdict, shrink, simulate};

/// Some of everything.
const FAULTS: &str = "drop=0.1,dup=0.1,corrupt=0.05,reorder=0.05,delay=10ms..20s,kill=1,power=1,torn=2,partition=2,relay=1,full=1,read-only=1,io=1";

fn plugins() -> PluginSet {
    // Compiled once.
    static SET: OnceLock<PluginSet> = OnceLock::new();
    let set = SET.get_or_init(|| {
        let runtime = Runtime::metered().expect("an engine");
        PluginSet::built_in(&runtime, None).expect("the built-in plugins")
    });
    set.clone()
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

/// How often each fault hit in runs of three nodes, none of which broke what must hold.
fn unbroken(faults: &str, seeds: RangeInclusive<u64>) -> BTreeMap<&'static str, u64> {
    let (simulation, plugins) = (simulation(3, faults), plugins());
    let mut injected = BTreeMap::new();
    for seed in seeds {
        let verdict = simulate(&simulation, &plugins, seed).expect("run");
        if !verdict.violations.is_empty() {
            let shortest = shrink(&simulation, &plugins, &verdict).expect("run");
            panic!(
                "{faults}, seed {seed}: {:?}\nwith {:#?}\n{}",
                verdict.violations,
                shortest.faults,
                text(&shortest.verdict)
            );
        }
        for (kind, count) in verdict.injected {
            *injected.entry(kind).or_default() += count;
        }
    }
    println!("{faults}: {injected:?}");
    injected
}

#[test]
fn nothing_is_broken_by_faults_of_every_kind() {
    let injected = unbroken(FAULTS, 1..=60);

    assert_eq!(injected.len(), 13, "of every kind: {injected:?}");
}

#[test]
fn messages_that_overtake_others_break_nothing() {
    let injected = unbroken("reorder=0.3", 1..=24);

    assert!(injected["reorder"] > 24, "{injected:?}");
}

#[test]
fn messages_that_take_up_to_five_minutes_break_nothing() {
    let injected = unbroken("delay=1s..300s,delayed=0.3", 1..=24);

    assert!(injected["delay"] > 24, "{injected:?}");
}

#[test]
fn nodes_that_die_while_they_write_their_store_break_nothing() {
    let injected = unbroken("torn=4", 1..=40);

    assert!(injected["torn"] > 40, "{injected:?}");
}

#[test]
fn disks_that_refuse_break_nothing() {
    let injected = unbroken("full=2,read-only=2,io=4", 1..=40);

    let often = |kind| injected[kind] > 20;
    assert!(
        ["full", "read-only", "io"].into_iter().all(often),
        "{injected:?}"
    );
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let (simulation, plugins) = (simulation(4, FAULTS), plugins());
    let mut hashes = BTreeSet::new();
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
