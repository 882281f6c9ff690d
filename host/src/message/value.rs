//! Values and their canonical bytes: MessagePack as the reference's serializer writes it.
//!
//! Written is always the shortest form, because signatures cover what the receiver writes after reading. Three of
//! Python's types have no MessagePack form and travel as maps: `{"__type__": "int" | "tuple" | "set", "value": …}`; maps
//! of other `__type__`s (arrays, tensors) stay maps here. [`decode`](super::decode) is the way back.

use std::fmt;

use rmp::encode::{self, ByteBuf};
use zeroize::Zeroize;

use super::Integer;

/// A number with its marker, at most.
const NUMBER_BYTES: usize = 9;
/// The marker of a text, a list or a map, and its length, at most.
pub(super) const LENGTH_BYTES: usize = 5;
/// What [`write_type`] writes, at most.
const TYPE_BYTES: usize = 1 + 9 + 6 + 6;

/// The values beside its value that a map with a `__type__` is made of: itself, two keys and the type.
const TYPE_VALUES: usize = 4;

/// How deep a value is nested, and how many values it is made of, itself included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Extent {
    pub(crate) depth: usize,
    pub(crate) values: usize,
}

impl Extent {
    const ONE: Self = Self {
        depth: 0,
        values: 1,
    };
}

/// A value of a message.
///
/// `Debug` shows kinds and sizes only: values hold shares and other things that belong in no log.
#[derive(Clone, PartialEq)]
pub enum Value {
    /// Python's `None`.
    Nil,
    /// `True` or `False`. Python takes them for integers too.
    Bool(bool),
    /// An integer of any size.
    Int(Integer),
    /// Always written in 64 bits.
    Float(f64),
    /// Text.
    Str(String),
    /// Bytes.
    Bin(Vec<u8>),
    /// A list.
    List(Vec<Value>),
    /// A tuple; on the wire a map.
    Tuple(Vec<Value>),
    /// A set without duplicates, in the order sent; on the wire a map.
    Set(Vec<Value>),
    /// A map in the order sent, without duplicate keys.
    Map(Vec<(Value, Value)>),
}

impl Value {
    /// The canonical bytes: every header in its shortest form, maps in their own order.
    pub fn encode(&self) -> Vec<u8> {
        // Bytes that grow leave copies where they were, which nobody clears.
        let mut out = ByteBuf::with_capacity(self.most_bytes());
        self.write(&mut out);
        out.into_vec()
    }

