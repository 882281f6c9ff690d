//! The layers of `host/src` point one way: the code's `crate::` paths held against a table.
//!
//! Comments and what is compiled for tests only are exempt. So is `lib.rs`, which lists the modules.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Each module of the host and those it may use, from the lowest to the highest.
const LAYERS: [(&str, &[&str]); 57] = [
    ("message", &[]),
    ("randomness", &[]),
    ("clock", &[]),
    ("files", &[]),
    ("proto", &[]),
    ("tasks", &[]),
    ("curve", &[]),
    ("inputs", &[]),
    ("audit", &["message", "files"]),
    ("trace", &["message"]),
    ("html", &[]),
    ("report", &["message", "trace", "html"]),
    ("metrics", &[]),
    ("telemetry", &["metrics"]),
    ("logs", &["message"]),
    ("journeys", &["message", "clock", "metrics"]),
    ("chronicle", &["audit", "clock", "metrics", "journeys"]),
    ("primitives", &["message"]),
    ("noise", &["primitives"]),
    ("sessions", &["message", "primitives", "noise"]),
    ("overlay", &["message", "randomness", "primitives"]),
    ("identity", &["message", "randomness", "primitives"]),
    ("node_proof", &["message", "primitives", "identity"]),
    (
        "key_store",
        &["message", "randomness", "files", "primitives", "identity"],
    ),
    (
        "channels",
        &["message", "primitives", "overlay", "key_store", "audit"],
    ),
    ("secure_sum", &["message", "primitives"]),
    (
        "fedbiomed",
        &["message", "primitives", "key_store", "secure_sum"],
    ),
    (
        "handlers",
        &[
            "message",
            "randomness",
            "clock",
            "primitives",
            "key_store",
            "channels",
            "secure_sum",
            "audit",
            "trace",
            "tasks",
            "curve",
            "inputs",
        ],
    ),
    (
        "cases",
        &[
            "message",
            "files",
            "inputs",
            "key_store",
            "handlers",
            "trace",
        ],
    ),
    ("costs", &["message", "html", "handlers", "cases"]),
    ("authoring", &["files", "handlers"]),
    ("scaffold", &["authoring"]),
    ("replay", &["trace", "handlers"]),
    (
        "fuzz",
        &[
            "message",
            "randomness",
            "key_store",
            "trace",
            "handlers",
            "replay",
        ],
    ),
    ("packages", &["files", "handlers"]),
    (
        "policy",
        &["message", "files", "inputs", "handlers", "packages"],
    ),
    ("roster", &["message", "identity", "packages"]),
    (
        "peers",
        &[
            "message",
            "randomness",
            "sessions",
            "identity",
            "key_store",
            "packages",
            "policy",
            "roster",
        ],
    ),
    ("introduction", &["message", "randomness", "identity"]),
    (
        "secure_channels",
        &[
            "message",
            "randomness",
            "clock",
            "identity",
            "introduction",
            "sessions",
        ],
    ),
    (
        "plugins",
        &["files", "inputs", "handlers", "packages", "policy"],
    ),
    (
        "witness",
        &["audit", "metrics", "journeys", "chronicle", "handlers"],
    ),
    ("requests", &["message", "randomness", "handlers"]),
    ("parcels", &["message", "handlers"]),
    ("runs", &["message"]),
    ("open_requests", &["message", "key_store", "tasks"]),
    ("transport", &["message", "randomness", "files", "proto"]),
    (
        "post",
        &[
            "message",
            "randomness",
            "overlay",
            "channels",
            "handlers",
            "requests",
            "chronicle",
            "tasks",
            "journeys",
            "transport",
            "secure_channels",
            "sessions",
        ],
    ),
    (
        "router",
        &[
            "message",
            "primitives",
            "overlay",
            "key_store",
            "channels",
            "handlers",
            "requests",
            "parcels",
            "chronicle",
            "post",
            "tasks",
            "audit",
            "journeys",
            "witness",
            "secure_channels",
            "sessions",
            "introduction",
        ],
    ),
    (
        "rounds",
        &[
            "message",
            "randomness",
            "key_store",
            "handlers",
            "requests",
            "parcels",
            "runs",
            "open_requests",
            "post",
            "tasks",
            "audit",
            "chronicle",
            "witness",
        ],
    ),
    (
        "setups",
        &[
            "runs",
            "open_requests",
            "message",
            "randomness",
            "primitives",
            "key_store",
            "secure_sum",
            "handlers",
            "requests",
            "transport",
            "post",
            "tasks",
            "audit",
            "chronicle",
            "witness",
        ],
    ),
    (
        "node",
        &[
            "message",
            "audit",
            "randomness",
            "clock",
            "key_store",
            "channels",
            "handlers",
            "policy",
            "plugins",
            "requests",
            "chronicle",
            "transport",
            "post",
            "router",
            "parcels",
            "open_requests",
            "rounds",
            "setups",
            "tasks",
            "audit",
            "metrics",
            "trace",
            "secure_channels",
            "sessions",
            "peers",
            "node_proof",
            "files",
        ],
    ),
    (
        "sandbox",
        &[
            "overlay",
            "primitives",
            "message",
            "randomness",
            "primitives",
            "overlay",
            "clock",
            "key_store",
            "secure_sum",
            "inputs",
            "handlers",
            "audit",
            "chronicle",
            "journeys",
            "trace",
            "transport",
            "tasks",
            "packages",
            "requests",
            "rounds",
            "node",
            "secure_channels",
            "sessions",
        ],
    ),
    (
        "relay",
        &[
            "message",
            "randomness",
            "files",
            "proto",
            "primitives",
            "identity",
            "node_proof",
            "packages",
            "roster",
            "transport",
            "metrics",
        ],
    ),
    (
        "control",
        &[
            "message",
            "randomness",
            "clock",
            "files",
            "proto",
            "identity",
            "key_store",
            "packages",
            "policy",
            "peers",
            "secure_sum",
            "plugins",
            "transport",
            "node",
            "relay",
            "tasks",
            "audit",
            "chronicle",
            "journeys",
            "logs",
            "metrics",
            "secure_channels",
            "sessions",
        ],
    ),
    (
        "cli",
        &[
            "audit",
            "message",
            "randomness",
            "key_store",
            "files",
            "proto",
            "secure_sum",
            "fedbiomed",
            "handlers",
            "packages",
            "policy",
            "roster",
            "plugins",
            "transport",
            "node",
            "relay",
            "control",
            "audit",
            "logs",
            "telemetry",
            "sandbox",
            "trace",
            "report",
            "replay",
            "cases",
            "costs",
            "fuzz",
            "authoring",
            "scaffold",
            "inputs",
        ],
    ),
    (
        "fuzzing",
        &[
            "message",
            "trace",
            "report",
            "randomness",
            "proto",
            "primitives",
            "sessions",
            "overlay",
            "handlers",
            "packages",
            "policy",
            "roster",
            "transport",
        ],
    ),
];

