//! The cases of this repository.

use backchannel_artifacts::{ADDITIVE_SHARING, CHANNEL_SETUP, KEY_REQUEST};
use backchannel_test_guests::{ATTACKER, DRAWING, HONEST};

use crate::{bench, differences, file};

/// Runs the cases of a folder's files for a plugin: all must hold, and there must be so many.
fn hold(component: &[u8], files: &[&str], cases: usize) {
    let bench = bench(component);
    let mut passed = 0;
    for path in files {
        let file = file(path);
        let outcomes = bench.run(&file, None).expect("run");
        for (case, outcome) in file.cases().iter().zip(&outcomes) {
            let name = case.name();
            assert!(outcome.passed(), "{path}: {name}\n{}", differences(outcome));
            passed += 1;
        }
    }
    assert_eq!(passed, cases);
}

#[test]
fn a_plugin_that_attacks_is_stopped() {
    hold(ATTACKER, &["tests/guests/attacker/cases/attacks.toml"], 16);
}

#[test]
fn channel_setup_believes_nobody_and_answers_everybody() {
    hold(
        CHANNEL_SETUP,
        &["guest-handlers/channel-setup/cases/messages.toml"],
        10,
    );
}

#[test]
fn key_request_agrees_and_is_not_misled() {
    let files = [
        "guest-handlers/key-request/cases/messages.toml",
        "guest-handlers/key-request/cases/runs.toml",
    ];
    hold(KEY_REQUEST, &files, 25);
}

#[test]
fn additive_sharing_shares_and_is_not_misled() {
    let files = [
        "guest-handlers/additive-sharing/cases/messages.toml",
        "guest-handlers/additive-sharing/cases/runs.toml",
    ];
    hold(ADDITIVE_SHARING, &files, 19);
}

#[test]
fn guests_that_mean_well_hold_their_cases() {
    hold(HONEST, &["tests/guests/honest/cases/messages.toml"], 5);
    hold(DRAWING, &["tests/guests/drawing/cases/messages.toml"], 4);
}

#[test]
fn the_same_seed_gives_the_same_sessions_and_another_another_number() {
    let bench = bench(DRAWING);
    let file = file("tests/guests/drawing/cases/messages.toml");
    let sessions = |seed| {
        let outcomes = bench.run(&file, seed).expect("run");
        let sessions = outcomes.into_iter().map(|outcome| outcome.sessions);
        sessions.flatten().collect::<Vec<_>>()
    };

    let (first, again, other) = (sessions(None), sessions(None), sessions(Some(8)));

    assert_eq!(first.len(), 4);
    assert!(
        first
            .iter()
            .all(|(_, session)| session.calls[0].cost.fuel > Some(0))
    );
    assert_eq!(first, again);
    assert_eq!(first, sessions(Some(7)), "the seed of the file");
    // A number that is drawn differs; what is refused or was kept does not.
    let same: Vec<_> = first
        .iter()
        .zip(&other)
        .map(|(one, two)| one == two)
        .collect();
    assert_eq!(same, [true, false, true, false]);
}
