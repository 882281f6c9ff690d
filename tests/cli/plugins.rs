//! Plugins on their way: signed, verified, bundled. Registries have their own test, `tests/registry/run`.

use std::path::Path;

use backchannel_artifacts::KEY_REQUEST;

use crate::harness::{Folder, Problem, json, problem};
use crate::{INPUT, REFUSED, UNREACHABLE, USAGE};

/// An author with a component, and a reviewer, each with a key.
struct Desk {
    folder: Folder,
    passphrase: String,
    component: String,
    author: String,
    reviewer: String,
}

impl Desk {
    fn new() -> Self {
        let folder = Folder::new();
        let desk = Self {
            passphrase: folder.write("passphrase", "correct horse\n"),
            component: folder.write("key-request.wasm", KEY_REQUEST),
            author: folder.at("author.key"),
            reviewer: folder.at("dr-lee.key"),
            folder,
        };
        for key in [&desk.author, &desk.reviewer] {
            desk.with_key(&["plugin", "key", "new", key]);
        }
        desk
    }

    /// Author and reviewer have signed.
    fn signed() -> Self {
        let desk = Self::new();
        desk.sign(&desk.author, &[]);
        desk.sign(
            &desk.reviewer,
            &["--role", "reviewer", "--check", "read the source"],
        );
        desk
    }

    fn with_key(&self, args: &[&str]) -> serde_json::Value {
        json(&[args, &["--passphrase-file", &self.passphrase]].concat())
    }

    fn sign(&self, key: &str, more: &[&str]) -> String {
        let sign = ["plugin", "sign", &self.component, "--key", key];
        let signed = self.with_key(&[&sign, more].concat());
        signed["signature"].as_str().expect("a path").to_owned()
    }

    /// Why the component is not vouched for by both.
    fn not_verified(&self) -> Problem {
        let (author, reviewer) = (public(&self.author), public(&self.reviewer));
        problem(
            REFUSED,
            &[
                "plugin",
                "verify",
                &self.component,
                "--key",
                &author,
                "--key",
                &reviewer,
            ],
        )
    }

    fn bundle(&self) -> String {
        let bundle = self.folder.at("key-request.bundle");
        let create = [
            "plugin",
            "bundle",
            "create",
            &self.component,
            "--to",
            &bundle,
        ];
        self.with_key(&[&create[..], &["--key", &self.author]].concat());
        bundle
    }

    /// Why a bundle is not loaded.
    fn not_loaded(&self, bundle: &[u8]) -> Problem {
        let file = self.folder.write("changed.bundle", bundle);
        let to = self.folder.at("out");
        let author = public(&self.author);
        let problem = problem(
            REFUSED,
            &[
                "plugin", "bundle", "load", &file, "--to", &to, "--key", &author,
            ],
        );
        assert!(!Path::new(&to).exists(), "{problem:?}");
        problem
    }
}

fn public(key: &str) -> String {
    format!("{key}.pub")
}

#[test]
fn two_people_vouch_for_a_plugin() {
    let desk = Desk::signed();
    let (author, reviewer) = (public(&desk.author), public(&desk.reviewer));

    let verified = json(&[
        "plugin",
        "verify",
        &desk.component,
        "--key",
        &author,
        "--key",
        &reviewer,
    ]);

    let by = verified["signed_by"].as_array().expect("a list");
    let signers: Vec<_> = by
        .iter()
        .map(|by| (&by["signer"], &by["statement"]["role"]))
        .collect();
    assert!(
        signers.contains(&(&"author".into(), &"author".into())),
        "{by:?}"
    );
    assert!(
        signers.contains(&(&"dr-lee".into(), &"reviewer".into())),
        "{by:?}"
    );
    assert_eq!(verified["plugin"], "key-request");
}

#[test]
fn refuses_a_missing_second_signature() {
    let desk = Desk::new();
    desk.sign(&desk.author, &[]);
    assert!(
        desk.not_verified()
            .why
            .contains("1 of 2 required signatures")
    );
}

