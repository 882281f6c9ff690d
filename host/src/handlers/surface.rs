//! A component from the outside: its manifest, what it imports and what it exports, read without a compiler.

use std::collections::BTreeSet;

use semver::Version;
use wasmparser::{ComponentTypeRef, Instance, Parser, Payload, Validator, WasmFeatures};
use wasmtime::Engine;

use super::capabilities::{self, Capability};
use super::{Limit, Limits, LoadError, Manifest};

/// The version of `backchannel:n2n` that this host speaks. Later versions of the line only add, so it speaks earlier ones
/// of the same line too.
const CONTRACT: Version = Version::new(0, 1, 1);

/// How deep components may nest. Toolchains nest two; to validate them takes time that grows with the square.
const DEEPEST: usize = 100;

/// What a component declares, and what it asks for in fact.
#[derive(Clone, Debug)]
pub struct Surface {
    manifest: Manifest,
    imports: Vec<(String, Capability)>,
    instances: u64,
}

impl Surface {
    /// Reads a component. Nothing of it is compiled.
    ///
    /// Refused: what is no valid component, is larger than its limits, has no manifest, is of a contract that this host does not speak,
    /// imports what is not offered or what its manifest does not declare, or lacks an export.
    pub fn read(component: &[u8], limits: &Limits) -> Result<Self, LoadError> {
        check_kind(component, limits)?;
        let outer = Outer::read(component)?;
        Validator::new_with_features(WasmFeatures::default())
            .validate_all(component)
            .map_err(|error| LoadError::NotAComponent(error.message().into()))?;
        if outer.instances > limits.get(Limit::Instances) {
            return Err(LoadError::TooMuch {
                needs: outer.instances,
                hit: limits.hit(Limit::Instances),
            });
        }
        let manifest = Manifest::read(component)?;
        check_contract(&manifest, &outer.exports)?;
        let mut found = Vec::new();
        for (import, is_interface) in outer.imports {
            if capabilities::is_types(&import) {
                continue;
            }
            let capability = Capability::of_import(&import).filter(|_| is_interface);
            let Some(capability) = capability else {
                return Err(LoadError::NotOffered { import });
            };
            if !manifest.declares(capability) {
                return Err(LoadError::Undeclared { import, capability });
            }
            found.push((import, capability));
        }
        Ok(Self {
            manifest,
            imports: found,
            instances: outer.instances,
        })
    }

    /// What it says of itself.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// What it asks for, by import.
    pub fn imports(&self) -> &[(String, Capability)] {
        &self.imports
    }

    /// The capabilities it asks for.
    pub fn asks_for(&self) -> BTreeSet<Capability> {
        self.imports
            .iter()
            .map(|(_, capability)| *capability)
            .collect()
    }

    /// The core instances that each instance of it is made of.
    pub fn instances(&self) -> u64 {
        self.instances
    }

    /// The capabilities that its manifest declares and its code does not import.
    pub fn unused(&self) -> BTreeSet<Capability> {
        let asks_for = self.asks_for();
        let declared = self
            .manifest
            .capabilities()
            .map(|(capability, _)| capability);
        declared
            .filter(|capability| !asks_for.contains(capability))
            .collect()
    }

    pub(super) fn into_manifest(self) -> Manifest {
        self.manifest
    }
}

/// What the first bytes tell.
fn check_kind(component: &[u8], limits: &Limits) -> Result<(), LoadError> {
    if component.len() > limits.bytes(Limit::FileKib) {
        return Err(LoadError::TooLarge {
            size: component.len(),
            hit: limits.hit(Limit::FileKib),
        });
    }
    if Engine::detect_precompiled(component).is_some() || component.starts_with(b"\x7fELF") {
        return Err(LoadError::Precompiled);
    }
    // The layer field of the header tells modules (0) from components (1).
    if component.starts_with(b"\0asm") && component.get(6..8) == Some(&[0, 0]) {
        return Err(LoadError::CoreModule);
    }
    if !component.starts_with(b"\0asm") {
        return Err(LoadError::NotAComponent(
            "it does not begin as wasm does".into(),
        ));
    }
    Ok(())
}

