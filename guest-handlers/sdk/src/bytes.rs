use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, Visitor};
use serde::ser::{Serialize, Serializer};

/// A field of bytes (MessagePack `bin`). A `Vec<u8>` would be an array of small integers on the wire, twice as long.
///
/// Reads `bin` only: not text, not an array of integers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Bytes(pub Vec<u8>);

impl From<Vec<u8>> for Bytes {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl From<&[u8]> for Bytes {
    fn from(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }
}

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_byte_buf(BytesVisitor)
    }
}

struct BytesVisitor;

impl Visitor<'_> for BytesVisitor {
    type Value = Bytes;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("bytes")
    }

    fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Bytes, E> {
        Ok(bytes.into())
    }

    fn visit_byte_buf<E: Error>(self, bytes: Vec<u8>) -> Result<Bytes, E> {
        Ok(bytes.into())
    }
}

/// A field of exactly `N` bytes (MessagePack `bin`): a digest, a key, a point.
///
/// Reads `bin` of that length only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ByteArray<const N: usize>(pub [u8; N]);

impl<const N: usize> From<[u8; N]> for ByteArray<N> {
    fn from(bytes: [u8; N]) -> Self {
        Self(bytes)
    }
}

impl<const N: usize> Serialize for ByteArray<N> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de, const N: usize> Deserialize<'de> for ByteArray<N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_bytes(ByteArrayVisitor)
    }
}

struct ByteArrayVisitor<const N: usize>;

impl<const N: usize> Visitor<'_> for ByteArrayVisitor<N> {
    type Value = ByteArray<N>;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{N} bytes")
    }

    fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<ByteArray<N>, E> {
        let array = bytes.try_into();
        array
            .map(ByteArray)
            .map_err(|_| E::invalid_length(bytes.len(), &self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_text_and_arrays() {
        assert!(rmp_serde::from_slice::<Bytes>(b"\xa2hi").is_err());
        assert!(rmp_serde::from_slice::<Bytes>(b"\x92\x01\x02").is_err());
    }

    #[test]
    fn an_array_of_bytes_is_of_its_length_and_no_other() {
        let wire = rmp_serde::to_vec(&ByteArray([1, 2])).unwrap();

        assert_eq!(wire, b"\xc4\x02\x01\x02");
        assert_eq!(
            rmp_serde::from_slice::<ByteArray<2>>(&wire).unwrap().0,
            [1, 2]
        );
        assert!(rmp_serde::from_slice::<ByteArray<1>>(&wire).is_err());
        assert!(rmp_serde::from_slice::<ByteArray<3>>(&wire).is_err());
        assert!(rmp_serde::from_slice::<ByteArray<2>>(b"\x92\x01\x02").is_err());
    }

    #[test]
    fn is_a_bin_on_the_wire() {
        let bytes = Bytes(vec![1, 2]);

        let wire = rmp_serde::to_vec(&bytes).unwrap();

        assert_eq!(wire, b"\xc4\x02\x01\x02");
        assert_eq!(rmp_serde::from_slice::<Bytes>(&wire).unwrap(), bytes);
    }
}
