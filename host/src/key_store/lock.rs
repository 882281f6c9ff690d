//! What a store's key is kept under. The store's own key is drawn once, and lies beside the store in a file that only who has the lock can
//! open; so another passphrase does not mean to write the store anew.

use std::fmt;
use std::io;
use std::path::Path;
use std::str::FromStr;

use rand_core::Rng;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::StoreError;
use super::sealing::StoreKey;
use crate::files::write_whole;
use crate::primitives::{chacha20_poly1305_open, chacha20_poly1305_seal, hkdf_sha256};
use crate::randomness::Randomness;

/// Written into each file.
const FORMAT: &str = "backchannel store key 1";
/// Each lock's key encrypts one text, as the salt is drawn with it.
const NONCE: [u8; 12] = [0; 12];
/// scrypt with 2^17 · 8 · 128 bytes = 128 MiB, as OWASP advises; some 0.3 s.
const LOG_N: u8 = 17;
const R: u32 = 8;
const P: u32 = 1;
/// No file makes a start take much longer: 1 GiB.
const LARGEST_LOG_N: u8 = 20;

/// What an operator has chosen. Cannot be printed.
#[derive(Clone)]
pub enum Lock {
    /// Nothing: the store is in the clear.
    Off,
    /// A random key, which lies elsewhere.
    Key(Zeroizing<[u8; 32]>),
    /// A passphrase.
    Passphrase(Zeroizing<String>),
}

impl fmt::Debug for Lock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Off => "Lock::Off",
            Self::Key(_) => "Lock::Key(…)",
            Self::Passphrase(_) => "Lock::Passphrase(…)",
        })
    }
}

/// The file beside the store.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wrapped {
    format: String,
    under: By,
    #[serde(with = "hex::serde")]
    salt: [u8; 32],
    #[serde(with = "hex::serde")]
    key: [u8; 32],
    #[serde(with = "hex::serde")]
    tag: [u8; 16],
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum By {
    Key,
    Passphrase { log_n: u8, r: u32, p: u32 },
}

/// A text that is no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is not a key: 64 hex digits")]
pub struct NotAKey;

impl FromStr for Lock {
    type Err = NotAKey;

    /// Reads a key: 64 hex digits, with a line's end or without.
    fn from_str(text: &str) -> Result<Self, NotAKey> {
        let mut bytes = Zeroizing::new([0; 32]);
        let read = hex::decode_to_slice(text.trim(), &mut *bytes);
        read.map(|()| Self::Key(bytes)).map_err(|_| NotAKey)
    }
}

impl Lock {
    /// Locks a store's key up in a file; what the file says.
    pub(super) fn wrap(
        &self,
        key: &StoreKey,
        randomness: &Randomness,
    ) -> Result<String, StoreError> {
        let by = match self {
            Self::Off => return Err(StoreError::Locked),
            Self::Key(_) => By::Key,
            Self::Passphrase(_) => By::Passphrase {
                log_n: LOG_N,
                r: R,
                p: P,
            },
        };
        let mut salt = [0; 32];
        randomness.clone().fill_bytes(&mut salt);
        let locking = self.locking(by, &salt)?;
        let mut wrapped = *key.as_bytes();
        let tag = chacha20_poly1305_seal(&locking, &NONCE, FORMAT.as_bytes(), &mut wrapped);
        let wrapped = Wrapped {
            format: FORMAT.into(),
            under: by,
            salt,
            key: wrapped,
            tag: tag.map_err(|_| StoreError::WrongKey)?,
        };
        serde_json::to_string_pretty(&wrapped)
            .map_err(|error| StoreError::Damaged(format!("the store key ({error})")))
    }

    /// The store's key in a file that says `text`.
    pub(super) fn unwrap(&self, text: &str) -> Result<StoreKey, StoreError> {
        let damaged = |why: String| StoreError::Damaged(format!("the store key ({why})"));
        let wrapped: Wrapped =
            serde_json::from_str(text).map_err(|error| damaged(error.to_string()))?;
        if wrapped.format != FORMAT {
            return Err(damaged("of another version".into()));
        }
        let locking = self.locking(wrapped.under, &wrapped.salt)?;
        let mut key = Zeroizing::new(wrapped.key);
        chacha20_poly1305_open(&locking, &NONCE, FORMAT.as_bytes(), &mut *key, &wrapped.tag)
            .map_err(|_| StoreError::WrongKey)?;
        Ok(StoreKey::from(key))
    }

