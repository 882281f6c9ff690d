//! Disks that are none, for tests and simulations.

use std::io;
use std::sync::{Mutex, PoisonError};

use redb::StorageBackend;
use redb::backends::InMemoryBackend;
use zeroize::Zeroizing;

use super::StoreError;
use super::database::{Medium, Opened};

/// A simulated disk, which outlives its database.
pub(super) struct Simulated<Disk>(pub(super) Disk);

impl<Disk: StorageBackend + Clone> Medium for Simulated<Disk> {
    fn disk(&self) -> Result<(Box<dyn StorageBackend>, Opened<'_>), StoreError> {
        self.0.write(0, &self.content()?)?;
        self.0.sync_data()?;
        Ok((Box::new(self.0.clone()), Box::new(|| Ok(()))))
    }

    fn content(&self) -> io::Result<Zeroizing<Vec<u8>>> {
        let length = usize::try_from(self.0.len()?).map_err(io::Error::other)?;
        let mut content = Zeroizing::new(vec![0; length]);
        self.0.read(0, &mut content)?;
        Ok(content)
    }
}

/// Memory, which goes with its database.
pub(super) struct Memory(Mutex<Option<InMemoryBackend>>);

impl Memory {
    pub(super) fn new() -> Self {
        Self(Mutex::new(Some(InMemoryBackend::new())))
    }
}

impl Medium for Memory {
    fn disk(&self) -> Result<(Box<dyn StorageBackend>, Opened<'_>), StoreError> {
        let memory = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        Ok((Box::new(memory.ok_or_else(gone)?), Box::new(|| Ok(()))))
    }

    fn content(&self) -> io::Result<Zeroizing<Vec<u8>>> {
        Err(gone())
    }
}

fn gone() -> io::Error {
    io::Error::other("memory cannot be opened again")
}