/// What is on the outermost level of a component.
#[derive(Default)]
struct Outer {
    /// What it imports, and whether that is an interface.
    imports: Vec<(String, bool)>,
    exports: Vec<String>,
    /// The core instances that each of its own is made of; toolchains make none further in.
    instances: u64,
}

impl Outer {
    fn read(component: &[u8]) -> Result<Self, LoadError> {
        let broken =
            |error: wasmparser::BinaryReaderError| LoadError::NotAComponent(error.message().into());
        let mut outer = Self::default();
        let mut depth = 0_usize;
        for payload in Parser::new(0).parse_all(component) {
            match payload.map_err(broken)? {
                Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => {
                    depth += 1;
                    if depth > DEEPEST {
                        let why = format!("it nests components deeper than {DEEPEST}");
                        return Err(LoadError::NotAComponent(why));
                    }
                }
                Payload::End(_) => depth = depth.saturating_sub(1),
                Payload::ComponentImportSection(section) if depth == 0 => {
                    for import in section {
                        let import = import.map_err(broken)?;
                        let is_interface = matches!(import.ty, ComponentTypeRef::Instance(_));
                        outer
                            .imports
                            .push((import.name.name.to_owned(), is_interface));
                    }
                }
                Payload::InstanceSection(section) if depth == 0 => {
                    for instance in section {
                        if let Instance::Instantiate { .. } = instance.map_err(broken)? {
                            outer.instances += 1;
                        }
                    }
                }
                Payload::ComponentExportSection(section) if depth == 0 => {
                    for export in section {
                        outer
                            .exports
                            .push(export.map_err(broken)?.name.name.to_owned());
                    }
                }
                _ => {}
            }
        }
        Ok(outer)
    }
}

