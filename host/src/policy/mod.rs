//! What an operator allows: `policy.toml` in the data directory, to be read, reviewed and versioned by people.
//!
//! [`Policy`] is what it says, checked once when it is read. [`Draft`] changes it as an editor would, with comments and
//! order kept. Every setting knows the line that decides it: [`Policy::place`].
//!
//! Without the file, the built-in plugins run with what they need, and nothing else does.

mod channels;
mod draft;
mod entry;
mod error;
mod inputs;
mod name;
mod parse;
mod place;
mod store;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use crate::handlers::BUILT_IN;
use crate::packages::{Digest, Trust};
pub use channels::ChannelRules;
#[cfg(test)]
pub use channels::Chosen;
pub use draft::Draft;
pub use entry::{Approval, Entry};
pub use error::PolicyError;
pub use name::{KeyName, PluginName};
pub use place::{Place, Setting};
pub use store::StoreLock;

/// Its name in the data directory.
pub const FILE: &str = "policy.toml";

/// What an operator allows: which plugin what, and whom to believe.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// Whose signatures on plugins count.
    pub trust: Trust,
    /// Whose signatures on rosters count.
    pub consortium: Trust,
    /// Who may be talked to in which suite.
    pub channels: ChannelRules,
    /// What the key store is encrypted under.
    pub store: StoreLock,
    entries: BTreeMap<PluginName, Entry>,
}

impl Policy {
    /// What `policy.toml` in the data directory says. None there says nothing.
    pub fn read(data: &Path) -> Result<Self, PolicyError> {
        Self::parse(&read_text(&path(data))?)
    }

    /// What the text of a `policy.toml` says.
    pub fn parse(text: &str) -> Result<Self, PolicyError> {
        parse::policy(text)
    }

    /// What it says of the plugin.
    pub fn entry(&self, plugin: &str) -> Option<&Entry> {
        self.entries.get(plugin)
    }

    /// All entries, by name.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.entries.values()
    }

    /// Whether this file is approved, was, or is to come.
    pub fn knows(&self, digest: Digest) -> bool {
        self.entries().any(|entry| {
            let mut approvals = entry
                .approved
                .iter()
                .chain(&entry.next)
                .chain(&entry.previous);
            approvals.any(|approval| approval.digest == digest)
        })
    }

    /// Whether the plugin of that name may run at all: built in and not disabled, or approved and enabled.
    pub fn allows(&self, plugin: &str) -> bool {
        match self.entry(plugin) {
            Some(entry) => entry.enabled,
            None => BUILT_IN.iter().any(|built_in| built_in.name == plugin),
        }
    }

    /// Where it stands what `setting` is for the plugin.
    pub fn place(&self, plugin: &PluginName, setting: Setting) -> Place {
        self.entry(plugin.as_str())
            .and_then(|entry| entry.lines.get(&setting))
            .map_or_else(
                || Place::Default {
                    plugin: plugin.clone(),
                    setting,
                },
                |line| Place::Line(*line),
            )
    }
}

fn path(data: &Path) -> PathBuf {
    data.join(FILE)
}

/// The text of the file, empty when it is not there.
fn read_text(path: &Path) -> Result<String, PolicyError> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(text),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        Err(source) => Err(PolicyError::Io {
            path: path.to_owned(),
            source,
        }),
    }
}
