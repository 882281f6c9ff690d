//! Which cases a command runs, and on which plugin, as the command line says it.

use std::path::{Path, PathBuf};

use clap::Args;

use super::{Exit, Problem, cases, project};
use crate::cases::CaseFile;

/// Where cases are, where nothing else is said.
const FOLDER: &str = "cases";

#[derive(Debug, Args)]
pub(super) struct Chosen {
    /// A component, or the name of a built-in plugin [default: what each file of cases names as its `plugin`; else that of the
    /// project in the current folder].
    plugin: Option<String>,
    /// A file of cases, or a folder of them; may be given again [default: the folder cases].
    #[arg(long, value_name = "PATH")]
    cases: Vec<PathBuf>,
    /// Only the cases whose name holds this.
    #[arg(long, value_name = "TEXT")]
    name: Option<String>,
}

impl Chosen {
    /// The files of cases, by their names, without the cases that are not asked for.
    pub(super) fn files(&self) -> Result<Vec<CaseFile>, Problem> {
        let default = [PathBuf::from(FOLDER)];
        let (given, named) = match self.cases.as_slice() {
            [] => (&default[..], false),
            given => (given, true),
        };
        let mut files = Vec::new();
        for path in given.iter().filter(|path| named || path.exists()) {
            for mut file in cases::read(path)? {
                if let Some(part) = &self.name {
                    file.only(|case| case.name().contains(part));
                }
                files.push(file);
            }
        }
        files.retain(|file| !file.cases().is_empty());
        if !files.is_empty() {
            return Ok(files);
        }
        let Some(part) = &self.name else {
            return Err(cases::none(given));
        };
        let given = cases::listed(given);
        Err(Problem::new(
            Exit::Input,
            "there are no cases to run",
            format!("no case in {given} is called {part:?} or has it in its name"),
            "leave --name out to run them all",
        ))
    }

    /// The plugin for a file of cases: a name or a path.
    pub(super) fn plugin_of(&self, file: &CaseFile) -> Result<String, Problem> {
        if let Some(plugin) = &self.plugin {
            return Ok(plugin.clone());
        }
        let Some(named) = file.plugin() else {
            if let Some(component) = project::component_here()? {
                return Ok(component.display().to_string());
            }
            let path = file.path().display();
            return Err(Problem::new(
                Exit::Input,
                format!("the cases in {path} cannot be run"),
                "it is not said which plugin they are for",
                "name it: as PLUGIN on the command line, or as `plugin = \"…\"` in the file; or go to the folder of a project",
            ));
        };
        if cases::built_in(named).is_some() {
            return Ok(named.to_owned());
        }
        let folder = file.path().parent().unwrap_or(Path::new(""));
        Ok(folder.join(named).display().to_string())
    }
}
