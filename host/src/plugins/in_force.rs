use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use super::{Loader, NotGiven, NotLoaded, ReloadError};
use crate::handlers::{PluginSet, Plugins};
use crate::packages::Digest;
use crate::policy::{PluginName, Policy, PolicyError, Setting};

/// The policy and the plugins that a node uses now.
pub struct InForce {
    data: PathBuf,
    loader: Loader,
    plugins: Plugins,
    policy: RwLock<Arc<Policy>>,
    reloading: Mutex<()>,
}

/// What is treated otherwise than before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Which plugin.
    pub plugin: String,
    /// What.
    pub what: What,
}

/// See [`Change`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// It treats messages from now on.
    Started(Digest),
    /// Another file treats messages from now on; those in work finish on the one they began with.
    Replaced {
        /// The file so far.
        from: Digest,
        /// The file from now on.
        to: Digest,
    },
    /// The same file goes on with other grants, inputs, limits or scope.
    Terms,
    /// It treats nothing any more. What it had in work ended before it could do anything.
    Stopped,
}

/// A reload was refused.
#[derive(Debug)]
pub struct Kept {
    /// Why.
    pub why: ReloadError,
    /// What the refused policy took back was taken back all the same.
    pub taken_back: Vec<Change>,
}

impl InForce {
    /// Puts the policy of a data directory in force. A plugin that cannot be loaded is left out and handed back: the rest
    /// of the node does not suffer for it.
    pub fn start(data: &Path, loader: Loader) -> Result<(Self, Vec<NotLoaded>), PolicyError> {
        let policy = Policy::read(data)?;
        let loaded = loader.load(&policy, &PluginSet::default());
        let in_force = Self {
            data: data.to_owned(),
            loader,
            plugins: Plugins::new(loaded.set),
            policy: RwLock::new(Arc::new(policy)),
            reloading: Mutex::new(()),
        };
        Ok((in_force, loaded.failed))
    }

    /// The plugins, for whoever treats messages with them.
    pub fn plugins(&self) -> &Plugins {
        &self.plugins
    }

    /// The policy.
    pub fn policy(&self) -> Arc<Policy> {
        let policy = self.policy.read();
        policy.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Where it stands what a setting of a plugin is, by the setting's key; `None` for a name or key that there is not.
    pub fn place(&self, plugin: &str, setting: &str) -> Option<String> {
        let plugin: PluginName = plugin.parse().ok()?;
        let setting = Setting::of_key(setting)?;
        Some(self.policy().place(&plugin, setting).to_string())
    }

    /// The inputs that plugins could not be given now. Blocks: reads them all.
    pub fn inputs_not_given(&self) -> Vec<NotGiven> {
        NotGiven::all(&self.policy(), &self.data)
    }

    /// Reads the policy again and puts it in force: all of it, or nothing that gives. A plugin that it disables or does
    /// not name any more is stopped even where the rest is refused, unless the file cannot be read at all.
    ///
    /// Blocks: reads files and compiles.
    pub fn reload(&self) -> Result<Vec<Change>, Kept> {
        let one_at_a_time = self.reloading.lock();
        let _one_at_a_time = one_at_a_time.unwrap_or_else(PoisonError::into_inner);
        let policy = Policy::read(&self.data).map_err(|error| Kept {
            why: error.into(),
            taken_back: Vec::new(),
        })?;
        let running = self.plugins.current();
        let loaded = self.loader.load(&policy, &running);
        if loaded.failed.is_empty() {
            let mut current = self.policy.write().unwrap_or_else(PoisonError::into_inner);
            *current = Arc::new(policy);
            return Ok(self.put_in_force(loaded.set));
        }
        let kept = running.only(|plugin| policy.allows(plugin));
        Err(Kept {
            why: ReloadError::Plugins(loaded.failed),
            taken_back: self.put_in_force(kept),
        })
    }

    /// Swaps the set; then ends what is in work on plugins that are gone from it. What is in work on another file of a
    /// plugin's name goes on.
    fn put_in_force(&self, set: PluginSet) -> Vec<Change> {
        let before = self.plugins.replace(set);
        let after = self.plugins.current();
        let (old, new) = (before.all(), after.all());
        let mut changes = Vec::new();
        let mut change = |plugin: &str, what| {
            let plugin = plugin.to_owned();
            changes.push(Change { plugin, what });
        };
        for (name, plugin) in &new {
            let to = Digest::from(*plugin.digest());
            match old.get(name) {
                None => change(name, What::Started(to)),
                Some(old) if Arc::ptr_eq(old, plugin) => {}
                Some(old) if old.digest() == plugin.digest() => change(name, What::Terms),
                Some(old) => {
                    let from = Digest::from(*old.digest());
                    change(name, What::Replaced { from, to });
                }
            }
        }
        for (name, plugin) in old {
            if !new.contains_key(name) {
                plugin.take_back();
                change(name, What::Stopped);
            }
        }
        changes
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plugin = &self.plugin;
        match &self.what {
            What::Started(digest) => write!(f, "{plugin} treats its messages now, as {digest}"),
            What::Replaced { from, to } => write!(f, "{plugin} is {to} now, no longer {from}"),
            What::Terms => write!(
                f,
                "{plugin} goes on with other grants, inputs, limits or scope"
            ),
            What::Stopped => write!(f, "{plugin} treats nothing any more"),
        }
    }
}
