//! `backchannel new`: what it refuses, and what it leaves alone.

use std::fs;

use crate::INPUT;
use crate::project::{Folder, problem};

#[test]
fn refuses_a_name_that_no_plugin_can_have() {
    let folder = Folder::new();
    for name in ["Hello", "../hello", "9lives", "hello world", ""] {
        let ended = folder.run(
            folder.path(),
            &["new", name, "--lang", "rust", "-o", "json"],
            &[],
        );
        let said = problem(INPUT, ended);
        assert!(said.contains("lower-case"), "{name:?}: {said}");
    }
    assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 0);
}

#[test]
fn leaves_a_folder_alone_that_holds_something() {
    let folder = Folder::new();
    let begun = folder.begin("hello", &["--lang", "js"]);
    begun.change("src/handler.js", "Hello", "Good morning");

    let again = folder.run(
        folder.path(),
        &["new", "hello", "--lang", "js", "-o", "json"],
        &[],
    );

    let said = problem(INPUT, again);
    assert!(said.contains("not empty"), "{said}");
    let kept = fs::read_to_string(begun.path().join("src/handler.js")).expect("a text");
    assert!(kept.contains("Good morning"));
}

#[test]
fn commands_that_need_a_project_say_how_to_get_one() {
    let folder = Folder::new();
    for command in ["build", "check"] {
        let said = problem(
            INPUT,
            folder.run(folder.path(), &[command, "-o", "json"], &[]),
        );
        assert!(said.contains("backchannel new NAME"), "{command}: {said}");
    }
}
