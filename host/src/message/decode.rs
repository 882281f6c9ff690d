//! The way from bytes to a [`Value`]: any form that MessagePack allows, within limits.
//!
//! The headers are read with `rmp`'s markers, not through serde: `rmp-serde` hands text that is not UTF-8 over as bytes,
//! so a serde visitor cannot tell the two apart.

use std::collections::BTreeSet;

use rmp::Marker;
use zeroize::Zeroizing;

use super::{Integer, IntegerTooLong, MAX_DEPTH, MAX_MESSAGE_BYTES, MAX_VALUES, Value};

/// So many keys of a map are compared one by one, as those of any message are, before there is a set of them.
const FEW_KEYS: usize = 16;

/// Why bytes are not a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The bytes end within a value.
    #[error("the message ends too early")]
    Truncated,
    /// Bytes follow the value.
    #[error("{0} bytes follow the message")]
    Trailing(usize),
    /// Text is not UTF-8.
    #[error("a text is not UTF-8")]
    NotUtf8,
    /// The byte 0xc1, which MessagePack never uses.
    #[error("a byte (0xc1) that MessagePack does not use")]
    ReservedByte,
    /// A list, set or map is used as a key or as an element of a set.
    #[error("a key is a list, a set or a map")]
    UnhashableKey,
    /// A `__type__` map is not formed as its type needs.
    #[error("a `__type__` map is malformed")]
    MalformedType,
    /// A `__type__` map's value is one that only Python would convert, such as a text to a tuple of letters.
    #[error("a `__type__` map holds a value of an unexpected kind")]
    ConvertibleType,
    /// A MessagePack extension, timestamps among them.
    #[error("a MessagePack extension")]
    Extension,
    /// A key occurs twice in one map.
    #[error("a key occurs twice in a map")]
    DuplicateKey,
    /// More than [`MAX_MESSAGE_BYTES`].
    #[error("the message has {0} bytes, the limit is {MAX_MESSAGE_BYTES}")]
    TooLarge(usize),
    /// Nested deeper than [`MAX_DEPTH`].
    #[error("lists and maps are nested deeper than {MAX_DEPTH}")]
    TooDeep,
    /// More values than [`MAX_VALUES`].
    #[error("the message has more than {MAX_VALUES} values")]
    TooManyValues,
    /// An integer beyond the limit.
    #[error(transparent)]
    Integer(#[from] IntegerTooLong),
}

impl DecodeError {
    /// Why we refuse what the reference may take; `None` where it refuses too.
    pub fn stricter_than_reference(&self) -> Option<&'static str> {
        Some(match self {
            Self::Truncated
            | Self::Trailing(_)
            | Self::NotUtf8
            | Self::ReservedByte
            | Self::UnhashableKey
            | Self::MalformedType => return None,
            Self::ConvertibleType => "no peer writes a `__type__` map with such a value",
            Self::Extension => "no message uses MessagePack extensions",
            Self::DuplicateKey => "two readers could see different values in one signed message",
            Self::TooLarge(_) => "the size of a message is bounded before it is read",
            Self::TooDeep => "nesting is bounded so that a message cannot exhaust the stack",
            Self::TooManyValues => {
                "the number of values is bounded so that a message cannot exhaust memory"
            }
            Self::Integer(_) => "the size of an integer is bounded",
        })
    }
}

impl Value {
    /// Reads one value that takes up all of `bytes`, in any form that MessagePack allows.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        if bytes.len() > MAX_MESSAGE_BYTES {
            return Err(DecodeError::TooLarge(bytes.len()));
        }
        let mut reader = Reader {
            rest: bytes,
            values_left: MAX_VALUES,
        };
        let value = reader.value(0)?;
        match reader.rest.len() {
            0 => Ok(value),
            trailing => Err(DecodeError::Trailing(trailing)),
        }
    }
}

/// What is left to read, and how much may be.
struct Reader<'a> {
    rest: &'a [u8],
    values_left: usize,
}

