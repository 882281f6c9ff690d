//! A thousand networks, in which each fault meets each other.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::stage::{KINDS, holds, nodes};

/// So many runs are enough for each pair of kinds to meet four times.
const SEEDS: u64 = 1000;

/// All pairs of kinds.
fn pairs() -> Vec<String> {
    let kinds = KINDS.map(|(kind, beside_one, _)| format!("{kind}={beside_one}"));
    let pairs = (0..kinds.len()).flat_map(|second| (0..second).map(move |first| (first, second)));
    pairs
        .map(|(first, second)| format!("{},{}", kinds[first], kinds[second]))
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
