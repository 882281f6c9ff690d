//! Projects in Rust, from their beginning to a network of nodes that have their plugin.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::SystemTime;

use crate::FAILED;
use crate::project::{Ended, Folder, Project};

/// Builds, checks, tests and simulates a project.
fn is_whole(project: &Project<'_>, world: &str) {
    let built = project.done(&["build"]);
    let says = [
        &format!("world     {world} of contract 0.1.1\n"),
        "a host that grants this will load it",
    ];
    for part in says {
        assert!(built.contains(part), "{part:?}: {built}");
    }
    let tested = project.done(&["test"]);
    assert!(tested.ends_with("1 passed, 0 failed\n"), "{tested}");
    let scenario = project.done(&["sim", "--seeds", "5", "-o", "json"]);
    assert!(scenario.contains("\"ok\":true"), "{scenario}");
    project.done(&["sim", "--nodes", "4"]);
}

#[test]
fn a_handler_is_built_tested_and_simulated() {
    let folder = Folder::for_rust();
    let project = folder.begin("hello", &["--lang", "rust"]);

    is_whole(&project, "message-handler");

    let checked = project.done(&["check", "dist/hello.wasm", "-o", "json"]);
    let checked: serde_json::Value = serde_json::from_str(&checked).expect("one object");
    assert_eq!(checked["imports"], serde_json::json!([]), "{checked}");
    assert_eq!(checked["kinds"][0], "HelloRequest", "{checked}");
    let bytes = checked["bytes"].as_u64().expect("a number");
    assert!(bytes < 100_000, "as small as the built-in ones: {bytes}");
    let inspected = project.done(&["plugin", "inspect", "dist/hello.wasm"]);
    assert!(inspected.contains("HelloReply"), "{inspected}");
}

#[test]
fn a_protocol_takes_the_place_of_the_built_in_one_and_agrees_on_secrets() {
    let folder = Folder::for_rust();
    let project = folder.begin("pair-keys", &["--lang", "rust", "--template", "protocol"]);

    is_whole(&project, "protocol");

    let checked = project.done(&["check"]);
    assert!(checked.contains("built-in `key-request`"), "{checked}");
}

#[test]
fn a_protocol_of_several_parties_is_built_and_run_on_networks() {
    let folder = Folder::for_rust();
    let project = folder.begin(
        "count-rows",
        &["--lang", "rust", "--template", "multi-party"],
    );

    let simulated = project.done(&["sim", "--seeds", "5", "-o", "json"]);
    project.done(&["sim", "--nodes", "5"]);
    let checked = project.done(&["check"]);
    let tested = cargo(&project, &["test"]);

    assert!(simulated.contains("\"ok\":true"), "{simulated}");
    for part in [
        "world     multi-party of",
        "protocols count-rows\n",
        "imports   inputs\n",
    ] {
        assert!(checked.contains(part), "{part:?}: {checked}");
    }
    assert!(!checked.contains("kinds"), "{checked}");
    assert!(tested.contains("3 passed"), "{tested}");
}

#[test]
fn what_is_not_built_or_older_than_its_sources_is_built_first() {
    let folder = Folder::for_rust();
    let project = folder.begin("hello", &["--lang", "rust"]);

    let first = project.run(&["test"]);
    let second = project.run(&["sim", "--nodes", "3"]);
    project.date_component(SystemTime::UNIX_EPOCH);
    project.change("src/lib.rs", "Hello, {name}!", "Good morning, {name}!");
    let third = project.run(&["test"]);

    let built = |ended: &Ended| ended.err.contains("building dist/hello.wasm");
    assert_eq!((first.code, built(&first)), (0, true), "{first:?}");
    assert_eq!((second.code, built(&second)), (0, false), "{second:?}");
    assert_eq!((third.code, built(&third)), (FAILED, true), "{third:?}");
    assert!(third.out.contains("Good morning, Ada!"), "{third:?}");
}

#[test]
fn the_tests_of_a_fresh_project_pass_without_wasm_too() {
    let folder = Folder::for_rust();
    let project = folder.begin("hello", &["--lang", "rust"]);

    let said = cargo(&project, &["test"]);

    assert!(said.contains("1 passed"), "{said}");
}

#[test]
fn a_changed_source_is_built_again_under_watch() {
    let folder = Folder::for_rust();
    let project = folder.begin("hello", &["--lang", "rust"]);
    let watching = project
        .command(&["build", "--watch", "-o", "json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn();
    let mut watching = Watching(watching.expect("the program starts"));
    let out = watching.0.stdout.take().expect("a pipe");
    let mut lines = BufReader::new(out).lines().map_while(Result::ok);
    let mut built = || {
        let line = lines.next().expect("a line for each build");
        assert!(line.starts_with("{\"ok\":true"), "{line}");
    };
    built();

    project.change("src/lib.rs", "Hello, {name}!", "Good morning, {name}!");

    built();
    let tested = project.run(&["test"]);
    assert!(tested.out.contains("Good morning, Ada!"), "{tested:?}");
}

/// What Cargo says in a project.
fn cargo(project: &Project<'_>, args: &[&str]) -> String {
    let target = concat!(env!("CARGO_TARGET_TMPDIR"), "/authoring");
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(args).args(["--offline", "--quiet"]);
    cargo.env("CARGO_TARGET_DIR", target);
    let output = cargo.current_dir(project.path()).output();
    let output = output.expect("cargo");
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    assert!(output.status.success(), "cargo {args:?}: {said}");
    said
}

/// Ended with the test.
struct Watching(Child);

impl Drop for Watching {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
