//! `backchannel bench`: what is measured, what is not, and the limits that follow.

use backchannel::cases::CaseFile;
use backchannel::handlers::Limit;
use backchannel_artifacts::KEY_REQUEST;
use backchannel_test_guests::ATTACKER;
use serde_json::{Value, json};

use crate::harness::{self, Folder, problem, run};
use crate::{differences, root};

/// A work that is done, and comes out wrong.
const FAILED: i32 = 1;
/// A file, a value or an argument cannot be used.
const INPUT: i32 = 3;

/// Attacks that nobody expects, beside a message that is declined.
const UNEXPECTED: &str = r#"
[[case]]
name = "is well"
message = { kind = "AttackRequest", fields = { attack = "fail-in-finalize", argument = { hex = "" } } }
expect = { failure = { kind = "refused", text = "on purpose" } }

[[case]]
name = "hangs"
message = { kind = "AttackRequest", fields = { attack = "loop", argument = { hex = "" } } }
expect = []

[[case]]
name = "panics"
message = { kind = "AttackRequest", fields = { attack = "panic", argument = { hex = "" } } }
expect = []
"#;

fn cases_of(package: &str) -> String {
    root().join(package).join("cases").display().to_string()
}

fn measured(repeat: &str) -> Value {
    let cases = cases_of("guest-handlers/key-request");
    harness::json(&["bench", "--cases", &cases, "--repeat", repeat])
}

