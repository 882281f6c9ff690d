//! Which plugins there are, and on which terms.

use std::path::PathBuf;

use toml::Spanned;

use super::Reading;
use crate::handlers::{BUILT_IN, Capability, ENCLOSED, Limit, Limits};
use crate::sandbox::scenario::tables::PluginTable;
use crate::sandbox::scenario::{Component, Role, ScenarioError};

impl Reading<'_> {
    pub(super) fn role(&self, role: Spanned<PluginTable>) -> Result<Role, ScenarioError> {
        let component = match (&role.as_ref().built_in, &role.as_ref().file) {
            (Some(name), None) => {
                let known = BUILT_IN.iter().chain(&ENCLOSED);
                let known: Vec<_> = known
                    .map(|built_in| (built_in.name, built_in.name))
                    .collect();
                let name = self.source.word(name, "a built-in plugin", known)?;
                Component::BuiltIn(name.to_owned())
            }
            (None, Some(file)) => Component::File(self.folder.join(PathBuf::from(file.as_ref()))),
            _ => {
                let why = "a plugin is built in or from a file";
                let todo = "write either built-in = \"NAME\" or file = \"PATH\"";
                return Err(self.source.wrong(&role, why, todo));
            }
        };
        let table = role.into_inner();
        let mut limits = Vec::new();
        for (name, value) in table.limits {
            let limit: Limit = self.source.value(&name, "see `backchannel plugin list`")?;
            let set = Limits::default().set(limit, *value.as_ref());
            let todo = "choose a value in that range";
            set.map_err(|error| self.source.wrong(&value, error, todo))?;
            limits.push((limit, value.into_inner()));
        }
        let grants = table.grants.map(|grants| {
            let known = Capability::ALL.map(|capability| (capability.name(), capability));
            let grant = |name| self.source.word(name, "a grant", known);
            grants.iter().map(grant).collect()
        });
        Ok(Role {
            component,
            nodes: self.some_nodes(table.nodes)?,
            grants: grants.transpose()?,
            limits,
            inputs: self.inputs(table.inputs)?,
            enabled: table.enabled.unwrap_or(true),
        })
    }
}
