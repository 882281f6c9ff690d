//! The command: what it shows, how it ends, and what it writes.

use backchannel_artifacts::KEY_REQUEST;
use backchannel_test_guests::ATTACKER;
use quick_junit::Report;
use serde_json::Value;

use crate::harness::{Folder, json, problem, run};
use crate::root;

/// Two cases of key-request, of which the second expects the wrong run.
pub const ONE_FAILS: &str = r#"# Ours.
plugin = "key-request"

[[case]]
name = "refuses a request without a run"
message = { kind = "KeyRequest" }
expect = { failure = { kind = "malformed" } }

[[case]] # fails
name = "answers"
message = { kind = "KeyRequest", from = "hospital-b", fields = { secagg_id = "run-1" } }
material = [{ run = "run-1", body = "PEM" }]
expect = [
  # Its key.
  { reply = { kind = "KeyReply", fields = { public_key = { text = 'PEM' }, secagg_id = "run-2" } } },
]
"#;

#[test]
fn a_case_that_fails_shows_what_is_different_and_ends_with_1() {
    let folder = Folder::new();
    let cases = folder.write("one-fails.toml", ONE_FAILS);

    let outcome = run(&["test", "--cases", &cases]);

    assert_eq!(outcome.code, 1, "{outcome:?}");
    let shown = [
        "  ok    refuses a request without a run\n  FAIL  answers\n",
        ":9 answers\n  the message\n",
        "      reply.fields.public_key = { text = \"PEM\" }\n",
        "    - reply.fields.secagg_id = \"run-2\"\n    + reply.fields.secagg_id = \"run-1\"\n",
    ];
    for part in shown {
        assert!(outcome.out.contains(part), "{part:?}: {}", outcome.out);
    }
    assert!(
        outcome.out.ends_with("\n1 passed, 1 failed\n"),
        "{}",
        outcome.out
    );
    assert!(
        outcome.err.contains("1 of 2 cases failed"),
        "{}",
        outcome.err
    );

    let outcome = run(&["test", "--cases", &cases, "-o", "json"]);
    let object: Value = serde_json::from_str(&outcome.out).expect("one object");
    assert_eq!(
        (outcome.code, &object["ok"]),
        (1, &false.into()),
        "{object}"
    );
    assert_eq!(
        (&object["passed"], &object["failed"]),
        (&1.into(), &1.into())
    );
    let case = &object["files"][0]["cases"][1];
    assert_eq!(
        (&case["name"], &case["line"]),
        (&"answers".into(), &9.into())
    );
    let lines = &case["differences"][0]["lines"];
    assert_eq!(lines[2], "- reply.fields.secagg_id = \"run-2\"", "{case}");
}

#[test]
fn only_the_cases_asked_for_are_run_on_the_plugin_named() {
    let folder = Folder::new();
    folder.write("cases-a.toml", ONE_FAILS);
    let component = folder.write("key-request.wasm", KEY_REQUEST);
    let beside = ONE_FAILS.replace("\"key-request\"", "\"key-request.wasm\"");
    let beside = folder.write("cases-b.toml", beside);

    for args in [
        &["test", &component, "--cases", &folder.at("cases-a.toml")][..],
        &["test", "key-request", "--cases", &folder.at("cases-a.toml")],
        &["test", "--cases", &beside],
    ] {
        let report = json(&[args, &["--name", "without a run"]].concat());
        assert_eq!(
            (&report["passed"], &report["failed"]),
            (&1.into(), &0.into())
        );
    }
    let both = run(&["test", &component, "--cases", &folder.at("")]);
    assert!(both.out.ends_with("\n2 passed, 2 failed\n"), "{}", both.out);
    assert!(
        both.out.find("cases-a.toml") < both.out.find("cases-b.toml"),
        "sorted"
    );
}

#[test]
fn results_are_written_as_junit() {
    let folder = Folder::new();
    let odd = ONE_FAILS.replace("\"answers\"", "\"answers <b> & \\\"c\\\"\\u001b[2J\"");
    let cases = folder.write("one-fails.toml", odd);
    let file = folder.at("report.xml");

    let outcome = run(&["test", "--cases", &cases, "--junit", &file]);

    assert_eq!(outcome.code, 1, "{outcome:?}");
    let text = std::fs::read_to_string(&file).expect("written");
    let report = Report::deserialize_from_str(&text).expect("JUnit");
    assert_eq!((report.tests, report.failures), (2, 1), "{text}");
    let suite = &report.test_suites[0];
    assert_eq!(suite.name.as_str(), cases);
    let names: Vec<_> = suite
        .test_cases
        .iter()
        .map(|case| case.name.as_str())
        .collect();
    assert_eq!(
        names,
        ["refuses a request without a run", "answers <b> & \"c\""]
    );
    assert!(
        text.contains("+ reply.fields.secagg_id = &quot;run-1&quot;"),
        "{text}"
    );
}

#[test]
fn what_is_recorded_is_the_same_twice_and_can_be_replayed() {
    let folder = Folder::new();
    let cases = root().join("guest-handlers/key-request/cases");
    let cases = cases.display().to_string();
    let record = |name: &str, seed: &str| {
        let file = folder.at(name);
        let report = json(&["test", "--cases", &cases, "--seed", seed, "--record", &file]);
        assert_eq!(report["failed"], 0);
        std::fs::read(file).expect("a trace")
    };

    let first = record("first.trace", "3");

    assert_eq!(first, record("again.trace", "3"));
    // A run's key is drawn from the seed.
    assert_ne!(first, record("other.trace", "4"));
    let replayed = json(&["replay", &folder.at("first.trace")]);
    assert_eq!(
        (&replayed["ok"], &replayed["different"]),
        (&true.into(), &0.into())
    );
    assert!(replayed["sessions"].as_u64() > Some(25), "{replayed}");
}

#[test]
fn an_attack_that_was_recorded_ends_the_same_way_again() {
    let folder = Folder::new();
    let attacker = folder.write("attacker.wasm", ATTACKER);
    let cases = root().join("tests/guests/attacker/cases");
    let (cases, trace) = (cases.display().to_string(), folder.at("attacks.trace"));

    let report = json(&["test", &attacker, "--cases", &cases, "--record", &trace]);

    // A trace has one set of limits for a plugin, and four cases have their own.
    let recorded = &report["recorded"];
    assert_eq!(
        (&recorded["sessions"], &recorded["left_out"]),
        (&12.into(), &4.into())
    );
    let replayed = json(&["replay", &trace, "--plugin", &attacker]);
    assert_eq!(
        (&replayed["sessions"], &replayed["different"]),
        (&12.into(), &0.into())
    );
}

#[test]
fn refuses_to_write_where_it_cannot_and_to_update_for_another_seed() {
    let folder = Folder::new();
    let cases = folder.write("cases.toml", ONE_FAILS);
    let nowhere = folder.at("no/such/folder");
    for option in ["--junit", "--record"] {
        let problem = problem(3, &["test", "--cases", &cases, option, &nowhere]);
        assert!(problem.what.contains(&nowhere), "{problem:?}");
    }
    let outcome = run(&["test", "--cases", &cases, "--update", "--seed", "2"]);
    assert_eq!(outcome.code, 2, "{outcome:?}");
}