impl<'a> Reader<'a> {
    fn value(&mut self, depth: usize) -> Result<Value, DecodeError> {
        self.values_left = self
            .values_left
            .checked_sub(1)
            .ok_or(DecodeError::TooManyValues)?;
        let [marker] = self.array()?;
        Ok(match Marker::from_u8(marker) {
            Marker::Null => Value::Nil,
            Marker::True => Value::Bool(true),
            Marker::False => Value::Bool(false),
            Marker::FixPos(small) => int(small),
            Marker::FixNeg(small) => int(small),
            Marker::U8 => int(u8::from_be_bytes(self.array()?)),
            Marker::U16 => int(u16::from_be_bytes(self.array()?)),
            Marker::U32 => int(u32::from_be_bytes(self.array()?)),
            Marker::U64 => Value::Int(u64::from_be_bytes(self.array()?).into()),
            Marker::I8 => int(i8::from_be_bytes(self.array()?)),
            Marker::I16 => int(i16::from_be_bytes(self.array()?)),
            Marker::I32 => int(i32::from_be_bytes(self.array()?)),
            Marker::I64 => int(i64::from_be_bytes(self.array()?)),
            Marker::F32 => Value::Float(f32::from_be_bytes(self.array()?).into()),
            Marker::F64 => Value::Float(f64::from_be_bytes(self.array()?)),
            Marker::FixStr(length) => self.text(length.into())?,
            Marker::Str8 => self.length8().and_then(|length| self.text(length))?,
            Marker::Str16 => self.length16().and_then(|length| self.text(length))?,
            Marker::Str32 => self.length32().and_then(|length| self.text(length))?,
            Marker::Bin8 => self.length8().and_then(|length| self.bytes(length))?,
            Marker::Bin16 => self.length16().and_then(|length| self.bytes(length))?,
            Marker::Bin32 => self.length32().and_then(|length| self.bytes(length))?,
            Marker::FixArray(length) => self.list(length.into(), depth)?,
            Marker::Array16 => self
                .length16()
                .and_then(|length| self.list(length, depth))?,
            Marker::Array32 => self
                .length32()
                .and_then(|length| self.list(length, depth))?,
            Marker::FixMap(length) => self.map(length.into(), depth)?,
            Marker::Map16 => self.length16().and_then(|length| self.map(length, depth))?,
            Marker::Map32 => self.length32().and_then(|length| self.map(length, depth))?,
            Marker::Reserved => return Err(DecodeError::ReservedByte),
            Marker::FixExt1
            | Marker::FixExt2
            | Marker::FixExt4
            | Marker::FixExt8
            | Marker::FixExt16
            | Marker::Ext8
            | Marker::Ext16
            | Marker::Ext32 => return Err(DecodeError::Extension),
        })
    }

    fn text(&mut self, length: usize) -> Result<Value, DecodeError> {
        let text = std::str::from_utf8(self.take(length)?).map_err(|_| DecodeError::NotUtf8)?;
        Ok(Value::Str(text.to_owned()))
    }

    fn bytes(&mut self, length: usize) -> Result<Value, DecodeError> {
        Ok(Value::Bin(self.take(length)?.to_vec()))
    }

    fn list(&mut self, length: usize, depth: usize) -> Result<Value, DecodeError> {
        let depth = self.descend(length, depth)?;
        // Grown as elements come: `length` is the sender's claim.
        let mut items = Vec::new();
        for _ in 0..length {
            items.push(self.value(depth)?);
        }
        Ok(Value::List(items))
    }

    fn map(&mut self, length: usize, depth: usize) -> Result<Value, DecodeError> {
        let depth = self.descend(length, depth)?;
        let mut entries = Vec::with_capacity(length.min(FEW_KEYS));
        let mut many = BTreeSet::new();
        for _ in 0..length {
            let key = self.value(depth)?;
            if !key.is_hashable() {
                return Err(DecodeError::UnhashableKey);
            }
            if is_known(&key, &entries, &mut many) {
                return Err(DecodeError::DuplicateKey);
            }
            entries.push((key, self.value(depth)?));
        }
        from_map(entries)
    }

    /// One level further down, if that is allowed and so many elements can follow at all.
    fn descend(&self, length: usize, depth: usize) -> Result<usize, DecodeError> {
        if depth >= MAX_DEPTH {
            Err(DecodeError::TooDeep)
        } else if length > self.rest.len() {
            Err(DecodeError::Truncated)
        } else {
            Ok(depth + 1)
        }
    }

    fn length8(&mut self) -> Result<usize, DecodeError> {
        Ok(u8::from_be_bytes(self.array()?).into())
    }

    fn length16(&mut self) -> Result<usize, DecodeError> {
        Ok(u16::from_be_bytes(self.array()?).into())
    }

