//! Golden updates.

use crate::command::ONE_FAILS;
use crate::harness::{Folder, json, run};

/// Runs the cases of a file with `--update`; what it wrote, and the file as it is then.
fn updated(text: &str) -> (Vec<String>, String) {
    let folder = Folder::new();
    let cases = folder.write("cases.toml", text);
    let report = json(&["test", "--cases", &cases, "--update"]);
    assert_eq!(report["failed"], 0, "{report}");
    let rewritten = report["files"][0]["rewritten"].as_array();
    let rewritten = rewritten.into_iter().flatten();
    let rewritten = rewritten
        .filter_map(|line| line.as_str().map(str::to_owned))
        .collect();
    let after = std::fs::read_to_string(&cases).expect("there");
    let again = run(&["test", "--cases", &cases]);
    assert_eq!(again.code, 0, "{again:?}");
    (rewritten, after)
}

#[test]
fn an_update_makes_the_case_pass_and_changes_nothing_else() {
    let (rewritten, after) = updated(ONE_FAILS);

    assert_eq!(rewritten, ["answers: the message"]);
    assert_eq!(after, ONE_FAILS.replace("\"run-2\"", "\"run-1\""));
}

#[test]
fn an_update_writes_nothing_when_all_is_as_expected() {
    let passing = ONE_FAILS.replace("\"run-2\"", "\"run-1\"");

    assert_eq!(updated(&passing), (vec![], passing.clone()));
}

#[test]
fn a_run_that_expects_nothing_yet_is_written_round_by_round() {
    let new = r#"plugin = "key-request"

[[case]]
name = "runs"
run = { kind = "SecaggRequest", run = "run-1", parties = ["a", "b"] }

[[case.rounds]]
expect = [{ publish = { body = { any = true } } }] # its key
answers = [{ from = "b", kind = "KeyReply", fields = { public_key = { text = "B" }, secagg_id = "run-1" } }]

[[case]]
name = "is answered with nonsense"
run = { kind = "SecaggRequest", run = "run-1", parties = ["a", "b"] }
rounds = [{ expect = [{ publish = { body = { any = true } } }], asks = [{ to = "b", kind = "KeyRequest", fields = { secagg_id = "run-1" } }], answers = [{ from = "b", kind = "KeyReply" }] }]
"#;

    let (rewritten, after) = updated(new);

    let expected = new
        .replace(
            "secagg_id = \"run-1\" } }]\n\n[[case]]",
            "secagg_id = \"run-1\" } }]\nasks = [{ to = \"b\", kind = \"KeyRequest\", fields = { secagg_id = \"run-1\" } }]\n\n\
             [[case.rounds]]\nexpect = [{ establish = { pair-secrets = { b = \"B\" } } }]\n\n[[case]]",
        )
        .replace(
            "kind = \"KeyReply\" }] }]",
            "kind = \"KeyReply\", expect = { failure = { kind = \"malformed\", text = \"fields: missing field `public_key`\" } } }] }]",
        );
    assert_eq!(after, expected);
    let places = [
        "runs: round 1, its requests",
        "runs: round 2",
        "is answered with nonsense: round 1, answer 1",
    ];
    assert_eq!(rewritten, places);
}

#[test]
fn what_was_expected_and_can_never_come_still_fails() {
    let folder = Folder::new();
    let text = r#"plugin = "key-request"

[[case]]
name = "runs"
run = { kind = "SecaggRequest", run = "run-1", parties = ["a", "b"] }

[[case.rounds]]
expect = [{ publish = { body = { any = true } } }]
asks = [{ to = "b", kind = "KeyRequest", fields = { secagg_id = "run-1" } }]
answers = [{ from = "b", silent = true }]

[[case.rounds]]
expect = []
"#;
    let cases = folder.write("cases.toml", text);

    let outcome = run(&["test", "--cases", &cases, "--update"]);

    assert_eq!(outcome.code, 1, "{outcome:?}");
    assert!(
        outcome
            .out
            .contains("+ the run had ended: b did not answer in round 1"),
        "{}",
        outcome.out
    );
    assert_eq!(std::fs::read_to_string(&cases).expect("there"), text);
}
