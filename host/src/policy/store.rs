//! What the policy says of the key store (`[store]`): what its values are encrypted under.

use std::path::PathBuf;
use std::str::FromStr;

use serde::Deserialize;
use toml::Spanned;

use super::PolicyError;
use super::parse::Lines;

/// Where the key is that the store's own key lies under.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum StoreLock {
    /// In a file in the data directory, which is made: it protects what leaves the directory without it, such as backups.
    #[default]
    BesideIt,
    /// Nowhere: the store is in the clear.
    Off,
    /// In this file: 64 hex digits.
    File(PathBuf),
    /// In this variable of the environment: 64 hex digits.
    Variable(String),
    /// A passphrase, the first line of this file.
    PassphraseFile(PathBuf),
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StoreTable {
    key: Option<Spanned<String>>,
}

/// A text that does not say where a key is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "this does not say where the store's key is: \"file:PATH\", \"env:NAME\", \"passphrase-file:PATH\", or \"off\""
)]
pub struct NotALock;

impl FromStr for StoreLock {
    type Err = NotALock;

    fn from_str(text: &str) -> Result<Self, NotALock> {
        if text == "off" {
            return Ok(Self::Off);
        }
        match text.split_once(':') {
            Some((_, "")) | None => Err(NotALock),
            Some(("file", path)) => Ok(Self::File(path.into())),
            Some(("env", name)) => Ok(Self::Variable(name.into())),
            Some(("passphrase-file", path)) => Ok(Self::PassphraseFile(path.into())),
            Some(_) => Err(NotALock),
        }
    }
}

impl Lines<'_> {
    pub(super) fn store(&self, table: StoreTable) -> Result<StoreLock, PolicyError> {
        let Some(key) = table.key else {
            return Ok(StoreLock::default());
        };
        let lock = key.as_ref().parse();
        lock.map_err(|_: NotALock| {
            let why = format!("{:?} does not say where the store's key is", key.as_ref());
            let todo = "write \"file:PATH\", \"env:NAME\", \"passphrase-file:PATH\", or \"off\"";
            self.wrong(&key.span(), why, todo)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::Policy;
    use super::*;

    fn lock(key: &str) -> Result<StoreLock, PolicyError> {
        let policy = Policy::parse(&format!("version = 1\n[store]\nkey = \"{key}\"\n"));
        policy.map(|policy| policy.store)
    }

    #[test]
    fn what_says_nothing_of_a_key_is_refused_with_its_line() {
        for bad in [
            "",
            "on",
            "OFF",
            "file:",
            "env:",
            "passphrase-file:",
            "/etc/key",
        ] {
            match lock(bad) {
                Err(PolicyError::Line { line: 3, .. }) => {}
                other => panic!("{bad}: {other:?}"),
            }
        }
    }

    #[test]
    fn a_store_is_in_the_clear_only_if_that_is_said() {
        let nothing = Policy::parse("version = 1\n").expect("a policy");
        assert_eq!(nothing.store, StoreLock::BesideIt);
        for (text, expected) in [
            ("off", StoreLock::Off),
            ("file:/run/key", StoreLock::File("/run/key".into())),
            ("env:KEY", StoreLock::Variable("KEY".into())),
            ("passphrase-file:p", StoreLock::PassphraseFile("p".into())),
        ] {
            assert_eq!(lock(text).expect("a lock"), expected);
        }
    }
}
