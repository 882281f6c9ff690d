//! A plugin that attacks when it is asked to, found out by the fuzzer, and its findings replayed.

use backchannel::trace::{Header, Incoming, Made, Session, Trace, Work, Writer};
use backchannel_test_guests::{ATTACKER, COUNTER, DOUBLE_COUNTER};

use crate::harness::{Folder, json, problem, run};
use crate::{FAILED, INPUT};

/// A trace with one message for the attacker, which asks it to panic.
fn panic(folder: &Folder) -> String {
    let fields = b"\x82\xa6attack\xa5panic\xa8argument\xc4\x01\x07";
    let mut writer = Writer::new(Vec::new(), &Header::of_this_build(Made::Test)).expect("begun");
    writer
        .session(Session {
            node: "node-a".into(),
            plugin: "attacker".into(),
            digest: String::new(),
            work: Work::Message(Incoming {
                id: None,
                researcher: "researcher".into(),
                source: "node-b".into(),
                setup: false,
                assurance: "channel-key".into(),
                kind: "AttackRequest".into(),
                request: Some("1".into()),
                fields: fields.to_vec().into(),
            }),
            calls: Vec::new(),
        })
        .expect("written");
    folder.write("panic.trace", writer.end().expect("ended").0)
}

#[test]
fn a_plugin_that_traps_is_found_out_and_the_trace_shows_it_again() {
    let folder = Folder::new();
    let file = folder.write("attacker.wasm", ATTACKER);
    let (corpus, found) = (panic(&folder), folder.at("found.trace"));
    let fuzz = [
        "fuzz", &file, "--corpus", &corpus, "--inputs", "60", "--record", &found,
    ];

    let outcome = run(&[&fuzz[..], &["-o", "json"]].concat());

    assert_eq!(outcome.code, FAILED, "{outcome:?}");
    let shown: serde_json::Value = serde_json::from_str(&outcome.out).expect("one object");
    assert_eq!(
        (&shown["ok"], &shown["inputs"]),
        (&false.into(), &60.into())
    );
    assert_eq!(shown["findings"][0]["what"], "trap", "{shown}");
    let text = std::fs::read(&found).expect("a trace");
    assert!(Trace::read(&text[..]).expect("a trace").whole);
    let again = json(&["replay", &found, "--plugin", &file]);
    assert_eq!(again["different"], 0, "{again}");

    let missing = problem(INPUT, &["replay", &found]);
    assert!(missing.to_do.contains("--plugin"), "{missing:?}");
}

/// A case for the attacker, which asks it to panic.
const PANIC: &str = r#"
[[case]]
name = "panics"
message = { kind = "AttackRequest", fields = { attack = "panic", argument = { hex = "07" } } }
"#;

#[test]
fn cases_that_cannot_be_used_are_told_with_what_to_do() {
    let folder = Folder::new();
    let wrong = folder.write("wrong.toml", "\n[[case]]\nnam = \"a\"\n");
    let (empty, missing) = (Folder::new(), folder.at("missing.toml"));
    let empty = empty.path().to_str().expect("text");
    for (cases, why) in [
        (wrong.as_str(), "wrong.toml:3"),
        (empty, "there is none"),
        (&missing, "No such file"),
    ] {
        let problem = problem(INPUT, &["fuzz", "key-request", "--cases", cases]);
        assert!(problem.why.contains(why), "{problem:?}");
    }
}

#[test]
fn what_stands_in_cases_is_changed_and_finds_what_nothing_else_does() {
    let folder = Folder::new();
    let file = folder.write("attacker.wasm", ATTACKER);
    let cases = folder.write("panic.toml", PANIC);
    let fuzz = |more: &[&str]| {
        let found = folder.at("found.trace");
        let fuzz = ["fuzz", &file, "--inputs", "60", "--record", &found];
        let outcome = run(&[&fuzz[..], more, &["-o", "json"]].concat());
        let shown: serde_json::Value = serde_json::from_str(&outcome.out).expect("one object");
        (outcome.code, shown)
    };

    let (code, shown) = fuzz(&[]);
    assert_eq!((code, &shown["known"]), (0, &0.into()), "{shown}");

    let (code, shown) = fuzz(&["--cases", &cases]);
    assert_eq!((code, &shown["known"]), (FAILED, &1.into()), "{shown}");
    assert_eq!(shown["findings"][0]["what"], "trap", "{shown}");
}

#[test]
fn a_built_in_plugin_is_fuzzed_from_the_folder_of_its_cases() {
    let cases = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../guest-handlers/key-request/cases"
    );

    let shown = json(&["fuzz", "key-request", "--inputs", "50", "--cases", cases]);

    assert!(shown["known"].as_u64() > Some(10), "{shown}");
    assert_eq!(shown["findings"], serde_json::json!([]));
}

#[test]
fn a_corpus_of_other_plugins_or_of_nobody_is_refused_and_not_blamed_on_the_program() {
    let folder = Folder::new();
    let others = problem(INPUT, &["fuzz", "key-request", "--corpus", &panic(&folder)]);
    assert!(
        others.why.contains("no session of key-request"),
        "{others:?}"
    );

    let file = folder.write("attacker.wasm", ATTACKER);
    let text = std::fs::read_to_string(panic(&folder)).expect("a trace");
    let nobody = text.replace("\"node-b\"", "\"\"");
    // Without its end it needs not be whole.
    let nobody: Vec<_> = nobody.lines().take(2).collect();
    let nobody = folder.write("nobody.trace", nobody.join("\n"));
    let refused = problem(INPUT, &["fuzz", &file, "--corpus", &nobody]);
    assert!(
        refused.what.contains("corpus cannot be used"),
        "{refused:?}"
    );
}