#[test]
fn refuses_one_who_signed_twice() {
    let desk = Desk::new();
    let signature = desk.sign(&desk.author, &[]);
    let text = std::fs::read_to_string(signature).expect("a signature");
    desk.folder.write("key-request.wasm.again.minisig", text);
    assert!(desk.not_verified().why.contains("counts once"));
}

#[test]
fn refuses_a_changed_component() {
    let desk = Desk::signed();
    let mut changed = KEY_REQUEST.to_vec();
    changed[1000] ^= 1;
    desk.folder.write("key-request.wasm", changed);
    assert!(desk.not_verified().why.contains("changed or swapped"));
}

#[test]
fn refuses_a_changed_signature() {
    let desk = Desk::signed();
    let path = format!("{}.minisig", desk.component);
    let text = std::fs::read_to_string(&path).expect("a signature");
    std::fs::write(&path, text.replace("\"author\"", "\"reviewer\"")).expect("written");
    assert!(desk.not_verified().why.contains("changed or swapped"));
}

#[test]
fn refuses_signatures_out_of_their_time() {
    let desk = Desk::new();
    desk.sign(&desk.reviewer, &["--role", "reviewer", "--check", "x"]);
    desk.sign(
        &desk.author,
        &["--from", "2020-01-01", "--until", "2020-12-31"],
    );
    assert!(
        desk.not_verified()
            .why
            .contains("expired at 2021-01-01T00:00:00Z")
    );
    // A key's new signature takes the place of its old one.
    desk.sign(
        &desk.author,
        &["--from", "2999-01-01", "--until", "2999-01-01"],
    );
    assert!(
        desk.not_verified()
            .why
            .contains("not valid before 2999-01-01")
    );
}

#[test]
fn refuses_a_stranger() {
    let desk = Desk::new();
    desk.sign(&desk.reviewer, &["--role", "reviewer", "--check", "x"]);
    let why = problem(
        REFUSED,
        &[
            "plugin",
            "verify",
            &desk.component,
            "--key",
            &public(&desk.author),
        ],
    );
    assert!(why.why.contains("not trusted"), "{why:?}");
}

#[test]
fn refuses_to_verify_without_a_key() {
    let desk = Desk::signed();
    let outcome = crate::harness::run(&["plugin", "verify", &desk.component]);
    assert_eq!(outcome.code, USAGE, "{outcome:?}");
}

#[test]
fn refuses_keys_that_are_none() {
    let desk = Desk::signed();
    for key in [&desk.author, &desk.component, "RWQabc"] {
        problem(INPUT, &["plugin", "verify", &desk.component, "--key", key]);
    }
    let (first, again) = (public(&desk.author), desk.folder.at("again.pub"));
    std::fs::copy(&first, &again).expect("copied");
    let twice = problem(
        INPUT,
        &[
            "plugin",
            "verify",
            &desk.component,
            "--key",
            &first,
            "--key",
            &again,
        ],
    );
    assert!(twice.why.contains("one key"), "{twice:?}");
}

#[test]
fn signs_nothing_with_a_wrong_passphrase_or_none() {
    let desk = Desk::new();
    let sign = ["plugin", "sign", &desk.component, "--key", &desk.author];
    let wrong = desk.folder.write("wrong", "battery staple");
    let refused = problem(
        REFUSED,
        &[&sign[..], &["--passphrase-file", &wrong]].concat(),
    );
    assert!(refused.why.contains("not that of the key"), "{refused:?}");
    // Standard input is no terminal, so nothing is asked.
    problem(INPUT, &sign);
    let public = public(&desk.author);
    problem(
        INPUT,
        &["plugin", "sign", &desk.component, "--key", &public],
    );
}

#[test]
fn signs_no_review_without_checks_no_bundle_and_nothing_that_would_not_load() {
    let desk = Desk::signed();
    let sign = |file: &str, more: &[&str], exit| {
        let key = ["--key", &desk.author, "--passphrase-file", &desk.passphrase];
        problem(exit, &[&["plugin", "sign", file][..], &key, more].concat())
    };
    sign(&desk.component, &["--role", "reviewer"], INPUT);
    sign(&desk.bundle(), &[], INPUT);
    sign(&desk.passphrase, &[], REFUSED);
    sign(
        &desk.component,
        &["--from", "2027-01-01", "--until", "2026-01-01"],
        INPUT,
    );
}

