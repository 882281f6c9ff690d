//! Machines without what a language needs: what is missing is named, and how to get it.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::FAILED;
use crate::project::{Folder, problem};

#[test]
fn without_a_toolchain_a_project_says_what_to_install() {
    for (language, missing, todo) in [
        ("rust", "cargo cannot be run", "rustup.rs"),
        ("python", "python3 cannot be run", "python3-venv"),
        ("js", "node cannot be run", "Node.js"),
    ] {
        let folder = Folder::new();
        let project = folder.begin("bare", &["--lang", language]);
        let nowhere = folder.path().to_str().expect("a text");

        let ended = project.run_with(
            &["build", "-o", "json"],
            &[("PATH", nowhere), ("CARGO", "cargo")],
        );

        let said = problem(FAILED, ended);
        assert!(said.contains(missing), "{language}: {said}");
        assert!(said.contains(todo), "{language}: {said}");
    }
}

#[test]
fn without_the_wasm_target_and_rustup_it_is_said_what_to_run() {
    let folder = Folder::new();
    let project = folder.begin("targetless", &["--lang", "rust"]);
    let rustc = folder.path().join("rustc");
    fs::write(&rustc, "#!/bin/sh\necho /nowhere\n").expect("written");
    fs::set_permissions(&rustc, fs::Permissions::from_mode(0o755)).expect("set");
    let nowhere = folder.path().to_str().expect("a text");
    let settings = [
        ("PATH", nowhere),
        ("RUSTC", rustc.to_str().expect("a text")),
        ("CARGO", env!("CARGO")),
    ];

    let said = problem(
        FAILED,
        project.run_with(&["build", "-o", "json"], &settings),
    );

    assert!(
        said.contains("rustup target add wasm32-unknown-unknown"),
        "{said}"
    );
    assert!(said.contains("could not be added"), "{said}");
}

#[test]
fn an_installation_that_fails_shows_what_the_tool_said_and_is_begun_anew() {
    let folder = Folder::new();
    let project = folder.begin("offline", &["--lang", "python"]);
    let python = folder.path().join("python3");
    fs::write(
        &python,
        "#!/bin/sh\necho 'ensurepip is not available' >&2\nexit 1\n",
    )
    .expect("written");
    fs::set_permissions(&python, fs::Permissions::from_mode(0o755)).expect("set");
    let here = folder.path().to_str().expect("a text");

    for _ in 0..2 {
        let ended = project.run_with(
            &["build", "-o", "json"],
            &[("PATH", &format!("{here}:/bin"))],
        );

        let said = problem(FAILED, ended);
        assert!(said.contains("ensurepip is not available"), "{said}");
        assert!(said.contains("python3-venv"), "{said}");
    }
}
