//! The database, opened anew when the disk had failed: after an I/O error redb takes no more transactions, but a disk that was
//! full may have room again. Until then a copy in memory is read.

use std::io;
use std::sync::{PoisonError, RwLock};

use redb::backends::InMemoryBackend;
use redb::{ReadTransaction, ReadableDatabase, StorageBackend, TransactionError, WriteTransaction};
use zeroize::Zeroizing;

use super::watched::{Health, Watched};
use super::{StoreError, quiet_panic};

/// Pages that redb may keep in memory, in bytes. Small: the store is, and cached pages hold secrets.
pub(super) const CACHE_BYTES: usize = 1 << 20;

/// To be told when the database on a disk was opened, and is used from then on.
pub(super) type Opened<'a> = Box<dyn FnOnce() -> io::Result<()> + 'a>;

/// What a store's file is on.
pub(super) trait Medium: Send + Sync {
    /// The file, to be opened by redb. All that it shows is on the disk: what a kernel could not bring there it takes for
    /// written from then on, also when another process reads it. It looks whole, is gone after a power cut, and so is what was
    /// built on it.
    fn disk(&self) -> Result<(Box<dyn StorageBackend>, Opened<'_>), StoreError>;

    /// All that the file shows, on the disk or not.
    fn content(&self) -> io::Result<Zeroizing<Vec<u8>>>;
}

pub(super) struct Database {
    /// What it is called in the log.
    name: String,
    medium: Box<dyn Medium>,
    state: RwLock<State>,
}

enum State {
    Open(redb::Database, Health),
    /// The disk has failed, and still takes nothing.
    Copy(redb::Database),
    /// Neither could be had.
    Closed,
}

impl State {
    fn usable(&self, writing: bool) -> Option<&redb::Database> {
        match self {
            Self::Open(database, health) if !health.has_failed() => Some(database),
            Self::Copy(copy) if !writing => Some(copy),
            _ => None,
        }
    }
}

impl Database {
    /// Opens the database on a disk and checks every page of it; one on an empty disk is new. One that was damaged and could
    /// be repaired is said in the log.
    pub(super) fn open(
        name: impl Into<String>,
        medium: impl Medium + 'static,
    ) -> Result<Self, StoreError> {
        let name = name.into();
        let state = RwLock::new(open(&name, &medium)?);
        Ok(Self {
            name,
            medium: Box::new(medium),
            state,
        })
    }

    /// For reading. While the disk takes nothing, what it could not write may be among what is read.
    pub(super) fn begin_read(&self) -> Result<ReadTransaction, StoreError> {
        self.begin(false, redb::Database::begin_read)
    }

    /// Waits for the write transaction that is under way, if there is one.
    ///
    /// It is committed in two phases: the disk has all of it before the file says so. In one phase redb finds out by checksums
    /// which of two states is whole, and goes back to the older one, silently, when the newer is damaged.
    pub(super) fn begin_write(&self) -> Result<WriteTransaction, StoreError> {
        let mut transaction = self.begin(true, redb::Database::begin_write)?;
        transaction.set_two_phase_commit(true);
        Ok(transaction)
    }

    fn begin<T>(
        &self,
        writing: bool,
        begin: impl Fn(&redb::Database) -> Result<T, TransactionError>,
    ) -> Result<T, StoreError> {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(usable) = state.usable(writing) {
            return Ok(begin(usable)?);
        }
        drop(state);
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        // Another thread may have been here first.
        if state.usable(writing).is_none() {
            self.open_again(&mut state, writing)?;
        }
        let usable = state.usable(writing);
        let failed_again = || io::Error::other("it failed again at once");
        Ok(begin(usable.ok_or_else(failed_again)?)?)
    }

