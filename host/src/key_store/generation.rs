//! How often the store was opened: a note beside it has the highest number, so that an older copy of the store is noticed, whoever put it there.

use std::sync::PoisonError;

use redb::{ReadableTable, WriteTransaction};

use super::claims::{Note, noted};
use super::database::Database;
use super::{ABOUT, StoreError};
use crate::files::write_whole;

/// The number, in `ABOUT`.
pub(super) const GENERATION: &str = "generation";
/// There as long as nobody was told that the store is older than its note.
pub(super) const SET_BACK: &str = "set_back";

/// Has whoever opens this store next be told that it is an older one.
pub(super) fn mark_set_back(transaction: WriteTransaction) -> Result<(), StoreError> {
    mark(transaction, SET_BACK)
}

/// Puts an entry without a value in `ABOUT`.
pub(super) fn mark(transaction: WriteTransaction, mark: &str) -> Result<(), StoreError> {
    transaction.open_table(ABOUT)?.insert(mark, [].as_slice())?;
    transaction.commit()?;
    Ok(())
}

/// Whether there is such an entry.
pub(super) fn is_marked(database: &Database, mark: &str) -> Result<bool, StoreError> {
    let about = database.begin_read()?.open_table(ABOUT)?;
    Ok(about.get(mark)?.is_some())
}

/// Counts an opening. Whether the store is older than its note; it counts on from there. The note is written first: a crash in between
/// looks like an older store once too often, and never once too seldom.
pub(super) fn begin(transaction: &WriteTransaction, note: &Note) -> Result<bool, StoreError> {
    let note = note.0.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(path) = note.as_deref() else {
        return Ok(false);
    };
    let mut about = transaction.open_table(ABOUT)?;
    let stored = match about.get(GENERATION)? {
        Some(found) => {
            let bytes = <[u8; 8]>::try_from(found.value());
            u64::from_be_bytes(bytes.map_err(|_| StoreError::Damaged(GENERATION.into()))?)
        }
        None => 0,
    };
    // A store that was opened before and has no note was brought here without it.
    let noted = noted(path)?.unwrap_or(if stored == 0 { 0 } else { u64::MAX });
    let is_older = stored < noted;
    let noted = if noted == u64::MAX { stored } else { noted };
    let next = stored.max(noted).saturating_add(1);
    if is_older {
        about.insert(SET_BACK, [].as_slice())?;
    }
    about.insert(GENERATION, next.to_be_bytes().as_slice())?;
    write_whole(path, next.to_string().as_bytes(), 0o600)?;
    Ok(about.get(SET_BACK)?.is_some())
}
