//! Backups: a store as it was at one moment, with its locked key, in one file that is whole or refused.
//!
//! ```text
//! "backchannel backup 1\n" | length of the header, u32 big-endian | header, JSON | node.key | node.redb | tag 32
//! ```
//!
//! The tag is an HMAC-SHA256 under the store's key over all before it; of a store in the clear, a SHA-256.

use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::rewrite::rewrite;
use super::sealing::{Sealing, StoreKey};
use super::{KeyStore, Lock, StoreError, file, generation, key_path};
use crate::files::write_whole;
use crate::identity::IdentityKey;
use crate::primitives::{HmacSha256, hkdf_sha256};
use crate::randomness::Randomness;

const MAGIC: &[u8] = b"backchannel backup 1\n";
const TAG_BYTES: usize = 32;

/// What a backup says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BackupHeader {
    /// Whose it is.
    pub node: String,
    /// When it was made, in seconds since 1970.
    pub made: u64,
    /// Whether its values are encrypted.
    pub encrypted: bool,
    /// Length of the locked key, in bytes.
    key_bytes: usize,
}

/// A backup that was read and found whole.
pub struct Backup {
    header: BackupHeader,
    key: Vec<u8>,
    store: Zeroizing<Vec<u8>>,
}

impl KeyStore {
    /// All that is in the store at this moment, as a file.
    pub fn backup(&self, made: u64) -> Result<Zeroizing<Vec<u8>>, StoreError> {
        let key = match (&self.sealing, &self.path) {
            (Sealing::Under(..), Some(path)) => std::fs::read(key_path(path))?,
            _ => Vec::new(),
        };
        let header = BackupHeader {
            node: self.owner.to_string(),
            made,
            encrypted: self.is_encrypted(),
            key_bytes: key.len(),
        };
        let header = serde_json::to_vec(&header)
            .map_err(|error| StoreError::Damaged(format!("the backup ({error})")))?;
        let store = file::written_to_memory(|database| {
            // As they are: sealed already, or in the clear.
            rewrite(
                &self.database.begin_read()?,
                database.begin_write()?,
                &Sealing::Clear,
            )?;
            // Wherever it is put, what came after it is forgotten.
            generation::mark_set_back(database.begin_write()?)
        })?;
        let length = u32::try_from(header.len())
            .unwrap_or(u32::MAX)
            .to_be_bytes();
        let mut text = Zeroizing::new([MAGIC, &length, &header, &key, &store].concat());
        let tag = match &self.sealing {
            Sealing::Clear => Sha256::digest(&*text).into(),
            Sealing::Under(key, _) => mac(key, &text).tag(),
        };
        text.extend(tag);
        Ok(text)
    }
}

impl Backup {
    /// Reads a backup of a store that was under this lock. Nothing of it is believed that its tag does not cover.
    pub fn read(file: &[u8], lock: &Lock) -> Result<Self, StoreError> {
        let damaged = || StoreError::BadBackup;
        let (text, tag) = file.split_last_chunk::<TAG_BYTES>().ok_or_else(damaged)?;
        let rest = text.strip_prefix(MAGIC).ok_or_else(damaged)?;
        let (length, rest) = rest.split_first_chunk().ok_or_else(damaged)?;
        let length = u32::from_be_bytes(*length) as usize;
        let (header, rest) = rest.split_at_checked(length).ok_or_else(damaged)?;
        let header: BackupHeader = serde_json::from_slice(header).map_err(|_| damaged())?;
        let (key, store) = rest
            .split_at_checked(header.key_bytes)
            .ok_or_else(damaged)?;
        if !header.encrypted && !matches!(lock, Lock::Off) {
            return Err(StoreError::BackupInTheClear);
        }
        let whole = if header.encrypted {
            let locked = std::str::from_utf8(key).map_err(|_| damaged())?;
            mac(&lock.unwrap(locked)?, text).begins_with(tag)
        } else {
            *tag == <[u8; TAG_BYTES]>::from(Sha256::digest(text))
        };
        if !whole {
            return Err(damaged());
        }
        Ok(Self {
            header,
            key: key.to_vec(),
            store: Zeroizing::new(store.to_vec()),
        })
    }

    /// What it says of itself.
    pub fn header(&self) -> &BackupHeader {
        &self.header
    }

    /// Puts it in the place of the store at `path`, if there is one: of the same node with the same identity key, and nobody has it open.
    /// Notes beside the store stay, by which it is noticed that this is an older one.
    pub fn put_in_place(
        &self,
        path: &Path,
        replace: bool,
        lock: &Lock,
        randomness: &Randomness,
    ) -> Result<(), StoreError> {
        let present = match path.try_exists()? {
            false => None,
            true if !replace => return Err(StoreError::InTheWay),
            true => KeyStore::open_existing(path, lock, randomness)?,
        };
        if let Some(present) = &present {
            if present.owner.as_str() != self.header.node {
                return Err(StoreError::OtherNode {
                    owner: present.owner.to_string(),
                });
            }
            if present.identity(randomness)?.public() != self.identity(lock, randomness)? {
                return Err(StoreError::OtherIdentity);
            }
        }
        // It may be a link, which is to stay.
        let path = &path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let key = key_path(path);
        // That of a store which was moved away must not be lost.
        if present.is_none() && key.try_exists()? && std::fs::read(&key)? != self.key {
            return Err(StoreError::KeyInTheWay);
        }
        drop(present);
        if self.header.encrypted {
            write_whole(&key, &self.key, 0o600)?;
        }
        write_whole(path, &self.store, 0o600)?;
        Ok(())
    }

