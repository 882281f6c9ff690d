//! Simulations as commands: the page of a run, and what has none.

use std::fs;

use backchannel_test_guests::COUNTER;

use crate::harness::{Folder, Running, json, problem, run};
use crate::{FAILED, INPUT};

/// A run that takes little time.
const RUN: [&str; 5] = ["sim", "--nodes", "2", "--seed", "7"];
/// What a plugin that counts votes has to come to.
const VOTES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/scenarios/votes.toml");

fn is_page(text: &str) -> bool {
    text.starts_with("<!doctype html>") && text.trim_end().ends_with("</html>")
}

#[test]
fn one_run_has_a_page_and_many_have_none() {
    let folder = Folder::new();
    let page = folder.at("run.html");
    let scenario = folder.write("a.toml", run(&["sim", "--show-scenario"]).out);
    for (more, why) in [
        (&["--seeds", "3", "-o", "html"][..], "3 seeds"),
        (&["--seeds", "3", "--html", &page], "3 seeds"),
        (&["--seeds", "3", "--record", &page], "3 seeds"),
        (
            &["-o", "html", "--scenario", &scenario, &scenario],
            "2 scenarios",
        ),
    ] {
        let outcome = run(&[&["sim"], more].concat());
        assert_eq!((outcome.code, outcome.out.as_str()), (INPUT, ""), "{why}");
        assert!(outcome.err.contains(why), "{}", outcome.err);
        assert!(outcome.err.contains("--seed"), "{}", outcome.err);
    }
    assert!(!fs::exists(&page).expect("a folder"));
}

#[test]
fn a_scenario_that_is_only_shown_has_no_page() {
    let outcome = run(&["sim", "--show-scenario", "-o", "html"]);

    assert_eq!((outcome.code, outcome.out.as_str()), (INPUT, ""));
    assert!(outcome.err.contains("a run has a page"), "{outcome:?}");
}

#[test]
fn a_trace_is_not_overwritten_by_the_page_of_another_run() {
    let folder = Folder::new();
    let trace = folder.write("run.trace", "what was recorded");

    let problem = problem(INPUT, &[&RUN[..], &["--html", &trace]].concat());

    assert!(problem.why.contains("no page"), "{problem:?}");
    assert_eq!(
        fs::read_to_string(&trace).expect("there"),
        "what was recorded"
    );
}

#[test]
fn a_trace_and_results_replace_nothing_else() {
    let folder = Folder::new();
    let notes = folder.write("notes.txt", "what I must not forget");
    let cases = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../guest-handlers/key-request/cases/runs.toml"
    );
    let test = ["test", "key-request", "--cases", cases];
    for (words, what) in [
        ([&RUN[..], &["--record", &notes]].concat(), "no trace"),
        ([&test[..], &["--record", &notes]].concat(), "no trace"),
        ([&test[..], &["--junit", &notes]].concat(), "no JUnit XML"),
    ] {
        let problem = problem(INPUT, &words);
        assert!(problem.why.contains(what), "{problem:?}");
    }
    let kept = fs::read_to_string(&notes).expect("there");
    assert_eq!(kept, "what I must not forget");

    let (trace, results) = (folder.at("a.trace"), folder.at("a.xml"));
    for _ in 0..2 {
        json(&[&test[..], &["--record", &trace, "--junit", &results]].concat());
    }
    json(&["replay", &trace]);
}

#[test]
fn the_page_of_a_run_is_that_of_its_trace_wherever_it_is_written() {
    let folder = Folder::new();
    let (trace, page) = (folder.at("run.trace"), folder.at("run.html"));

    let shown = run(&[&RUN[..], &["-o", "html", "--record", &trace]].concat());
    let written = json(&[&RUN[..], &["--html", &page]].concat());
    let reported = run(&["report", &trace, "-o", "html"]);

    assert_eq!((shown.code, reported.code), (0, 0), "{shown:?}");
    assert!(is_page(&shown.out), "{}", shown.out);
    assert!(shown.out == reported.out, "the pages differ");
    assert_eq!(written["page"], page.as_str());
    let written = fs::read_to_string(&page).expect("the page");
    assert_eq!(written.trim_end(), shown.out.trim_end());
}

#[test]
fn a_run_that_breaks_something_has_its_page_and_exits_with_1() {
    let folder = Folder::new();
    let votes = fs::read_to_string(VOTES).expect("a scenario");
    let wrong = votes.replace("{ hex = \"02\" }", "{ hex = \"63\" }");
    let scenario = folder.write("wrong.toml", wrong);
    let counter = folder.write("counter.wasm", COUNTER);
    let sim = [
        "sim",
        "--scenario",
        &scenario,
        "--plugin",
        &counter,
        "-o",
        "html",
    ];

    let outcome = Running::start_in(folder.path(), &sim).outcome();

    assert_eq!(outcome.code, FAILED, "{}", outcome.err);
    assert!(
        outcome.err.contains("see it happen: backchannel"),
        "{}",
        outcome.err
    );
    let shortest = folder.path().join("wrong-seed-1.toml");
    assert!(shortest.exists(), "{}", outcome.err);

    // Where it cannot be written, no command names it.
    fs::write(&shortest, "a file of mine").expect("written");
    let outcome = Running::start_in(folder.path(), &sim).outcome();
    assert!(outcome.err.contains("save the shortest"), "{}", outcome.err);
    assert!(!outcome.err.contains("wrong-seed-1"), "{}", outcome.err);
    assert_eq!(fs::read(&shortest).expect("there"), b"a file of mine");
    assert!(is_page(&outcome.out), "{}", outcome.err);
    let verdict = "one thing broke that must hold";
    assert!(outcome.out.contains(verdict), "{}", outcome.err);
}

#[test]
fn a_command_without_a_page_says_which_have_one() {
    for command in [
        &["fuzz", "key-request"][..],
        &["replay", "run.trace"],
        &["demo"],
    ] {
        let outcome = run(&[command, &["-o", "html"]].concat());
        assert_eq!((outcome.code, outcome.out.as_str()), (INPUT, ""));
        assert!(
            outcome.err.contains("`sim`, `report` and `bench`"),
            "{outcome:?}"
        );
    }
}
