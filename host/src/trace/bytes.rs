use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::message::MAX_MESSAGE_BYTES;

/// Bytes as a trace shows them: hex, and for each part that is secret its handle, as in `82a9{3:32}01`: what is called
/// secret 3 throughout the trace, 32 bytes of it.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Bytes(Vec<Piece>);

/// A part of bytes.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum Piece {
    /// Shown.
    Clear(Vec<u8>),
    /// Left out.
    Secret {
        /// Its handle.
        id: u32,
        /// How many bytes.
        length: usize,
    },
}

/// Not bytes as a trace shows them, or more than a message can have: a handle of a few letters must not have gigabytes made of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "bytes are written in hex, with secrets as {{number:length}}, and come to no more than {} MiB",
    MAX_MESSAGE_BYTES >> 20
)]
pub struct NotBytes;

impl From<&[u8]> for Bytes {
    /// Nothing of it is secret.
    fn from(bytes: &[u8]) -> Self {
        Self::of(vec![Piece::Clear(bytes.to_vec())])
    }
}

impl From<Vec<u8>> for Bytes {
    fn from(bytes: Vec<u8>) -> Self {
        Self::of(vec![Piece::Clear(bytes)])
    }
}

impl Bytes {
    /// Pieces in order; those that are empty are left away.
    pub(super) fn of(mut pieces: Vec<Piece>) -> Self {
        pieces.retain(|piece| piece.len() > 0);
        Self(pieces)
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.0.iter().map(Piece::len).sum()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a part of them is left out.
    pub fn has_secrets(&self) -> bool {
        self.secrets().next().is_some()
    }

    /// The parts, in order; none is empty.
    pub fn pieces(&self) -> &[Piece] {
        &self.0
    }

    /// The handles of the secrets in them.
    pub fn secrets(&self) -> impl Iterator<Item = u32> {
        self.0.iter().filter_map(|piece| match piece {
            Piece::Secret { id, .. } => Some(*id),
            Piece::Clear(_) => None,
        })
    }

    /// The bytes, with a stand-in of the same length for each secret: the same one for the same handle, small letters all of
    /// it, so that what was text is text, and an integer keeps its length.
    pub fn stand_in(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.len());
        for piece in &self.0 {
            bytes.extend_from_slice(&piece.stand_in());
        }
        bytes
    }

    /// Whether `bytes` may be these, the secrets for which `is_known` does not hold being any of their length.
    pub fn may_be(&self, bytes: &[u8], is_known: impl Fn(u32) -> bool) -> bool {
        let mut rest = bytes;
        for piece in &self.0 {
            let Some((part, after)) = rest.split_at_checked(piece.len()) else {
                return false;
            };
            let same = match piece {
                Piece::Clear(clear) => part == clear,
                Piece::Secret { id, length } => !is_known(*id) || part == letters(*id, *length),
            };
            if !same {
                return false;
            }
            rest = after;
        }
        rest.is_empty()
    }
}

impl Piece {
    /// It, or what [stands in](Bytes::stand_in) for it.
    pub fn stand_in(&self) -> Cow<'_, [u8]> {
        match self {
            Self::Clear(bytes) => Cow::Borrowed(bytes),
            Self::Secret { id, length } => Cow::Owned(letters(*id, *length)),
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Clear(bytes) => bytes.len(),
            Self::Secret { length, .. } => *length,
        }
    }
}