    /// Of the node in it, by looking at a copy.
    fn identity(&self, lock: &Lock, randomness: &Randomness) -> Result<IdentityKey, StoreError> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("node.redb");
        write_whole(&path, &self.store, 0o600)?;
        if self.header.encrypted {
            write_whole(&key_path(&path), &self.key, 0o600)?;
        }
        let store = KeyStore::open_existing(&path, lock, randomness)?;
        let store = store.ok_or(StoreError::Foreign)?;
        Ok(store.identity(randomness)?.public())
    }
}

fn mac(key: &StoreKey, text: &[u8]) -> HmacSha256 {
    let key = hkdf_sha256(&[], key.as_bytes(), &[MAGIC]);
    let mut mac = HmacSha256::new(&key);
    mac.update(text);
    mac
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key_store::PinRecord;
    use crate::message::NodeId;

    struct Desk {
        folder: tempfile::TempDir,
        lock: Lock,
        randomness: Randomness,
    }

    impl Desk {
        fn new(lock: Lock) -> Self {
            Self {
                folder: tempfile::tempdir().expect("a folder"),
                lock,
                randomness: Randomness::from_seed(1),
            }
        }

        fn path(&self) -> std::path::PathBuf {
            self.folder.path().join("node.redb")
        }

        fn store(&self) -> KeyStore {
            let node = NodeId::try_from("a").expect("an id");
            KeyStore::open(&self.path(), &node, &self.lock, &self.randomness).expect("a store")
        }

        fn restore(&self, file: &[u8], replace: bool) -> Result<(), StoreError> {
            let backup = Backup::read(file, &self.lock)?;
            backup.put_in_place(&self.path(), replace, &self.lock, &self.randomness)
        }
    }

    fn locks() -> [Lock; 2] {
        [Lock::Off, "07".repeat(32).parse().expect("a key")]
    }

    fn pin(store: &KeyStore, peer: &str) {
        let key = store
            .identity(&Randomness::from_seed(9))
            .expect("a key")
            .public();
        let pin = PinRecord {
            key,
            since: 1,
            by: "Ada".into(),
        };
        store
            .put_pin(&peer.parse().expect("an id"), &pin)
            .expect("kept");
    }

    fn pins(store: &KeyStore) -> usize {
        store.pins().expect("read").len()
    }

    #[test]
    fn a_backup_that_was_changed_or_cut_is_refused() {
        for lock in locks() {
            let desk = Desk::new(lock);
            let file = desk.store().backup(5).expect("a backup");
            assert!(Backup::read(&file, &desk.lock).is_ok());
            for at in (0..file.len()).step_by(97).chain(0..200) {
                let mut changed = file.to_vec();
                changed[at] ^= 1;
                assert!(Backup::read(&changed, &desk.lock).is_err(), "{at}");
                assert!(Backup::read(&file[..at], &desk.lock).is_err(), "{at}");
            }
        }
    }

    #[test]
    fn what_came_after_the_backup_is_gone_and_that_is_noticed_until_somebody_was_told() {
        for lock in locks() {
            let desk = Desk::new(lock);
            let store = desk.store();
            pin(&store, "b");
            let file = store.backup(5).expect("a backup");
            pin(&store, "c");
            assert!(!store.was_set_back());
            drop(store);
            assert!(matches!(
                desk.restore(&file, false),
                Err(StoreError::InTheWay)
            ));

            desk.restore(&file, true).expect("restored");

            for _ in 0..2 {
                let store = desk.store();
                assert!(store.was_set_back());
                assert_eq!(pins(&store), 1);
            }
            desk.store().notice_set_back().expect("noticed");
            assert!(!desk.store().was_set_back());
        }
    }

    #[test]
    fn an_identity_is_not_replaced_by_another() {
        let [_, lock] = locks();
        let (desk, other) = (Desk::new(lock.clone()), Desk::new(lock));
        let file = {
            let store = other.store();
            pin(&store, "b");
            store.backup(5).expect("a backup")
        };
        desk.store()
            .identity(&Randomness::from_seed(77))
            .expect("another key");

        let refused = desk.restore(&file, true);

        assert!(
            matches!(refused, Err(StoreError::OtherIdentity)),
            "{refused:?}"
        );
    }

    #[test]
    fn an_older_copy_that_somebody_put_there_by_hand_is_noticed() {
        let [_, lock] = locks();
        let desk = Desk::new(lock);
        drop(desk.store());
        let copy = desk.folder.path().join("copy");
        std::fs::copy(desk.path(), &copy).expect("copied");
        drop(desk.store());
        std::fs::copy(&copy, desk.path()).expect("put back");

        assert!(desk.store().was_set_back());
    }
}
