//! The fields of a message: one MessagePack map, to and from serde types.
//!
//! [`Message::fields`](crate::Message::fields) and [`Outgoing::new`](crate::Outgoing::new) are what a handler
//! needs; these functions are for fields that travel in a `deliver` effect.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::Failure;
use crate::decoder::Decoder;

/// Reads one map that fills `bytes`.
///
/// # Errors
///
/// [`Failure::Malformed`] when the bytes are not MessagePack, not a map, nested too deeply, followed by more bytes,
/// or not what `T` describes.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Failure> {
    let malformed = |error| Failure::malformed(format!("fields: {error}"));
    if !is_map(bytes) {
        return Err(Failure::malformed("fields: not a map"));
    }
    let mut decoder = Decoder::new(bytes);
    let fields = T::deserialize(&mut decoder).map_err(malformed)?;
    decoder.finish().map_err(malformed)?;
    Ok(fields)
}

/// Writes a struct or map as one map in canonical form: shortest integers and lengths, fields in the order declared.
///
/// # Errors
///
/// [`Failure::Unavailable`] when `fields` is neither, or serde cannot write it.
pub fn encode<T: Serialize>(fields: &T) -> Result<Vec<u8>, Failure> {
    let bytes = rmp_serde::to_vec_named(fields)
        .map_err(|error| Failure::unavailable(format!("fields cannot be written: {error}")))?;
    if !is_map(&bytes) {
        return Err(Failure::unavailable("only a struct or a map can be fields"));
    }
    Ok(bytes)
}

/// Whether the first value is a map: fixmap, map 16 or map 32.
fn is_map(bytes: &[u8]) -> bool {
    matches!(bytes.first(), Some(0x80..=0x8f | 0xde | 0xdf))
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Fields {
        name: String,
    }

    #[derive(Debug, Deserialize)]
    struct Lax {}

    fn refusal<T: DeserializeOwned + std::fmt::Debug>(bytes: &[u8]) -> String {
        match decode::<T>(bytes) {
            Err(Failure::Malformed(why)) => why,
            other => panic!("not refused as malformed: {other:?}"),
        }
    }

    #[test]
    fn refuses_nothing_at_all() {
        assert_eq!(refusal::<Fields>(b""), "fields: not a map");
    }

    #[test]
    fn refuses_a_struct_written_as_an_array() {
        assert_eq!(refusal::<Fields>(b"\x91\xa1x"), "fields: not a map");
    }

    #[test]
    fn refuses_trailing_bytes() {
        let why = refusal::<Fields>(b"\x81\xa4name\xa1x\xc0");

        assert_eq!(why, "fields: followed by more bytes");
    }

    #[test]
    fn refuses_unknown_missing_repeated_and_mistyped_fields() {
        assert!(refusal::<Fields>(b"\x82\xa4name\xa1x\xa4more\x01").contains("unknown field"));
        assert!(refusal::<Fields>(b"\x80").contains("missing field"));
        assert!(refusal::<Fields>(b"\x82\xa4name\xa1x\xa4name\xa1y").contains("duplicate field"));
        assert!(refusal::<Fields>(b"\x81\xa4name\x01").contains("not text"));
    }

    #[test]
    fn refuses_a_map_that_ends_early() {
        refusal::<Fields>(b"\x81\xa4name");
        refusal::<Fields>(b"\xdf\xff\xff\xff\xff");
        refusal::<Fields>(b"\x81\xa4name\xdb\xff\xff\xff\xff");
    }

    #[test]
    fn refuses_nesting_that_would_fill_the_stack() {
        let mut deep = b"\x81\xa4more".to_vec();
        deep.extend([0x91; 900]);
        deep.push(0xc0);

        assert!(refusal::<Lax>(&deep).contains("nested"));
    }

    #[test]
    fn refuses_to_write_what_is_not_a_map() {
        assert!(matches!(encode(&(1, 2)), Err(Failure::Unavailable(_))));
    }

    #[test]
    fn writes_a_struct_as_a_map_and_reads_it_back() {
        let fields = Fields { name: "x".into() };

        let bytes = encode(&fields).unwrap();

        assert_eq!(bytes, b"\x81\xa4name\xa1x");
        assert_eq!(decode::<Fields>(&bytes).unwrap(), fields);
    }
}