/// Letters that differ from handle to handle; what they are does not matter.
fn letters(id: u32, length: usize) -> Vec<u8> {
    let mut state = u64::from(id).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let letter = || {
        // Knuth's multiplicative congruential step (MMIX); its high bits are good enough to tell handles apart.
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        b'a' + (state >> 40) as u8 % 26
    };
    std::iter::repeat_with(letter).take(length).collect()
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for piece in &self.0 {
            match piece {
                Piece::Clear(bytes) => f.write_str(&hex::encode(bytes))?,
                Piece::Secret { id, length } => write!(f, "{{{id}:{length}}}")?,
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bytes({self})")
    }
}

impl FromStr for Bytes {
    type Err = NotBytes;

    fn from_str(text: &str) -> Result<Self, NotBytes> {
        let mut pieces = Vec::new();
        let mut parts = text.split('{');
        let clear = |hexed: &str| hex::decode(hexed).map(Piece::Clear).map_err(|_| NotBytes);
        pieces.push(clear(parts.next().unwrap_or_default())?);
        for part in parts {
            let (handle, rest) = part.split_once('}').ok_or(NotBytes)?;
            let (id, length) = handle.split_once(':').ok_or(NotBytes)?;
            let (id, length) = (number(id)?, number(length)?);
            let length = usize::try_from(length).map_err(|_| NotBytes)?;
            if length == 0 {
                return Err(NotBytes);
            }
            pieces.push(Piece::Secret { id, length });
            pieces.push(clear(rest)?);
        }
        // A line has room for fewer than 2^26 handles, each of less than 2^32 bytes: the sum is no more than a 64-bit number.
        let bytes = Self::of(pieces);
        if bytes.len() > MAX_MESSAGE_BYTES {
            return Err(NotBytes);
        }
        Ok(bytes)
    }
}

/// A number in the one way that it is written.
fn number(text: &str) -> Result<u32, NotBytes> {
    let number: u32 = text.parse().map_err(|_| NotBytes)?;
    if number.to_string() == text {
        Ok(number)
    } else {
        Err(NotBytes)
    }
}

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_what_is_not_written_as_a_trace_writes_it() {
        for text in ["0", "zz", "{1}", "{1:0}", "{01:2}", "{1:2", "00{-1:2}"] {
            assert_eq!(text.parse::<Bytes>(), Err(NotBytes), "{text}");
        }
    }

    #[test]
    fn stands_for_a_whole_message_and_no_more_however_many_handles_there_are() {
        let most = MAX_MESSAGE_BYTES;
        assert!(format!("{{1:{most}}}").parse::<Bytes>().is_ok());
        for text in [
            format!("00{{1:{most}}}"),
            format!("{{1:{}}}{{2:2}}", most - 1),
            format!("{{1:{}}}", u32::MAX),
            "{1:67108864}".repeat(1000),
        ] {
            assert_eq!(text.parse::<Bytes>(), Err(NotBytes));
        }
    }

    #[test]
    fn reads_what_it_writes() {
        for text in ["", "00ff", "82a9{3:32}01", "{1:2}{2:1}", "{0:1}ff"] {
            let bytes: Bytes = text.parse().expect(text);
            assert_eq!(bytes.to_string(), text);
        }
    }

    #[test]
    fn stands_in_with_letters_that_are_the_same_for_the_same_secret() {
        let bytes: Bytes = "00{1:9}{2:9}{1:9}".parse().expect("bytes");
        let stand_in = bytes.stand_in();

        let (first, second, third) = (&stand_in[1..10], &stand_in[10..19], &stand_in[19..]);
        assert_eq!((stand_in.len(), stand_in[0]), (28, 0));
        assert!(first == third && first != second);
        assert!(first.iter().all(u8::is_ascii_lowercase));
    }

    #[test]
    fn an_unknown_secret_may_be_any_bytes_of_its_length() {
        let bytes: Bytes = "00{1:3}ff".parse().expect("bytes");

        assert!(bytes.may_be(&[0, 1, 2, 3, 0xff], |_| false));
        assert!(!bytes.may_be(&[0, 1, 2, 3, 0xff], |_| true));
        assert!(bytes.may_be(&bytes.stand_in(), |_| true));
        for other in [
            &[0, 1, 2, 0xff][..],
            &[1, 1, 2, 3, 0xff],
            &[0, 1, 2, 3, 0xff, 0],
        ] {
            assert!(!bytes.may_be(other, |_| false), "{other:?}");
        }
    }
}
