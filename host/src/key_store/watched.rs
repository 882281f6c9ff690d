//! A store's disk, and whether it has failed.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use redb::StorageBackend;

/// Says whether a disk has failed since it was opened. Clones are of the same disk.
#[derive(Clone, Default)]
pub(super) struct Health(Arc<AtomicBool>);

impl Health {
    pub(super) fn has_failed(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// A disk whose failures are noticed. redb notices them too, but tells only with the next page that it reads.
///
/// It offers redb no locks: those that redb takes it gives up whenever it closes the disk.
pub(super) struct Watched {
    disk: Box<dyn StorageBackend>,
    health: Health,
}

impl Watched {
    pub(super) fn new(disk: Box<dyn StorageBackend>, health: Health) -> Self {
        Self { disk, health }
    }

    fn noticed<T>(&self, outcome: io::Result<T>) -> io::Result<T> {
        if outcome.is_err() {
            self.health.0.store(true, Ordering::Release);
        }
        outcome
    }
}

impl fmt::Debug for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Its content has secrets.
        f.write_str("Watched(…)")
    }
}

impl StorageBackend for Watched {
    fn len(&self) -> io::Result<u64> {
        self.noticed(self.disk.len())
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.noticed(self.disk.read(offset, out))
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.noticed(self.disk.set_len(length))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.noticed(self.disk.sync_data())
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.noticed(self.disk.write(offset, bytes))
    }

    fn close(&self) -> io::Result<()> {
        self.disk.close()
    }
}
