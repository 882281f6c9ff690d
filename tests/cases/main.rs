//! Cases of plugins: those of the built-in plugins and of the test guests hold, and `backchannel test` does with a file of
//! cases what its author asks for.

mod bench;
mod command;
#[path = "../harness/mod.rs"]
mod harness;
mod kept;
mod refused;
mod update;

use backchannel::cases::{Bench, CaseFile, Outcome};
use backchannel::handlers::Runtime;

/// A bench for a component.
fn bench(component: &[u8]) -> Bench {
    let runtime = Runtime::metered().expect("an engine");
    Bench::new(&runtime, component.to_vec()).expect("a plugin")
}

/// A file of cases at a path below the top of the repository.
fn file(path: &str) -> CaseFile {
    CaseFile::read(&root().join(path)).expect("cases")
}

fn root() -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// What of an outcome did not come, in lines.
fn differences(outcome: &Outcome) -> String {
    let checks = outcome.checks.iter().filter(|check| !check.fits);
    let lines = checks.map(|check| format!("{}\n{}", check.place, check.difference.join("\n")));
    lines.collect::<Vec<_>>().join("\n")
}