    fn length32(&mut self) -> Result<usize, DecodeError> {
        // Saturates only where a usize has 16 bits; then no message is that long.
        Ok(usize::try_from(u32::from_be_bytes(self.array()?)).unwrap_or(usize::MAX))
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let (bytes, rest) = self
            .rest
            .split_first_chunk()
            .ok_or(DecodeError::Truncated)?;
        self.rest = rest;
        Ok(*bytes)
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], DecodeError> {
        let (bytes, rest) = self
            .rest
            .split_at_checked(length)
            .ok_or(DecodeError::Truncated)?;
        self.rest = rest;
        Ok(bytes)
    }
}

/// Whether a key is one of those before it: by what they are written as. Of `many`, all that were there are remembered so.
fn is_known(key: &Value, before: &[(Value, Value)], many: &mut BTreeSet<Vec<u8>>) -> bool {
    if before.len() < FEW_KEYS {
        return before.iter().any(|(known, _)| match (known, key) {
            (Value::Str(known), Value::Str(key)) => known == key,
            (Value::Str(_), _) | (_, Value::Str(_)) => false,
            (known, key) => known.encode() == key.encode(),
        });
    }
    if many.is_empty() {
        many.extend(before.iter().map(|(known, _)| known.encode()));
    }
    !many.insert(key.encode())
}

fn int(value: impl Into<i64>) -> Value {
    Value::Int(Integer::from(value.into()))
}

/// Turns a `__type__` map into what it stands for. Keys other than `value` are dropped, as the reference does.
fn from_map(entries: Vec<(Value, Value)>) -> Result<Value, DecodeError> {
    let map = Value::Map(entries);
    let kind = match map.get("__type__") {
        None => return Ok(map),
        Some(kind) => kind.as_str().ok_or(DecodeError::MalformedType)?,
    };
    let from_value = match kind {
        "int" => to_integer,
        "tuple" => to_tuple,
        "set" => to_set,
        _ => return Ok(map),
    };
    from_value(map.take("value").ok_or(DecodeError::MalformedType)?)
}

fn to_integer(value: Value) -> Result<Value, DecodeError> {
    match value {
        Value::Bin(bytes) => {
            let bytes = Zeroizing::new(bytes);
            Ok(Value::Int(Integer::from_signed_bytes_be(&bytes)?))
        }
        // Python would take the elements for bytes.
        Value::List(_) | Value::Tuple(_) | Value::Set(_) => Err(DecodeError::ConvertibleType),
        _ => Err(DecodeError::MalformedType),
    }
}

fn to_tuple(value: Value) -> Result<Value, DecodeError> {
    elements(value).map(Value::Tuple)
}

fn to_set(value: Value) -> Result<Value, DecodeError> {
    let mut seen = BTreeSet::new();
    let mut unique = Vec::new();
    for item in elements(value)? {
        if !item.is_hashable() {
            return Err(DecodeError::UnhashableKey);
        }
        if seen.insert(item.encode()) {
            unique.push(item);
        }
    }
    Ok(Value::Set(unique))
}

