//! The database, opened anew when the disk had failed: after an I/O error redb takes no more transactions, but a disk that was
//! full may have room again.

use std::sync::{PoisonError, RwLock};

use redb::{ReadTransaction, ReadableDatabase, StorageError, TransactionError, WriteTransaction};

use super::StoreError;

type Reopen = Box<dyn Fn() -> Result<redb::Database, StoreError> + Send + Sync>;

pub(super) struct Database {
    open: RwLock<Option<redb::Database>>,
    reopen: Reopen,
}

impl Database {
    /// `open`, and how to open it again.
    pub(super) fn new(
        open: redb::Database,
        reopen: impl Fn() -> Result<redb::Database, StoreError> + Send + Sync + 'static,
    ) -> Self {
        Self {
            open: RwLock::new(Some(open)),
            reopen: Box::new(reopen),
        }
    }

    pub(super) fn begin_read(&self) -> Result<ReadTransaction, StoreError> {
        self.begin(redb::Database::begin_read)
    }

    /// Waits for the write transaction that is under way, if there is one.
    pub(super) fn begin_write(&self) -> Result<WriteTransaction, StoreError> {
        self.begin(redb::Database::begin_write)
    }

    fn begin<T>(
        &self,
        begin: impl Fn(&redb::Database) -> Result<T, TransactionError>,
    ) -> Result<T, StoreError> {
        if let Some(open) = &*self.open.read().unwrap_or_else(PoisonError::into_inner) {
            match begin(open) {
                Err(TransactionError::Storage(StorageError::PreviousIo)) => {}
                begun => return Ok(begun?),
            }
        }
        let mut open = self.open.write().unwrap_or_else(PoisonError::into_inner);
        // Another thread may have been here first; opening once more does no harm. The file is locked while it is open.
        drop(open.take());
        let again = (self.reopen)()?;
        tracing::warn!("the key store is open again, after the disk had failed");
        let begun = begin(&again);
        *open = Some(again);
        Ok(begun?)
    }
}
