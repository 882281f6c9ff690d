use std::panic::resume_unwind;
use std::sync::Arc;
use std::thread;

use super::{Folder, NotLoaded, Refusal, Verified};
use crate::handlers::{BUILT_IN, BuiltIn, Plugin, PluginSet, Runtime, Terms};
use crate::inputs::Inputs;
use crate::packages::Digest;
use crate::policy::{Approval, Entry, KeyName, Policy};

/// Makes the plugins that a policy allows.
pub struct Loader {
    folder: Folder,
    runtime: Runtime,
}

/// What came of a policy.
#[derive(Default)]
pub struct Loaded {
    /// The plugins that it allows and that can be used.
    pub set: PluginSet,
    /// Those that it allows and that cannot.
    pub failed: Vec<NotLoaded>,
}

impl Loader {
    /// Loads from `folder`.
    pub fn new(folder: Folder, runtime: Runtime) -> Self {
        Self { folder, runtime }
    }

    /// Loads all that `policy` enables. Every file is read and verified again; a plugin of `running` that would be the same
    /// is used on, with all it has under way.
    ///
    /// Compiles, and so may take seconds: not for async threads.
    pub fn load(&self, policy: &Policy, running: &PluginSet) -> Loaded {
        let mut loaded = Loaded::default();
        // To compile one takes some 80 ms, once; so all at a time.
        let built_in = thread::scope(|scope| {
            let begin = |built_in| scope.spawn(move || self.built_in(policy, built_in, running));
            let loading = BUILT_IN.each_ref().map(begin);
            loading.map(|one| one.join().unwrap_or_else(|panic| resume_unwind(panic)))
        });
        for (built_in, (plugin, on)) in BUILT_IN.iter().zip(built_in) {
            match plugin {
                Ok(plugin) if on => loaded.add(plugin),
                Ok(plugin) => loaded.set.switch_off(plugin.manifest()),
                Err(why) => loaded.fail(built_in.name, why),
            }
        }
        for entry in policy.entries() {
            let Some(approval) = &entry.approved else {
                continue;
            };
            if entry.enabled {
                match self.installed(policy, entry, approval, running) {
                    Ok(plugin) => loaded.add(plugin),
                    Err(why) => loaded.fail(entry.name.as_str(), why),
                }
            } else if let Ok(verified) = self.verified(policy, entry, approval) {
                // Its file may be gone; then its messages are of an unknown kind.
                loaded.set.switch_off(&verified.manifest);
            }
        }
        loaded
    }

    /// A plugin that comes with the host, and whether the policy leaves it on.
    fn built_in(
        &self,
        policy: &Policy,
        built_in: &BuiltIn,
        running: &PluginSet,
    ) -> (Result<Arc<Plugin>, Refusal>, bool) {
        let entry = policy.entry(built_in.name);
        let mut terms = Terms::granting(built_in.grants);
        if let Some(entry) = entry {
            (terms.limits, terms.scope) = (entry.limits, entry.scope.clone());
            terms.inputs = self.inputs(entry);
        }
        let plugin = self.plugin(built_in.component, terms, running);
        (plugin, entry.is_none_or(|entry| entry.enabled))
    }

    /// The plugin of an entry, verified and loaded, whether it is enabled or not.
    pub fn installed(
        &self,
        policy: &Policy,
        entry: &Entry,
        approval: &Approval,
        running: &PluginSet,
    ) -> Result<Arc<Plugin>, Refusal> {
        let verified = self.verified(policy, entry, approval)?;
        let terms = Terms {
            grants: approval.grants.clone(),
            limits: entry.limits,
            scope: entry.scope.clone(),
            inputs: self.inputs(entry),
        };
        self.plugin(&verified.component, terms, running)
    }

    /// Files that are not said where to be are beside the policy. Whether they are there is seen when they are asked for: data may
    /// come and go while a node runs.
    fn inputs(&self, entry: &Entry) -> Inputs {
        let data = self.folder.data();
        let inputs = entry.inputs.iter();
        inputs
            .map(|(name, input)| (name.clone(), input.within(data)))
            .collect()
    }

    fn verified(
        &self,
        policy: &Policy,
        entry: &Entry,
        approval: &Approval,
    ) -> Result<Verified, Refusal> {
        let verified = Verified::verify(self.folder.read(approval.digest)?, &policy.trust)?;
        let signers = verified.vouched.by();
        let unsigned = |key: &&KeyName| !signers.iter().any(|by| by.signer == key.as_str());
        if let Some(key) = entry.signed_by.iter().find(unsigned) {
            return Err(Refusal::NotSignedBy(key.clone()));
        }
        if verified.manifest.name != entry.name.as_str() {
            return Err(Refusal::OtherName(verified.manifest.name));
        }
        Ok(verified)
    }

    fn plugin(
        &self,
        component: &[u8],
        terms: Terms,
        running: &PluginSet,
    ) -> Result<Arc<Plugin>, Refusal> {
        let digest = Digest::of(component);
        let same = |plugin: &&Arc<Plugin>| {
            plugin.digest() == digest.as_bytes() && *plugin.terms() == terms
        };
        if let Some(plugin) = running.all().into_values().find(same) {
            return Ok(plugin.clone());
        }
        let limited = terms.scope.experiments.is_some();
        let plugin = Plugin::load(&self.runtime, component, terms)?;
        if limited && plugin.manifest().initiates.is_empty() {
            return Err(Refusal::NoExperiments);
        }
        Ok(Arc::new(plugin))
    }
}

impl Loaded {
    fn add(&mut self, plugin: Arc<Plugin>) {
        let name = plugin.name().to_owned();
        if let Err(error) = self.set.add(plugin) {
            self.fail(&name, error.into());
        }
    }

    fn fail(&mut self, plugin: &str, why: Refusal) {
        self.failed.push(NotLoaded {
            plugin: plugin.to_owned(),
            why,
        });
    }
}
