use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Capability, CompiledCode, LoadError, Plugin, Runtime};

/// The plugins of a node, found by the kinds they treat and the requests they begin exchanges for.
#[derive(Default)]
pub struct Plugins {
    by_kind: BTreeMap<String, Arc<Plugin>>,
    by_request: BTreeMap<String, Arc<Plugin>>,
}

/// What each built-in plugin is granted: what it needs, and no more.
const BUILT_IN: [(&str, &[u8], &[Capability]); 3] = [
    (
        "channel-setup",
        backchannel_artifacts::CHANNEL_SETUP,
        &[Capability::Log, Capability::ChannelKeys],
    ),
    (
        "key-request",
        backchannel_artifacts::KEY_REQUEST,
        &[Capability::Log, Capability::Material, Capability::Agreement],
    ),
    (
        "additive-sharing",
        backchannel_artifacts::ADDITIVE_SHARING,
        &[Capability::Log, Capability::Material, Capability::Sharing],
    ),
];

impl Plugins {
    /// Loads the three plugins of the reference's protocols, from the cache of compiled code where it has them.
    pub fn built_in(runtime: &Runtime, cache: Option<&CompiledCode>) -> Result<Self, LoadError> {
        let mut plugins = Self::default();
        for (_, component, grants) in BUILT_IN {
            plugins.add(Plugin::load(runtime, component, grants, cache)?)?;
        }
        Ok(plugins)
    }

    /// What a built-in plugin of this name is granted.
    pub fn built_in_grants(name: &str) -> Option<&'static [Capability]> {
        BUILT_IN
            .iter()
            .find(|(built_in, ..)| *built_in == name)
            .map(|(.., grants)| *grants)
    }

    /// Adds a plugin, unless another treats one of its kinds.
    pub fn add(&mut self, plugin: Plugin) -> Result<(), LoadError> {
        let plugin = Arc::new(plugin);
        let manifest = plugin.manifest();
        let taken = manifest
            .kinds
            .iter()
            .find_map(|kind| Some((kind, self.by_kind.get(kind)?)))
            .or_else(|| {
                manifest
                    .initiates
                    .iter()
                    .find_map(|kind| Some((kind, self.by_request.get(kind)?)))
            });
        if let Some((kind, first)) = taken {
            return Err(LoadError::TwoForOneKind {
                kind: kind.clone(),
                first: first.name().to_owned(),
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