    /// The value under a text key; `None` if there is none or this is not a map.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.as_map()?
            .iter()
            .find(|(name, _)| name.as_str() == Some(key))
            .map(|(_, value)| value)
    }

    /// The value under a text key, without the rest of the map.
    pub(crate) fn take(self, key: &str) -> Option<Value> {
        let Self::Map(entries) = self else {
            return None;
        };
        let mut entries = entries.into_iter();
        let found = entries.find(|(name, _)| name.as_str() == Some(key));
        found.map(|(_, value)| value)
    }

    /// The text, if this is one.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::Str(text) => Some(text),
            _ => None,
        }
    }

    /// The bytes, if these are bytes.
    pub fn as_bin(&self) -> Option<&[u8]> {
        match self {
            Self::Bin(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// The integer, if this is one (and not a Boolean).
    pub fn as_int(&self) -> Option<&Integer> {
        match self {
            Self::Int(integer) => Some(integer),
            _ => None,
        }
    }

    /// The Boolean, if this is one.
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(truth) => Some(*truth),
            _ => None,
        }
    }

    /// The elements, if this is a list (and not a tuple).
    pub fn as_list(&self) -> Option<&[Value]> {
        match self {
            Self::List(items) => Some(items),
            _ => None,
        }
    }

    /// Keys and values in their order, if this is a map.
    pub fn as_map(&self) -> Option<&[(Value, Value)]> {
        match self {
            Self::Map(entries) => Some(entries),
            _ => None,
        }
    }

    /// What this is, in a word.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Nil => "nil",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Float(_) => "float",
            Self::Str(_) => "text",
            Self::Bin(_) => "bytes",
            Self::List(_) => "list",
            Self::Tuple(_) => "tuple",
            Self::Set(_) => "set",
            Self::Map(_) => "map",
        }
    }

    /// Whether Python could use it as a key.
    pub(super) fn is_hashable(&self) -> bool {
        match self {
            Self::List(_) | Self::Set(_) | Self::Map(_) => false,
            Self::Tuple(items) => items.iter().all(Value::is_hashable),
            _ => true,
        }
    }

    /// How deep it is nested on the wire, and how many values it has there: what [`MAX_DEPTH`](super::MAX_DEPTH) and
    /// [`MAX_VALUES`](super::MAX_VALUES) bound.
    pub(crate) fn extent(&self) -> Extent {
        let within = |items: &[Value]| {
            items.iter().fold(Extent::default(), |sum, item| {
                let item = item.extent();
                Extent {
                    depth: sum.depth.max(item.depth),
                    values: sum.values + item.values,
                }
            })
        };
        // A list or map around it, and that many more values.
        let around = |within: Extent, levels: usize, values: usize| Extent {
            depth: within.depth + levels,
            values: within.values + values,
        };
        match self {
            Self::Int(integer) if integer.to_i64().is_none() && integer.to_u64().is_none() => {
                around(Extent::ONE, 1, TYPE_VALUES)
            }
            Self::Nil
            | Self::Bool(_)
            | Self::Int(_)
            | Self::Float(_)
            | Self::Str(_)
            | Self::Bin(_) => Extent::ONE,
            Self::List(items) => around(within(items), 1, 1),
            Self::Tuple(items) | Self::Set(items) => around(within(items), 2, 1 + TYPE_VALUES),
            Self::Map(entries) => {
                let entries = entries.iter().fold(Extent::default(), |sum, (key, value)| {
                    let (key, value) = (key.extent(), value.extent());
                    Extent {
                        depth: sum.depth.max(key.depth).max(value.depth),
                        values: sum.values + key.values + value.values,
                    }
                });
                around(entries, 1, 1)
            }
        }
    }

    /// As many bytes as it is written in, or some more.
    pub(super) fn most_bytes(&self) -> usize {
        let all = |items: &[Value]| items.iter().map(Value::most_bytes).sum::<usize>();
        match self {
            Self::Nil | Self::Bool(_) => 1,
            Self::Int(integer) if integer.to_i64().is_some() => NUMBER_BYTES,
            Self::Int(integer) => TYPE_BYTES + LENGTH_BYTES + integer.bits() / 8 + 2,
            Self::Float(_) => NUMBER_BYTES,
            Self::Str(text) => LENGTH_BYTES + text.len(),
            Self::Bin(bytes) => LENGTH_BYTES + bytes.len(),
            Self::List(items) => LENGTH_BYTES + all(items),
            Self::Tuple(items) | Self::Set(items) => TYPE_BYTES + LENGTH_BYTES + all(items),
            Self::Map(entries) => {
                let entry = |(key, value): &(Value, Value)| key.most_bytes() + value.most_bytes();
                LENGTH_BYTES + entries.iter().map(entry).sum::<usize>()
            }
        }
    }

    pub(super) fn write(&self, out: &mut ByteBuf) {
        // Writing to memory cannot fail: the error type has no values.
        match self {
            Self::Nil => {
                let Ok(()) = encode::write_nil(out);
            }
            Self::Bool(truth) => {
                let Ok(()) = encode::write_bool(out, *truth);
            }
            Self::Int(integer) => write_integer(integer, out),
            Self::Float(number) => {
                let Ok(()) = encode::write_f64(out, *number);
            }
            Self::Str(text) => {
                let Ok(()) = encode::write_str(out, text);
            }
            Self::Bin(bytes) => {
                let Ok(()) = encode::write_bin(out, bytes);
            }
            Self::List(items) => write_list(items, out),
            Self::Tuple(items) => {
                write_type("tuple", out);
                write_list(items, out);
            }
            Self::Set(items) => {
                write_type("set", out);
                write_list(items, out);
            }
            Self::Map(entries) => {
                let Ok(_) = encode::write_map_len(out, entries.len() as u32);
                for (key, value) in entries {
                    key.write(out);
                    value.write(out);
                }
            }
        }
    }
}

fn write_list(items: &[Value], out: &mut ByteBuf) {
    let Ok(_) = encode::write_array_len(out, items.len() as u32);
    for item in items {
        item.write(out);
    }
}

fn write_integer(integer: &Integer, out: &mut ByteBuf) {
    if let Some(small) = integer.to_i64() {
        let Ok(_) = encode::write_sint(out, small);
    } else if let Some(unsigned) = integer.to_u64() {
        let Ok(_) = encode::write_uint(out, unsigned);
    } else {
        write_type("int", out);
        let Ok(()) = encode::write_bin(out, &integer.to_wire_bytes());
    }
}

/// The start of `{"__type__": name, "value": …}`; the value is the caller's to write.
fn write_type(name: &str, out: &mut ByteBuf) {
    let Ok(_) = encode::write_map_len(out, 2);
    for text in ["__type__", name, "value"] {
        let Ok(()) = encode::write_str(out, text);
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = self.kind();
        match self {
            Self::Nil | Self::Bool(_) | Self::Int(_) | Self::Float(_) => f.write_str(kind),
            Self::Str(text) => write!(f, "{kind} of {} bytes", text.len()),
            Self::Bin(bytes) => write!(f, "{} {kind}", bytes.len()),
            Self::List(items) | Self::Tuple(items) | Self::Set(items) => {
                write!(f, "{kind} of {}", items.len())
            }
            Self::Map(entries) => write!(f, "{kind} of {}", entries.len()),
        }
    }
}

