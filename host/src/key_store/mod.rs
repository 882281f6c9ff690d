//! What survives a restart: the node's seed and identity key, its channels, its secagg contexts, the researcher's certificate and its
//! requests that have no answer yet, which peers' keys it believes, and what plugins store.
//!
//! One [redb] file in the data directory, mode 0600. Every change is committed and synced before the caller goes on,
//! so a key is on disk before anything is signed or sealed with it. Values are MessagePack records ([`records`]).
//!
//! Values are encrypted under a key of the store's own, unless the operator has said that they are not (`lock`, `sealing`).
//!
//! What is not here: which keys a message is opened with ([`crate::channels`]).

mod agreed;
mod backup;
mod claims;
mod database;
mod error;
mod file;
mod generation;
mod identity;
mod lock;
mod open_requests;
mod plugins;
mod quiet_panic;
pub mod records;
mod rewrite;
mod rosters;
mod sealing;
mod simulated;
mod tables;
mod treated;
mod watched;

use std::io;
use std::path::{Path, PathBuf};

use redb::{TableDefinition, TableHandle};

use crate::files::write_whole;
use crate::message::NodeId;
use crate::randomness::Randomness;
pub use backup::{Backup, BackupHeader};
use claims::Note;
use database::Database;
pub use error::StoreError;
pub use identity::{FirstUseRecord, MetRecord, PinRecord};
pub use lock::Lock;
pub use plugins::{PluginChanges, Quota};
use records::Seed;
pub use rosters::RosterRecord;
use sealing::{Place, Sealing};
use simulated::{Memory, Simulated};
pub use treated::MessageDigest;

const ABOUT: TableDefinition<&str, &[u8]> = TableDefinition::new("about");
const CHANNELS: TableDefinition<&str, &[u8]> = TableDefinition::new("channels");
const CONTEXTS: TableDefinition<&str, &[u8]> = TableDefinition::new("contexts");

/// Written into each file; a file with another value was made by another version of backchannel.
const FORMAT: &[u8] = b"backchannel key store 1";
/// The same, of one whose values are encrypted: earlier versions of backchannel do not take it for theirs.
const SEALED: &[u8] = b"backchannel key store 1, encrypted";
/// Entries of `ABOUT` in the clear: what is needed before anything can be opened, and numbers.
const IN_THE_CLEAR: [&str; 5] = [
    "format",
    "node_id",
    claims::CLAIMS,
    generation::GENERATION,
    generation::SET_BACK,
];

/// There while a store in the clear is written anew, encrypted.
const TO_BE_SEALED: &str = "to_be_sealed";

/// An open key store. Calls block for a disk sync (about 0.2 ms on an SSD) when they write.
pub struct KeyStore {
    database: Database,
    owner: NodeId,
    seed: Seed,
    note: Note,
    roster_note: Note,
    generation: Note,
    sealing: Sealing,
    set_back: bool,
    /// Where it is, if it is on a disk.
    path: Option<PathBuf>,
}

