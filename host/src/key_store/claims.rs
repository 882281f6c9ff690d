//! Rounds in which vectors were protected: each serves once, also when an older copy of the store comes back.
//!
//! Masks are a function of context and round alone, so a second vector under the same round would give away the difference of
//! the two. The store has the last round of each context; an older copy of it has an earlier one. So a note beside the store says
//! how many rounds were claimed in all, and a store that knows of fewer drops its contexts.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use redb::{ReadableTable, ReadableTableMetadata, WriteTransaction};

use super::records::{self, ContextRecord};
use super::{ABOUT, CONTEXTS, KeyStore, StoreError};
use crate::files::write_whole;
use crate::message::SecaggId;

/// How many rounds were claimed, in `ABOUT`.
pub(super) const CLAIMS: &str = "claims";

/// A note of a store: a number that only goes up. Locked while it does: the last note is the highest.
pub(super) struct Note(pub(super) Mutex<Option<PathBuf>>);

impl Note {
    /// Of rounds, beside the store at `path`.
    pub(super) fn of_claims(path: &Path) -> Self {
        Self(Mutex::new(Some(path.with_extension("claims"))))
    }

    /// Of rosters, beside the store at `path`.
    pub(super) fn of_rosters(path: &Path) -> Self {
        Self(Mutex::new(Some(path.with_extension("roster"))))
    }

    /// Of openings, beside the store at `path`.
    pub(super) fn of_generations(path: &Path) -> Self {
        Self(Mutex::new(Some(path.with_extension("generation"))))
    }

    /// None: for stores that nobody can exchange.
    pub(super) fn none() -> Self {
        Self(Mutex::new(None))
    }
}

impl KeyStore {
    /// Marks `round` of a context as used and returns the context. Rounds only ever go up, and the mark is on disk before
    /// this returns.
    pub fn claim_round(&self, id: &SecaggId, round: u64) -> Result<ContextRecord, StoreError> {
        let note = self.note.0.lock().unwrap_or_else(PoisonError::into_inner);
        let transaction = self.database.begin_write()?;
        let record = {
            let bytes = self.get_in(&transaction, CONTEXTS, id.as_ref())?;
            let bytes = bytes.ok_or_else(|| StoreError::NoContext(id.clone()))?;
            let mut record: ContextRecord = records::decode(&bytes, || format!("context {id}"))?;
            if let Some(last) = record.last_round
                && round <= last
            {
                return Err(StoreError::RoundUsed { round, last });
            }
            record.last_round = Some(round);
            self.put_in(
                &transaction,
                CONTEXTS,
                id.as_ref(),
                &records::encode(&record)?,
            )?;
            record
        };
        let claims = claims(&transaction)? + 1;
        set_claims(&transaction, claims)?;
        transaction.commit()?;
        if let Some(path) = &*note {
            write_whole(path, claims.to_string().as_bytes(), 0o600)?;
        }
        Ok(record)
    }

    /// Drops all contexts if the store is older than its note: some of their rounds may have been used since.
    pub(super) fn check_claims(&self) -> Result<(), StoreError> {
        let note = self.note.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(noted) = note.as_deref().map(noted).transpose()?.flatten() else {
            return Ok(());
        };
        let transaction = self.database.begin_write()?;
        if claims(&transaction)? >= noted {
            return Ok(());
        }
        let dropped = transaction.open_table(CONTEXTS)?.len()?;
        transaction.delete_table(CONTEXTS)?;
        transaction.open_table(CONTEXTS)?;
        set_claims(&transaction, noted)?;
        transaction.commit()?;
        // None in a store that is new, after the one before was moved away.
        if dropped > 0 {
            tracing::warn!(
                dropped,
                "this key store is older than what was last done with it: an old backup? Identity and channels are kept; its secagg contexts are dropped, as nobody can tell which of their rounds were used: set up new ones"
            );
        }
        Ok(())
    }
}

