//! The commands as a user meets them: bad input above all. Each failure has its exit code, says what, why and what to
//! do, on standard error for people and as one JSON object for programs, and never panics: [`harness::problem`].

mod at_rest;
mod daemons;
mod demo;
mod fuzz;
#[path = "../harness/mod.rs"]
mod harness;
mod inspect;
mod listed;
mod plugins;
mod report;
mod secagg;
mod sim;
mod whom;

/// The work was begun and failed.
const FAILED: i32 = 1;
/// The command line makes no sense.
const USAGE: i32 = 2;
/// A file, a value or an argument cannot be used.
const INPUT: i32 = 3;
/// Something cannot be reached or had.
const UNREACHABLE: i32 = 4;
/// Something does not match what is trusted.
const REFUSED: i32 = 5;

#[test]
fn refuses_a_command_line_that_makes_no_sense() {
    for args in [
        &["no-such-command"][..],
        &["relay", "--no-such-flag"],
        &["secagg", "setup"],
        &[],
    ] {
        let outcome = harness::run(args);
        assert_eq!(outcome.code, USAGE, "{args:?}: {outcome:?}");
        assert!(outcome.err.contains("Usage:"), "{args:?}: {outcome:?}");
    }
}

#[test]
fn every_command_shows_an_example() {
    let commands = [
        "demo",
        "relay",
        "node",
        "status",
        "secagg setup",
        "secagg protect",
        "secagg aggregate",
        "secagg delete",
        "import fedbiomed",
        "identity show",
        "identity export",
        "peer list",
        "peer pin",
        "peer unpin",
        "roster sign",
        "roster verify",
        "roster apply",
        "test",
        "new",
        "build",
        "check",
        "report",
        "sim",
        "replay",
        "fuzz",
        "plugin diff",
        "plugin inspect",
        "plugin verify",
        "plugin install",
        "plugin approve",
        "plugin enable",
        "plugin disable",
        "plugin upgrade",
        "plugin rollback",
        "plugin remove",
        "plugin list",
        "plugin key new",
        "plugin key show",
        "plugin sign",
        "plugin bundle create",
        "plugin bundle verify",
        "plugin bundle load",
        "plugin push",
        "plugin pull",
    ];
    for command in commands {
        let words: Vec<_> = command.split(' ').chain(["--help"]).collect();
        let outcome = harness::run(&words);
        assert_eq!(outcome.code, 0, "{command}: {outcome:?}");
        assert!(
            outcome.out.contains(&format!("backchannel {command} ")),
            "{command}: {}",
            outcome.out
        );
    }
}
