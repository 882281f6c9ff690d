//! A core module becomes a component with a manifest inside.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail, ensure};
use serde::Serialize;
use wasm_encoder::{ComponentSection, CustomSection};
use wit_component::{ComponentEncoder, DecodedWasm, decode};

use crate::guest::{Declaration, Guest};

/// The custom section, at the level of the component, that holds the manifest as JSON.
const MANIFEST_SECTION: &str = "backchannel:manifest";

/// What an operator reads about a component before running it.
#[derive(Serialize)]
struct Manifest<'a> {
    name: &'a str,
    version: &'a str,
    licence: &'a str,
    authors: &'a [String],
    description: &'a str,
    /// Version of the WIT package that the component is of.
    contract: String,
    kinds: &'a [String],
    initiates: &'a [String],
    capabilities: &'a BTreeMap<String, String>,
    limits: &'a BTreeMap<String, u64>,
}

/// Makes `core`, the module of `guest`, a component: checked, without imports but ours, with its manifest.
pub fn package(guest: &Guest, core: &[u8]) -> Result<Vec<u8>> {
    let name = &guest.name;
    let mut encoder = ComponentEncoder::default();
    let encoder = encoder.validate(true).module(core);
    let encoded = encoder.and_then(ComponentEncoder::encode);
    let mut component = encoded.with_context(|| format!("{name} is no component"))?;

    let declaration = guest.declaration();
    let declaration = declaration.with_context(|| format!("{name} does not declare its kinds"))?;
    let missing = |what| format!("{name} has no {what}, which operators read in its manifest");
    let manifest = Manifest {
        name,
        version: &guest.version,
        licence: guest
            .license
            .as_deref()
            .with_context(|| missing("license"))?,
        authors: &guest.authors,
        description: guest
            .description
            .as_deref()
            .with_context(|| missing("description"))?,
        contract: contract(&component, declaration).with_context(|| name.clone())?,
        kinds: &declaration.kinds,
        initiates: &declaration.initiates,
        capabilities: &declaration.capabilities,
        limits: &declaration.limits,
    };
    let section = CustomSection {
        name: MANIFEST_SECTION.into(),
        data: serde_json::to_vec(&manifest)?.into(),
    };
    section.append_to_component(&mut component);
    Ok(component)
}

/// The version of `backchannel:n2n` that a component exports a handler of. Refuses imports from anywhere else: the
/// host offers nothing else, WASI least of all. Refuses what is not declared too, as every host does.
fn contract(component: &[u8], declaration: &Declaration) -> Result<String> {
    let DecodedWasm::Component(resolve, world) = decode(component)? else {
        bail!("a WIT package, not a component");
    };
    let world = &resolve.worlds[world];
    for import in world.imports.keys() {
        let import = resolve.name_world_key(import);
        let Some(interface) = import.strip_prefix("backchannel:n2n/") else {
            bail!("imports {import}, which no host offers: only backchannel:n2n can be imported");
        };
        let interface = interface.split('@').next().unwrap_or_default();
        ensure!(
            interface == "types" || declaration.capabilities.contains_key(interface),
            "imports {import}: declare it with `{interface} = \"why\"` under [package.metadata.backchannel.capabilities]"
        );
    }
    let exports = world
        .exports
        .keys()
        .map(|export| resolve.name_world_key(export));
    let handler = exports.into_iter().find_map(|export| {
        let version = export.strip_prefix("backchannel:n2n/handler@")?;
        Some(version.to_owned())
    });
    handler.context("exports no handler: use export_handler! or export_protocol!")
}