fn claims(transaction: &WriteTransaction) -> Result<u64, StoreError> {
    let about = transaction.open_table(ABOUT)?;
    let Some(found) = about.get(CLAIMS)? else {
        return Ok(0);
    };
    let bytes = <[u8; 8]>::try_from(found.value());
    let bytes = bytes.map_err(|_| StoreError::Damaged(CLAIMS.into()))?;
    Ok(u64::from_be_bytes(bytes))
}

fn set_claims(transaction: &WriteTransaction, claims: u64) -> Result<(), StoreError> {
    let mut about = transaction.open_table(ABOUT)?;
    about.insert(CLAIMS, claims.to_be_bytes().as_slice())?;
    Ok(())
}

/// What a note says; `None` when there is none.
pub(super) fn noted(path: &Path) -> Result<Option<u64>, StoreError> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let number = text.trim().parse();
    let number = number.map_err(|_| StoreError::Damaged(path.display().to_string()))?;
    Ok(Some(number))
}

#[cfg(test)]
mod tests {
    use super::super::records::{ContextSecret, Secret32};
    use super::*;
    use crate::key_store::Lock;
    use crate::message::NodeId;
    use crate::randomness::Randomness;

    struct Fixture {
        folder: tempfile::TempDir,
        id: SecaggId,
    }

    impl Fixture {
        /// A store with a context of which no round was used.
        fn new() -> Self {
            let fixture = Self {
                folder: tempfile::tempdir().expect("a folder"),
                id: SecaggId::try_from("s").expect("valid"),
            };
            fixture.put_context(&fixture.open());
            fixture
        }

        fn path(&self, name: &str) -> PathBuf {
            self.folder.path().join(name)
        }

        fn open(&self) -> KeyStore {
            let node = NodeId::try_from("a").expect("valid");
            KeyStore::open(
                &self.path("node.redb"),
                &node,
                &Lock::Off,
                &Randomness::from_seed(1),
            )
            .expect("open")
        }

        fn put_context(&self, store: &KeyStore) {
            let secret = ContextSecret::Pairs([("b".to_owned(), Secret32::from([7; 32]))].into());
            let context = ContextRecord {
                researcher: Some("R".into()),
                experiment: "exp".into(),
                parties: vec!["a".into(), "b".into()],
                secret,
                last_round: None,
            };
            store.put_context(&self.id, &context).expect("kept");
        }

        fn back_up(&self) {
            std::fs::copy(self.path("node.redb"), self.path("backup")).expect("copied");
        }

        fn restore(&self) {
            std::fs::copy(self.path("backup"), self.path("node.redb")).expect("copied");
        }
    }

    #[test]
    fn a_round_used_since_a_backup_is_not_used_again() {
        let fixture = Fixture::new();
        fixture.back_up();
        let store = fixture.open();
        let seed = *store.seed().as_bytes();
        store.claim_round(&fixture.id, 1).expect("first use");
        drop(store);

        fixture.restore();
        let store = fixture.open();
        assert_eq!(*store.seed().as_bytes(), seed, "one identity");
        assert!(matches!(
            store.claim_round(&fixture.id, 1),
            Err(StoreError::NoContext(_))
        ));
        // What is set up from now on stays.
        fixture.put_context(&store);
        store.claim_round(&fixture.id, 1).expect("another context");
        drop(store);
        assert!(fixture.open().context(&fixture.id).expect("read").is_some());
    }

    #[test]
    fn a_backup_of_which_no_round_was_used_since_keeps_its_contexts() {
        let fixture = Fixture::new();
        fixture.open().claim_round(&fixture.id, 1).expect("used");
        fixture.back_up();
        fixture.put_context(&fixture.open());

        fixture.restore();
        let context = fixture.open().context(&fixture.id).expect("read");
        assert_eq!(context.expect("kept").last_round, Some(1));
    }

    #[test]
    fn refuses_a_note_that_cannot_be_read() {
        let fixture = Fixture::new();
        std::fs::write(fixture.path("node.claims"), "many").expect("written");

        let node = NodeId::try_from("a").expect("valid");
        let opened = KeyStore::open(
            &fixture.path("node.redb"),
            &node,
            &Lock::Off,
            &Randomness::from_seed(1),
        );
        assert!(matches!(opened, Err(StoreError::Damaged(_))));
    }
}