/// Whether this host speaks the contract that the component was built for, and whether it exports what that asks for. Their types are
/// checked when it is linked.
fn check_contract(manifest: &Manifest, exports: &[String]) -> Result<(), LoadError> {
    let built = manifest.contract_version()?;
    if built > CONTRACT {
        return Err(LoadError::ContractTooNew {
            built,
            host: CONTRACT,
        });
    }
    if (built.major, built.minor) != (CONTRACT.major, CONTRACT.minor) {
        return Err(LoadError::ContractTooOld {
            built,
            host: CONTRACT,
        });
    }
    let needed = [
        ("handler", !manifest.kinds.is_empty()),
        ("initiator", !manifest.initiates.is_empty()),
        ("rounds", !manifest.protocols.is_empty()),
    ];
    let needed = needed
        .into_iter()
        .filter_map(|(interface, is_needed)| is_needed.then_some(interface));
    for interface in needed {
        let name = format!("backchannel:n2n/{interface}@{built}");
        if !exports.contains(&name) {
            return Err(LoadError::WrongWorld(format!("it does not export {name}")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handlers::Terms;

    /// A component in wasm's text form whose manifest is changed by `change`.
    fn component(change: impl FnOnce(&mut serde_json::Value), body: &str) -> Vec<u8> {
        let mut manifest = serde_json::json!({
            "name": "odd", "version": "1.0.0", "licence": "MIT", "contract": "0.1.0", "kinds": ["OddRequest"],
        });
        change(&mut manifest);
        let manifest = manifest.to_string().replace('"', "\\\"");
        let text = format!("(component (@custom \"backchannel:manifest\" \"{manifest}\") {body})");
        wat::parse_str(text).expect("a component")
    }

    const HANDLER: &str =
        r#"(instance $handler) (export "backchannel:n2n/handler@0.1.0" (instance $handler))"#;
    const LOG: &str = r#"(import "backchannel:n2n/log@0.1.0" (instance))"#;

    fn read(component: &[u8]) -> Result<Surface, LoadError> {
        Surface::read(component, &Limits::default())
    }

    fn with(change: impl FnOnce(&mut serde_json::Value)) -> Result<Surface, LoadError> {
        read(&component(change, &format!("{LOG} {HANDLER}")))
    }

    #[test]
    fn refuses_what_is_imported_and_not_declared() {
        let error = with(|_| ()).unwrap_err();
        assert!(
            matches!(
                error,
                LoadError::Undeclared {
                    capability: Capability::Log,
                    ..
                }
            ),
            "{error}"
        );
    }

    #[test]
    fn tells_what_is_declared_and_not_imported() {
        let surface =
            with(|m| m["capabilities"] = serde_json::json!({ "log": "", "material": "for later" }));
        let surface = surface.expect("a component");
        assert_eq!(surface.asks_for(), [Capability::Log].into());
        assert_eq!(surface.unused(), [Capability::Material].into());
    }

    #[test]
    fn refuses_contracts_of_another_time() {
        for (contract, new) in [
            ("0.1.2", true),
            ("0.2.0", true),
            ("1.0.0", true),
            ("0.0.9", false),
        ] {
            let error = with(|m| m["contract"] = contract.into()).unwrap_err();
            match error {
                LoadError::ContractTooNew { .. } => assert!(new, "{contract}"),
                LoadError::ContractTooOld { .. } => assert!(!new, "{contract}"),
                other => panic!("{contract}: {other}"),
            }
        }
        let error = with(|m| m["contract"] = "latest".into()).unwrap_err();
        assert!(matches!(error, LoadError::Manifest(_)), "{error}");
    }

    #[test]
    fn refuses_a_component_without_the_exports_it_promises() {
        let error = read(&component(|_| (), "")).unwrap_err();
        assert!(matches!(error, LoadError::WrongWorld(_)), "{error}");
        let error = read(&component(
            |m| m["initiates"] = serde_json::json!(["Train"]),
            HANDLER,
        ))
        .unwrap_err();
        assert!(matches!(error, LoadError::WrongWorld(_)), "{error}");
    }

    #[test]
    fn refuses_wishes_that_no_host_can_meet() {
        for (field, wish) in [
            ("capabilities", serde_json::json!({ "sockets": "" })),
            ("limits", serde_json::json!({ "memory": 64 })),
            ("limits", serde_json::json!({ "memory-mib": 1 << 20 })),
        ] {
            let error = with(|m| m[field] = wish.clone()).unwrap_err();
            assert!(matches!(error, LoadError::Manifest(_)), "{wish}: {error}");
        }
    }

    #[test]
    fn refuses_more_core_instances_than_the_limit_and_says_how_many_there_are() {
        let many = "(core module $m) ".to_owned() + &"(core instance (instantiate $m))".repeat(21);
        let error = read(&component(|_| (), &format!("{HANDLER} {many}"))).unwrap_err();
        assert!(
            matches!(error, LoadError::TooMuch { needs: 21, .. }),
            "{error}"
        );
        assert!(error.to_string().contains("instances = 20"), "{error}");
    }

    #[test]
    fn what_wishes_for_more_core_instances_can_be_looked_at_and_tried() {
        let many = "(core module $m) ".to_owned() + &"(core instance (instantiate $m))".repeat(21);
        let wish = |manifest: &mut serde_json::Value| {
            manifest["limits"] = serde_json::json!({ "instances": 40 });
        };
        let component = component(wish, &format!("{HANDLER} {many}"));
        Surface::read(&component, &Limits::for_reading()).expect("looked at");
        let terms = Terms::as_asked(&component).expect("terms");
        assert_eq!(terms.limits.get(Limit::Instances), 40);
        Surface::read(&component, &terms.limits).expect("within its wishes");
    }

    #[test]
    fn refuses_imports_that_are_no_interface_or_of_another_line() {
        for import in [
            r#"(import "backchannel:n2n/log@0.2.0" (instance))"#,
            r#"(import "backchannel:n2n/log@0.1.0" (func))"#,
            r#"(import "wasi:cli/environment@0.2.6" (instance))"#,
        ] {
            let declared =
                |m: &mut serde_json::Value| m["capabilities"] = serde_json::json!({ "log": "" });
            let error = read(&component(declared, &format!("{import} {HANDLER}"))).unwrap_err();
            assert!(
                matches!(error, LoadError::NotOffered { .. }),
                "{import}: {error}"
            );
        }
    }

    #[test]
    fn the_built_in_plugins_declare_what_they_use_and_no_more() {
        for built_in in &crate::handlers::BUILT_IN {
            let surface = read(built_in.component).expect("a component");
            assert_eq!(surface.unused(), BTreeSet::new(), "{}", built_in.name);
            assert!(
                surface
                    .asks_for()
                    .is_subset(&built_in.grants.iter().copied().collect())
            );
        }
    }
}