/// Text, bytes and integers are overwritten, wherever they are in it. What is left says no more than where they were.
impl Zeroize for Value {
    fn zeroize(&mut self) {
        match self {
            Self::Nil => {}
            Self::Bool(truth) => truth.zeroize(),
            Self::Int(integer) => *integer = 0i64.into(),
            Self::Float(number) => number.zeroize(),
            Self::Str(text) => text.zeroize(),
            Self::Bin(bytes) => bytes.zeroize(),
            Self::List(items) | Self::Tuple(items) | Self::Set(items) => {
                items.iter_mut().for_each(Value::zeroize);
            }
            Self::Map(entries) => {
                for (key, value) in entries {
                    key.zeroize();
                    value.zeroize();
                }
            }
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Str(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Str(text)
    }
}

impl From<bool> for Value {
    fn from(truth: bool) -> Self {
        Self::Bool(truth)
    }
}

impl From<i64> for Value {
    fn from(integer: i64) -> Self {
        Self::Int(integer.into())
    }
}

impl From<Integer> for Value {
    fn from(integer: Integer) -> Self {
        Self::Int(integer)
    }
}

/// `None` is nil.
impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Nil, Into::into)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_value_is_written_in_more_bytes_than_there_is_room_for() {
        let long = |exponent: usize| {
            let bytes = [&[1][..], &vec![0; exponent]].concat();
            Value::Int(Integer::from_signed_bytes_be(&bytes).expect("short enough"))
        };
        let all = vec![
            Value::Nil,
            true.into(),
            Value::Float(0.5),
            i64::MIN.into(),
            Value::Int(u64::MAX.into()),
            long(8),
            long(200),
            Value::Str("x".repeat(70_000)),
            Value::Bin(vec![0; 70_000]),
            Value::Tuple(vec![]),
            Value::Set(vec![Value::Nil; 1]),
        ];
        let mut values = all.clone();
        values.push(Value::List(vec![Value::List(all.clone()); 70]));
        values.push(Value::Map(
            all.into_iter().map(|value| ("key".into(), value)).collect(),
        ));
        for value in values {
            let (most, bytes) = (value.most_bytes(), value.encode());
            assert!(bytes.len() <= most, "{value:?}: {} of {most}", bytes.len());
        }
    }

    #[test]
    fn a_value_is_as_deep_and_has_as_many_values_as_its_reader_finds() {
        let large = || Value::Int(Integer::from_signed_bytes_be(&[1; 20]).expect("short enough"));
        let all = vec![
            Value::Nil,
            5.into(),
            Value::Int(u64::MAX.into()),
            large(),
            "text".into(),
        ];
        let nested = [
            Value::Tuple(vec![large()]),
            Value::Set(all.clone()),
            Value::List(vec![Value::Tuple(all.clone())]),
            Value::Map(vec![("key".into(), large()), (5.into(), Value::List(all))]),
            Value::Map(vec![(Value::Tuple(vec![large()]), Value::Nil)]),
        ];
        for value in nested {
            let Extent { depth, values } = value.extent();
            let inside = |levels, more: usize| {
                let mut around = vec![Value::Nil; more];
                around.push(value.clone());
                (0..levels).fold(Value::List(around), |inner, _| Value::List(vec![inner]))
            };
            let deepest = super::super::MAX_DEPTH - depth;
            assert!(Value::decode(&inside(deepest - 1, 0).encode()).is_ok());
            assert!(Value::decode(&inside(deepest, 0).encode()).is_err());
            let most = super::super::MAX_VALUES - values - 1;
            assert!(Value::decode(&inside(0, most).encode()).is_ok());
            assert!(Value::decode(&inside(0, most + 1).encode()).is_err());
        }
    }

    #[test]
    fn nothing_of_what_is_cleared_is_left() {
        let mut value = Value::Map(vec![
            ("text".into(), "secret".into()),
            (
                "list".into(),
                Value::List(vec![7i64.into(), Value::Bin(vec![1])]),
            ),
            ("float".into(), Value::Float(0.5)),
        ]);
        value.zeroize();
        let empty = |value: Value| (Value::Str(String::new()), value);
        let cleared = Value::Map(vec![
            empty(Value::Str(String::new())),
            empty(Value::List(vec![0i64.into(), Value::Bin(vec![])])),
            empty(Value::Float(0.0)),
        ]);
        assert!(value == cleared);
    }

    #[test]
    fn debug_shows_no_content() {
        let secret = Value::Map(vec![("share".into(), Value::Str("hunter2".into()))]);
        assert_eq!(format!("{secret:?}"), "map of 1");
    }
}
