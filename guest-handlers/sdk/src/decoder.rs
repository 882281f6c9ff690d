//! MessagePack to serde's data model.
//!
//! rmp-serde writes fields but does not read them. It takes bytes for text and arrays for structs, where the peers of
//! the reference refuse both; and its errors quote the value that did not fit, which can be a share of a secret, while
//! ours go to a log. It would also make a small component of 94 KB where this one makes 37: a third of that is the
//! printing of floating-point numbers in those errors.

use std::fmt;

use rmp::Marker;
use serde::de::value::{BorrowedStrDeserializer, MapAccessDeserializer};
use serde::de::{self, DeserializeSeed, Expected, MapAccess, SeqAccess, Unexpected, Visitor};
use serde::forward_to_deserialize_any;

/// Levels of nesting that are read. The kinds in use have two; the limit keeps a hostile message from filling the
/// guest's 64 KiB stack.
const DEEPEST: usize = 32;

/// Reads values from the front of `rest`.
pub(crate) struct Decoder<'de> {
    rest: &'de [u8],
    levels_left: usize,
}

/// A value, or the head of one with its number of items.
enum Value<'de> {
    Nil,
    Bool(bool),
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    Text(&'de str),
    Bytes(&'de [u8]),
    Array(usize),
    Map(usize),
}

/// What did not fit. Never holds anything that the peer sent.
#[derive(Debug)]
pub(crate) struct Error(String);

impl<'de> Decoder<'de> {
    pub(crate) fn new(bytes: &'de [u8]) -> Self {
        Self {
            rest: bytes,
            levels_left: DEEPEST,
        }
    }

    /// Checks that everything was read.
    pub(crate) fn finish(&self) -> Result<(), Error> {
        match self.rest {
            [] => Ok(()),
            _ => Err(Error("followed by more bytes".into())),
        }
    }

    fn peek(&self) -> Result<Marker, Error> {
        let first = self.rest.first().ok_or_else(ends_early)?;
        Ok(Marker::from_u8(*first))
    }

    fn take(&mut self, length: usize) -> Result<&'de [u8], Error> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or_else(ends_early)?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        self.take(N)?.try_into().map_err(|_| ends_early())
    }

    /// A big-endian length of `N` bytes, at most four.
    fn length<const N: usize>(&mut self) -> Result<usize, Error> {
        let bytes: [u8; N] = self.array()?;
        Ok(bytes
            .iter()
            .fold(0, |length, byte| length << 8 | usize::from(*byte)))
    }

    fn text(&mut self, length: usize) -> Result<Value<'de>, Error> {
        let text = str::from_utf8(self.take(length)?);
        Ok(Value::Text(
            text.map_err(|_| Error("text is not UTF-8".into()))?,
        ))
    }

    fn bytes(&mut self, length: usize) -> Result<Value<'de>, Error> {
        Ok(Value::Bytes(self.take(length)?))
    }

    /// The next value; of an array or map its head. Not generic, so that a component has it once.
    fn value(&mut self) -> Result<Value<'de>, Error> {
        let marker = self.peek()?;
        self.take(1)?;
        Ok(match marker {
            Marker::Null => Value::Nil,
            Marker::False => Value::Bool(false),
            Marker::True => Value::Bool(true),
            Marker::FixPos(value) => Value::Unsigned(value.into()),
            Marker::U8 => Value::Unsigned(u8::from_be_bytes(self.array()?).into()),
            Marker::U16 => Value::Unsigned(u16::from_be_bytes(self.array()?).into()),
            Marker::U32 => Value::Unsigned(u32::from_be_bytes(self.array()?).into()),
            Marker::U64 => Value::Unsigned(u64::from_be_bytes(self.array()?)),
            Marker::FixNeg(value) => Value::Signed(value.into()),
            Marker::I8 => Value::Signed(i8::from_be_bytes(self.array()?).into()),
            Marker::I16 => Value::Signed(i16::from_be_bytes(self.array()?).into()),
            Marker::I32 => Value::Signed(i32::from_be_bytes(self.array()?).into()),
            Marker::I64 => Value::Signed(i64::from_be_bytes(self.array()?)),
            Marker::F32 => Value::Float(f32::from_be_bytes(self.array()?).into()),
            Marker::F64 => Value::Float(f64::from_be_bytes(self.array()?)),
            Marker::FixStr(length) => self.text(length.into())?,
            Marker::Str8 => self.length::<1>().and_then(|length| self.text(length))?,
            Marker::Str16 => self.length::<2>().and_then(|length| self.text(length))?,
            Marker::Str32 => self.length::<4>().and_then(|length| self.text(length))?,
            Marker::Bin8 => self.length::<1>().and_then(|length| self.bytes(length))?,
            Marker::Bin16 => self.length::<2>().and_then(|length| self.bytes(length))?,
            Marker::Bin32 => self.length::<4>().and_then(|length| self.bytes(length))?,
            Marker::FixArray(length) => Value::Array(length.into()),
            Marker::Array16 => Value::Array(self.length::<2>()?),
            Marker::Array32 => Value::Array(self.length::<4>()?),
            Marker::FixMap(length) => Value::Map(length.into()),
            Marker::Map16 => Value::Map(self.length::<2>()?),
            Marker::Map32 => Value::Map(self.length::<4>()?),
            _ => return Err(Error("extension types are not in use".into())),
        })
    }

    /// Lets `visit` have the `length` items of an array or map, and checks that it took them all.
    fn nested<T>(
        &mut self,
        length: usize,
        visit: impl FnOnce(&mut Items<'_, 'de>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let levels_left = self.levels_left;
        let too_deep = || Error(format!("nested more than {DEEPEST} levels deep"));
        self.levels_left = levels_left.checked_sub(1).ok_or_else(too_deep)?;
        let mut items = Items {
            decoder: self,
            left: length,
        };
        let value = visit(&mut items)?;
        if items.left > 0 {
            return Err(Error("an array or map has too many items".into()));
        }
        self.levels_left = levels_left;
        Ok(value)
    }
}

