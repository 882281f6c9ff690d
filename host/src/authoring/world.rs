//! The world of one project, for toolchains that make a component import all of a world: what its file declares, and no more.

use std::fs;
use std::io;
use std::path::Path;

use tempfile::TempDir;

use super::{AuthoringError, Fault, Project};

/// Its name.
pub(super) const WORLD: &str = "plugin";

/// Where a project keeps the contract, from its folder.
const CONTRACT: &str = "wit/0.1";

/// A folder with the project's copy of the contract, and its world beside it.
pub(super) fn write(project: &Project) -> Result<TempDir, AuthoringError> {
    let contract = project.folder().join(CONTRACT);
    copy(&contract, project).map_err(|error| {
        AuthoringError::new(
            Fault::Project,
            format!("the contract in {} cannot be used", contract.display()),
            error,
            "take the folder wit/ of a fresh project: backchannel new",
        )
    })
}

fn copy(contract: &Path, project: &Project) -> io::Result<TempDir> {
    let folder = tempfile::tempdir()?;
    for entry in fs::read_dir(contract)? {
        let entry = entry?;
        fs::copy(entry.path(), folder.path().join(entry.file_name()))?;
    }
    let mut world = format!("world {WORLD} {{\n");
    for capability in project.capabilities() {
        world.push_str(&format!("  import {capability};\n"));
    }
    for (exports, interface) in [
        (project.treats(), "handler"),
        (project.initiates(), "initiator"),
        (project.takes_part(), "rounds"),
    ] {
        if exports {
            world.push_str(&format!("  export {interface};\n"));
        }
    }
    world.push_str("}\n");
    fs::write(folder.path().join("plugin.wit"), world)?;
    Ok(folder)
}
