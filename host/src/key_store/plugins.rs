//! What a plugin leaves in the store: its own entries, and why it is out of service.
//!
//! Entries are kept by the plugin's name, so that another version of it finds them; no plugin sees another's.

use redb::{ReadableTable, TableDefinition, TableHandle, WriteTransaction};
use zeroize::Zeroizing;

use super::records::{self, QuarantineRecord};
use super::sealing::{Place, Sealing};
use super::{KeyStore, StoreError};

pub(super) const QUARANTINES: TableDefinition<&str, &[u8]> = TableDefinition::new("quarantines");
/// By plugin and key.
pub(super) const ENTRIES: TableDefinition<(&str, &str), &[u8]> =
    TableDefinition::new("plugin_entries");
/// Bytes and keys that each plugin has, so that its quota is checked without reading all it has.
pub(super) const TOTALS: TableDefinition<&str, (u64, u64)> = TableDefinition::new("plugin_totals");

/// What a plugin may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// Keys and values together.
    pub bytes: u64,
    /// Keys.
    pub keys: u64,
}

/// A plugin's changes of its entries.
#[derive(Clone, Debug)]
pub struct PluginChanges {
    /// The plugin's name.
    pub plugin: String,
    /// In order; without a value, the entry is removed.
    pub changes: Vec<(String, Option<Zeroizing<Vec<u8>>>)>,
    /// What it may have when all of them are made.
    pub quota: Quota,
}

/// A store made by an earlier version has no such tables.
pub(super) fn make_tables(transaction: &WriteTransaction) -> Result<(), StoreError> {
    transaction.open_table(QUARANTINES)?;
    transaction.open_table(ENTRIES)?;
    transaction.open_table(TOTALS)?;
    Ok(())
}

/// Makes the changes, or fails with [`StoreError::Quota`]; then the transaction is not to be committed.
pub(super) fn change(
    transaction: &WriteTransaction,
    changes: &PluginChanges,
    sealing: &Sealing,
) -> Result<(), StoreError> {
    let plugin = changes.plugin.as_str();
    let mut entries = transaction.open_table(ENTRIES)?;
    let mut totals = transaction.open_table(TOTALS)?;
    let before = totals.get(plugin)?.map_or((0, 0), |found| found.value());
    let (mut bytes, mut keys) = before;
    for (key, value) in &changes.changes {
        let size = |value: &[u8]| (key.len() + value.len()) as u64;
        let replaced = match value {
            Some(value) => {
                bytes += size(value);
                keys += 1;
                let sealed = sealing.seal(Place(ENTRIES.name(), &[plugin, key]), value)?;
                entries.insert((plugin, key.as_str()), sealed.as_slice())?
            }
            None => entries.remove((plugin, key.as_str()))?,
        };
        if let Some(replaced) = replaced {
            let replaced = sealing.content_len(replaced.value().len());
            bytes = bytes.saturating_sub((key.len() + replaced) as u64);
            keys = keys.saturating_sub(1);
        }
    }
    let quota = changes.quota;
    // Whoever has more than its quota, since that was lowered, may still shrink.
    let over = |now, before, quota| now > quota && now > before;
    if over(bytes, before.0, quota.bytes) || over(keys, before.1, quota.keys) {
        let wanted = Quota { bytes, keys };
        return Err(StoreError::Quota { wanted, quota });
    }
    totals.insert(plugin, (bytes, keys))?;
    Ok(())
}

impl KeyStore {
    /// An entry of a plugin.
    pub fn plugin_entry(
        &self,
        plugin: &str,
        key: &str,
    ) -> Result<Option<Zeroizing<Vec<u8>>>, StoreError> {
        let table = self.database.begin_read()?.open_table(ENTRIES)?;
        let found = table.get((plugin, key))?;
        let place = Place(ENTRIES.name(), &[plugin, key]);
        found
            .map(|value| self.sealing.open(place, value.value()))
            .transpose()
    }

    /// The keys of a plugin's entries that begin with `prefix`, sorted.
    pub fn plugin_keys(&self, plugin: &str, prefix: &str) -> Result<Vec<String>, StoreError> {
        let table = self.database.begin_read()?.open_table(ENTRIES)?;
        let mut keys = Vec::new();
        for entry in table.range((plugin, prefix)..)? {
            let (found, _) = entry?;
            let (owner, key) = found.value();
            if owner != plugin || !key.starts_with(prefix) {
                break;
            }
            keys.push(key.to_owned());
        }
        Ok(keys)
    }

    /// Makes a plugin's changes: all, or none if they do not fit its quota. On disk before this returns.
    pub fn change_plugin_entries(&self, changes: &PluginChanges) -> Result<(), StoreError> {
        let transaction = self.database.begin_write()?;
        change(&transaction, changes, &self.sealing)?;
        transaction.commit()?;
        Ok(())
    }