#[test]
fn a_plugin_that_hangs_or_traps_is_told_with_its_case_and_never_measured() {
    let folder = Folder::new();
    let attacker = folder.write("attacker.wasm", ATTACKER);
    let cases = folder.write("unexpected.toml", UNEXPECTED);
    let bench = ["bench", &attacker, "--cases", &cases, "--repeat", "7"];

    let outcome = run(&[&bench[..], &["-o", "json"]].concat());

    assert_eq!(outcome.code, FAILED, "{outcome:?}");
    let shown: Value = serde_json::from_str(&outcome.out).expect("one object");
    let plugin = &shown["plugins"][0];
    assert_eq!(
        (&shown["ok"], &plugin["suggested"]),
        (&false.into(), &json!([]))
    );
    let names = |list: &Value| {
        let list = list.as_array().expect("a list").iter();
        list.map(|case| case["case"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(names(&plugin["cases"]), ["is well"]);
    assert_eq!(names(&plugin["left_out"]), ["hangs", "panics"]);
    for (at, why) in ["handle-cpu-ms = 1000", "trapped"].iter().enumerate() {
        let said = plugin["left_out"][at]["why"].as_str().expect("why");
        assert!(said.contains(why), "{said}");
    }

    let outcome = run(&bench);
    assert_eq!(outcome.code, FAILED, "{outcome:?}");
    assert!(
        outcome.out.contains("FAIL, not measured: hangs: "),
        "{outcome:?}"
    );
    assert!(outcome.err.contains("\"hangs\""), "{outcome:?}");

    let outcome = run(&[&bench[..], &["--suggest-limits"]].concat());
    assert_eq!((outcome.code, outcome.out.as_str()), (FAILED, ""));
    assert!(outcome.err.contains("\"hangs\""), "{outcome:?}");
}

#[test]
fn a_plugin_that_is_stopped_as_its_cases_expect_is_not_measured_and_no_fault() {
    let folder = Folder::new();
    let attacker = folder.write("attacker.wasm", ATTACKER);
    let cases = cases_of("tests/guests/attacker");

    let shown = harness::json(&["bench", &attacker, "--cases", &cases, "--repeat", "7"]);

    let plugin = &shown["plugins"][0];
    let left_out = plugin["left_out"].as_array().expect("a list");
    assert!(left_out.iter().all(|case| case["fault"] == false));
    assert!(
        left_out
            .iter()
            .any(|case| case["case"] == "an endless loop")
    );
    let measured = plugin["cases"].as_array().expect("a list");
    // What the store refuses has been computed all the same.
    assert_eq!((left_out.len(), measured.len()), (13, 3));
}

#[test]
fn a_case_with_another_result_than_it_expects_is_told_with_the_difference() {
    let folder = Folder::new();
    let cases = folder.write("cases.toml", crate::command::ONE_FAILS);

    let outcome = run(&["bench", "--cases", &cases, "-o", "json"]);

    assert_eq!(outcome.code, FAILED, "{outcome:?}");
    let shown: Value = serde_json::from_str(&outcome.out).expect("one object");
    let left_out = &shown["plugins"][0]["left_out"][0];
    assert_eq!(
        (&left_out["case"], &left_out["line"]),
        (&"answers".into(), &9.into())
    );
    assert_eq!(
        left_out["why"],
        "the message: - reply.fields.secagg_id = \"run-2\"; + reply.fields.secagg_id = \"run-1\""
    );
}

#[test]
fn what_cannot_be_measured_is_told_as_for_the_test() {
    let folder = Folder::new();
    let cases = folder.write(
        "cases.toml",
        "[[case]]\nname = \"a\"\nmessage = { kind = \"K\" }\n",
    );
    let empty = folder.at("");
    let key_request = cases_of("guest-handlers/key-request");
    for (args, why) in [
        (&["--cases", &cases][..], "it is not said which plugin"),
        (&["no-such.wasm", "--cases", &cases], "No such file"),
        (&["--cases", &key_request, "--name", "nobody"], "\"nobody\""),
    ] {
        let (bench, test) = (
            [&["bench"][..], args].concat(),
            [&["test"][..], args].concat(),
        );
        let (bench, test) = (problem(INPUT, &bench), problem(INPUT, &test));
        assert!(bench.why.contains(why), "{bench:?}");
        assert_eq!((bench.why, bench.to_do), (test.why, test.to_do));
    }
    std::fs::remove_file(&cases).expect("removed");
    let none = problem(INPUT, &["bench", "--cases", &empty]);
    assert!(none.why.contains("there is none in"), "{none:?}");

    let never = run(&["bench", "--cases", &key_request, "--repeat", "0"]);
    assert_eq!(never.code, 2, "{never:?}");
}

#[test]
fn every_case_has_its_times_and_its_instructions() {
    let shown = measured("7");

    let plugin = &shown["plugins"][0];
    assert_eq!(plugin["plugin"], "key-request");
    assert_eq!(plugin["file_bytes"], KEY_REQUEST.len());
    let cases = plugin["cases"].as_array().expect("a list");
    assert!(cases.len() > 20, "{}", cases.len());
    for case in cases {
        let us = |time: &Value, name: &str| time[name].as_f64().expect("a number");
        let time = &case["time"];
        let quantiles = ["min_us", "p50_us", "p99_us", "max_us"].map(|name| us(time, name));
        assert!(quantiles[0] > 0.0 && quantiles.is_sorted(), "{case}");
        let times = time["times"].as_u64().expect("a number");
        assert!((5..=7).contains(&times), "{case}");
        assert!(
            us(&case["handle"], "p50_us") <= us(time, "p50_us"),
            "{case}"
        );
        let most = &case["most"];
        assert!(most["handle_instructions"].as_u64() > Some(1000), "{case}");
        // What guests begin with, as `guest-handlers/component/src/cargo.rs` has them linked: growing takes system calls.
        assert_eq!(most["memory_bytes"], 192 << 10, "{case}");
    }
    assert_eq!(plugin["sandbox"]["times"], 7);
    let by_name = |name: &str| cases.iter().find(|case| case["case"] == name);
    let answers = by_name("answers with the key published for the run").expect("measured");
    assert_eq!(answers["most"]["effects"], 1, "{answers}");
    assert!(answers["most"]["final_instructions"].as_u64() > Some(1000));
}

#[test]
fn what_is_counted_is_the_same_however_often_it_is_measured() {
    let counted = |shown: &Value| {
        let cases = shown["plugins"][0]["cases"].as_array().expect("a list");
        cases
            .iter()
            .map(|case| case["most"].clone())
            .collect::<Vec<_>>()
    };

    let once = measured("1");

    assert_eq!(counted(&once), counted(&measured("7")));
}

#[test]
fn the_table_has_a_row_for_each_case_and_the_page_a_plot() {
    let cases = cases_of("guest-handlers/channel-setup");
    let bench = ["bench", "--cases", &cases, "--repeat", "7"];
    let files = std::fs::read_dir(&cases).expect("a folder");
    let files = files.map(|file| CaseFile::read(&file.expect("a file").path()).expect("cases"));
    let files: Vec<_> = files.collect();
    let names = || {
        files
            .iter()
            .flat_map(CaseFile::cases)
            .map(|case| case.name())
    };

    let shown = run(&bench);
    assert_eq!(shown.code, 0, "{shown:?}");
    let is_measured = |name: &&str| !shown.out.contains(&format!("not measured: {name}: "));
    for name in names().filter(is_measured) {
        let name: String = name.chars().take(40).collect();
        let row = shown.out.lines().find(|line| line.starts_with(&name));
        assert!(
            row.is_some_and(|row| row.contains("s  ")),
            "{name}: {}",
            shown.out
        );
    }
    for row in ["all cases ", "instance alone "] {
        assert!(shown.out.contains(row), "{row}: {}", shown.out);
    }

    let page = run(&[&bench[..], &["-o", "html"]].concat());
    assert_eq!(page.code, 0, "{page:?}");
    assert!(page.out.starts_with("<!doctype html>"));
    // And one with a bar for each.
    let measured = names().filter(is_measured).count();
    assert!(measured > 5, "{}", shown.out);
    assert_eq!(page.out.matches("<svg ").count(), measured + 1);
    assert!(page.out.contains("[plugin.channel-setup.limits]"));
}

#[test]
fn the_cases_pass_under_the_limits_that_are_suggested_and_policy_toml_takes_them() {
    let cases = cases_of("guest-handlers/key-request");
    let shown = run(&[
        "bench",
        "--cases",
        &cases,
        "--repeat",
        "7",
        "--suggest-limits",
    ]);
    assert_eq!(shown.code, 0, "{shown:?}");

    let fragment: toml::Table = shown.out.parse().expect("TOML");
    let limits = fragment["plugin"]["key-request"]["limits"]
        .as_table()
        .expect("limits");
    let limits = limits.iter().map(|(name, value)| {
        let limit: Limit = name.parse().expect("a limit");
        let value = value.as_integer().expect("a number");
        (limit, u64::try_from(value).expect("a number"))
    });
    let limits: Vec<_> = limits.collect();
    for limit in [
        Limit::MemoryMib,
        Limit::HandleCpuMs,
        Limit::FinalCpuMs,
        Limit::Effects,
    ] {
        assert!(limits.iter().any(|(found, _)| *found == limit), "{limit}");
    }
    let bench = crate::bench(KEY_REQUEST).limited(limits).expect("in range");
    for file in ["messages", "runs"] {
        let file = crate::file(&format!("guest-handlers/key-request/cases/{file}.toml"));
        for outcome in bench.run(&file, None).expect("run") {
            assert!(outcome.passed(), "{}", differences(&outcome));
        }
    }

    let node = Folder::new();
    node.write("policy.toml", format!("version = 1\n\n{}", shown.out));
    let checked = run(&["plugin", "list", "--data", &node.at("")]);
    assert!(!checked.err.contains("policy.toml"), "{checked:?}");
}