    fn locking(&self, by: By, salt: &[u8; 32]) -> Result<Zeroizing<[u8; 32]>, StoreError> {
        match (self, by) {
            (Self::Key(key), By::Key) => Ok(hkdf_sha256(salt, &key[..], &[FORMAT.as_bytes()])),
            (Self::Passphrase(passphrase), By::Passphrase { log_n, r, p }) => {
                let params = scrypt::Params::new(log_n.min(LARGEST_LOG_N), r.min(R), p.min(P));
                let damaged =
                    || StoreError::Damaged("the store key (its scrypt parameters)".into());
                let params = params.map_err(|_| damaged())?;
                let mut locking = Zeroizing::new([0; 32]);
                scrypt::scrypt(passphrase.as_bytes(), salt, &params, &mut *locking)
                    .map_err(|_| damaged())?;
                Ok(locking)
            }
            (Self::Off, _) => Err(StoreError::Locked),
            (Self::Key(_), By::Passphrase { .. }) => Err(StoreError::OtherLock("a passphrase")),
            (Self::Passphrase(_), By::Key) => Err(StoreError::OtherLock("a key")),
        }
    }
}

/// The store's key, which lies in the file at `path`.
pub(super) fn read(path: &Path, lock: &Lock) -> Result<StoreKey, StoreError> {
    match std::fs::read_to_string(path) {
        Ok(text) => lock.unwrap(&text),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(StoreError::NoKey),
        Err(error) => Err(error.into()),
    }
}

/// Draws a store's key and locks it up in the file at `path`.
pub(super) fn draw(
    path: &Path,
    lock: &Lock,
    randomness: &Randomness,
) -> Result<StoreKey, StoreError> {
    let mut key = Zeroizing::new([0; 32]);
    randomness.clone().fill_bytes(&mut *key);
    let key = StoreKey::from(key);
    write_whole(path, lock.wrap(&key, randomness)?.as_bytes(), 0o600)?;
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> Lock {
        Lock::Key(Zeroizing::new([byte; 32]))
    }

    fn passphrase(text: &str) -> Lock {
        Lock::Passphrase(Zeroizing::new(text.into()))
    }

    fn store_key() -> StoreKey {
        StoreKey::from(Zeroizing::new([7; 32]))
    }

    #[test]
    fn another_key_or_passphrase_opens_nothing() {
        let randomness = Randomness::from_seed(1);
        for (lock, others) in [
            (key(1), [key(2), passphrase("right"), Lock::Off]),
            (
                passphrase("right"),
                [passphrase("wrong"), key(1), Lock::Off],
            ),
        ] {
            let file = lock.wrap(&store_key(), &randomness).expect("locked");
            assert_eq!(
                lock.unwrap(&file).expect("opened").as_bytes(),
                store_key().as_bytes()
            );
            for other in others {
                let refused = other.unwrap(&file).map(|_| ());
                assert!(
                    matches!(
                        refused,
                        Err(StoreError::WrongKey | StoreError::OtherLock(_) | StoreError::Locked)
                    ),
                    "{refused:?}"
                );
            }
        }
    }

    #[test]
    fn a_file_that_was_changed_opens_nothing() {
        let file = key(1)
            .wrap(&store_key(), &Randomness::from_seed(1))
            .expect("locked");
        assert!(!file.contains(&hex::encode(store_key().as_bytes())));
        let text: serde_json::Value = serde_json::from_str(&file).expect("JSON");
        for field in ["salt", "key", "tag", "format", "under"] {
            let mut changed = text.clone();
            let said = text[field].as_str().expect("a text");
            let other = if said.starts_with('0') { "1" } else { "0" };
            changed[field] = format!("{other}{}", &said[1..]).into();
            assert!(key(1).unwrap(&changed.to_string()).is_err(), "{field}");
        }
        assert!(key(1).unwrap("").is_err());
    }
}
