//! Handlers and manifests that are wrong: each is refused where it is wrong, with what to write there.

use std::fs;
use std::time::{Duration, SystemTime};

use crate::project::Folder;
use crate::{FAILED, INPUT, REFUSED};

#[test]
fn a_manifest_that_no_host_takes_is_refused_with_its_line() {
    let folder = Folder::for_rust();
    let project = folder.begin("hello", &["--lang", "rust"]);
    let whole = fs::read_to_string(project.path().join("backchannel.toml")).expect("a text");
    for (from, to, line, says) in [
        ("# store =", "files =", 14, "no capability \"files\""),
        ("# memory-mib = 64", "memory-mib = 6400", 18, "1 to 128"),
        (
            "# memory-mib = 64",
            "memory = 64",
            18,
            "no limit \"memory\"",
        ),
        ("[\"HelloRequest\", \"HelloReply\"]", "[]", 10, "no kind"),
        ("language = \"rust\"", "language = \"cobol\"", 7, "cobol"),
        ("authors = []", "author = \"me\"", 5, "author"),
        (
            "kinds = [",
            "initiates = [\"Train\"]\nkinds = [",
            10,
            "SecaggRequest",
        ),
    ] {
        project.change("backchannel.toml", from, to);
        let said = project.problem(INPUT, &["build"]);
        assert!(
            said.contains(&format!("backchannel.toml:{line} ")),
            "{to}: {said}"
        );
        assert!(said.contains(says), "{to}: {said}");
        fs::write(project.path().join("backchannel.toml"), &whole).expect("written");
    }
}

#[test]
fn code_of_the_wrong_type_is_shown_as_the_compiler_says_it() {
    let folder = Folder::for_rust();
    let project = folder.begin("hello", &["--lang", "rust"]);
    project.change("src/lib.rs", "vec![Effect::Reply(reply)]", "reply");

    let ended = project.run(&["build"]);

    assert_eq!(ended.code, FAILED, "{ended:?}");
    assert!(ended.err.contains("mismatched types"), "{}", ended.err);
    assert!(ended.err.contains("src/lib.rs:"), "{}", ended.err);
    assert!(ended.err.contains("is not built"), "{}", ended.err);
    assert!(!project.path().join("dist").exists());
}

#[test]
fn an_import_that_the_manifest_keeps_quiet_about_is_refused_with_the_line_to_write() {
    let folder = Folder::for_rust();
    let project = folder.begin("hello", &["--lang", "rust"]);
    project.change(
        "src/lib.rs",
        "envelope.authenticated()?;",
        "envelope.authenticated()?;\n        backchannel_sdk::log::info(&message.kind);",
    );

    let said = project.problem(REFUSED, &["build"]);

    assert!(
        said.contains("backchannel.toml:13: no host would load"),
        "{said}"
    );
    assert!(
        said.contains("write `log = \"why you need it\"` under [capabilities]"),
        "{said}"
    );

    project.change(
        "backchannel.toml",
        "# store = \"remembers whom it has greeted\"",
        "log = \"says who asks\"\nstore = \"\"",
    );
    let built = project.done(&["build"]);
    assert!(built.contains("imports   log\n"), "{built}");
    assert!(
        built.contains("backchannel.toml:15: `store` is declared and nothing of it is called"),
        "{built}"
    );
}

#[test]
fn a_reply_of_a_kind_that_is_not_the_plugins_fails_its_case() {
    let folder = Folder::for_rust();
    let project = folder.begin("hello", &["--lang", "rust"]);
    project.change(
        "src/lib.rs",
        "Outgoing::new(\"HelloReply\", &Reply { greeting })?",
        "Outgoing::new(\"TrainReply\", &Reply { greeting })?",
    );
    project.done(&["build"]);

    let tested = project.run(&["test"]);

    assert_eq!(tested.code, FAILED, "{tested:?}");
    assert!(tested.out.contains("TrainReply"), "{}", tested.out);
}

#[test]
fn a_kind_that_the_manifest_names_and_the_code_does_not_know_fails_its_case() {
    let folder = Folder::for_rust();
    let project = folder.begin("hello", &["--lang", "rust"]);
    project.change(
        "backchannel.toml",
        "[\"HelloRequest\"",
        "[\"HowdyRequest\", \"HelloRequest\"",
    );
    project.change(
        "cases/messages.toml",
        "kind = \"HelloRequest\"",
        "kind = \"HowdyRequest\"",
    );
    project.done(&["build"]);

    let tested = project.run(&["test"]);

    assert_eq!(tested.code, FAILED, "{tested:?}");
    assert!(
        tested.out.contains("no handler for the kind HowdyRequest"),
        "{}",
        tested.out
    );
}

#[test]
fn limits_that_the_component_cannot_begin_within_are_refused_with_what_to_write() {
    let folder = Folder::for_rust();
    let project = folder.begin("hello", &["--lang", "rust"]);
    project.change("backchannel.toml", "# memory-mib = 64", "file-kib = 4");

    let said = project.problem(REFUSED, &["build"]);

    assert!(
        said.contains("backchannel.toml:17: no host would load"),
        "{said}"
    );
    assert!(said.contains("write `file-kib = "), "{said}");
}

#[test]
fn what_is_no_plugin_or_another_projects_is_refused() {
    let folder = Folder::for_rust();
    let project = folder.begin("hello", &["--lang", "rust"]);
    project.done(&["build"]);
    let write = |name: &str, bytes: Vec<u8>| {
        fs::write(project.path().join(name), bytes).expect("written");
    };
    write("core.wasm", wat::parse_str("(module)").expect("wasm"));
    write("bare.wasm", wat::parse_str("(component)").expect("wasm"));
    for (file, says) in [("core.wasm", "core wasm module"), ("bare.wasm", "manifest")] {
        let said = project.problem(REFUSED, &["check", file]);
        assert!(said.contains(says), "{file}: {said}");
    }

    project.change(
        "backchannel.toml",
        "version = \"0.1.0\"",
        "version = \"0.2.0\"",
    );
    // As if it were newer than its sources.
    project.date_component(SystemTime::now() + Duration::from_secs(3600));
    let said = project.problem(REFUSED, &["check"]);
    assert!(said.contains("is not what backchannel.toml says"), "{said}");
    assert!(said.contains("backchannel build"), "{said}");
}