/// Libraries that a layer does without: what it is for would be in the wrong place.
const WITHOUT: [(&str, &[&str]); 9] = [
    ("message", &["tokio", "tonic", "wasmtime", "redb", "p256"]),
    ("noise", &["tokio", "tonic", "wasmtime", "redb"]),
    ("sessions", &["tokio", "tonic", "wasmtime", "redb"]),
    ("identity", &["tokio", "tonic", "wasmtime", "redb"]),
    ("roster", &["tokio", "tonic", "wasmtime", "redb"]),
    ("overlay", &["tokio", "tonic", "wasmtime", "redb"]),
    ("transport", &["wasmtime", "redb", "p256", "chacha20"]),
    ("relay", &["wasmtime", "redb", "p256", "chacha20"]),
    ("handlers", &["tonic", "hyper_util"]),
];

fn sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// The files of each module, without comments and tests.
fn modules() -> BTreeMap<String, Vec<(PathBuf, String)>> {
    let mut modules: BTreeMap<_, Vec<_>> = BTreeMap::new();
    let mut folders = vec![sources()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            if path.extension().is_none_or(|extension| extension != "rs") {
                continue;
            }
            let relative = path.strip_prefix(sources()).expect("below").to_owned();
            let first = relative
                .iter()
                .next()
                .and_then(|name| name.to_str())
                .expect("a name");
            let module = first.trim_end_matches(".rs").to_owned();
            let text = fs::read_to_string(&path).expect("a text");
            modules
                .entry(module)
                .or_default()
                .push((relative, code(&text)));
        }
    }
    modules.remove("lib");
    modules.remove("main");
    modules
}

