//! Bugs that were planted in handlers, found by the seeds; and none found in what is right.

use std::path::Path;

use backchannel::sandbox::{Invariant, Scenario, Simulation};
use backchannel_test_guests::{COUNTER, DOUBLE_COUNTER, MISDIRECTED_SHARE, STALE_KEY};

use super::stage::{holds, of};

/// So many seeds must be enough.
const ENOUGH: u64 = 200;

/// A scenario in which a component has a part.
fn with(component: &[u8], scenario: &str) -> Simulation {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("plugin.wasm");
    std::fs::write(&file, component).expect("written");
    let plugin = format!("[[plugin]]\nfile = {file:?}\n");
    let scenario = Scenario::parse(&format!("{scenario}\n{plugin}"), folder.path());
    of(scenario.expect("a scenario"))
}

/// The first seed that breaks something, and what.
fn found(simulation: &Simulation) -> (u64, Vec<Invariant>) {
    for seed in 1..=ENOUGH {
        let verdict = simulation.run(seed).expect("run");
        if !verdict.violations.is_empty() {
            let broken = verdict.violations.iter().map(|one| one.invariant);
            return (seed, broken.collect());
        }
    }
    panic!("not found within {ENOUGH} seeds");
}

#[test]
fn a_share_for_the_wrong_party_is_found_although_all_sums_are_right() {
    let scenario = "nodes = 3\n[faults]\ndrop = 0.05\ndelay = \"10ms..5s\"\n";

    let (seed, broken) = found(&with(MISDIRECTED_SHARE, scenario));

    println!("misdirected-share: seed {seed} breaks {broken:?}");
    assert!(broken.contains(&Invariant::Secrecy), "{broken:?}");
}

/// A run that is begun again under its name, after all that was published for it has expired.
const AGAIN: &str = r#"
nodes = 3
heal = "4min"
[[start]]
at = "1s"
set-up = "dh"
run = "again"
[[start]]
at = "100s"
set-up = "dh"
run = "again"
[faults]
drop = 0.05
dup = 0.1
kill = 1
delay = "10ms..5s"
"#;

#[test]
fn a_key_of_a_cancelled_run_is_found_to_be_another_than_its_peers_use() {
    let (seed, broken) = found(&with(STALE_KEY, AGAIN));

    println!("stale-key: seed {seed} breaks {broken:?}");
    assert!(broken.contains(&Invariant::Agreement), "{broken:?}");
    let right = of(Scenario::parse(AGAIN, Path::new(".")).expect("a scenario"));
    for seed in 1..=seed.max(5) {
        holds(&right, &right.run(seed).expect("run"));
    }
}

/// A voter that votes again for as long as it hears no answer, and one that faults keep from hearing it.
fn votes(counter: &str, faults: &str) -> String {
    format!(
        r#"
nodes = 2
heal = "4min"
[[ask]]
at = "1s"
from = "node-0"
to = "node-1"
kind = "VoteRequest"
fields = {{ vote = "yes" }}
times = 6
every = "40s"
until-answered = true
{faults}
[[expect.store]]
node = "node-1"
plugin = "{counter}"
key = "count"
value = {{ hex = "01" }}
"#
    )
}

/// Votes that come twice, answers that do not come, and nodes that die in between.
const UNHEARD: &str = "[faults]\ndrop = 0.3\ndup = 0.3\nkill = 2\n";

#[test]
fn a_vote_that_is_counted_twice_is_found_when_faults_keep_its_answer_from_being_heard() {
    let (seed, broken) = found(&with(DOUBLE_COUNTER, &votes("double-counter", UNHEARD)));

    println!("double-counter: seed {seed} breaks {broken:?}");
    assert_eq!(broken, [Invariant::Expected]);
    let without = with(DOUBLE_COUNTER, &votes("double-counter", ""));
    holds(&without, &without.run(seed).expect("run"));
    let right = with(COUNTER, &votes("counter", UNHEARD));
    for seed in 1..=seed.max(5) {
        holds(&right, &right.run(seed).expect("run"));
    }
}