impl KeyStore {
    /// Opens the store at `path`, or makes it with a fresh seed when there is none.
    ///
    /// A store belongs to one node: opening another's is refused, as is a file that is no key store, one that
    /// is damaged, and one that another process has open. Nothing is ever replaced by a new identity: only a name that
    /// nothing has, not even a link to a volume that is not mounted, is given to a new store.
    ///
    /// Its values are under `lock`. A store in the clear is written anew under it.
    pub fn open(
        path: &Path,
        node: &NodeId,
        lock: &Lock,
        randomness: &Randomness,
    ) -> Result<Self, StoreError> {
        match path.symlink_metadata() {
            Ok(there) if there.is_symlink() && !path.try_exists()? => {
                return Err(StoreError::LinkToNothing);
            }
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let sealing = fresh_sealing(path, lock, randomness)?;
                file::create(path, |database| {
                    initialise(database.begin_write()?, node, &sealing, randomness)
                })?;
            }
            Err(error) => return Err(error.into()),
        }
        Self::at(path, Some(node), lock, randomness)
    }

    /// Opens the store at `path`, whosever it is, for a command of the machine's owner; `None` when there is none.
    pub fn open_existing(
        path: &Path,
        lock: &Lock,
        randomness: &Randomness,
    ) -> Result<Option<Self>, StoreError> {
        if !path.try_exists()? {
            return Ok(None);
        }
        Self::at(path, None, lock, randomness).map(Some)
    }

    fn at(
        path: &Path,
        node: Option<&NodeId>,
        lock: &Lock,
        randomness: &Randomness,
    ) -> Result<Self, StoreError> {
        let mut database = file::open(path)?;
        let is_sealed = check(&database, node)?.1;
        let sealing = match (is_sealed, lock) {
            (true, lock) => Sealing::Under(lock::read(&key_path(path), lock)?, randomness.clone()),
            (false, Lock::Off) => Sealing::Clear,
            (false, lock) => {
                // Where an encrypted one was, one in the clear was put by somebody else, unless it says that it was about to be encrypted.
                let begun = generation::is_marked(&database, TO_BE_SEALED)?;
                if key_path(path).try_exists()? && !begun {
                    return Err(StoreError::InTheClear);
                }
                generation::mark(database.begin_write()?, TO_BE_SEALED)?;
                let sealing = fresh_sealing(path, lock, randomness)?;
                file::replace(path, &database, |new| {
                    rewrite::rewrite(&database.begin_read()?, new.begin_write()?, &sealing)
                })?;
                drop(database);
                database = file::open(path)?;
                tracing::info!("the key store is encrypted now");
                sealing
            }
        };
        let notes = [
            Note::of_claims(path),
            Note::of_rosters(path),
            Note::of_generations(path),
        ];
        let mut store = Self::from_database(database, node, sealing, notes)?;
        store.path = Some(path.to_owned());
        Ok(store)
    }

    /// A store that is gone with the process: for tests and simulations.
    pub fn in_memory(node: &NodeId, randomness: &Randomness) -> Result<Self, StoreError> {
        let database = Database::open("memory", Memory::new())?;
        initialise(database.begin_write()?, node, &Sealing::Clear, randomness)?;
        let notes = [(); 3].map(|()| Note::none());
        Self::from_database(database, Some(node), Sealing::Clear, notes)
    }

    /// Makes a store on a simulated disk, in the steps that [`Self::open`] takes under a temporary name.
    pub(crate) fn make_on(
        disk: impl redb::StorageBackend,
        node: &NodeId,
        randomness: &Randomness,
    ) -> Result<(), StoreError> {
        let database = redb::Database::builder()
            .set_cache_size(database::CACHE_BYTES)
            .create_with_backend(disk)?;
        initialise(database.begin_write()?, node, &Sealing::Clear, randomness)
    }

    /// The store that was made on a simulated disk, checked as [`Self::open`] does.
    pub(crate) fn on(
        disk: impl redb::StorageBackend + Clone,
        node: &NodeId,
    ) -> Result<Self, StoreError> {
        if disk.len()? == 0 {
            return Err(StoreError::Unreadable("the file is empty".into()));
        }
        let database = Database::open("simulated", Simulated(disk))?;
        let notes = [(); 3].map(|()| Note::none());
        Self::from_database(database, Some(node), Sealing::Clear, notes)
    }

    fn from_database(
        database: Database,
        node: Option<&NodeId>,
        sealing: Sealing,
        [note, roster_note, generation]: [Note; 3],
    ) -> Result<Self, StoreError> {
        let (owner, _) = check(&database, node)?;
        // A store that an earlier version made lacks the tables that came later.
        let transaction = database.begin_write()?;
        plugins::make_tables(&transaction)?;
        treated::make_table(&transaction)?;
        let set_back = generation::begin(&transaction, &generation)?;
        transaction.commit()?;
        let seed = {
            let about = database.begin_read()?.open_table(ABOUT)?;
            let found = about.get("seed")?.ok_or(StoreError::Foreign)?;
            let seed = sealing.open(Place(ABOUT.name(), &["seed"]), found.value())?;
            Seed::try_from(seed.as_slice()).map_err(|_| StoreError::Damaged("seed".into()))?
        };
        let store = Self {
            database,
            owner,
            seed,
            note,
            roster_note,
            generation,
            sealing,
            set_back,
            path: None,
        };
        store.check_claims()?;
        Ok(store)
    }

    /// Whether this is an older copy of the store than was used here before, and that was not [noticed](Self::notice_set_back) yet: what was
    /// remembered since the copy was made is gone.
    pub fn was_set_back(&self) -> bool {
        self.set_back
    }

    /// That the store is an older copy was told to the operator.
    pub fn notice_set_back(&self) -> Result<(), StoreError> {
        self.remove(ABOUT, generation::SET_BACK).map(drop)
    }

    /// Whether its values are encrypted.
    pub fn is_encrypted(&self) -> bool {
        matches!(self.sealing, Sealing::Under(..))
    }

    /// Locks the key of the store at `path` up otherwise. Its values stay as they are.
    pub fn relock(
        path: &Path,
        from: &Lock,
        to: &Lock,
        randomness: &Randomness,
    ) -> Result<(), StoreError> {
        let path = key_path(path);
        let key = lock::read(&path, from)?;
        write_whole(&path, to.wrap(&key, randomness)?.as_bytes(), 0o600)?;
        Ok(())
    }

    /// The node that it is of.
    pub fn owner(&self) -> &NodeId {
        &self.owner
    }

    /// The node's seed, drawn when the store was made. Channel keys and the key of the compilation cache derive from it.
    pub fn seed(&self) -> &Seed {
        &self.seed
    }
}

