//! The key store of a data directory, opened with the key that its policy names.

use std::io;
use std::path::{Path, PathBuf};

use rand_core::Rng;
use zeroize::Zeroizing;

use super::error::store_path;
use super::{NodeError, make_private_folder};
use crate::files::write_whole;
use crate::key_store::{Backup, BackupHeader, KeyStore, Lock};
use crate::message::NodeId;
use crate::policy::{Policy, StoreLock};
use crate::randomness::Randomness;

/// The key's file in a data directory whose policy names no other.
const BESIDE_IT: &str = "store.key";
/// Longest file of a key or passphrase, in bytes.
const LONGEST: usize = 4096;

/// Opens the key store in the data directory of the node `id`, or makes it.
pub(crate) fn open_store(
    data: &Path,
    id: &NodeId,
    randomness: &Randomness,
) -> Result<KeyStore, NodeError> {
    make_private_folder(data).map_err(|source| NodeError::Data {
        path: data.to_owned(),
        source,
    })?;
    let lock = lock(data, randomness)?;
    KeyStore::open(&store_path(data), id, &lock, randomness)
        .map_err(|source| NodeError::store(data, source))
}

/// Opens the key store of a node that does not run; `None` when the data directory has none.
pub(crate) fn open_stopped(data: &Path) -> Result<Option<KeyStore>, NodeError> {
    let path = store_path(data);
    let is_there = path.try_exists();
    let failed = |error: io::Error| NodeError::store(data, error.into());
    if !is_there.map_err(failed)? {
        return Ok(None);
    }
    let randomness = Randomness::from_system()?;
    let lock = lock(data, &randomness)?;
    KeyStore::open_existing(&path, &lock, &randomness)
        .map_err(|source| NodeError::store(data, source))
}

/// What a running node does to a plugin's state in its store, done to that of a node that does not run: ends the
/// quarantine of `release`, deletes what `forget` has stored. Empty names are nobody's.
pub(crate) fn tidy_stopped(data: &Path, release: &str, forget: &str) -> Result<(), NodeError> {
    let failed = |source| NodeError::store(data, source);
    let Some(store) = open_stopped(data)? else {
        return Ok(());
    };
    if !release.is_empty() {
        store.put_quarantine(release, None).map_err(failed)?;
    }
    if !forget.is_empty() {
        store.forget_plugin(forget).map_err(failed)?;
    }
    Ok(())
}

/// Puts a backup in the place of the key store of a data directory whose node does not run; whose it is, and when it was made.
pub(crate) fn restore(data: &Path, file: &[u8], replace: bool) -> Result<BackupHeader, NodeError> {
    make_private_folder(data).map_err(|source| NodeError::Data {
        path: data.to_owned(),
        source,
    })?;
    let randomness = Randomness::from_system()?;
    // A key that is drawn now opens no backup.
    if Policy::read(data)?.store == StoreLock::BesideIt && !data.join(BESIDE_IT).exists() {
        return Err(NodeError::StoreKey {
            why: format!("{} is not there", data.join(BESIDE_IT).display()),
            todo: "put the key there that the backup's store was under, or name it under [store] in policy.toml",
        });
    }
    let lock = lock(data, &randomness)?;
    let backup = Backup::read(file, &lock).map_err(NodeError::Backup)?;
    let path = store_path(data);
    let put = backup.put_in_place(&path, replace, &lock, &randomness);
    put.map_err(NodeError::Backup)?;
    Ok(backup.header().clone())
}

/// Locks the key of the store in a data directory up with what the policy names now. So far it is locked with `from`.
pub(crate) fn relock(data: &Path, from: &StoreLock) -> Result<(), NodeError> {
    let randomness = Randomness::from_system()?;
    let from = lock_of(from, data, &randomness)?;
    let to = lock(data, &randomness)?;
    KeyStore::relock(&store_path(data), &from, &to, &randomness)
        .map_err(|source| NodeError::store(data, source))
}

/// What the store of a data directory is under, or is to be.
fn lock(data: &Path, randomness: &Randomness) -> Result<Lock, NodeError> {
    lock_of(&Policy::read(data)?.store, data, randomness)
}

fn lock_of(lock: &StoreLock, data: &Path, randomness: &Randomness) -> Result<Lock, NodeError> {
    let at = |path: &PathBuf| data.join(path);
    match lock {
        StoreLock::Off => Ok(Lock::Off),
        StoreLock::BesideIt => beside_it(data, randomness),
        StoreLock::File(path) => key(&read(&at(path))?, &at(path).display().to_string()),
        StoreLock::Variable(name) => {
            let value = std::env::var(name).map(Zeroizing::new);
            let value = value.map_err(|_| NodeError::StoreKey {
                why: format!("the variable {name} is not set, or is no text"),
                todo: "set it to the 64 hex digits of the key, for this command and for the node",
            })?;
            key(&value, &format!("the variable {name}"))
        }
        StoreLock::PassphraseFile(path) => {
            let text = read(&at(path))?;
            let line = text.lines().next().unwrap_or_default();
            if line.is_empty() {
                return Err(NodeError::StoreKey {
                    why: format!("the first line of {} is empty", at(path).display()),
                    todo: "write the passphrase there",
                });
            }
            Ok(Lock::Passphrase(Zeroizing::new(line.to_owned())))
        }
    }
}

/// In the file in the data directory, which is made where there is none, and no store that would need another.
fn beside_it(data: &Path, randomness: &Randomness) -> Result<Lock, NodeError> {
    let path = data.join(BESIDE_IT);
    let failed = |source: io::Error| NodeError::StoreKey {
        why: format!("{}: {source}", path.display()),
        todo: "check free space and permissions",
    };
    if path.try_exists().map_err(failed)? {
        return key(&read(&path)?, &path.display().to_string());
    }
    if data.join("node.key").try_exists().map_err(failed)? {
        return Err(NodeError::StoreKey {
            why: format!(
                "{} is not there, and the store is encrypted",
                path.display()
            ),
            todo: "put it back, from where it was copied or moved to, or name under [store] in policy.toml where the key is",
        });
    }
    let mut bytes = Zeroizing::new([0; 32]);
    randomness.clone().fill_bytes(&mut *bytes);
    let text = Zeroizing::new(format!("{}\n", hex::encode(bytes.as_slice())));
    write_whole(&path, text.as_bytes(), 0o600).map_err(failed)?;
    Ok(Lock::Key(bytes))
}

fn read(path: &Path) -> Result<Zeroizing<String>, NodeError> {
    let unreadable = |why: String| NodeError::StoreKey {
        why: format!("{} cannot be read: {why}", path.display()),
        todo: "check the name under [store] in policy.toml, and that this user may read the file",
    };
    let text = std::fs::read_to_string(path).map(Zeroizing::new);
    let text = text.map_err(|error| unreadable(error.to_string()))?;
    if text.len() > LONGEST {
        return Err(unreadable(format!("it has more than {LONGEST} bytes")));
    }
    Ok(text)
}

fn key(text: &str, whose: &str) -> Result<Lock, NodeError> {
    text.parse().map_err(|_| NodeError::StoreKey {
        why: format!("{whose} does not hold a key: 64 hex digits"),
        todo: "make one with `openssl rand -hex 32`, or put the right one there",
    })
}
