//! Entries of the store's tables, encrypted and decrypted on their way.

use redb::{ReadableTable, TableDefinition, TableHandle};
use zeroize::Zeroizing;

use super::sealing::Place;
use super::{KeyStore, StoreError};

/// A key and its record, still encoded.
pub(super) type Entry = (String, Zeroizing<Vec<u8>>);

impl KeyStore {
    pub(super) fn get(
        &self,
        table: TableDefinition<&str, &[u8]>,
        key: &str,
    ) -> Result<Option<Zeroizing<Vec<u8>>>, StoreError> {
        let place = Place(table.name(), &[key]);
        let table = self.database.begin_read()?.open_table(table)?;
        let found = table.get(key)?;
        found
            .map(|found| self.sealing.open(place, found.value()))
            .transpose()
    }

    /// All entries of a table; none of one that was never written to.
    pub(super) fn scan(
        &self,
        table: TableDefinition<&str, &[u8]>,
    ) -> Result<Vec<Entry>, StoreError> {
        let name = table.name();
        let table = match self.database.begin_read()?.open_table(table) {
            Err(redb::TableError::TableDoesNotExist(_)) => return Ok(Vec::new()),
            table => table?,
        };
        table
            .iter()?
            .map(|entry| {
                let (key, value) = entry?;
                let key = key.value().to_owned();
                let value = self.sealing.open(Place(name, &[&key]), value.value())?;
                Ok((key, value))
            })
            .collect()
    }

    pub(super) fn put(
        &self,
        table: TableDefinition<&str, &[u8]>,
        key: &str,
        value: &[u8],
    ) -> Result<(), StoreError> {
        let transaction = self.database.begin_write()?;
        self.put_in(&transaction, table, key, value)?;
        transaction.commit()?;
        Ok(())
    }

    /// An entry, as this transaction has it.
    pub(super) fn get_in(
        &self,
        transaction: &redb::WriteTransaction,
        table: TableDefinition<&str, &[u8]>,
        key: &str,
    ) -> Result<Option<Zeroizing<Vec<u8>>>, StoreError> {
        let place = Place(table.name(), &[key]);
        let table = transaction.open_table(table)?;
        let found = table.get(key)?;
        found
            .map(|found| self.sealing.open(place, found.value()))
            .transpose()
    }

    pub(super) fn put_in(
        &self,
        transaction: &redb::WriteTransaction,
        table: TableDefinition<&str, &[u8]>,
        key: &str,
        value: &[u8],
    ) -> Result<(), StoreError> {
        let sealed = self.sealing.seal(Place(table.name(), &[key]), value)?;
        transaction
            .open_table(table)?
            .insert(key, sealed.as_slice())?;
        Ok(())
    }

    /// `false` when there was no such entry.
    pub(super) fn remove(
        &self,
        table: TableDefinition<&str, &[u8]>,
        key: &str,
    ) -> Result<bool, StoreError> {
        let transaction = self.database.begin_write()?;
        let existed = transaction.open_table(table)?.remove(key)?.is_some();
        transaction.commit()?;
        Ok(existed)
    }
}
