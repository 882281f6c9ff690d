//! Files and commands that change nothing: each says what, why and what to do, and has its exit code.

use serde_json::json;

use crate::component::{changed, echo, talkative};
use crate::harness::{Folder, problem, run};
use crate::{INPUT, REFUSED, install, plugin, refused, row_of, set_to_work};

fn files(data: &str) -> usize {
    std::fs::read_dir(format!("{data}/plugins")).map_or(0, Iterator::count)
}

#[test]
fn refuses_files_that_are_no_plugins_and_installs_nothing() {
    let folder = Folder::new();
    let data = &folder.at("n");
    std::fs::create_dir(data).expect("a folder");
    let good = echo("1.0.0");
    let mut flipped = good.clone();
    flipped[40] ^= 0xff;
    let core = b"\0asm\x01\0\0\0".to_vec();
    let bad = [
        ("truncated.wasm", good[..good.len() / 2].to_vec()),
        ("flipped.wasm", flipped),
        ("core.wasm", core),
        ("empty.wasm", Vec::new()),
        ("native.wasm", b"\x7fELF\x02\x01\x01".to_vec()),
        ("script.wasm", b"#!/bin/sh\n".to_vec()),
        ("manifestless.wasm", b"\0asm\x0d\0\x01\0".to_vec()),
        ("versionless.wasm", echo("one")),
        (
            "built-in.wasm",
            changed(&good, &json!({ "name": "key-request" })),
        ),
    ];
    for (name, bytes) in bad {
        let file = folder.write(name, bytes);
        let problem = refused(REFUSED, data, &["install", &file]);
        assert!(problem.what.contains(name), "{name}: {problem:?}");
    }
    refused(INPUT, data, &["install", &folder.at("missing.wasm")]);
    assert_eq!(files(data), 0);
}

#[test]
fn refuses_an_older_version_than_the_approved_one_except_by_rollback() {
    let folder = Folder::new();
    let data = &folder.at("n");
    set_to_work(&folder, data, &echo("1.1.0"));
    let older = folder.write("older.wasm", echo("1.0.9"));
    for command in ["install", "upgrade"] {
        let problem = refused(REFUSED, data, &[command, &older]);
        assert!(
            problem.why.contains("1.0.9") && problem.why.contains("1.1.0"),
            "{problem:?}"
        );
        assert!(problem.to_do.contains("rollback"), "{problem:?}");
    }

    let newer = folder.write("newer.wasm", echo("1.2.0"));
    plugin(data, &["upgrade", &newer]);
    plugin(data, &["rollback", "echo"]);
}

#[test]
fn refuses_another_file_of_the_same_version_until_it_is_approved() {
    let folder = Folder::new();
    let data = &folder.at("n");
    set_to_work(&folder, data, &echo("1.0.0"));
    let other = changed(&echo("1.0.0"), &json!({ "description": "another build" }));
    let file = folder.write("other.wasm", other);

    let problem = refused(REFUSED, data, &["upgrade", &file]);

    assert!(problem.why.contains("another file"), "{problem:?}");
}

#[test]
fn refuses_an_upgrade_that_treats_more_kinds_until_it_is_approved() {
    let folder = Folder::new();
    let data = &folder.at("n");
    set_to_work(&folder, data, &echo("1.0.0"));
    let kinds = json!({ "kinds": ["EchoRequest", "EchoReply", "Gossip"] });
    let file = folder.write("more.wasm", changed(&echo("1.1.0"), &kinds));

    let problem = refused(REFUSED, data, &["upgrade", &file]);

    assert!(problem.why.contains("Gossip"), "{problem:?}");
}

