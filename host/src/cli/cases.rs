//! Files of cases as commands take them: one, or all of a folder, and the bench that they run on.

use std::path::{Path, PathBuf};

use super::output::foreign;
use super::{Exit, Problem, tried};
use crate::cases::{Bench, CaseFile, CasesError};
use crate::handlers::{BUILT_IN, Runtime};

/// The files of a folder that end in `.toml`, by their names; or the file itself.
pub(super) fn read(path: &Path) -> Result<Vec<CaseFile>, Problem> {
    let files = toml_files(path)?.into_iter();
    files
        .map(|path| CaseFile::read(&path).map_err(|error| problem(&error)))
        .collect()
}

/// A bench for a component, a bundle or a built-in plugin.
pub(super) fn bench(runtime: &Runtime, plugin: &str) -> Result<Bench, Problem> {
    let component = component(plugin)?;
    Bench::new(runtime, component).map_err(|error| tried::not_loaded(plugin, &error))
}

/// The component of a built-in plugin, or in a file, which may be a bundle.
pub(super) fn component(plugin: &str) -> Result<Vec<u8>, Problem> {
    match built_in(plugin) {
        Some(component) => Ok(component.to_vec()),
        None => tried::component(Path::new(plugin)),
    }
}

/// The component of a built-in plugin.
pub(super) fn built_in(name: &str) -> Option<&'static [u8]> {
    let found = BUILT_IN.iter().find(|built_in| built_in.name == name);
    found.map(|built_in| built_in.component)
}

/// There are no cases where they were looked for.
pub(super) fn none(given: &[PathBuf]) -> Problem {
    Problem::new(
        Exit::Input,
        "there are no cases to run",
        format!("there is none in {}", listed(given)),
        "write one, as guest-handlers/README.md shows, or name another folder with --cases",
    )
}

/// Paths as a problem names them.
pub(super) fn listed(paths: &[PathBuf]) -> String {
    let paths: Vec<_> = paths
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    paths.join(", ")
}

pub(super) fn problem(error: &CasesError) -> Problem {
    let exit = match error {
        CasesError::Io { .. } | CasesError::Line { .. } | CasesError::Load { .. } => Exit::Input,
        CasesError::Changed(_) | CasesError::Machine(_) => Exit::Failed,
    };
    let why = foreign(&error.to_string());
    Problem::new(
        exit,
        "the cases cannot be run",
        why,
        foreign(&error.advice()),
    )
}

fn toml_files(path: &Path) -> Result<Vec<PathBuf>, Problem> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let failed = |error: std::io::Error| {
        let what = format!("{} cannot be read", path.display());
        Problem::new(Exit::Input, what, error, "check that the folder is yours")
    };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.extension().is_some_and(|end| end == "toml") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}
