//! Votes that nodes ask for while faults last: each is counted once, and what was answered is counted.

use std::path::PathBuf;

use backchannel::sandbox::{Role, Scenario};
use backchannel_test_guests::DOUBLE_COUNTER;

use super::stage::{KINDS, all_kinds, holds, of};

/// The plugin counts whatever the host says is new, so each of these counts once.
const VOTES: &str = r#"
nodes = ["poll", "one", "two"]

[[ask]]
at = "1s"
from = "one"
to = "poll"
kind = "VoteRequest"
times = 25
every = "4s"
fields = { vote = "yes" }

[[ask]]
at = "3s"
from = "two"
to = "poll"
kind = "VoteRequest"
times = 25
every = "4s"
fields = { vote = "no" }
"#;

fn scenario(faults: &str) -> Scenario {
    let folder = std::env::temp_dir().join(format!("backchannel-counted-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let file: PathBuf = folder.join("double-counter.wasm");
    std::fs::write(&file, DOUBLE_COUNTER).expect("written");
    let mut scenario = Scenario::parse(VOTES, &folder).expect("a scenario");
    scenario.plugins.push(Role::of_file(file));
    scenario.faults = faults.parse().expect("faults");
    scenario
}

/// Counts votes beside these faults, in so many runs: how many in all, and how many runs set no store back.
fn counted(faults: &str, seeds: u64) -> (usize, u64) {
    let simulation = of(scenario(faults));
    let (mut votes, mut whole) = (0, 0);
    for seed in 1..=seeds {
        let verdict = simulation.run(seed).expect("run");
        holds(&simulation, &verdict);
        let entry = ["poll", "double-counter", "count"].map(str::to_owned);
        let count = verdict.entries.get(&entry.into());
        let count = count.and_then(|count| count.first().copied());
        let (count, (answered, asked)) = (usize::from(count.unwrap_or_default()), verdict.asks);
        assert!(count <= asked, "seed {seed}: {count} of {asked}");
        if !verdict.set_back {
            assert!(count >= answered, "seed {seed}: {count}, {answered} heard");
            whole += 1;
        }
        votes += count;
    }
    println!("{faults}: {votes} votes in {seeds} runs, {whole} without a store that was set back");
    (votes, whole)
}

#[test]
fn every_vote_is_counted_once_whatever_happens() {
    let (votes, _) = counted(&all_kinds(), 24);

    assert!(votes > 100, "{votes}");
}

#[test]
fn no_vote_that_was_answered_is_lost_while_no_store_is_set_back() {
    let kinds = KINDS.iter();
    let kinds = kinds.filter(|(kind, ..)| !["damage", "backup"].contains(kind));
    let kinds: Vec<_> = kinds
        .map(|(kind, _, all)| format!("{kind}={all}"))
        .collect();

    let (votes, whole) = counted(&kinds.join(","), 24);

    assert!(votes > 100, "{votes}");
    assert_eq!(whole, 24);
}