impl<'de> de::Deserializer<'de> for &mut Decoder<'de> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.value()? {
            Value::Nil => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(value),
            Value::Unsigned(value) => visitor.visit_u64(value),
            Value::Signed(value) => visitor.visit_i64(value),
            Value::Float(value) => visitor.visit_f64(value),
            Value::Text(text) => visitor.visit_borrowed_str(text),
            Value::Bytes(bytes) => visitor.visit_borrowed_bytes(bytes),
            Value::Array(length) => self.nested(length, |items| visitor.visit_seq(items)),
            Value::Map(length) => self.nested(length, |items| visitor.visit_map(items)),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.peek()? {
            Marker::Null => {
                self.take(1)?;
                visitor.visit_none()
            }
            _ => visitor.visit_some(self),
        }
    }

    /// Bytes are not text, though serde's `String` would take them.
    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.value()? {
            Value::Text(text) => visitor.visit_borrowed_str(text),
            _ => Err(Error("not text".into())),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_str(visitor)
    }

    /// A struct is a map, though serde's derived code would take an array.
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match self.value()? {
            Value::Map(length) => self.nested(length, |items| visitor.visit_map(items)),
            _ => Err(Error("not a map".into())),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    /// A variant without content is its name; one with content a map of its name to that.
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match self.value()? {
            Value::Text(name) => visitor.visit_enum(BorrowedStrDeserializer::new(name)),
            Value::Map(1) => self.nested(1, |items| {
                visitor.visit_enum(MapAccessDeserializer::new(items))
            }),
            _ => Err(Error("not a variant".into())),
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char bytes byte_buf unit
        unit_struct seq tuple tuple_struct map identifier ignored_any
    }
}

/// What is left of an array or map.
struct Items<'a, 'de> {
    decoder: &'a mut Decoder<'de>,
    left: usize,
}

impl<'de> SeqAccess<'de> for &mut Items<'_, 'de> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Error> {
        let Some(left) = self.left.checked_sub(1) else {
            return Ok(None);
        };
        self.left = left;
        seed.deserialize(&mut *self.decoder).map(Some)
    }
}

