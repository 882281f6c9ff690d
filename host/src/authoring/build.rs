use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::{AuthoringError, Fault, Language, Project, javascript, python, rust};
use crate::files::write_whole;

/// A component that was built.
pub struct Built {
    /// Where it is.
    pub file: PathBuf,
    /// What is in that file.
    pub component: Vec<u8>,
}

/// Makes the component of a project, puts its manifest inside, and writes it to [`Project::component`]. It is not checked. What a
/// toolchain says goes to standard error.
///
/// # Errors
///
/// When the toolchain is not there and cannot be had, or the handler's code does not become a component.
pub fn build(project: &Project) -> Result<Built, AuthoringError> {
    let mut component = match project.language() {
        Language::Rust => rust::component(project),
        Language::Python => python::component(project),
        Language::Js => javascript::component(project),
    }?;
    let not_ours = |error| {
        AuthoringError::new(
            Fault::Build,
            format!("{} does not become a plugin", project.name()),
            format!("{error:#}"),
            "export a handler, as the project that `backchannel new` makes does",
        )
    };
    let contract = backchannel_component::contract(&component).map_err(not_ours)?;
    let manifest = project.manifest(contract);
    backchannel_component::embed(&mut component, &manifest).map_err(not_ours)?;
    let file = project.component();
    write(&file, &component).map_err(|error| {
        let what = format!("{} cannot be written", file.display());
        let todo = "see that the folder is yours and the disk has room";
        AuthoringError::new(Fault::Build, what, error, todo)
    })?;
    Ok(Built { file, component })
}

fn write(file: &Path, component: &[u8]) -> io::Result<()> {
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder)?;
    }
    write_whole(file, component, 0o644)
}
