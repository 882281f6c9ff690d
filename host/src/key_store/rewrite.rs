//! A store, written anew: for a backup as it is, and one in the clear with its values encrypted, in a file of its own, as a database does
//! not erase what it replaces.

use redb::{
    Key, ReadTransaction, ReadableTable, TableDefinition, TableHandle, Value, WriteTransaction,
};

use super::sealing::{Place, Sealing};
use super::{ABOUT, CHANNELS, CONTEXTS, IN_THE_CLEAR, SEALED, StoreError, TO_BE_SEALED};
use super::{identity, open_requests, plugins, treated};

/// Copies all tables. Values are sealed, which those that are sealed already must not be again.
pub(super) fn rewrite(
    from: &ReadTransaction,
    to: WriteTransaction,
    sealing: &Sealing,
) -> Result<(), StoreError> {
    for table in [
        ABOUT,
        CHANNELS,
        CONTEXTS,
        identity::PINS,
        identity::MET,
        open_requests::OPEN_REQUESTS,
        plugins::QUARANTINES,
    ] {
        let is_clear = |key: &str| table.name() == ABOUT.name() && IN_THE_CLEAR.contains(&key);
        let Some(old) = there(from, table)? else {
            continue;
        };
        let mut new = to.open_table(table)?;
        for entry in old.iter()? {
            let (key, value) = entry?;
            let (key, value) = (key.value(), value.value());
            if table.name() == ABOUT.name() && key == TO_BE_SEALED {
                continue;
            }
            if is_clear(key) {
                new.insert(key, value)?;
            } else {
                let sealed = sealing.seal(Place(table.name(), &[key]), value)?;
                new.insert(key, sealed.as_slice())?;
            }
        }
    }
    if matches!(sealing, Sealing::Under(..)) {
        to.open_table(ABOUT)?.insert("format", SEALED)?;
    }
    if let Some(old) = there(from, plugins::ENTRIES)? {
        let mut new = to.open_table(plugins::ENTRIES)?;
        for entry in old.iter()? {
            let (key, value) = entry?;
            let (plugin, key) = key.value();
            let place = Place(plugins::ENTRIES.name(), &[plugin, key]);
            let sealed = sealing.seal(place, value.value())?;
            new.insert((plugin, key), sealed.as_slice())?;
        }
    }
    copy(from, &to, plugins::TOTALS)?;
    copy(from, &to, treated::TREATED)?;
    copy(from, &to, open_requests::ANSWERED)?;
    copy(from, &to, open_requests::IN_ORDER)?;
    to.commit()?;
    Ok(())
}

/// A table of what is no secret.
fn copy<K: Key + 'static, V: Value + 'static>(
    from: &ReadTransaction,
    to: &WriteTransaction,
    table: TableDefinition<'static, K, V>,
) -> Result<(), StoreError> {
    let Some(old) = there(from, table)? else {
        return Ok(());
    };
    let mut new = to.open_table(table)?;
    for entry in old.iter()? {
        let (key, value) = entry?;
        new.insert(key.value(), value.value())?;
    }
    Ok(())
}

fn there<K: Key + 'static, V: Value + 'static>(
    from: &ReadTransaction,
    table: TableDefinition<'static, K, V>,
) -> Result<Option<redb::ReadOnlyTable<K, V>>, StoreError> {
    match from.open_table(table) {
        Err(redb::TableError::TableDoesNotExist(_)) => Ok(None),
        table => Ok(Some(table?)),
    }
}
