//! What every built-in component must be, and what each is.

use backchannel_artifacts::{
    ADDITIVE_SHARING, ALL, CHANNEL_SETUP, COMMON_RANDOMNESS, KEY_REQUEST, PATIENT_OVERLAP,
    SECURE_AGGREGATION,
};
use serde_json::{Value, json};
use wasmparser::{Parser, Payload, Validator, WasmFeatures};

/// The outermost level of a component: what it imports and exports, and its custom sections.
#[derive(Default)]
struct Surface {
    imports: Vec<String>,
    exports: Vec<String>,
    manifests: Vec<Vec<u8>>,
}

fn surface(component: &[u8]) -> Surface {
    let mut surface = Surface::default();
    let mut depth = 0;
    for payload in Parser::new(0).parse_all(component) {
        match payload.expect("a well-formed component") {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth -= 1,
            Payload::ComponentImportSection(imports) if depth == 0 => {
                let names = imports
                    .into_iter()
                    .map(|import| import.unwrap().name.name.to_owned());
                surface.imports.extend(names);
            }
            Payload::ComponentExportSection(exports) if depth == 0 => {
                let names = exports
                    .into_iter()
                    .map(|export| export.unwrap().name.name.to_owned());
                surface.exports.extend(names);
            }
            Payload::CustomSection(section)
                if depth == 0 && section.name() == "backchannel:manifest" =>
            {
                surface.manifests.push(section.data().to_vec());
            }
            _ => {}
        }
    }
    surface
}

fn manifest(component: &[u8]) -> Value {
    let manifests = surface(component).manifests;
    let [manifest] = manifests.as_slice() else {
        panic!("{} manifests", manifests.len());
    };
    serde_json::from_slice(manifest).expect("JSON")
}

fn interfaces<'a>(names: &[&'a str]) -> Vec<String> {
    let full = |name: &&'a str| format!("backchannel:n2n/{name}@0.1.1");
    names.iter().map(full).collect()
}

#[test]
fn every_component_is_valid_without_the_engines_options() {
    for (name, component) in ALL {
        let mut validator = Validator::new_with_features(WasmFeatures::default());
        validator
            .validate_all(component)
            .unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}

#[test]
fn no_component_imports_anything_but_ours() {
    for (name, component) in ALL {
        for import in surface(component).imports {
            assert!(
                import.starts_with("backchannel:n2n/"),
                "{name} imports {import}"
            );
        }
    }
}

#[test]
fn every_component_imports_and_exports_what_it_needs_and_no_more() {
    let cases: [(&[u8], &[&str], &[&str]); 6] = [
        (CHANNEL_SETUP, &["channel-keys", "types"], &["handler"]),
        (
            KEY_REQUEST,
            &["agreement", "material", "types"],
            &["handler", "initiator"],
        ),
        (
            ADDITIVE_SHARING,
            &["material", "sharing", "types"],
            &["handler", "initiator"],
        ),
        (COMMON_RANDOMNESS, &["random", "types"], &["rounds"]),
        (PATIENT_OVERLAP, &["blinding", "types"], &["rounds"]),
        (
            SECURE_AGGREGATION,
            &["inputs", "random", "types"],
            &["rounds"],
        ),
    ];
    assert_eq!(cases.len(), ALL.len(), "a component without a case here");
    for (component, imports, exports) in cases {
        let mut surface = surface(component);
        surface.imports.sort();
        surface.exports.sort();
        assert_eq!(surface.imports, interfaces(imports));
        assert_eq!(surface.exports, interfaces(exports));
        let manifest = manifest(component);
        let declared = manifest["capabilities"].as_object().expect("declared");
        let declared: Vec<&str> = declared.keys().map(String::as_str).collect();
        assert_eq!([&declared[..], &["types"]].concat(), imports);
    }
}

#[test]
fn every_manifest_says_what_an_operator_asks() {
    for (name, component) in ALL {
        let manifest = manifest(component);

        assert_eq!(manifest["name"], *name);
        assert_eq!(manifest["contract"], "0.1.1");
        assert_eq!(manifest["version"], env!("CARGO_PKG_VERSION"));
        assert_eq!(manifest["licence"], "Apache-2.0");
        assert!(manifest["authors"].is_array());
        assert!(
            manifest["description"]
                .as_str()
                .is_some_and(|text| text.len() > 20)
        );
    }
}

#[test]
fn the_components_share_out_the_six_kinds_and_the_two_set_ups() {
    let declared = |component| {
        let manifest = manifest(component);
        (manifest["kinds"].clone(), manifest["initiates"].clone())
    };

    let kinds = json!(["ChannelSetupRequest", "ChannelSetupReply"]);
    assert_eq!(declared(CHANNEL_SETUP), (kinds, json!([])));
    let kinds = json!(["KeyRequest", "KeyReply"]);
    assert_eq!(declared(KEY_REQUEST), (kinds, json!(["SecaggRequest"])));
    let kinds = json!(["AdditiveSSharingRequest", "AdditiveSSharingReply"]);
    assert_eq!(
        declared(ADDITIVE_SHARING),
        (kinds, json!(["AdditiveSSSetupRequest"]))
    );
}

#[test]
fn what_runs_protocols_treats_no_messages() {
    for component in [COMMON_RANDOMNESS, PATIENT_OVERLAP, SECURE_AGGREGATION] {
        let manifest = manifest(component);
        assert_eq!(manifest["kinds"], json!([]));
        assert_eq!(manifest["initiates"], json!([]));
        assert_eq!(manifest["protocols"], json!([manifest["name"]]));
    }
}

#[test]
fn every_component_is_small() {
    for (name, component) in ALL {
        // Those with keys of their own bring the curve's arithmetic.
        let most = match *name {
            "secure-aggregation" => 384 * 1024,
            _ => 100 * 1024,
        };
        println!("{name}: {} bytes", component.len());
        assert!(component.len() < most, "{name}: {} bytes", component.len());
    }
}

#[test]
fn no_component_names_a_path_of_the_machine_that_built_it() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/").as_bytes();
    let registry = b"/registry/src/";
    for (name, component) in ALL {
        let holds = |path: &[u8]| component.windows(path.len()).any(|bytes| bytes == path);
        assert!(!holds(root), "{name} names the checkout");
        for at in component.windows(registry.len()).enumerate() {
            if at.1 == registry {
                assert!(
                    component[..at.0].ends_with(b"/cargo"),
                    "{name} names a home directory"
                );
            }
        }
    }
}