#[test]
fn makes_no_key_over_another() {
    let desk = Desk::new();
    problem(
        INPUT,
        &[
            "plugin",
            "key",
            "new",
            &desk.author,
            "--passphrase-file",
            &desk.passphrase,
        ],
    );
}

#[test]
fn a_bundle_carries_component_signatures_and_notes() {
    let desk = Desk::signed();
    let notes = desk.folder.write("notes.md", "Count with care.\n");
    let bundle = desk.folder.at("with-notes.bundle");
    let create = [
        "plugin",
        "bundle",
        "create",
        &desk.component,
        "--to",
        &bundle,
    ];
    desk.with_key(&[&create[..], &["--notes", &notes, "--key", &desk.author]].concat());
    let to = desk.folder.at("out");
    std::fs::create_dir(&to).expect("a folder");
    let keys = [
        "--key",
        &public(&desk.author),
        "--key",
        &public(&desk.reviewer),
    ];

    let loaded = json(
        &[
            &["plugin", "bundle", "load", &bundle, "--to", &to][..],
            &keys,
        ]
        .concat(),
    );

    assert_eq!(loaded["notes"], "Count with care.\n");
    let component = format!("{to}/key-request.wasm");
    assert_eq!(std::fs::read(&component).expect("there"), KEY_REQUEST);
    json(&[&["plugin", "verify", &component][..], &keys].concat());
}

#[test]
fn the_same_bundle_has_the_same_files() {
    let desk = Desk::signed();
    let shown = json(&["plugin", "inspect", &desk.bundle()]);
    assert_eq!(
        (&shown["bundle"], &shown["bytes"]),
        (&true.into(), &KEY_REQUEST.len().into())
    );
    assert_eq!(shown["signatures"].as_array().map(Vec::len), Some(2));
}

#[test]
fn refuses_a_bundle_that_was_cut_or_extended() {
    let desk = Desk::signed();
    let whole = std::fs::read(desk.bundle()).expect("a bundle");
    assert!(
        desk.not_loaded(&whole[..whole.len() - 512])
            .why
            .contains("too early")
    );
    assert!(
        desk.not_loaded(&whole[..whole.len() / 2])
            .why
            .contains("too early")
    );
    assert!(
        desk.not_loaded(&[&whole[..], b"more"].concat())
            .why
            .contains("follow the end")
    );
}

#[test]
fn refuses_a_bundle_with_a_changed_component() {
    let desk = Desk::signed();
    let mut bundle = std::fs::read(desk.bundle()).expect("a bundle");
    let at = bundle
        .windows(4)
        .position(|bytes| bytes == b"\0asm")
        .expect("a component");
    bundle[at + 1000] ^= 1;
    assert!(desk.not_loaded(&bundle).why.contains("changed or swapped"));
}

#[test]
fn refuses_a_bundle_that_a_stranger_made() {
    let desk = Desk::signed();
    let bundle = desk.bundle();
    let reviewer = public(&desk.reviewer);
    let problem = problem(
        REFUSED,
        &["plugin", "bundle", "verify", &bundle, "--key", &reviewer],
    );
    assert!(problem.why.contains("list of files"), "{problem:?}");
}

#[test]
fn refuses_names_that_no_registry_has() {
    let desk = Desk::signed();
    for name in [
        "",
        "registry.example.org/UPPER:1",
        "127.0.0.1:1/x@sha256:abc",
    ] {
        problem(INPUT, &["plugin", "pull", name, "--plain-http"]);
    }
    problem(
        UNREACHABLE,
        &[
            "plugin",
            "push",
            "127.0.0.1:1/x:1",
            &desk.component,
            "--plain-http",
        ],
    );
}

#[test]
fn refuses_two_digests_for_one_package() {
    let digest = |digit: &str| format!("sha256:{}", digit.repeat(64));
    let name = format!("127.0.0.1:1/x@{}", digest("a"));
    problem(
        INPUT,
        &[
            "plugin",
            "pull",
            &name,
            "--digest",
            &digest("b"),
            "--plain-http",
        ],
    );
}