    /// What a plugin has stored: bytes and keys.
    pub fn plugin_total(&self, plugin: &str) -> Result<Quota, StoreError> {
        let table = self.database.begin_read()?.open_table(TOTALS)?;
        let (bytes, keys) = table.get(plugin)?.map_or((0, 0), |found| found.value());
        Ok(Quota { bytes, keys })
    }

    /// Forgets all that a plugin has stored: for one that is removed for good.
    pub fn forget_plugin(&self, plugin: &str) -> Result<(), StoreError> {
        let keys = self.plugin_keys(plugin, "")?;
        let transaction = self.database.begin_write()?;
        {
            let mut entries = transaction.open_table(ENTRIES)?;
            for key in keys {
                entries.remove((plugin, key.as_str()))?;
            }
            transaction.open_table(TOTALS)?.remove(plugin)?;
            transaction.open_table(QUARANTINES)?.remove(plugin)?;
        }
        transaction.commit()?;
        Ok(())
    }

    /// The plugins out of service, by name.
    pub fn quarantines(&self) -> Result<Vec<(String, QuarantineRecord)>, StoreError> {
        let decode = |(plugin, bytes): super::tables::Entry| {
            let record = records::decode(&bytes, || format!("quarantine of {plugin}"))?;
            Ok((plugin, record))
        };
        self.scan(QUARANTINES)?.into_iter().map(decode).collect()
    }

    /// Keeps that a plugin is out of service, or, with `None`, that it no longer is.
    pub fn put_quarantine(
        &self,
        plugin: &str,
        record: Option<&QuarantineRecord>,
    ) -> Result<(), StoreError> {
        let transaction = self.database.begin_write()?;
        {
            let mut table = transaction.open_table(QUARANTINES)?;
            match record {
                Some(record) => {
                    let place = Place(QUARANTINES.name(), &[plugin]);
                    let sealed = self.sealing.seal(place, &records::encode(record)?)?;
                    table.insert(plugin, sealed.as_slice())?
                }
                None => table.remove(plugin)?,
            };
        }
        transaction.commit()?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::NodeId;
    use crate::randomness::Randomness;

    fn store() -> KeyStore {
        let node = NodeId::try_from("a").expect("valid");
        KeyStore::in_memory(&node, &Randomness::from_seed(1)).expect("a store")
    }

    fn changes(plugin: &str, changes: &[(&str, Option<&[u8]>)]) -> PluginChanges {
        PluginChanges {
            plugin: plugin.into(),
            changes: changes
                .iter()
                .map(|(key, value)| {
                    let value = value.map(|value| Zeroizing::new(value.to_vec()));
                    ((*key).to_owned(), value)
                })
                .collect(),
            quota: Quota { bytes: 20, keys: 2 },
        }
    }

    #[test]
    fn a_plugin_finds_its_own_entries_and_no_others() {
        let store = store();
        let mine = changes("mine", &[("a/1", Some(b"one")), ("b", Some(b"two"))]);
        store.change_plugin_entries(&mine).expect("fits");

        let found = store.plugin_entry("mine", "a/1").expect("read");
        assert_eq!(found.as_deref().map(Vec::as_slice), Some(&b"one"[..]));
        assert_eq!(store.plugin_entry("minea", "/1").expect("read"), None);
        assert_eq!(store.plugin_entry("other", "a/1").expect("read"), None);
        assert_eq!(store.plugin_keys("mine", "a/").expect("read"), ["a/1"]);
        assert_eq!(store.plugin_keys("mine", "").expect("read"), ["a/1", "b"]);
        assert!(store.plugin_keys("min", "").expect("read").is_empty());
    }

    #[test]
    fn over_the_quota_no_change_is_made_and_removing_makes_room() {
        let store = store();
        let first = changes("p", &[("a", Some(&[0; 9])), ("b", Some(&[0; 9]))]);
        store.change_plugin_entries(&first).expect("just fits");

        for over in [
            changes("p", &[("a", Some(&[0; 10]))]),
            changes("p", &[("a", None), ("c", Some(b"")), ("d", Some(b""))]),
        ] {
            let refused = store.change_plugin_entries(&over);
            assert!(matches!(refused, Err(StoreError::Quota { .. })));
            assert_eq!(store.plugin_keys("p", "").expect("read"), ["a", "b"]);
        }
        let room = changes("p", &[("a", None), ("c", Some(&[0; 9]))]);
        store.change_plugin_entries(&room).expect("fits again");
        let other = changes("q", &[("a", Some(&[0; 9]))]);
        store.change_plugin_entries(&other).expect("its own quota");

        store.forget_plugin("p").expect("forgotten");
        let none = Quota { bytes: 0, keys: 0 };
        assert_eq!(store.plugin_total("p").expect("read"), none);
        assert_eq!(store.plugin_keys("q", "").expect("read"), ["a"]);
    }
}
