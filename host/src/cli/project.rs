//! The project in the current folder, for commands that take from it what they are not told.

use std::fs;
use std::path::{Path, PathBuf};

use super::{Exit, Problem, build};
use crate::authoring::{AuthoringError, Fault, Project};

/// Where scenarios are.
const SCENARIOS: &str = "scenarios";

/// The project at `folder`.
pub(super) fn read(folder: &Path) -> Result<Project, Problem> {
    Project::read(folder).map_err(problem)
}

/// The project in the current folder, if it is one.
pub(super) fn here() -> Result<Option<Project>, Problem> {
    Project::find(Path::new("")).map_err(problem)
}

/// The component of the project in the current folder, built if need be; `None` if that is no project.
pub(super) fn component_here() -> Result<Option<PathBuf>, Problem> {
    here()?.map(|project| component(&project)).transpose()
}

/// The scenarios of the project in the current folder, by their names; none if that is no project.
pub(super) fn scenarios_here() -> Result<Vec<PathBuf>, Problem> {
    if here()?.is_none() {
        return Ok(Vec::new());
    }
    let entries = fs::read_dir(SCENARIOS).into_iter().flatten();
    let files = entries.filter_map(|entry| entry.ok().map(|entry| entry.path()));
    let mut files: Vec<_> = files
        .filter(|file| file.extension().is_some_and(|end| end == "toml"))
        .collect();
    files.sort();
    Ok(files)
}

/// Where the component of a project is. It is built first if it is not there, or older than its sources.
pub(super) fn component(project: &Project) -> Result<PathBuf, Problem> {
    let file = project.component();
    let built = fs::metadata(&file).and_then(|about| about.modified());
    let newer = |built| project.changed().is_some_and(|changed| changed > built);
    if built.is_ok_and(|built| !newer(built)) {
        return Ok(file);
    }
    eprintln!("building {}", file.display());
    Ok(build::of(project)?.file)
}

/// What is wrong with a project, as commands say it.
pub(super) fn problem(error: AuthoringError) -> Problem {
    let exit = match error.fault {
        Fault::Project => Exit::Input,
        Fault::Build => Exit::Failed,
        Fault::Component => Exit::Refused,
    };
    Problem::new(exit, error.what, error.why, error.todo)
}
