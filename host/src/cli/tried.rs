//! Plugins that commands of the sandbox run: built in, or from a file that nobody had to approve.

use std::path::Path;
use std::sync::Arc;

use super::compiled::compiled_code;
use super::output::foreign;
use super::{Exit, Problem};
use crate::handlers::{BUILT_IN, LoadError, Plugin, Runtime, Terms};
use crate::packages::Package;

/// The engine of the sandbox. It compiles a component once for all commands of a user.
pub(super) fn runtime() -> Result<Runtime, Problem> {
    started(Runtime::metered())
}

/// The engine of nodes, for whoever wants to know how long something takes there.
pub(super) fn runtime_of_nodes() -> Result<Runtime, Problem> {
    started(Runtime::new())
}

fn started<E: std::fmt::Display>(runtime: Result<Runtime, E>) -> Result<Runtime, Problem> {
    let runtime = runtime.map_err(|error| {
        let todo = "raise the limit of address space (ulimit -v)";
        Problem::new(Exit::Failed, "the wasm engine does not start", error, todo)
    })?;
    Ok(runtime.keeping(compiled_code()))
}

/// A plugin by the name of a built-in one, or from a component or bundle, on terms that are changed before it is loaded.
pub(super) fn plugin(
    runtime: &Runtime,
    name: &str,
    change: impl FnOnce(&mut Terms),
) -> Result<Arc<Plugin>, Problem> {
    let built_in = BUILT_IN.iter().find(|built_in| built_in.name == name);
    let loaded = match built_in {
        Some(built_in) => load(runtime, built_in.component, change),
        None => load(runtime, &component(Path::new(name))?, change),
    };
    loaded.map_err(|error| not_loaded(name, &error))
}

/// The component in a file, which may be a bundle.
pub(super) fn component(file: &Path) -> Result<Vec<u8>, Problem> {
    let package = Package::read(file).map_err(|error| {
        let what = format!("{} cannot be used as a plugin", file.display());
        Problem::new(
            Exit::Input,
            what,
            foreign(&error.to_string()),
            error.advice(),
        )
    })?;
    Ok(package.component)
}

/// A plugin on all terms it asks for, changed before it is loaded.
fn load(
    runtime: &Runtime,
    component: &[u8],
    change: impl FnOnce(&mut Terms),
) -> Result<Arc<Plugin>, LoadError> {
    let mut terms = Terms::as_asked(component)?;
    change(&mut terms);
    Plugin::load(runtime, component, terms).map(Arc::new)
}

pub(super) fn not_loaded(name: &str, error: &LoadError) -> Problem {
    let what = format!("{name} cannot be used as a plugin");
    Problem::new(
        Exit::Refused,
        what,
        foreign(&error.to_string()),
        error.advice(),
    )
}
