//! Files that are no handlers.

use backchannel_artifacts::KEY_REQUEST;

use crate::harness::{Folder, json, problem};
use crate::{INPUT, REFUSED};

/// A component in wasm's text form, with a manifest as the guide says.
fn component(body: &str) -> Vec<u8> {
    let manifest = serde_json::json!({
        "name": "odd", "version": "1.0.0", "licence": "Apache-2.0", "contract": "0.1.0", "kinds": ["OddRequest"],
    });
    let manifest = manifest.to_string().replace('"', "\\\"");
    let text = format!("(component (@custom \"backchannel:manifest\" \"{manifest}\") {body})");
    wat::parse_str(text).expect("a component")
}

fn refused(name: &str, bytes: impl AsRef<[u8]>, why: &str) {
    let folder = Folder::new();
    let file = folder.write("handler.wasm", bytes);
    let problem = problem(REFUSED, &["handler", "inspect", &file]);
    assert!(problem.why.contains(why), "{name}: {problem:?}");
    assert!(
        !problem.why.contains('\n'),
        "{name}: the reason is one line: {problem:?}"
    );
}

#[test]
fn shows_a_handler_that_is_one() {
    let folder = Folder::new();
    let file = folder.write("key-request.wasm", KEY_REQUEST);
    let shown = json(&["handler", "inspect", &file]);
    assert_eq!(
        (&shown["ok"], &shown["manifest"]["name"]),
        (&true.into(), &"key-request".into())
    );
}

#[test]
fn says_when_there_is_no_file() {
    problem(
        INPUT,
        &["handler", "inspect", &Folder::new().at("missing.wasm")],
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
    refused("no export", component(""), "contract backchannel:n2n@0.1.0");
    let other = r#"
        (core module $m (func (export "run")))
        (core instance $i (instantiate $m))
        (func $run (canon lift (core func $i "run")))
        (instance $command (export "run" (func $run)))
        (export "example:command/run@1.0.0" (instance $command))"#;
    refused(
        "another world",
        component(other),
        "contract backchannel:n2n@0.1.0",
    );
    let wrong_type = r#"
        (core module $m (func (export "handle")))
        (core instance $i (instantiate $m))
        (func $handle (canon lift (core func $i "handle")))
        (instance $handler (export "handle" (func $handle)))
        (export "backchannel:n2n/handler@0.1.0" (instance $handler))"#;
    refused(
        "another type",
        component(wrong_type),
        "contract backchannel:n2n@0.1.0",
    );
}

#[test]
fn refuses_a_component_that_imports_what_is_not_offered() {
    for import in [
        "wasi:cli/environment@0.2.6",
        "backchannel:n2n/key-store@0.1.0",
        "example:net/sockets@1.0.0",
    ] {
        let body = format!("(import \"{import}\" (instance (export \"get\" (func))))");
        refused(import, component(&body), import);
    }
    refused(
        "a function",
        component("(import \"secret\" (func))"),
        "secret",
    );
}