impl Drop for KeyStore {
    /// Counts its end too, so that a copy made in between is an older one. A crash leaves that out.
    fn drop(&mut self) {
        let counted = self.database.begin_write().and_then(|transaction| {
            generation::begin(&transaction, &self.generation)?;
            transaction.commit()?;
            Ok(())
        });
        if let Err(error) = counted {
            tracing::debug!("the end of the key store's use is not counted: {error}");
        }
    }
}

/// Where the store's key lies, locked up.
fn key_path(store: &Path) -> PathBuf {
    store.with_extension("key")
}

/// For a store that is about to be written.
fn fresh_sealing(path: &Path, lock: &Lock, randomness: &Randomness) -> Result<Sealing, StoreError> {
    Ok(match lock {
        Lock::Off => Sealing::Clear,
        lock => {
            let path = key_path(path);
            // One that is there may be that of a store which was moved away: it stays.
            let key = match lock::read(&path, lock) {
                Err(StoreError::NoKey) => lock::draw(&path, lock, randomness)?,
                key => key?,
            };
            Sealing::Under(key, randomness.clone())
        }
    })
}

/// Whose store it is, and whether its values are encrypted. Refuses what is none of ours, and another node's.
fn check(database: &Database, node: Option<&NodeId>) -> Result<(NodeId, bool), StoreError> {
    let transaction = database.begin_read()?;
    let about = match transaction.open_table(ABOUT) {
        Ok(table) => table,
        Err(redb::TableError::TableDoesNotExist(_)) => return Err(StoreError::Foreign),
        Err(other) => return Err(other.into()),
    };
    let value = |key| -> Result<Vec<u8>, StoreError> {
        let found = about.get(key)?.ok_or(StoreError::Foreign)?;
        Ok(found.value().to_vec())
    };
    let is_sealed = match value("format")?.as_slice() {
        FORMAT => false,
        SEALED => true,
        _ => return Err(StoreError::Foreign),
    };
    let owner = value("node_id")?;
    if node.is_some_and(|node| owner.as_slice() != node.as_ref().as_bytes()) {
        return Err(StoreError::OtherNode {
            owner: String::from_utf8_lossy(&owner).into_owned(),
        });
    }
    let owner = std::str::from_utf8(&owner).ok();
    let owner = owner.and_then(|owner| NodeId::try_from(owner).ok());
    let owner = owner.ok_or_else(|| StoreError::Damaged("the node's id".into()))?;
    Ok((owner, is_sealed))
}