/// A file's code. Relies on rustfmt: an item ends at a line that closes its brace or statement at the item's depth.
fn code(text: &str) -> String {
    let mut code = String::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let indent = line.len() - line.trim_start().len();
        if line.trim_start() == "#[cfg(test)]" {
            let ends = |line: &&str| {
                line.len() - line.trim_start().len() == indent
                    && (line.ends_with('}') || line.ends_with(';'))
            };
            lines.by_ref().find(ends);
            continue;
        }
        let end = line.find("//").unwrap_or(line.len());
        code.push_str(&line[..end]);
        code.push('\n');
    }
    code
}

/// The modules that follow `crate::` in a file: one, or those in braces.
fn used(code: &str) -> BTreeSet<String> {
    let mut used = BTreeSet::new();
    for (at, start) in code.match_indices("crate::") {
        let before = code[..at].chars().next_back();
        if before.is_some_and(|before| before.is_alphanumeric() || before == '_') {
            continue;
        }
        let rest = &code[at + start.len()..];
        let Some(group) = rest.strip_prefix('{') else {
            used.insert(word(rest));
            continue;
        };
        let mut depth = 0;
        let mut fresh = true;
        for (at, character) in group.char_indices() {
            match character {
                '}' if depth == 0 => break,
                '{' => depth += 1,
                '}' => depth -= 1,
                ',' if depth == 0 => fresh = true,
                _ if fresh && depth == 0 && !character.is_whitespace() => {
                    used.insert(word(&group[at..]));
                    fresh = false;
                }
                _ => {}
            }
        }
    }
    used
}

fn word(text: &str) -> String {
    text.chars()
        .take_while(|one| one.is_alphanumeric() || *one == '_')
        .collect()
}

fn names(code: &str, library: &str) -> bool {
    code.split(|one: char| !one.is_alphanumeric() && one != '_')
        .any(|word| word == library)
}

#[test]
fn every_module_has_its_place() {
    let there: BTreeSet<_> = modules().into_keys().collect();
    let listed: BTreeSet<_> = LAYERS
        .iter()
        .map(|(module, _)| (*module).to_owned())
        .collect();
    assert_eq!(there, listed);
}

#[test]
fn the_table_itself_points_one_way() {
    for (at, (module, may_use)) in LAYERS.iter().enumerate() {
        for lower in *may_use {
            let below = LAYERS[..at].iter().any(|(module, _)| module == lower);
            assert!(below, "{module} may use {lower}, which is not below it");
        }
    }
}

#[test]
fn a_module_uses_only_what_its_layer_may() {
    let modules = modules();
    let mut broken = Vec::new();
    for (module, may_use) in LAYERS {
        for (file, code) in &modules[module] {
            for other in used(code) {
                if other != module && !may_use.contains(&other.as_str()) {
                    broken.push(format!("{} uses {other}", file.display()));
                }
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn no_module_reaches_another_past_the_crates_root() {
    // `crate::` says where a path leads; from a module's own file `super::` would lead there too.
    for (module, files) in modules() {
        for (file, code) in files {
            let top = file.components().count() == 1
                || file.ends_with("mod.rs") && file.components().count() == 2;
            let leaves = code.contains("super::super::") || top && code.contains("super::");
            assert!(
                !leaves,
                "{module}: {} leaves its module with super::",
                file.display()
            );
        }
    }
}

#[test]
fn a_layer_does_without_the_libraries_of_others() {
    let modules = modules();
    for (module, without) in WITHOUT {
        for (file, code) in &modules[module] {
            for library in without {
                assert!(!names(code, library), "{} names {library}", file.display());
            }
        }
    }
}

#[test]
fn the_reader_sees_groups_and_inline_paths_and_skips_comments_and_tests() {
    let text = "use crate::{a, b::{c, d}};\n/// [`crate::e`]\nfn f() -> crate::g::H { // crate::i\n}\n\n\
                #[cfg(test)]\nmod tests {\n    use crate::j;\n}\nuse crate::k;\n";
    let found: Vec<_> = used(&code(text)).into_iter().collect();
    assert_eq!(found, ["a", "b", "g", "k"]);
}