impl<'de> MapAccess<'de> for &mut Items<'_, 'de> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Error> {
        self.next_element_seed(seed)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Error> {
        seed.deserialize(&mut *self.decoder)
    }
}

fn ends_early() -> Error {
    Error("ends early".into())
}

impl de::Error for Error {
    fn custom<T: fmt::Display>(what: T) -> Self {
        Self(what.to_string())
    }

    fn invalid_type(_: Unexpected, expected: &dyn Expected) -> Self {
        Self(format!("not {expected}"))
    }

    fn invalid_value(_: Unexpected, expected: &dyn Expected) -> Self {
        Self(format!("not {expected}"))
    }

    fn unknown_variant(_: &str, _: &'static [&'static str]) -> Self {
        Self("an unknown variant".into())
    }

    fn unknown_field(_: &str, _: &'static [&'static str]) -> Self {
        Self("an unknown field".into())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Serialize};

    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    enum Colour {
        Plain,
        Mixed(Vec<u16>),
        Named { name: String },
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Everything {
        none: Option<bool>,
        some: Option<bool>,
        small: i8,
        large: (u64, i64),
        real: f64,
        text: String,
        map: BTreeMap<String, u32>,
        colours: Vec<Colour>,
    }

    fn decode<'de, T: Deserialize<'de>>(bytes: &'de [u8]) -> Result<T, String> {
        let mut decoder = Decoder::new(bytes);
        let value = T::deserialize(&mut decoder).map_err(|error| error.to_string())?;
        decoder.finish().map_err(|error| error.to_string())?;
        Ok(value)
    }

    #[test]
    fn refuses_bytes_for_text_and_text_for_a_number() {
        assert_eq!(decode::<String>(b"\xc4\x01x"), Err("not text".into()));
        assert_eq!(decode::<u64>(b"\xa15"), Err("not u64".into()));
    }

    #[test]
    fn refuses_text_that_is_not_utf8_extensions_and_the_reserved_byte() {
        assert!(decode::<String>(b"\xa1\xff").is_err());
        assert!(decode::<de::IgnoredAny>(b"\xd6\xff\0\0\0\x01").is_err());
        assert!(decode::<de::IgnoredAny>(b"\xc1").is_err());
    }

    #[test]
    fn refuses_more_items_than_are_wanted() {
        assert!(decode::<(u8, u8)>(b"\x93\x01\x02\x03").is_err());
    }

    #[test]
    fn refuses_lengths_beyond_the_end_without_reserving_them() {
        assert!(decode::<Vec<u64>>(b"\xdd\xff\xff\xff\xff\x01").is_err());
        assert!(decode::<String>(b"\xdb\xff\xff\xff\xff").is_err());
    }

    #[test]
    fn no_error_quotes_what_the_peer_sent() {
        let secret: [(&[u8], &[u8]); 4] = [
            (b"\xcd\x30\x39", b"12345"),
            (b"\xa5hello", b"hello"),
            (b"\x81\xa5hello\x01", b"hello"),
            (b"\xfb", b"-5"),
        ];
        for (bytes, quoted) in secret {
            let errors = [
                decode::<bool>(bytes).unwrap_err(),
                decode::<Colour>(bytes).unwrap_err(),
                decode::<Everything>(bytes).unwrap_err(),
            ];
            let quoted = str::from_utf8(quoted).unwrap();
            for error in errors {
                assert!(!error.contains(quoted), "{error}");
            }
        }
    }

    #[test]
    fn reads_whatever_rmp_serde_writes() {
        let everything = Everything {
            none: None,
            some: Some(true),
            small: -128,
            large: (u64::MAX, i64::MIN),
            real: 0.5,
            text: "x".repeat(300),
            map: (0..20).map(|key| (key.to_string(), key << 13)).collect(),
            colours: vec![
                Colour::Plain,
                Colour::Mixed((0..20).map(|value| value * 250).collect()),
                Colour::Named { name: "é".into() },
            ],
        };

        let bytes = rmp_serde::to_vec_named(&everything).unwrap();

        assert_eq!(decode::<Everything>(&bytes), Ok(everything));
    }
}
