//! A thousand networks, in which each fault meets each other.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::stage::{holds, nodes};

/// Each kind of fault, often enough to be felt.
const KINDS: [&str; 21] = [
    "drop=0.2",
    "dup=0.2",
    "corrupt=0.1",
    "reorder=0.2",
    "delay=10ms..60s",
    "kill=3",
    "power=3",
    "torn=3",
    "partition=3",
    "relay=3",
    "full=2",
    "read-only=2",
    "io=3",
    "damage=1",
    "backup=1",
    "clock=3",
    "slow=3",
    "slow-relay=2",
    "slow-plugins=3",
    "stopped=3",
    "forged=1",
];
const SEEDS: u64 = 1000;

/// All pairs of kinds.
fn pairs() -> Vec<String> {
    let pairs = (0..KINDS.len()).flat_map(|second| (0..second).map(move |first| (first, second)));
    pairs
        .map(|(first, second)| format!("{},{}", KINDS[first], KINDS[second]))
        .collect()
}

#[test]
fn a_thousand_seeds_break_nothing_whatever_two_faults_meet() {
    let simulations: Vec<_> = pairs().iter().map(|faults| nodes(3, faults)).collect();
    assert_eq!(simulations.len(), 210);
    let (next, injected) = (AtomicU64::new(1), Mutex::new(BTreeMap::<_, u64>::new()));
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed > SEEDS {
                return;
            }
            let simulation = &simulations[seed as usize % simulations.len()];
            let verdict = simulation.run(seed).expect("run");
            holds(simulation, &verdict);
            let mut injected = injected.lock().expect("no panic");
            for (kind, count) in verdict.injected {
                *injected.entry(kind).or_default() += count;
            }
        }
    };

    let threads = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
    std::thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(work))));

    let injected = injected.into_inner().expect("no panic");
    println!("{SEEDS} seeds: {injected:?}");
    assert_eq!(injected.len(), KINDS.len(), "of every kind: {injected:?}");
}
