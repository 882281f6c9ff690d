//! The plugins of a node, and the set of them that is in force.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::SystemTime;

use super::quarantine::Wards;
use super::{
    CallError, Capability, InWork, LoadError, Manifest, Plugin, Quarantine, Runtime, Terms,
};
use crate::key_store::{KeyStore, StoreError};

/// The plugins that a node uses now. Clones are the same handle.
///
/// The set can be replaced while the node runs. A message in work has its plugin in hand and finishes on it, unless that
/// is [taken back](Plugin::take_back); so does a run. What a plugin published and asked is kept under its name, so that
/// another version goes on with it.
#[derive(Clone, Default)]
pub struct Plugins {
    set: Arc<RwLock<Arc<PluginSet>>>,
    wards: Wards,
}

impl Plugins {
    /// A handle onto `set`. Quarantines end with the process, unless they are [kept](Self::keep_quarantines).
    pub fn new(set: PluginSet) -> Self {
        Self {
            set: Arc::new(RwLock::new(Arc::new(set))),
            wards: Wards::default(),
        }
    }

    /// Goes on with the quarantines that are in `store`, and keeps them there from now on.
    pub fn keep_quarantines(&self, store: Arc<KeyStore>) -> Result<(), StoreError> {
        self.wards.keep_in(store)
    }

    /// Begins a message or run of `plugin`, if that is in service and has fewer than `in-flight` of them. To be held until
    /// its effects are carried out.
    pub fn enter(&self, plugin: &Plugin) -> Result<InWork, CallError> {
        self.wards.enter(plugin)
    }

    /// Goes on with a message of `plugin` that waited outside: it was let in once, so it waits for its turn.
    pub async fn enter_again(&self, plugin: &Plugin) -> Result<InWork, CallError> {
        self.wards.enter_when_free(plugin).await
    }

    /// Tells of a call that went wrong with the node `with`, or in the run of that name. A plugin that the host had to stop
    /// for the fifth time within a minute is out of service from `now` on: that is handed back once, when it begins.
    ///
    /// Not to be told of messages that anybody can forge. Waits for the disk when a quarantine begins.
    pub fn failed(
        &self,
        plugin: &Plugin,
        with: &str,
        error: &CallError,
        now: SystemTime,
    ) -> Option<Quarantine> {
        self.wards.failed(plugin, with, error, now)
    }

    /// The plugins out of service, by name.
    pub fn quarantined(&self) -> BTreeMap<String, Quarantine> {
        self.wards.all()
    }

    /// Puts a plugin back into service; `false` when it is not out of it. Waits for the disk.
    pub fn release(&self, name: &str) -> bool {
        self.wards.release(name)
    }

    /// The set in force.
    pub fn current(&self) -> Arc<PluginSet> {
        self.set
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Puts `set` in force for every message and run from now on; hands back the one before.
    pub fn replace(&self, set: PluginSet) -> Arc<PluginSet> {
        let mut current = self.set.write().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut current, Arc::new(set))
    }

    /// The plugin that treats messages of this kind now.
    pub fn for_kind(&self, kind: &str) -> Option<Arc<Plugin>> {
        self.current().for_kind(kind).cloned()
    }

    /// The plugin that would treat messages or requests of this kind or run this protocol, and is switched off now.
    pub fn off(&self, kind: &str) -> Option<String> {
        self.current().off(kind).map(str::to_owned)
    }