#[test]
fn a_plugin_is_named_to_replay_as_to_fuzz() {
    let folder = Folder::new();
    let trace = folder.at("run.trace");
    json(&["sim", "--nodes", "2", "--seed", "7", "--record", &trace]);

    let again = json(&["replay", &trace, "--plugin", "key-request"]);

    assert_eq!(again["different"], 0, "{again}");
    problem(INPUT, &["replay", &trace, "--plugin", "no-such-plugin"]);
}

#[test]
fn no_number_is_too_large_for_the_clock_or_for_memory() {
    let most = u64::MAX.to_string();
    for words in [
        &["fuzz", "key-request", "--seconds", &most][..],
        &["sim", "--seeds", &most],
    ] {
        let outcome = run(words);
        assert_eq!(outcome.code, 2, "{outcome:?}");
        assert!(outcome.err.contains("is not in"), "{outcome:?}");
    }
}

#[test]
fn what_was_found_is_the_owners_and_replaces_nothing_but_a_trace() {
    use std::os::unix::fs::PermissionsExt;
    let folder = Folder::new();
    let file = folder.write("attacker.wasm", ATTACKER);
    let corpus = panic(&folder);
    let found = folder.at("found.trace");
    let fuzz = |record: &str| {
        let fuzz = ["fuzz", &file, "--corpus", &corpus, "--inputs", "60"];
        run(&[&fuzz[..], &["--record", record, "-o", "json"]].concat())
    };

    for _ in 0..2 {
        assert_eq!(fuzz(&found).code, FAILED);
    }
    let mode = std::fs::metadata(&found).expect("a file").permissions();
    assert_eq!(mode.mode() & 0o777, 0o600);

    let before = std::fs::read(&file).expect("a component");
    let outcome = fuzz(&file);
    assert_eq!(outcome.code, INPUT, "{outcome:?}");
    assert!(outcome.out.contains("it is no trace"), "{outcome:?}");
    assert_eq!(std::fs::read(&file).expect("a component"), before);
}

#[test]
fn a_plugin_that_means_well_is_found_to_do_nothing_wrong() {
    let shown = json(&["fuzz", "key-request", "--inputs", "50"]);

    assert_eq!(
        (&shown["inputs"], &shown["findings"]),
        (&50.into(), &serde_json::json!([]))
    );
}

/// Sessions of the counter: a vote, and the same vote again.
fn votes(folder: &Folder) -> String {
    use backchannel::trace::{Call, Cost, Ended, Entry, HostCall, Value};
    let get = |key: &str, result| HostCall {
        import: "store.get".into(),
        given: vec![Value::Text(key.into())],
        result,
    };
    let call = |entry, host_calls, ended| Call {
        at: 0,
        entry,
        host_calls,
        ended,
        cost: Cost::default(),
    };
    let mut writer = Writer::new(Vec::new(), &Header::of_this_build(Made::Test)).expect("begun");
    for voted in [Value::None, Value::Bytes(vec![1].into())] {
        writer
            .session(Session {
                node: "node-a".into(),
                plugin: "counter".into(),
                digest: String::new(),
                work: Work::Message(Incoming {
                    id: None,
                    researcher: "researcher".into(),
                    source: "node-b".into(),
                    setup: false,
                    assurance: "channel-key".into(),
                    kind: "VoteRequest".into(),
                    request: Some("1".into()),
                    fields: b"\x81\xa4vote\xa3yes".to_vec().into(),
                }),
                calls: vec![
                    call(
                        Entry::Handle,
                        vec![get("count", voted.clone()), get("voted/yes", voted)],
                        Ended::Found,
                    ),
                    call(Entry::Finalize, vec![], Ended::Nothing),
                ],
            })
            .expect("written");
    }
    folder.write("votes.trace", writer.end().expect("ended").0)
}

#[test]
fn two_versions_are_held_against_each_other_and_what_differs_is_shown() {
    let folder = Folder::new();
    let old = folder.write("counter.wasm", COUNTER);
    let new = folder.write("double-counter.wasm", DOUBLE_COUNTER);
    let corpus = votes(&folder);

    let same = json(&["plugin", "diff", &old, &old, "--corpus", &corpus]);
    assert_eq!(
        (&same["sessions"], &same["different"]),
        (&2.into(), &0.into())
    );

    let outcome = run(&["plugin", "diff", &old, &new, "--corpus", &corpus]);
    assert_eq!(outcome.code, FAILED, "{outcome:?}");
    assert!(
        outcome.out.contains("In 2 of 2 sessions they differ"),
        "{}",
        outcome.out
    );
    assert!(
        outcome.out.contains("- store.get(\"voted/yes\")"),
        "{}",
        outcome.out
    );

    let none = problem(
        INPUT,
        &["plugin", "diff", "key-request", &new, "--corpus", &corpus],
    );
    assert!(none.why.contains("no session of key-request"), "{none:?}");
}

#[test]
fn a_trace_that_cannot_be_read_is_told_with_what_to_do() {
    let folder = Folder::new();
    let not_one = folder.write("notes.txt", "not a trace\n");
    let newer = folder.write(
        "newer.trace",
        "{\"trace\":{\"format\":9,\"build\":\"9.1.0\"}}\n",
    );
    for (path, why) in [
        (&not_one, "not that of a trace"),
        (&newer, "made by backchannel 9.1.0"),
        (&folder.at("none"), "No such file"),
    ] {
        let problem = problem(INPUT, &["replay", path]);
        assert!(problem.why.contains(why), "{problem:?}");
    }
}
