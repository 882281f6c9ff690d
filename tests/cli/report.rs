//! Reports of recorded runs, and files that are none.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::INPUT;
use crate::harness::{Folder, json, problem, run};

/// A run in which one thing broke.
const FAULTY: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../tests/fixtures/traces/faulty.trace"
);

#[test]
fn refuses_what_is_no_trace_and_says_what_to_do() {
    let folder = Folder::new();
    let whole = fs::read_to_string(FAULTY).expect("the fixture");
    let changed = whole.replacen("node-2", "node-9", 1);
    for (name, content, why) in [
        ("empty", "", "not that of a trace"),
        ("other", "{\"a\":1}\n", "not that of a trace"),
        ("odd", &whole.replacen("\"event\"", "\"evnt\"", 1), "line 4"),
        ("changed", &changed, "it was changed"),
        (
            "new",
            &whole.replacen("\"format\":1", "\"format\":77", 1),
            "format 77",
        ),
    ] {
        let file = folder.write(name, content);
        let problem = problem(INPUT, &["report", &file]);
        assert!(problem.what.contains(&file), "{problem:?}");
        assert!(problem.why.contains(why), "{name}: {problem:?}");
    }
    problem(INPUT, &["report", &folder.at("missing")]);
}

#[test]
fn a_trace_is_not_overwritten_by_its_page() {
    let folder = Folder::new();
    let trace = folder.write("run.trace", fs::read(FAULTY).expect("the fixture"));

    let problem = problem(INPUT, &["report", &trace, "--html", &trace]);

    assert!(problem.why.contains("no page"), "{problem:?}");
    assert_eq!(
        fs::read(&trace).expect("there"),
        fs::read(FAULTY).expect("there")
    );
}

#[test]
fn a_page_that_cannot_be_written_is_an_error() {
    let folder = Folder::new();
    let nowhere = folder.at("no/such/folder/run.html");
    problem(INPUT, &["report", FAULTY, "--html", &nowhere]);
    assert!(!Path::new(&nowhere).exists());
}

#[test]
fn shows_what_broke_as_text_and_as_json() {
    let text = run(&["report", FAULTY]);
    assert_eq!(text.code, 0, "{text:?}");
    let broken = "node-2 reported key-1 and does not have it";
    assert!(text.out.contains(broken), "{}", text.out);
    assert!(text.out.contains("node-1 → node-2"), "{}", text.out);

    let report = json(&["report", FAULTY]);
    assert_eq!(report["ok"], true);
    assert_eq!(report["findings"][0]["how"], broken);
    let evidence = report["findings"][0]["evidence"]
        .as_array()
        .expect("a list");
    let arrow = evidence[0]["arrow"].as_u64().expect("a place");
    let arrow = &report["arrows"][usize::try_from(arrow).expect("small")];
    assert_eq!(arrow["outcome"], "done: key-1");
}

#[test]
fn writes_the_page_again_over_an_earlier_one() {
    let folder = Folder::new();
    let page = folder.at("run.html");
    for _ in 0..2 {
        let written = json(&["report", FAULTY, "--html", &page]);
        assert_eq!(
            (&written["ok"], &written["page"]),
            (&true.into(), &page.as_str().into())
        );
    }

    let text = run(&["report", FAULTY, "--html", &page]);
    assert!(
        text.out.contains("does not have it") && text.out.contains(&page),
        "{text:?}"
    );
    let mode = fs::metadata(&page).expect("the page").permissions();
    assert_eq!(mode.mode() & 0o777, 0o600, "as private as a recording");
    let content = fs::read_to_string(&page).expect("the page");
    assert!(content.starts_with("<!doctype html>") && content.trim_end().ends_with("</html>"));
}
