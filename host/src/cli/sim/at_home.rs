//! In the folder of a project, what is not said is the project's: its scenarios, and its component in them.

use std::path::PathBuf;

use super::{Sim, absolute, parse, text};
use crate::cli::{Problem, project};
use crate::sandbox::{Component, Role, Scenario};

impl Sim {
    /// The project's scenarios, with as many nodes as the command line says; none where there is no project.
    pub(super) fn at_home(&self) -> Result<Vec<(Option<PathBuf>, Scenario)>, Problem> {
        let mut scenarios = Vec::new();
        for file in project::scenarios_here()? {
            let mut text = text(&file)?;
            if let Some(nodes) = self.nodes {
                text = with_nodes(&text, nodes);
            }
            let scenario = parse(&file, &text)?;
            scenarios.push((Some(file), scenario));
        }
        Ok(scenarios)
    }

    /// Gives a scenario the project's plugin, where neither it nor the command line names a file. It is built if need be.
    pub(super) fn plugin_at_home(&self, scenario: &mut Scenario) -> Result<(), Problem> {
        let Some(project) = project::here()? else {
            return Ok(());
        };
        let own = project.component();
        let (mut names_some, mut names_own) = (false, false);
        for role in &scenario.plugins {
            if let Component::File(file) = &role.component {
                names_some = true;
                names_own |= file.ends_with(&own);
            }
        }
        if names_some && !names_own {
            return Ok(());
        }
        let component = project::component(&project)?;
        if !names_own {
            scenario.plugins.push(Role::of_file(absolute(&component)));
        }
        Ok(())
    }
}

/// A scenario with another number of nodes. What cannot be read as TOML stays as it is: reading it says why.
fn with_nodes(text: &str, nodes: u64) -> String {
    let document = text.parse::<toml_edit::DocumentMut>();
    let (Ok(mut document), Ok(nodes)) = (document, i64::try_from(nodes)) else {
        return text.to_owned();
    };
    document["nodes"] = toml_edit::value(nodes);
    document.to_string()
}
