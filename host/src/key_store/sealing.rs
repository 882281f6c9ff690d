//! Values of the store, encrypted each for its place: XChaCha20-Poly1305 under the store's key and a nonce that is drawn, with table and key as
//! what is authenticated beside. What the entries are called stays in the clear: ids of peers, runs and requests.

use std::fmt;

use rand_core::Rng;
use zeroize::Zeroizing;

use super::StoreError;
use crate::primitives::{put, xchacha20_poly1305_open, xchacha20_poly1305_seal};
use crate::randomness::Randomness;

const NONCE_BYTES: usize = 24;
const TAG_BYTES: usize = 16;
/// By how much a sealed value is longer.
const MORE: usize = NONCE_BYTES + TAG_BYTES;

/// What the values of one store are encrypted under. Cannot be printed; zeroized when dropped.
pub(super) struct StoreKey(Zeroizing<[u8; 32]>);

impl StoreKey {
    pub(super) fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl From<Zeroizing<[u8; 32]>> for StoreKey {
    fn from(key: Zeroizing<[u8; 32]>) -> Self {
        Self(key)
    }
}

impl fmt::Debug for StoreKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StoreKey(…)")
    }
}

/// How values go in and come out.
pub(super) enum Sealing {
    /// As they are.
    Clear,
    /// Encrypted.
    Under(StoreKey, Randomness),
}

/// Where a value is: its table, and its key's parts there.
#[derive(Clone, Copy)]
pub(super) struct Place<'a>(pub(super) &'a str, pub(super) &'a [&'a str]);

impl Sealing {
    /// The value as it is to be written there.
    pub(super) fn seal(
        &self,
        place: Place<'_>,
        value: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, StoreError> {
        let Self::Under(key, randomness) = self else {
            return Ok(Zeroizing::new(value.to_vec()));
        };
        let mut sealed = Zeroizing::new(Vec::with_capacity(value.len() + MORE));
        sealed.resize(NONCE_BYTES, 0);
        randomness.clone().fill_bytes(&mut sealed);
        sealed.extend(value);
        let (nonce, text) = sealed
            .split_first_chunk_mut()
            .ok_or_else(|| place.damaged())?;
        let tag = xchacha20_poly1305_seal(key.as_bytes(), nonce, &place.encode(), text);
        let tag = tag.map_err(|_| place.damaged())?;
        sealed.extend(tag);
        Ok(sealed)
    }

    /// The value that was written there.
    pub(super) fn open(
        &self,
        place: Place<'_>,
        bytes: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, StoreError> {
        let Self::Under(key, _) = self else {
            return Ok(Zeroizing::new(bytes.to_vec()));
        };
        let (nonce, rest) = bytes.split_first_chunk().ok_or_else(|| place.damaged())?;
        let (text, tag) = rest.split_last_chunk().ok_or_else(|| place.damaged())?;
        let mut text = Zeroizing::new(text.to_vec());
        xchacha20_poly1305_open(key.as_bytes(), nonce, &place.encode(), &mut text, tag)
            .map_err(|_| place.damaged())?;
        Ok(text)
    }

    /// How long a value is that takes so many bytes.
    pub(super) fn content_len(&self, bytes: usize) -> usize {
        match self {
            Self::Clear => bytes,
            Self::Under(..) => bytes.saturating_sub(MORE),
        }
    }
}

impl Place<'_> {
    fn encode(self) -> Vec<u8> {
        let Self(table, key) = self;
        let mut text = Vec::new();
        put(&mut text, table.as_bytes());
        for part in key {
            put(&mut text, part.as_bytes());
        }
        text
    }

    fn damaged(self) -> StoreError {
        StoreError::Damaged(format!("{} {}", self.0, self.1.join(" ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_opens_where_it_was_put_and_nowhere_else() {
        let key = StoreKey::from(Zeroizing::new([1; 32]));
        let sealing = Sealing::Under(key, Randomness::from_seed(1));
        let place = Place("t", &["a", "b"]);
        let sealed = sealing.seal(place, b"a secret").expect("sealed");
        assert_eq!(sealing.content_len(sealed.len()), 8);
        assert_eq!(
            **sealing.open(place, &sealed).expect("opened"),
            *b"a secret"
        );
        for other in [
            Place("u", &["a", "b"]),
            Place("t", &["ab"]),
            Place("t", &["b", "a"]),
            Place("t", &["a"]),
        ] {
            assert!(sealing.open(other, &sealed).is_err());
        }
        for bit in 0..sealed.len() * 8 {
            let mut changed = sealed.to_vec();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(sealing.open(place, &changed).is_err(), "{bit}");
        }
        for length in 0..sealed.len() {
            assert!(sealing.open(place, &sealed[..length]).is_err(), "{length}");
        }
        let another = StoreKey::from(Zeroizing::new([2; 32]));
        let another = Sealing::Under(another, Randomness::from_seed(1));
        assert!(another.open(place, &sealed).is_err());
    }

    #[test]
    fn one_value_is_never_written_the_same_twice() {
        let key = StoreKey::from(Zeroizing::new([1; 32]));
        let sealing = Sealing::Under(key, Randomness::from_seed(1));
        let sealed = [(); 2].map(|()| sealing.seal(Place("t", &["a"]), b"x").expect("sealed"));
        assert_ne!(sealed[0], sealed[1]);
    }
}
