//! The scenarios of `tests/scenarios`, from several seeds each.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use backchannel::sandbox::{Component, Role, Scenario};

use crate::stage;

/// The guests of those that are not about built-in plugins: at all nodes, if the scenario does not say where.
const GUESTS: [(&str, &str, &[u8]); 3] = [
    ("cheating", "cheating", backchannel_test_guests::CHEATING),
    (
        "repeated",
        "double-counter",
        backchannel_test_guests::DOUBLE_COUNTER,
    ),
    ("votes", "counter", backchannel_test_guests::COUNTER),
];

/// Those whose trouble is how much is asked, which takes its time.
const CROWDED: [&str; 2] = ["floods", "in-vain"];

/// Those in which nothing goes wrong on the way.
const FAULTLESS: [&str; 2] = ["cheating", "protocols"];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/scenarios")
}

fn read(file: &Path) -> Scenario {
    let text = std::fs::read_to_string(file).expect("a scenario");
    Scenario::parse(&text, &folder()).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

/// The same with a guest, from a file of its own.
fn with_guest(mut scenario: Scenario, name: &str, component: &[u8]) -> Scenario {
    let folder = std::env::temp_dir().join(format!("backchannel-sandbox-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let file = folder.join(name).with_extension("wasm");
    std::fs::write(&file, component).expect("written");
    let named = Component::File(self::folder().join(name).with_extension("wasm"));
    match scenario
        .plugins
        .iter_mut()
        .find(|role| role.component == named)
    {
        Some(role) => role.component = Component::File(file),
        None => scenario.plugins.push(Role::of_file(file)),
    }
    scenario
}

#[test]
fn nothing_is_broken_in_any_scenario() {
    let files = std::fs::read_dir(folder()).expect("scenarios");
    let files = files.map(|file| file.expect("a file").path());
    // Those of a folder of their own take minutes.
    let mut files: Vec<_> = files.filter(|file| file.is_file()).collect();
    files.sort();
    assert!(files.len() > 5, "{files:?}");
    for file in files {
        let name = file.file_stem().expect("a name").to_string_lossy();
        let mut scenario = read(&file);
        if let Some((_, guest, component)) = GUESTS.iter().find(|(of, ..)| *of == name) {
            scenario = with_guest(scenario, guest, component);
        }
        let simulation = stage::of(scenario);
        let mut injected = BTreeMap::<_, u64>::new();
        let mut protocols = (0, 0);
        let seeds = if CROWDED.contains(&&*name) { 1 } else { 4 };
        for seed in 1..=seeds {
            let verdict = simulation.run(seed).expect("run");
            stage::holds(&simulation, &verdict);
            protocols.0 += verdict.protocols.0;
            protocols.1 += verdict.protocols.1;
            for (kind, count) in verdict.injected {
                *injected.entry(kind).or_default() += count;
            }
        }
        let (with_result, all) = protocols;
        println!("{name}: {injected:?}, {with_result} of {all} protocols had a result");
        assert!(
            !injected.is_empty() || [&CROWDED[..], &FAULTLESS].concat().contains(&&*name),
            "{name} has no faults"
        );
    }
}