fn initialise(
    transaction: redb::WriteTransaction,
    node: &NodeId,
    sealing: &Sealing,
    randomness: &Randomness,
) -> Result<(), StoreError> {
    let seed = Seed::draw(randomness);
    let format = match sealing {
        Sealing::Clear => FORMAT,
        Sealing::Under(..) => SEALED,
    };
    {
        let mut about = transaction.open_table(ABOUT)?;
        about.insert("format", format)?;
        about.insert("node_id", node.as_ref().as_bytes())?;
        let seed = sealing.seal(Place(ABOUT.name(), &["seed"]), seed.as_bytes())?;
        about.insert("seed", seed.as_slice())?;
        transaction.open_table(CHANNELS)?;
        transaction.open_table(CONTEXTS)?;
    }
    transaction.commit()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::records::{ChannelRecord, ContextRecord, Secret32};
    use super::*;
    use crate::message::SecaggId;

    fn node(name: &str) -> NodeId {
        NodeId::try_from(name).expect("a valid id")
    }

    fn open(path: &Path, name: &str) -> Result<KeyStore, StoreError> {
        KeyStore::open(path, &node(name), &Lock::Off, &Randomness::from_seed(1))
    }

    fn context() -> ContextRecord {
        ContextRecord {
            researcher: Some("R".into()),
            experiment: "exp".into(),
            parties: vec!["a".into(), "b".into()],
            secret: records::ContextSecret::Pairs(
                [("b".to_owned(), Secret32::from([7; 32]))].into(),
            ),
            last_round: None,
        }
    }

    #[test]
    fn refuses_a_file_that_is_not_a_store() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("node.redb");
        std::fs::write(&path, b"name,age\nada,36\n").expect("written");

        assert!(matches!(open(&path, "a"), Err(StoreError::Unreadable(_))));
        assert_eq!(
            std::fs::read(&path).expect("still there"),
            b"name,age\nada,36\n"
        );
    }

    #[test]
    fn refuses_a_redb_file_of_another_program() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("node.redb");
        drop(redb::Database::create(&path).expect("made"));

        assert!(matches!(open(&path, "a"), Err(StoreError::Foreign)));
    }

    #[test]
    fn refuses_a_truncated_or_flipped_store_or_finds_the_same_seed() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("node.redb");
        let seed = *open(&path, "a").expect("made").seed().as_bytes();
        let whole = std::fs::read(&path).expect("read");

        let mut broken: Vec<Vec<u8>> = (0..whole.len())
            .step_by(701)
            .map(|at| {
                let mut bytes = whole.clone();
                bytes[at] ^= 0x10;
                bytes
            })
            .collect();
        broken.extend(
            [0, 1, 100, whole.len() / 2, whole.len() - 1].map(|length| whole[..length].to_vec()),
        );
        for bytes in broken {
            std::fs::write(&path, bytes).expect("written");
            if let Ok(store) = open(&path, "a") {
                assert_eq!(
                    *store.seed().as_bytes(),
                    seed,
                    "never a silent new identity"
                );
            }
        }
    }

    #[test]
    fn refuses_a_link_to_a_store_that_is_not_there() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("node.redb");
        let volume = folder.path().join("not mounted");
        std::os::unix::fs::symlink(volume.join("node.redb"), &path).expect("linked");

        assert!(matches!(open(&path, "a"), Err(StoreError::LinkToNothing)));

        std::fs::create_dir(&volume).expect("mounted, and empty");
        assert!(matches!(open(&path, "a"), Err(StoreError::LinkToNothing)));
        assert!(path.is_symlink(), "nothing took its place");
        assert_eq!(std::fs::read_dir(&volume).expect("read").count(), 0);
    }

    #[test]
    fn opens_a_store_behind_a_link() {
        let folder = tempfile::tempdir().expect("a folder");
        let (there, link) = (folder.path().join("store"), folder.path().join("node.redb"));
        let seed = *open(&there, "a").expect("made").seed().as_bytes();
        std::os::unix::fs::symlink(&there, &link).expect("linked");

        assert_eq!(*open(&link, "a").expect("opened").seed().as_bytes(), seed);
    }

    #[test]
    fn refuses_to_start_anew_when_it_cannot_see_whether_there_is_a_store() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("data");
        std::fs::write(&file, b"no folder").expect("written");

        let refused = open(&file.join("node.redb"), "a");

        assert!(matches!(refused, Err(StoreError::Io(_))));
    }

    #[test]
    fn refuses_the_store_of_another_node() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("node.redb");
        drop(open(&path, "a").expect("made"));

        assert!(matches!(open(&path, "b"), Err(StoreError::OtherNode { owner }) if owner == "a"));
    }

    #[test]
    fn refuses_a_store_that_is_open_elsewhere() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("node.redb");
        let _first = open(&path, "a").expect("made");

        assert!(matches!(open(&path, "a"), Err(StoreError::InUse)));
    }

    #[test]
    fn refuses_a_round_that_was_used_even_after_a_restart() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("node.redb");
        let id = SecaggId::try_from("s").expect("valid");
        let store = open(&path, "a").expect("made");
        store.put_context(&id, &context()).expect("kept");
        store.claim_round(&id, 4).expect("first use");
        drop(store);

        let store = open(&path, "a").expect("opened");
        assert!(matches!(
            store.claim_round(&id, 4),
            Err(StoreError::RoundUsed { round: 4, last: 4 })
        ));
        assert!(matches!(
            store.claim_round(&id, 3),
            Err(StoreError::RoundUsed { .. })
        ));
        assert!(store.claim_round(&id, 5).is_ok());
    }

    #[test]
    fn keeps_contexts_channels_and_seed_across_a_restart() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("node.redb");
        let id = SecaggId::try_from("s").expect("valid");
        let channel = ChannelRecord {
            own: Secret32::from([3; 32]),
            peer: Some(vec![4; 65]),
        };
        let store = open(&path, "a").expect("made");
        let seed = *store.seed().as_bytes();
        store.put_context(&id, &context()).expect("kept");
        store.put_channel(&node("b"), &channel).expect("kept");
        drop(store);

        let store = open(&path, "a").expect("opened");
        assert_eq!(*store.seed().as_bytes(), seed);
        assert_eq!(store.context(&id).expect("read"), Some(context()));
        assert_eq!(store.channels().expect("read"), vec![(node("b"), channel)]);
        assert!(store.remove_context(&id).expect("removed"));
        assert!(!store.remove_context(&id).expect("none left"));
    }

    #[test]
    fn is_private_on_disk() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("node.redb");
        drop(open(&path, "a").expect("made"));

        let mode = std::fs::metadata(&path)
            .expect("there")
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