fn elements(value: Value) -> Result<Vec<Value>, DecodeError> {
    match value {
        Value::List(items) | Value::Tuple(items) | Value::Set(items) => Ok(items),
        // Python would take letters, bytes or keys for elements.
        Value::Str(_) | Value::Bin(_) | Value::Map(_) => Err(DecodeError::ConvertibleType),
        _ => Err(DecodeError::MalformedType),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_text_that_is_not_utf8_instead_of_reading_bytes() {
        assert_eq!(Value::decode(&[0xa1, 0xff]), Err(DecodeError::NotUtf8));
    }

    #[test]
    fn refuses_what_ends_early_or_late() {
        assert_eq!(Value::decode(&[]), Err(DecodeError::Truncated));
        assert_eq!(Value::decode(&[0xa2, b'a']), Err(DecodeError::Truncated));
        assert_eq!(Value::decode(&[1, 2]), Err(DecodeError::Trailing(1)));
    }

    #[test]
    fn a_claimed_length_reserves_no_memory() {
        for marker in [0xdd, 0xdf, 0xc6, 0xdb] {
            let claim = [marker, 0xff, 0xff, 0xff, 0xff];
            assert_eq!(Value::decode(&claim), Err(DecodeError::Truncated));
        }
    }

    #[test]
    fn refuses_nesting_beyond_the_limit() {
        let nested = |depth| [vec![0x91; depth], vec![0xc0]].concat();
        assert!(Value::decode(&nested(MAX_DEPTH)).is_ok());
        assert_eq!(
            Value::decode(&nested(MAX_DEPTH + 1)),
            Err(DecodeError::TooDeep)
        );
        assert_eq!(Value::decode(&nested(100_000)), Err(DecodeError::TooDeep));
    }

    #[test]
    fn refuses_more_values_than_memory_should_hold() {
        let mut bytes = vec![0xdd];
        bytes.extend_from_slice(&(MAX_VALUES as u32).to_be_bytes());
        bytes.resize(5 + MAX_VALUES, 0xc0);
        assert_eq!(Value::decode(&bytes), Err(DecodeError::TooManyValues));
    }

    #[test]
    fn refuses_duplicate_keys_also_in_different_forms() {
        // {"a": 1, "a": 2}, the second key in a longer form
        let bytes = [0x82, 0xa1, b'a', 1, 0xd9, 1, b'a', 2];
        assert_eq!(Value::decode(&bytes), Err(DecodeError::DuplicateKey));
        // {5: nil, 5: nil}
        let bytes = [0x82, 5, 0xc0, 0xcc, 5, 0xc0];
        assert_eq!(Value::decode(&bytes), Err(DecodeError::DuplicateKey));
        // The last key of some is any of those before, in another form.
        for count in 2..40u8 {
            for again in 0..count {
                let mut bytes = vec![0xde, 0, count + 1];
                (0..count).for_each(|key| bytes.extend([key, 0xc0]));
                assert_eq!(
                    Value::decode(&[&bytes[..], &[0xcc, count, 0xc0]].concat()).err(),
                    None
                );
                bytes.extend([0xcc, again, 0xc0]);
                assert_eq!(Value::decode(&bytes), Err(DecodeError::DuplicateKey));
            }
        }
    }

    #[test]
    fn refuses_keys_that_python_cannot_hash() {
        assert_eq!(
            Value::decode(&[0x81, 0x90, 0xc0]),
            Err(DecodeError::UnhashableKey)
        );
    }

    #[test]
    fn reads_any_form_and_writes_the_shortest() {
        let long = [
            0xdd, 0, 0, 0, 2, 0xcf, 0, 0, 0, 0, 0, 0, 0, 5, 0xd2, 0, 0, 0, 7,
        ];
        assert_eq!(Value::decode(&long).unwrap().encode(), [0x92, 5, 7]);
    }

    #[test]
    fn a_type_map_of_a_convertible_value_is_our_stricter_rule() {
        let letters = Value::Map(vec![
            ("__type__".into(), "tuple".into()),
            ("value".into(), "ab".into()),
        ]);
        let error = Value::decode(&letters.encode()).unwrap_err();
        assert!(error.stricter_than_reference().is_some());
    }

    /// 20,000 hostile inputs: noise, and sound messages with bytes changed.
    #[test]
    fn whatever_is_read_is_written_and_read_alike() {
        use rand_core::{Rng, SeedableRng};
        let mut rng = rand_chacha::ChaCha20Rng::seed_from_u64(1);
        let large = Integer::from_signed_bytes_be(&[7; 20]).unwrap();
        let sound = Value::Map(vec![
            ("text".into(), "é".into()),
            (
                5.into(),
                Value::Tuple(vec![large.into(), Value::Float(0.5)]),
            ),
            ("set".into(), Value::Set(vec![1.into(), true.into()])),
            ("list".into(), Value::List(vec![Value::Bin(vec![0; 300])])),
        ])
        .encode();
        let mut read = 0;
        for round in 0..20_000 {
            let mut input = sound.clone();
            if round % 2 == 0 {
                input.truncate(rng.next_u32() as usize % 64);
                rng.fill_bytes(&mut input);
            } else {
                for _ in 0..=rng.next_u32() % 3 {
                    let position = rng.next_u32() as usize % input.len();
                    input[position] = rng.next_u32() as u8;
                }
            }
            if let Ok(value) = Value::decode(&input) {
                read += 1;
                let written = value.encode();
                let again = Value::decode(&written).unwrap();
                assert_eq!(again.encode(), written, "{input:02x?}");
            }
        }
        assert!(read > 1000, "only {read} inputs got through");
    }
}
