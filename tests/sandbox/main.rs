//! Simulated networks: what must hold holds under each fault alone and all together, and a seed gives the same run again.

mod counted;
mod matrix;
mod overlaps;
mod planted;
mod scenarios;
mod stage;

use std::collections::BTreeSet;

use stage::{KINDS, all_kinds, nodes, text, unbroken};

#[test]
fn nothing_is_broken_by_faults_of_every_kind() {
    let injected = unbroken(&all_kinds(), 1..=60);

    assert_eq!(KINDS.len(), 21);
    assert_eq!(injected.len(), KINDS.len(), "of every kind: {injected:?}");
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
fn stores_that_are_damaged_or_set_back_make_no_node_another() {
    let injected = unbroken("damage=2,backup=2", 1..=40);

    assert!(
        injected["damage"] > 20 && injected["backup"] > 20,
        "{injected:?}"
    );
}

#[test]
fn plugins_that_are_stopped_anywhere_break_nothing() {
    let injected = unbroken("stopped=4", 1..=40);

    assert!(injected["stopped"] > 40, "{injected:?}");
}

#[test]
fn messages_that_nobody_sent_break_nothing() {
    let injected = unbroken("forged=3,drop=0.05", 1..=24);

    assert_eq!(injected["forged"], 3 * 24 * 100, "{injected:?}");
}

#[test]
fn nodes_relays_and_plugins_that_are_slow_break_nothing() {
    let injected = unbroken("slow=2,slow-relay=1,slow-plugins=2", 1..=24);

    assert_eq!(injected.len(), 3, "{injected:?}");
}

#[test]
fn wall_clocks_that_jump_break_nothing() {
    let injected = unbroken("clock=4,drop=0.05", 1..=24);

    assert!(injected["clock"] > 24, "{injected:?}");
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let simulation = nodes(4, &all_kinds());
    let (mut hashes, mut injected) = (BTreeSet::new(), BTreeSet::new());
    for seed in 1..=8 {
        let first = simulation.run(seed).expect("run");
        let second = simulation.run(seed).expect("run");
        assert_eq!(text(&first), text(&second), "seed {seed}");
        assert_eq!(first.trace, second.trace, "seed {seed}");
        assert_eq!(first.hash, second.hash, "seed {seed}");
        hashes.insert(first.trace.events.len());
        injected.extend(first.injected.into_keys());
    }

    assert!(hashes.len() > 1, "other seeds give other runs");
    assert_eq!(injected.len(), KINDS.len(), "of every kind: {injected:?}");
}

#[test]
fn a_network_without_faults_sets_everything_up() {
    let verdict = nodes(12, "").run(1).expect("run");

    assert!(verdict.violations.is_empty(), "{:?}", verdict.violations);
    assert_eq!(verdict.set_ups, (6, 6), "{}", text(&verdict));
}
