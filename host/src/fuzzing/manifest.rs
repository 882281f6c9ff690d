use crate::handlers::{Limits, Manifest};

/// The beginning of a component, and of a core module.
const COMPONENT: &[u8; 8] = b"\0asm\x0d\0\x01\0";
const MODULE: &[u8; 8] = b"\0asm\x01\0\0\0";

/// The ids of their sections.
const CUSTOM_SECTION: u8 = 0;
const MODULE_SECTION: u8 = 1;
const COMPONENT_SECTION: u8 = 4;

/// What a plugin says of itself.
///
/// An input that begins as wasm is a component; any other is the JSON of a manifest, to be put into one.
///
/// What must hold: a manifest that was read is written so that the same is read again; all of it can be shown to an operator,
/// and what it wants can be granted; and a component or module within another never speaks for it. `true` when there was a
/// manifest.
pub fn manifest(input: &[u8]) -> bool {
    let wrapped = component(&[with_manifest(input)]);
    let component = if input.starts_with(b"\0asm") {
        speaks_for_itself_only(input);
        input
    } else {
        &wrapped
    };
    let Ok(manifest) = Manifest::read(component) else {
        return false;
    };
    let again = Manifest::read(&self::component(&[with_manifest(&json(&manifest))]));
    assert_eq!(again.expect("what was read once"), manifest);
    can_be_shown(&manifest);
    can_be_granted(&manifest);
    true
}

fn speaks_for_itself_only(wasm: &[u8]) {
    let within = nested(wasm);
    let without = Manifest::read(&component(std::slice::from_ref(&within)));
    assert!(without.is_err(), "{without:?} is not the outer component's");
    let own = Manifest::read(backchannel_artifacts::KEY_REQUEST).expect("a manifest");
    if let Ok(read) = Manifest::read(&component(&[within, with_manifest(&json(&own))])) {
        assert_eq!(read, own);
    }
}

fn can_be_shown(manifest: &Manifest) {
    let Manifest {
        name,
        version,
        licence,
        authors,
        description,
        contract,
        kinds,
        initiates,
        protocols,
        capabilities,
        limits: _,
        assurance: _,
    } = manifest;
    let mut texts = vec![name, version, licence, description, contract];
    for list in [authors, kinds, initiates, protocols] {
        texts.extend(list);
    }
    texts.extend(
        capabilities
            .iter()
            .flat_map(|(name, reason)| [name, reason]),
    );
    for text in texts {
        assert!(text.len() <= 1024 && !text.chars().any(char::is_control));
    }
}

fn can_be_granted(manifest: &Manifest) {
    assert_eq!(manifest.capabilities().count(), manifest.capabilities.len());
    let wanted = manifest.wanted_limits();
    for (limit, value) in Limits::default().iter() {
        let expected = manifest.limits.get(limit.name()).copied().unwrap_or(value);
        assert_eq!(wanted.get(limit), expected);
        assert!(limit.range().contains(&wanted.get(limit)));
    }
}

fn json(manifest: &Manifest) -> Vec<u8> {
    serde_json::to_vec(manifest).expect("JSON")
}

pub(super) fn component(sections: &[Vec<u8>]) -> Vec<u8> {
    [COMPONENT.as_slice(), &sections.concat()].concat()
}

/// A section that holds another component, or a core module.
pub(super) fn nested(wasm: &[u8]) -> Vec<u8> {
    match wasm.starts_with(MODULE) {
        true => section(MODULE_SECTION, wasm),
        false => section(COMPONENT_SECTION, wasm),
    }
}

/// The section that holds a manifest.
pub(super) fn with_manifest(json: &[u8]) -> Vec<u8> {
    let name = b"backchannel:manifest";
    let mut content = vec![name.len() as u8];
    content.extend_from_slice(name);
    content.extend_from_slice(json);
    section(CUSTOM_SECTION, &content)
}

/// Its id, its length (LEB128) and its content.
fn section(id: u8, content: &[u8]) -> Vec<u8> {
    let mut bytes = vec![id];
    let mut length = content.len();
    while length >= 0x80 {
        bytes.push(length as u8 | 0x80);
        length >>= 7;
    }
    bytes.push(length as u8);
    bytes.extend_from_slice(content);
    bytes
}
