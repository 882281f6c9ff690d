//! Messages at which a plugin changed what it has stored: a message must not do that twice, and its node may crash right after the
//! first time.

use redb::{ReadableTable, TableDefinition, WriteTransaction};

use super::{KeyStore, PluginChanges, StoreError, plugins};

/// By number, in the order in which they were treated.
pub(super) const TREATED: TableDefinition<u64, &[u8; 16]> = TableDefinition::new("treated");

/// What tells a message from all others.
pub type MessageDigest = [u8; 16];

/// A store made by an earlier version has no such table.
pub(super) fn make_table(transaction: &WriteTransaction) -> Result<(), StoreError> {
    transaction.open_table(TREATED)?;
    Ok(())
}

impl KeyStore {
    /// Makes a plugin's changes as [`Self::change_plugin_entries`] does, and remembers the message that asked for them: both or
    /// neither. Its number; those of the numbers `forget` are
    /// forgotten.
    pub fn change_plugin_entries_at(
        &self,
        message: &MessageDigest,
        changes: &PluginChanges,
        forget: &[u64],
    ) -> Result<u64, StoreError> {
        let transaction = self.database.begin_write()?;
        let number = {
            let mut table = transaction.open_table(TREATED)?;
            let last = table.last()?.map(|(number, _)| number.value());
            let number = last.map_or(0, |last| last + 1);
            table.insert(number, message)?;
            // The last stays: without it, numbers would begin again.
            for forgotten in forget.iter().filter(|forgotten| **forgotten < number) {
                table.remove(forgotten)?;
            }
            number
        };
        plugins::change(&transaction, changes, &self.sealing)?;
        transaction.commit()?;
        Ok(number)
    }

    /// The messages that are remembered, by number.
    pub fn treated(&self) -> Result<Vec<(u64, MessageDigest)>, StoreError> {
        let table = self.database.begin_read()?.open_table(TREATED)?;
        table
            .iter()?
            .map(|entry| {
                let (number, message) = entry?;
                Ok((number.value(), *message.value()))
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::Quota;
    use super::*;
    use crate::message::NodeId;
    use crate::randomness::Randomness;

    fn changes(value: &[u8]) -> PluginChanges {
        PluginChanges {
            plugin: "p".into(),
            changes: vec![("k".into(), Some(value.to_vec().into()))],
            quota: Quota { bytes: 5, keys: 1 },
        }
    }

    fn store() -> KeyStore {
        let node = NodeId::try_from("a").expect("valid");
        KeyStore::in_memory(&node, &Randomness::from_seed(1)).expect("a store")
    }

    #[test]
    fn a_change_that_is_not_made_leaves_no_memory_of_its_message() {
        let store = store();
        let refused = store.change_plugin_entries_at(&[1; 16], &changes(b"too large"), &[]);

        assert!(matches!(refused, Err(StoreError::Quota { .. })));
        assert_eq!(store.treated().expect("read"), []);
    }

    #[test]
    fn remembers_with_the_change_and_forgets_what_it_is_told_to() {
        let store = store();
        let number = |message, forget: &[u64]| {
            let number = store.change_plugin_entries_at(&[message; 16], &changes(b"v"), forget);
            number.expect("stored")
        };
        assert_eq!(
            [number(1, &[]), number(2, &[]), number(3, &[0, 1])],
            [0, 1, 2]
        );
        assert_eq!(store.treated().expect("read"), [(2, [3; 16])]);
        assert!(store.plugin_entry("p", "k").expect("read").is_some());

        assert_eq!(number(4, &[2, 3, 100]), 3);
        assert_eq!(store.treated().expect("read"), [(3, [4; 16])]);
    }
}