#[test]
fn an_approval_grants_what_is_asked_for_neither_less_nor_more() {
    let folder = Folder::new();
    let data = &folder.at("n");
    let digest = install(&folder, data, &talkative("1.0.0"));
    let approve =
        |more: &[&'static str]| [&["approve", "echo", "--reason", "trial"], more].concat();

    let less = refused(REFUSED, data, &approve(&[]));
    assert!(
        less.why.contains("log") && less.to_do.contains("--grant log"),
        "{less:?}"
    );
    let more = refused(
        INPUT,
        data,
        &approve(&["--grant", "log", "--grant", "material"]),
    );
    assert!(more.why.contains("material"), "{more:?}");
    refused(
        INPUT,
        data,
        &approve(&["--grant", "log", "--limit", "memory-mib=0"]),
    );
    refused(
        REFUSED,
        data,
        &approve(&["--grant", "log", "--experiment", "e"]),
    );
    assert_eq!(row_of(data, &digest)["standing"], "installed");

    let shown = plugin(
        data,
        &[&approve(&["--grant", "log"])[..], &["--dry-run"]].concat(),
    );
    assert_eq!(shown["grants"][0]["grant"], "log");
    assert!(
        !shown["grants"][0]["allows"]
            .as_str()
            .expect("words")
            .is_empty()
    );
    assert_eq!(row_of(data, &digest)["standing"], "installed");
}

#[test]
fn refuses_to_enable_two_plugins_for_one_kind() {
    let folder = Folder::new();
    let data = &folder.at("n");
    set_to_work(&folder, data, &echo("1.0.0"));
    let rival = changed(&echo("1.0.0"), &json!({ "name": "rival" }));
    install(&folder, data, &rival);
    plugin(data, &["approve", "rival", "--reason", "trial"]);

    let problem = refused(REFUSED, data, &["enable", "rival"]);
    assert!(
        problem.why.contains("EchoRe") && problem.why.contains("rival"),
        "{problem:?}"
    );

    plugin(data, &["disable", "echo"]);
    plugin(data, &["enable", "rival"]);
    refused(REFUSED, data, &["enable", "echo"]);
}

#[test]
fn refuses_what_is_not_there() {
    let folder = Folder::new();
    let data = &folder.at("n");
    std::fs::create_dir(data).expect("a folder");
    let nothing = format!("sha256:{}", "0".repeat(64));
    refused(INPUT, data, &["approve", "echo", "--reason", "trial"]);
    refused(INPUT, data, &["approve", &nothing, "--reason", "trial"]);
    refused(INPUT, data, &["approve", "sha256:0", "--reason", "trial"]);
    refused(INPUT, data, &["enable", "echo"]);
    refused(INPUT, data, &["disable", "echo"]);
    refused(INPUT, data, &["upgrade", &nothing]);
    refused(INPUT, data, &["rollback", "echo"]);
    refused(INPUT, data, &["remove", "echo"]);
    refused(INPUT, data, &["remove", "key-request"]);
    install(&folder, data, &echo("1.0.0"));
    refused(INPUT, data, &["enable", "echo"]);
}

#[test]
fn a_changed_file_is_not_loaded_and_the_list_says_so() {
    let folder = Folder::new();
    let data = &folder.at("n");
    let digest = set_to_work(&folder, data, &echo("1.0.0"));
    let hex = digest.trim_start_matches("sha256:");
    let path = format!("{data}/plugins/{hex}.wasm");
    let mut bytes = std::fs::read(&path).expect("installed");
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    std::fs::write(&path, bytes).expect("changed");

    let problem = refused(REFUSED, data, &["enable", "echo"]);
    assert!(problem.why.contains("changed"), "{problem:?}");
    assert!(
        row_of(data, &digest)["problem"]
            .as_str()
            .expect("a problem")
            .contains("changed")
    );
    refused(REFUSED, data, &["reload"]);
    std::fs::remove_file(&path).expect("removed");
    refused(REFUSED, data, &["reload"]);

    install(&folder, data, &echo("1.0.0"));
    plugin(data, &["reload"]);
}

#[test]
fn every_plugin_command_shows_an_example() {
    for command in [
        "install", "approve", "enable", "disable", "upgrade", "rollback", "remove", "reload",
        "list",
    ] {
        let outcome = run(&["plugin", command, "--help"]);
        let example = format!("backchannel plugin {command} ");
        assert!(
            outcome.code == 0 && outcome.out.contains(&example),
            "{command}: {outcome:?}"
        );
    }
    problem(INPUT, &["plugin", "list", "--data", "/dev/null"]);
}