    /// The plugin that runs this protocol now.
    pub fn for_protocol(&self, protocol: &str) -> Option<Arc<Plugin>> {
        self.current().for_protocol(protocol).cloned()
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
    by_protocol: BTreeMap<String, Arc<Plugin>>,
    /// Kinds, requests and protocols of plugins that are switched off, with the plugins' names.
    off: BTreeMap<String, String>,
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

/// Plugins that come with the host and are installed and approved as any other: protocols of several parties, with all that each declares.
pub const ENCLOSED: [BuiltIn; 3] = [
    BuiltIn {
        name: "common-randomness",
        component: backchannel_artifacts::COMMON_RANDOMNESS,
        grants: &[Capability::Random],
    },
    BuiltIn {
        name: "secure-aggregation",
        component: backchannel_artifacts::SECURE_AGGREGATION,
        grants: &[Capability::Inputs, Capability::Random],
    },
    BuiltIn {
        name: "patient-overlap",
        component: backchannel_artifacts::PATIENT_OVERLAP,
        grants: &[Capability::Blinding],
    },
];

impl PluginSet {
    /// Loads the built-in plugins on their own terms.
    pub fn built_in(runtime: &Runtime) -> Result<Self, LoadError> {
        let mut plugins = Self::default();
        for built_in in &BUILT_IN {
            let terms = Terms::granting(built_in.grants);
            plugins.add(Arc::new(Plugin::load(runtime, built_in.component, terms)?))?;
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
            .or_else(|| taken(&manifest.initiates, &self.by_request))
            .or_else(|| taken(&manifest.protocols, &self.by_protocol));
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
        for protocol in &manifest.protocols {
            self.by_protocol.insert(protocol.clone(), plugin.clone());
        }
        Ok(())
    }

    /// Remembers the kinds and protocols of a plugin that is switched off, so that whoever asks for one hears that.
    pub fn switch_off(&mut self, manifest: &Manifest) {
        let all = manifest.kinds.iter().chain(&manifest.initiates);
        for kind in all.chain(&manifest.protocols) {
            self.off.insert(kind.clone(), manifest.name.clone());
        }
    }

    /// The plugin that would treat messages or requests of this kind or run this protocol, and is switched off.
    pub fn off(&self, kind: &str) -> Option<&str> {
        self.off.get(kind).map(String::as_str)
    }

    /// The same set with those switched off that `may_run` does not name.
    pub fn only(&self, may_run: impl Fn(&str) -> bool) -> Self {
        let mut only = self.clone();
        for (name, plugin) in self.all() {
            if !may_run(name) {
                only.by_kind.retain(|_, other| other.name() != name);
                only.by_request.retain(|_, other| other.name() != name);
                only.by_protocol.retain(|_, other| other.name() != name);
                only.switch_off(plugin.manifest());
            }
        }
        only
    }

    /// The same plugins at another node of this process; see [`Plugin::at_another_node`].
    pub fn at_another_node(&self) -> Self {
        let plugins: BTreeMap<_, _> = self
            .all()
            .into_iter()
            .map(|(name, plugin)| (name, Arc::new(plugin.at_another_node())))
            .collect();
        let there = |by: &BTreeMap<String, Arc<Plugin>>| {
            by.iter()
                .filter_map(|(kind, plugin)| {
                    Some((kind.clone(), plugins.get(plugin.name())?.clone()))
                })
                .collect()
        };
        Self {
            by_kind: there(&self.by_kind),
            by_request: there(&self.by_request),
            by_protocol: there(&self.by_protocol),
            off: self.off.clone(),
        }
    }

    /// The plugin of this name.
    pub fn get(&self, name: &str) -> Option<&Arc<Plugin>> {
        self.all_by_any().find(|plugin| plugin.name() == name)
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
        self.all_by_any()
            .map(|plugin| (plugin.name(), plugin))
            .collect()
    }

    /// The plugin that runs this protocol.
    pub fn for_protocol(&self, protocol: &str) -> Option<&Arc<Plugin>> {
        self.by_protocol.get(protocol)
    }

    /// Each as often as it treats or runs something. What only begins exchanges treats their answers too.
    fn all_by_any(&self) -> impl Iterator<Item = &Arc<Plugin>> {
        self.by_kind.values().chain(self.by_protocol.values())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set() -> PluginSet {
        PluginSet::built_in(&Runtime::new().expect("an engine")).expect("loaded")
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
