//! Components that no compiler would make.

use serde_json::json;
use wasm_encoder::{ComponentSection, CustomSection};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// The manifest of a plugin `name` that treats `kind`.
pub fn manifest(name: &str, kind: &str) -> Vec<u8> {
    let manifest = json!({
        "name": name, "version": "1.0.0", "licence": "Apache-2.0", "contract": "0.1.1", "kinds": [kind],
        "capabilities": { "log": "", "material": "", "channel-keys": "", "store": "", "random": "" },
    });
    manifest.to_string().into_bytes()
}

/// Puts a manifest into a component.
pub fn with_manifest(mut component: Vec<u8>, manifest: Vec<u8>) -> Vec<u8> {
    let section = CustomSection {
        name: "backchannel:manifest".into(),
        data: manifest.into(),
    };
    section.append_to_component(&mut component);
    component
}

/// A component in wasm's text form, of a plugin named `odd`, that exports a handler without functions.
pub fn component(body: &str) -> Vec<u8> {
    let handler = r#"(instance $empty) (export "backchannel:n2n/handler@0.1.1" (instance $empty))"#;
    plain_component(&format!("{body} {handler}"))
}

/// The same without an export.
pub fn plain_component(body: &str) -> Vec<u8> {
    let component = wat::parse_str(format!("(component {body})")).expect("a component");
    with_manifest(component, manifest("odd", "OddRequest"))
}

/// A component that exports all that the contract asks for; its core module has so many pages of memory and begins with
/// `body`, and `handle` does what is in it.
pub fn handler(name: &str, kind: &str, pages: u32, body: &str, handle: &str) -> Vec<u8> {
    let module = format!(
        r#"(module {body}
            (memory (export "memory") {pages})
            (func (export "backchannel:n2n/handler@0.1.1#handle")
                (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)
                {handle} unreachable)
            (func (export "backchannel:n2n/handler@0.1.1#[static]outcome.finalize")
                (param i32) (result i32) unreachable)
            (global $free (mut i32) (i32.const 1024))
            (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
                (global.get $free)
                (global.set $free (i32.and (i32.const -8)
                    (i32.add (i32.const 7) (i32.add (global.get $free) (local.get 3)))))))"#
    );
    let mut module = wat::parse_str(module).expect("a module");
    let mut resolve = Resolve::default();
    let wit = concat!(env!("CARGO_MANIFEST_DIR"), "/../wit/0.1");
    let (package, _) = resolve.push_dir(wit).expect("the contract");
    let world = resolve.select_world(&[package], Some("message-handler"));
    let world = world.expect("a world of the contract");
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).expect("embedded");
    let mut encoder = ComponentEncoder::default();
    let component = encoder.module(&module).and_then(ComponentEncoder::encode);
    with_manifest(component.expect("a component"), manifest(name, kind))
}

/// A component with so many others around nothing, one in the other.
pub fn nested(depth: usize) -> Vec<u8> {
    let mut inner = b"\0asm\x0d\0\x01\0".to_vec();
    for _ in 0..depth {
        let mut outer = wasm_encoder::Component::new();
        outer.section(&wasm_encoder::RawSection {
            id: 4,
            data: &inner,
        });
        inner = outer.finish();
    }
    with_manifest(inner, manifest("odd", "OddRequest"))
}

/// A component with one text in place of another of the same length.
pub fn with_text(component: &[u8], text: &str, other: &str) -> Vec<u8> {
    assert_eq!(text.len(), other.len());
    let mut bytes = component.to_vec();
    let mut found = 0;
    for at in 0..bytes.len() - text.len() {
        if bytes[at..].starts_with(text.as_bytes()) {
            bytes[at..at + text.len()].copy_from_slice(other.as_bytes());
            found += 1;
        }
    }
    assert!(found > 0, "{text:?} is not in the component");
    bytes
}
