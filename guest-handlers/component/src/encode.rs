//! A core module becomes a component with a manifest inside.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail, ensure};
use serde::Serialize;
use wasm_encoder::{ComponentSection, CustomSection};
use wit_component::{ComponentEncoder, DecodedWasm, decode};

use crate::Guest;

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
    protocols: &'a [String],
    capabilities: &'a BTreeMap<String, String>,
    limits: &'a BTreeMap<String, u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    assurance: Option<crate::Assurance>,
}

/// Makes `core` a component. It is validated, and imports what the code calls.
///
/// # Errors
///
/// When the module was not made for a world of `wit/`.
pub fn encode(core: &[u8]) -> Result<Vec<u8>> {
    let mut encoder = ComponentEncoder::default();
    encoder.validate(true).module(core)?.encode()
}

/// Puts `manifest` inside a component, as JSON.
///
/// # Errors
///
/// When the manifest cannot be written as JSON.
pub fn embed(component: &mut Vec<u8>, manifest: &impl Serialize) -> Result<()> {
    let section = CustomSection {
        name: MANIFEST_SECTION.into(),
        data: serde_json::to_vec(manifest)?.into(),
    };
    section.append_to_component(component);
    Ok(())
}

/// The version of `backchannel:n2n` that a component exports a handler or rounds of, as the contract it was built with.
///
/// # Errors
///
/// When it is no component, or exports neither.
pub fn contract(component: &[u8]) -> Result<String> {
    let (resolve, world) = decoded(component)?;
    let mut exports = resolve.worlds[world].exports.keys();
    let version = exports.find_map(|export| {
        let export = resolve.name_world_key(export);
        let (interface, version) = export.strip_prefix("backchannel:n2n/")?.split_once('@')?;
        matches!(interface, "handler" | "rounds").then(|| version.to_owned())
    });
    version.context(
        "exports neither a handler nor rounds: use export_handler!, export_protocol! or export_rounds!",
    )
}

/// Makes `core`, the module of a `guest` that declares itself in its `Cargo.toml`, a component: checked, without imports
/// but ours, with its manifest.
///
/// # Errors
///
/// When it is no component, imports what it does not declare, or says too little about itself.
pub fn package(guest: &Guest, core: &[u8]) -> Result<Vec<u8>> {
    let name = &guest.name;
    let mut component = encode(core).with_context(|| format!("{name} is no component"))?;
    let declaration = guest.declaration();
    let declaration = declaration.with_context(|| format!("{name} does not declare itself"))?;
    imports_only(&component, &declaration.capabilities).with_context(|| name.clone())?;
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
        contract: contract(&component).with_context(|| name.clone())?,
        kinds: &declaration.kinds,
        initiates: &declaration.initiates,
        protocols: &declaration.protocols,
        capabilities: &declaration.capabilities,
        limits: &declaration.limits,
        assurance: declaration.assurance,
    };
    embed(&mut component, &manifest)?;
    Ok(component)
}

/// Refuses imports from anywhere else than `backchannel:n2n`: the host offers nothing else, WASI least of all. Refuses what is not
/// declared too, as every host does.
fn imports_only(component: &[u8], declared: &BTreeMap<String, String>) -> Result<()> {
    let (resolve, world) = decoded(component)?;
    for import in resolve.worlds[world].imports.keys() {
        let import = resolve.name_world_key(import);
        let Some(interface) = import.strip_prefix("backchannel:n2n/") else {
            bail!("imports {import}, which no host offers: only backchannel:n2n can be imported");
        };
        let interface = interface.split('@').next().unwrap_or_default();
        ensure!(
            interface == "types" || declared.contains_key(interface),
            "imports {import}: declare it with `{interface} = \"why\"` under [package.metadata.backchannel.capabilities]"
        );
    }
    Ok(())
}

fn decoded(component: &[u8]) -> Result<(wit_parser::Resolve, wit_parser::WorldId)> {
    match decode(component)? {
        DecodedWasm::Component(resolve, world) => Ok((resolve, world)),
        DecodedWasm::WitPackage(..) => bail!("a WIT package, not a component"),
    }
}
