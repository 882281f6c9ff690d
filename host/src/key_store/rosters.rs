//! The roster that is in force, and the highest version that ever was.
//!
//! A roster of an earlier version names nodes that were taken off since, and keys that were lost. So versions only go up, also when an
//! older copy of the store comes back: a note beside the store has the highest version, as with rounds.

use std::path::PathBuf;
use std::sync::PoisonError;

use serde::{Deserialize, Serialize};

use super::claims::noted;
use super::{ABOUT, KeyStore, StoreError, records};
use crate::files::write_whole;

/// The record, in `ABOUT`.
const ROSTER: &str = "roster";

/// A roster that was applied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RosterRecord {
    /// Its version.
    pub version: u64,
    /// The file, byte for byte.
    pub text: String,
    /// Who signed it, by the names that the operator has for their keys.
    pub signed_by: Vec<String>,
    /// When it was applied, in seconds since 1970.
    pub since: u64,
    /// Who applied it.
    pub by: String,
}

impl KeyStore {
    /// The roster that was applied last; in an older copy of the store, the one before.
    pub fn roster(&self) -> Result<Option<RosterRecord>, StoreError> {
        let Some(bytes) = self.get(ABOUT, ROSTER)? else {
            return Ok(None);
        };
        records::decode(&bytes, || "the roster".into()).map(Some)
    }

    /// The highest version that was ever applied here, also by a store of which this is an older copy. 0: none was.
    pub fn highest_roster(&self) -> Result<u64, StoreError> {
        let note = self
            .roster_note
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let stored = self.roster()?.map_or(0, |roster| roster.version);
        Ok(stored.max(noted_version(&note)?))
    }

    /// Puts a roster in the place of the one before. On disk before this returns, and so is the note of its version. `false`, and nothing
    /// changed, for a version below the highest.
    pub fn put_roster(&self, roster: &RosterRecord) -> Result<bool, StoreError> {
        let note = self
            .roster_note
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let stored = self.roster()?.map_or(0, |roster| roster.version);
        if roster.version < stored.max(noted_version(&note)?) {
            return Ok(false);
        }
        self.put(ABOUT, ROSTER, &records::encode(roster)?)?;
        if let Some(path) = &*note {
            write_whole(path, roster.version.to_string().as_bytes(), 0o600)?;
        }
        Ok(true)
    }
}

fn noted_version(note: &Option<PathBuf>) -> Result<u64, StoreError> {
    let noted = note.as_deref().map(noted).transpose()?.flatten();
    Ok(noted.unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key_store::Lock;
    use crate::message::NodeId;
    use crate::randomness::Randomness;

    fn roster(version: u64) -> RosterRecord {
        RosterRecord {
            version,
            text: format!("version = {version}\n"),
            signed_by: vec!["dr-lee".into()],
            since: 10,
            by: "Ada".into(),
        }
    }

    #[test]
    fn versions_only_go_up_also_in_an_older_copy_of_the_store() {
        let folder = tempfile::tempdir().expect("a folder");
        let [path, copy] = ["node.redb", "copy"].map(|name| folder.path().join(name));
        let node = NodeId::try_from("a").expect("valid");
        let open = || {
            KeyStore::open(&path, &node, &Lock::Off, &Randomness::from_seed(1)).expect("a store")
        };
        assert_eq!(open().highest_roster().expect("read"), 0);
        assert!(open().put_roster(&roster(6)).expect("put"));
        std::fs::copy(&path, &copy).expect("copied");
        assert!(open().put_roster(&roster(8)).expect("put"));
        assert!(!open().put_roster(&roster(7)).expect("refused"));
        assert_eq!(open().roster().expect("read"), Some(roster(8)));

        std::fs::copy(&copy, &path).expect("copied");
        assert_eq!(open().roster().expect("read"), Some(roster(6)));
        assert_eq!(open().highest_roster().expect("read"), 8);
        assert!(!open().put_roster(&roster(7)).expect("refused"));
        assert_eq!(open().roster().expect("read"), Some(roster(6)));
        assert!(
            open()
                .put_roster(&roster(8))
                .expect("the highest, once more")
        );
        assert_eq!(open().roster().expect("read"), Some(roster(8)));
    }

    #[test]
    fn refuses_a_note_that_cannot_be_read() {
        let folder = tempfile::tempdir().expect("a folder");
        let node = NodeId::try_from("a").expect("valid");
        let path = folder.path().join("node.redb");
        let store =
            KeyStore::open(&path, &node, &Lock::Off, &Randomness::from_seed(1)).expect("a store");
        std::fs::write(folder.path().join("node.roster"), "the last").expect("written");
        assert!(matches!(
            store.highest_roster(),
            Err(StoreError::Damaged(_))
        ));
        assert!(store.put_roster(&roster(1)).is_err());
    }
}
