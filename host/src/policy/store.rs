//! What the policy says of the key store (`[store]`): what its values are encrypted under.

use std::path::PathBuf;

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

impl Lines<'_> {
    pub(super) fn store(&self, table: StoreTable) -> Result<StoreLock, PolicyError> {
        let Some(key) = table.key else {
            return Ok(StoreLock::default());
        };
        let text = key.as_ref().as_str();
        let of = |kind: &str| text.strip_prefix(kind).filter(|rest| !rest.is_empty());
        if text == "off" {
            return Ok(StoreLock::Off);
        }
        let file = of("file:").map(|path| StoreLock::File(path.into()));
        let variable = || of("env:").map(|name| StoreLock::Variable(name.into()));
        let passphrase =
            || of("passphrase-file:").map(|path| StoreLock::PassphraseFile(path.into()));
        file.or_else(variable).or_else(passphrase).ok_or_else(|| {
            let why = format!("{text:?} does not say where the store's key is");
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
