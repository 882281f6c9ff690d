//! The plugins of a node, and the set of them that is in force.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use super::{Capability, CompiledCode, LoadError, Plugin, Runtime, Terms};

/// The plugins that a node uses now. Clones are the same handle.
///
/// The set can be replaced while the node runs. A message in work has its plugin in hand and finishes on it; so does a
/// run. What a plugin published and asked is kept under its name, so that another version goes on with it.
#[derive(Clone, Default)]
pub struct Plugins(Arc<RwLock<Arc<PluginSet>>>);

impl Plugins {
    /// A handle onto `set`.
    pub fn new(set: PluginSet) -> Self {
        Self(Arc::new(RwLock::new(Arc::new(set))))
    }

    /// The set in force.
    pub fn current(&self) -> Arc<PluginSet> {
        self.0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Puts `set` in force for every message and run from now on; hands back the one before.
    pub fn replace(&self, set: PluginSet) -> Arc<PluginSet> {
        let mut current = self.0.write().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut current, Arc::new(set))
    }

    /// The plugin that treats messages of this kind now.
    pub fn for_kind(&self, kind: &str) -> Option<Arc<Plugin>> {
        self.current().for_kind(kind).cloned()
    }

    /// The plugin that begins the exchange which this researcher's request asks for now.
    pub fn for_request(&self, kind: &str) -> Option<Arc<Plugin>> {
        self.current().for_request(kind).cloned()
    }
}

/// Plugins that go together: for each kind and request at most one.
#[derive(Clone, Default)]
pub struct PluginSet {
    by_kind: BTreeMap<String, Arc<Plugin>>,
    by_request: BTreeMap<String, Arc<Plugin>>,
}

/// A plugin that comes with the host.
pub struct BuiltIn {
    /// Its name.
    pub name: &'static str,
    /// The component.
    pub component: &'static [u8],
    /// What it is granted: what it needs, and no more.
    pub grants: &'static [Capability],
}

/// The plugins of the reference's protocols.
pub const BUILT_IN: [BuiltIn; 3] = [
    BuiltIn {
        name: "channel-setup",
        component: backchannel_artifacts::CHANNEL_SETUP,
        grants: &[Capability::Log, Capability::ChannelKeys],
    },
    BuiltIn {
        name: "key-request",
        component: backchannel_artifacts::KEY_REQUEST,
        grants: &[Capability::Log, Capability::Material, Capability::Agreement],
    },
    BuiltIn {
        name: "additive-sharing",
        component: backchannel_artifacts::ADDITIVE_SHARING,
        grants: &[Capability::Log, Capability::Material, Capability::Sharing],
    },
];

impl PluginSet {
    /// Loads the built-in plugins on their own terms, from the cache of compiled code where it has them.
    pub fn built_in(runtime: &Runtime, cache: Option<&CompiledCode>) -> Result<Self, LoadError> {
        let mut plugins = Self::default();
        for built_in in &BUILT_IN {
            let terms = Terms::granting(built_in.grants);
            plugins.add(Arc::new(Plugin::load(
                runtime,
                built_in.component,
                terms,
                cache,
            )?))?;
        }
        Ok(plugins)
    }

    /// Adds a plugin, unless another has its name or treats one of its kinds.
    pub fn add(&mut self, plugin: Arc<Plugin>) -> Result<(), LoadError> {
        if self.get(plugin.name()).is_some() {
            return Err(LoadError::TwoOfOneName(plugin.name().to_owned()));
        }
        let manifest = plugin.manifest();
        let taken = |kinds: &[String], by: &BTreeMap<String, Arc<Plugin>>| {
            kinds
                .iter()
                .find_map(|kind| Some((kind.clone(), by.get(kind)?.name().to_owned())))
        };
        let taken = taken(&manifest.kinds, &self.by_kind)
            .or_else(|| taken(&manifest.initiates, &self.by_request));
        if let Some((kind, first)) = taken {
            return Err(LoadError::TwoForOneKind {
                kind,
                first,
                second: plugin.name().to_owned(),
            });
        }
        for kind in &manifest.kinds {
            self.by_kind.insert(kind.clone(), plugin.clone());
        }
        for kind in &manifest.initiates {
            self.by_request.insert(kind.clone(), plugin.clone());
        }
        Ok(())
    }

    /// The plugin of this name.
    pub fn get(&self, name: &str) -> Option<&Arc<Plugin>> {
        self.by_kind.values().find(|plugin| plugin.name() == name)
    }

    /// The plugin that treats messages of this kind.
    pub fn for_kind(&self, kind: &str) -> Option<&Arc<Plugin>> {
        self.by_kind.get(kind)
    }

    /// The plugin that begins the exchange which this researcher's request asks for.
    pub fn for_request(&self, kind: &str) -> Option<&Arc<Plugin>> {
        self.by_request.get(kind)
    }

    /// All plugins, by name.
    pub fn all(&self) -> BTreeMap<&str, &Arc<Plugin>> {
        self.by_kind
            .values()
            .map(|plugin| (plugin.name(), plugin))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set() -> PluginSet {
        PluginSet::built_in(&Runtime::new().expect("an engine"), None).expect("loaded")
    }

    #[test]
    fn a_replaced_set_is_in_force_at_once_and_the_old_plugin_stays_usable() {
        let plugins = Plugins::new(set());
        let in_work = plugins.for_kind("KeyRequest").expect("treated");

        plugins.replace(PluginSet::default());

        assert!(plugins.for_kind("KeyRequest").is_none());
        assert_eq!(in_work.name(), "key-request");
    }

    #[test]
    fn refuses_a_second_plugin_of_one_name_or_kind() {
        let mut plugins = set();
        let again = plugins.get("key-request").expect("there").clone();

        assert!(matches!(
            plugins.add(again),
            Err(LoadError::TwoOfOneName(_))
        ));
    }
}
