//! Components for the tests: the guests under `tests/guests`, under other names and versions.

use serde_json::{Value, json};
use wasmparser::{Parser, Payload};

/// The custom section that holds the manifest.
const SECTION: &str = "backchannel:manifest";

/// An echo in this version, which asks for nothing.
pub fn echo(version: &str) -> Vec<u8> {
    changed(
        backchannel_test_guests::HONEST,
        &json!({ "name": "echo", "version": version }),
    )
}

/// An echo in this version, which asks to write to the log, and answers in its own words.
pub fn talkative(version: &str) -> Vec<u8> {
    let about = json!({ "name": "echo", "version": version, "capabilities": { "log": "" } });
    changed(backchannel_test_guests::TALKATIVE, &about)
}

/// The component with some fields of its manifest changed.
pub fn changed(component: &[u8], fields: &Value) -> Vec<u8> {
    let (begin, end, mut manifest) = manifest(component);
    for (field, value) in fields.as_object().expect("fields") {
        manifest[field] = value.clone();
    }
    let text = manifest.to_string();
    let mut content = number(SECTION.len());
    content.extend(SECTION.as_bytes());
    content.extend(text.as_bytes());
    let mut section = vec![0];
    section.extend(number(content.len()));
    section.extend(content);
    [&component[..begin], &section, &component[end..]].concat()
}

/// Where the manifest's section begins and ends, and what it says.
fn manifest(component: &[u8]) -> (usize, usize, Value) {
    let mut depth = 0;
    for payload in Parser::new(0).parse_all(component) {
        match payload.expect("a component") {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth -= 1,
            Payload::CustomSection(section) if depth == 0 && section.name() == SECTION => {
                let range = section.range();
                // Before the content stand the section's kind and its length.
                let begin = range.start - number(range.len()).len() - 1;
                let manifest = serde_json::from_slice(section.data()).expect("a manifest");
                return (begin, range.end, manifest);
            }
            _ => {}
        }
    }
    panic!("no manifest");
}

/// LEB128.
fn number(mut number: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let byte = u8::try_from(number & 0x7f).expect("seven bits");
        number >>= 7;
        if number == 0 {
            bytes.push(byte);
            return bytes;
        }
        bytes.push(byte | 0x80);
    }
}
