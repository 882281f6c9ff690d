//! Files that are no plugins, and what is shown of one that is.

use backchannel_artifacts::KEY_REQUEST;

use crate::harness::{Folder, json, problem, run};
use crate::{INPUT, REFUSED};

/// Exports what a handler exports, by name.
const HANDLER: &str =
    r#"(instance $handler) (export "backchannel:n2n/handler@0.1.0" (instance $handler))"#;

/// A component in wasm's text form, with a manifest as the guide says.
fn component(body: &str) -> Vec<u8> {
    with_contract("0.1.0", body)
}

fn with_contract(contract: &str, body: &str) -> Vec<u8> {
    let manifest = serde_json::json!({
        "name": "odd", "version": "1.0.0", "licence": "Apache-2.0", "contract": contract, "kinds": ["OddRequest"],
    });
    let manifest = manifest.to_string().replace('"', "\\\"");
    let text = format!("(component (@custom \"backchannel:manifest\" \"{manifest}\") {body})");
    wat::parse_str(text).expect("a component")
}

fn refused(name: &str, bytes: impl AsRef<[u8]>, why: &str) {
    let folder = Folder::new();
    let file = folder.write("handler.wasm", bytes);
    let problem = problem(REFUSED, &["plugin", "inspect", &file]);
    assert!(problem.why.contains(why), "{name}: {problem:?}");
    assert!(
        !problem.why.contains('\n'),
        "{name}: the reason is one line: {problem:?}"
    );
}

#[test]
fn shows_a_plugin_with_each_import_and_the_authors_reason() {
    let folder = Folder::new();
    let file = folder.write("key-request.wasm", KEY_REQUEST);
    let shown = json(&["plugin", "inspect", &file]);
    assert_eq!(
        (&shown["ok"], &shown["manifest"]["name"]),
        (&true.into(), &"key-request".into())
    );
    let imports = shown["imports"].as_array().expect("a list");
    let grants: Vec<_> = imports.iter().map(|import| &import["grant"]).collect();
    assert_eq!(grants, ["agreement", "material"]);
    for import in imports {
        for part in ["allows", "reason"] {
            assert!(
                import[part].as_str().is_some_and(|text| text.len() > 20),
                "{import}"
            );
        }
    }
    assert_eq!(shown["declared_and_unused"], serde_json::json!([]));
    assert_eq!(shown["limits"][0]["name"], "memory-mib");
}

#[test]
fn says_in_words_what_a_plugin_may_and_cannot_do() {
    let folder = Folder::new();
    let file = folder.write("key-request.wasm", KEY_REQUEST);
    let shown = run(&["plugin", "inspect", &file]);
    for words in [
        "ask the other parties of a run for data",
        "it cannot see files, network, environment, clock",
        "it declares what it uses, and no more",
        "signed    by nobody",
    ] {
        assert!(shown.out.contains(words), "{words}: {}", shown.out);
    }
}

#[test]
fn refuses_a_contract_of_another_time() {
    refused(
        "too new",
        with_contract("0.2.0", HANDLER),
        "newer than this host's 0.1.1",
    );
    refused(
        "too old",
        with_contract("0.0.9", HANDLER),
        "too old for this host's 0.1.1",
    );
}

#[test]
fn refuses_an_import_that_the_manifest_does_not_declare() {
    let body = format!("(import \"backchannel:n2n/log@0.1.0\" (instance)) {HANDLER}");
    refused("undeclared", component(&body), "does not declare");
}

#[test]
fn says_when_there_is_no_file() {
    problem(
        INPUT,
        &["plugin", "inspect", &Folder::new().at("missing.wasm")],
    );
}

#[test]
fn refuses_what_is_no_component() {
    refused("a text", "print('hello')\n", "not a wasm component");
    refused("an empty file", "", "not a wasm component");
    refused("another file", b"\x7fELF\x02\x01\x01", "native code");
    refused(
        "a core module",
        wat::parse_str("(module (func (export \"handle\")))").expect("a module"),
        "core wasm module",
    );
}

#[test]
fn refuses_a_component_that_was_cut_anywhere() {
    for part in [9, KEY_REQUEST.len() / 3, KEY_REQUEST.len() - 1] {
        refused("a part", &KEY_REQUEST[..part], "");
    }
}

#[test]
fn refuses_a_component_without_a_manifest() {
    refused(
        "no manifest",
        wat::parse_str("(component)").expect("a component"),
        "manifest",
    );
}

#[test]
fn refuses_a_component_that_exports_the_wrong_world() {
    refused("no export", component(""), "contract backchannel:n2n@0.1");
    let other = r#"
        (core module $m (func (export "run")))
        (core instance $i (instantiate $m))
        (func $run (canon lift (core func $i "run")))
        (instance $command (export "run" (func $run)))
        (export "example:command/run@1.0.0" (instance $command))"#;
    refused(
        "another world",
        component(other),
        "contract backchannel:n2n@0.1",
    );
}

#[test]
fn refuses_a_component_that_imports_what_is_not_offered() {
    for import in [
        "wasi:cli/environment@0.2.6",
        "backchannel:n2n/key-store@0.1.0",
        "example:net/sockets@1.0.0",
    ] {
        let body = format!("(import \"{import}\" (instance (export \"get\" (func)))) {HANDLER}");
        refused(import, component(&body), import);
    }
    refused(
        "a function",
        component(&format!("(import \"secret\" (func)) {HANDLER}")),
        "secret",
    );
}
