//! Which plugins each node of a scenario has.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::scenario::{Component, Role, Scenario};
use crate::handlers::{
    BUILT_IN, BuiltIn, ENCLOSED, LoadError, Manifest, Plugin, PluginSet, Runtime, Terms,
};
use crate::message::NodeId;
use crate::packages::{Package, PackageError};

/// Plugins that were loaded: each component is compiled once for the same terms, however many nodes and scenarios have it.
pub struct Stock {
    runtime: Runtime,
    loaded: Vec<Loaded>,
}

struct Loaded {
    component: Vec<u8>,
    terms: Terms,
    plugin: Arc<Plugin>,
}

/// Why a scenario cannot be cast.
#[derive(Debug, thiserror::Error)]
pub enum CastError {
    /// Its file cannot be read.
    #[error("{}: {error}", .file.display())]
    NotRead {
        /// Which file.
        file: PathBuf,
        /// Why.
        error: PackageError,
    },
    /// It cannot be loaded.
    #[error("{plugin}: {error}")]
    NotLoaded {
        /// Its name or file.
        plugin: String,
        /// Why.
        error: LoadError,
    },
}

impl CastError {
    /// What can be done about it.
    pub fn advice(&self) -> String {
        match self {
            Self::NotRead { error, .. } => error.advice().into(),
            Self::NotLoaded { error, .. } => error.advice(),
        }
    }
}

impl Stock {
    /// With an engine, which must be [metered](Runtime::metered) for a seed to give the same run again.
    pub fn new(runtime: Runtime) -> Self {
        Self {
            runtime,
            loaded: Vec::new(),
        }
    }

    /// The plugins of each node of `scenario`, in its order.
    pub(super) fn cast(&mut self, scenario: &Scenario) -> Result<Vec<PluginSet>, CastError> {
        let mut guests = Vec::new();
        for role in &scenario.plugins {
            if let Component::File(file) = &role.component {
                guests.push((role, self.guest(role, file)?));
            }
        }
        let nodes = scenario.nodes.iter();
        nodes
            .map(|node| self.set(scenario, node, &guests))
            .collect()
    }

    fn set(
        &mut self,
        scenario: &Scenario,
        node: &NodeId,
        guests: &[(&Role, Arc<Plugin>)],
    ) -> Result<PluginSet, CastError> {
        let mut set = PluginSet::default();
        let here = guests.iter().filter(|(role, _)| role.is_at(node));
        let here: Vec<_> = here.collect();
        for (role, plugin) in &here {
            take_part(
                &mut set,
                role.enabled,
                &granted(scenario, role, node, plugin),
            )?;
        }
        let role_of = |built_in: &BuiltIn| {
            let of_it = |role: &&Role| role.is_at(node) && role.is_of(built_in);
            scenario.plugins.iter().find(of_it)
        };
        let named = ENCLOSED.iter().filter(|one| role_of(one).is_some());
        for built_in in BUILT_IN.iter().chain(named) {
            let role = role_of(built_in);
            let plugin = self.built_in(built_in, role)?;
            let replaced = here
                .iter()
                .any(|(_, guest)| share_kinds(guest.manifest(), plugin.manifest()));
            if !replaced {
                let plugin = match role {
                    Some(role) => granted(scenario, role, node, &plugin),
                    None => plugin,
                };
                take_part(&mut set, role.is_none_or(|role| role.enabled), &plugin)?;
            }
        }
        Ok(set)
    }

    fn guest(&mut self, role: &Role, file: &Path) -> Result<Arc<Plugin>, CastError> {
        let package = Package::read(file).map_err(|error| CastError::NotRead {
            file: file.to_owned(),
            error,
        })?;
        let name = file.display().to_string();
        let terms = Terms::as_asked(&package.component);
        let terms = terms.map_err(|error| not_loaded(&name, error))?;
        self.load(&name, &package.component, role.change(terms))
    }

    fn built_in(
        &mut self,
        built_in: &BuiltIn,
        role: Option<&Role>,
    ) -> Result<Arc<Plugin>, CastError> {
        let terms = Terms::granting(built_in.grants);
        let terms = role.map_or(terms.clone(), |role| role.change(terms));
        self.load(built_in.name, built_in.component, terms)
    }

    fn load(
        &mut self,
        name: &str,
        component: &[u8],
        terms: Terms,
    ) -> Result<Arc<Plugin>, CastError> {
        let same = |one: &&Loaded| one.component == component && one.terms == terms;
        if let Some(known) = self.loaded.iter().find(same) {
            return Ok(known.plugin.clone());
        }
        let plugin = Plugin::load(&self.runtime, component, terms.clone());
        let plugin = Arc::new(plugin.map_err(|error| not_loaded(name, error))?);
        self.loaded.push(Loaded {
            component: component.to_vec(),
            terms,
            plugin: plugin.clone(),
        });
        Ok(plugin)
    }
}

impl Role {
    fn is_of(&self, built_in: &BuiltIn) -> bool {
        matches!(&self.component, Component::BuiltIn(name) if name == built_in.name)
    }

    fn change(&self, mut terms: Terms) -> Terms {
        if let Some(grants) = &self.grants {
            terms.grants.clone_from(grants);
        }
        for (limit, value) in &self.limits {
            // Each was in its range when the scenario was read.
            let _ = terms.limits.set(*limit, *value);
        }
        terms
    }
}

/// The plugin with the data that the node grants it.
fn granted(scenario: &Scenario, role: &Role, node: &NodeId, plugin: &Arc<Plugin>) -> Arc<Plugin> {
    let inputs = scenario.inputs_at(role, node);
    if inputs.is_empty() {
        return plugin.clone();
    }
    Arc::new(plugin.with_inputs(inputs))
}

fn take_part(set: &mut PluginSet, enabled: bool, plugin: &Arc<Plugin>) -> Result<(), CastError> {
    if enabled {
        let added = set.add(plugin.clone());
        return added.map_err(|error| not_loaded(plugin.name(), error));
    }
    set.switch_off(plugin.manifest());
    Ok(())
}

fn share_kinds(one: &Manifest, other: &Manifest) -> bool {
    let kinds = |of: &Manifest| -> Vec<String> {
        let kinds = of.kinds.iter().chain(&of.initiates);
        kinds.chain(&of.protocols).cloned().collect()
    };
    let others = kinds(other);
    one.name == other.name || kinds(one).iter().any(|kind| others.contains(kind))
}

fn not_loaded(plugin: &str, error: LoadError) -> CastError {
    CastError::NotLoaded {
        plugin: plugin.to_owned(),
        error,
    }
}