    fn open_again(&self, state: &mut State, writing: bool) -> Result<(), StoreError> {
        if matches!(state, State::Open(..)) {
            *state = State::Closed;
        }
        match open(&self.name, &*self.medium) {
            Ok(open) => {
                tracing::warn!("the key store is open again, after the disk had failed");
                *state = open;
            }
            Err(error) if writing => return Err(error),
            Err(_) => *state = copy(&self.medium.content()?)?,
        }
        Ok(())
    }
}

fn open(name: &str, medium: &dyn Medium) -> Result<State, StoreError> {
    let health = Health::default();
    let (disk, opened) = medium.disk()?;
    let (database, whole) = checked(Watched::new(disk, health.clone()))?;
    opened()?;
    if !whole {
        warn_of_repair(name);
    }
    Ok(State::Open(database, health))
}

fn copy(content: &[u8]) -> Result<State, StoreError> {
    let memory = InMemoryBackend::new();
    memory.set_len(content.len() as u64)?;
    memory.write(0, content)?;
    Ok(State::Copy(checked(memory)?.0))
}

/// The database on a disk, and whether it was in order.
fn checked(disk: impl StorageBackend) -> Result<(redb::Database, bool), StoreError> {
    // redb may panic on a file that was changed behind its back; here that is an operator's damaged disk, not our bug.
    let checked = quiet_panic::catch(|| {
        let mut database = redb::Database::builder()
            .set_cache_size(CACHE_BYTES)
            .create_with_backend(disk)?;
        let whole = database.check_integrity()?;
        Ok((database, whole))
    });
    checked.unwrap_or_else(|| {
        Err(StoreError::Unreadable(
            "its pages contradict each other".into(),
        ))
    })
}

fn warn_of_repair(name: &str) {
    tracing::warn!(
        path = name,
        "the key store was damaged and has been repaired; the last changes may be lost: check the disk, and keep a backup"
    );
}

#[cfg(test)]
mod tests {
    use super::super::{KeyStore, PluginChanges, Quota};
    use super::*;
    use crate::key_store::Lock;
    use crate::message::NodeId;
    use crate::randomness::Randomness;

    /// The part of a file in which redb says what is in force: two slots, and which of them counts.
    const HEADER: usize = 320;

    #[test]
    fn a_damaged_store_is_refused_and_never_the_one_before_the_last_commit() {
        let node = NodeId::try_from("a").expect("valid");
        let folder = tempfile::tempdir().expect("a folder");
        let [path, copy] = ["node.redb", "copy.redb"].map(|name| folder.path().join(name));
        let open = |path| KeyStore::open(path, &node, &Lock::Off, &Randomness::from_seed(1));
        let change = |value: u8| PluginChanges {
            plugin: "p".into(),
            changes: vec![("k".into(), Some(vec![value].into()))],
            quota: Quota { bytes: 9, keys: 9 },
        };
        let store = open(&path).expect("made");
        // Either slot is the last in turn.
        for value in [1, 2] {
            store.change_plugin_entries(&change(value)).expect("stored");
            // As a crash leaves it: closed, it would say more of itself.
            let crashed = std::fs::read(&path).expect("read");
            for at in 0..HEADER {
                let mut bytes = crashed.clone();
                bytes[at] ^= 0x10;
                std::fs::write(&copy, bytes).expect("written");
                if let Ok(store) = open(&copy) {
                    let entry = store.plugin_entry("p", "k").expect("read");
                    let has = entry.map(|entry| entry.to_vec());
                    assert_eq!(has, Some(vec![value]), "byte {at}");
                }
            }
        }
    }

    /// redb repairs by itself only what a test cannot bring about by changing bytes, so the warning is tested alone.
    #[test]
    fn says_in_the_log_that_a_store_was_repaired() {
        let log = tempfile::NamedTempFile::new().expect("a file");
        let writer = log.reopen().expect("opened");
        let subscriber = tracing_subscriber::fmt().with_writer(writer).finish();

        tracing::subscriber::with_default(subscriber, || warn_of_repair("node.redb"));

        let said = std::fs::read_to_string(log.path()).expect("read");
        assert!(
            said.contains("WARN") && said.contains("node.redb"),
            "{said}"
        );
    }
}
