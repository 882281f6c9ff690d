//! What all messages share: a map of named fields that carries its class and the protocol version.

use rmp::encode::{self, ByteBuf};

use super::ids::{self, IdError};
use super::value::LENGTH_BYTES;
use super::{DecodeError, Integer, NodeId, PROTOCOL_VERSION, RequestId, ResearcherId, Value};

pub(super) const VERSION_FIELD: &str = "protocol_version";
pub(super) const TYPE_FIELD: &str = "__type_message__";

/// Where the reference keeps its message classes. Required in each message and read by nobody.
const MODULE: &str = "fedbiomed.common.message";

/// The most bytes that a message takes beside its class's name and its fields.
const AROUND_BYTES: usize = 128;

/// Why a value is not the message it should be. The sender's fault, always.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    /// The bytes are not a value.
    #[error("not a message: {0}")]
    Decode(#[from] DecodeError),
    /// The value is not a map with text keys.
    #[error("not a message: not a map of named fields")]
    NotNamedFields,
    /// `__type_message__` is missing or malformed.
    #[error("not a message: no valid `__type_message__`")]
    NoType,
    /// The class name could not be a key or be logged.
    #[error("not a message: its class name: {0}")]
    BadClass(IdError),
    /// Not a class that may come here.
    #[error("a {0} is not expected here")]
    UnexpectedClass(String),
    /// The protocol version is missing, or not one we can talk to.
    #[error("the peer's protocol version is not compatible with {PROTOCOL_VERSION}")]
    Version,
    /// The protocol version is written in a way that only Python's packaging rules can read, such as `7.0a1`.
    #[error("the peer's protocol version is not a number such as {PROTOCOL_VERSION}")]
    VersionForm,
    /// A field is missing.
    #[error("{class} lacks the field `{field}`")]
    Missing {
        /// The message's class.
        class: String,
        /// The field.
        field: &'static str,
    },
    /// A field that the class does not have.
    #[error("{class} has no field `{field}`")]
    Unknown {
        /// The message's class.
        class: String,
        /// The field, shortened if it is very long.
        field: String,
    },
    /// A field of the wrong type.
    #[error("{class}: the field `{field}` is not {expected}")]
    WrongType {
        /// The message's class.
        class: String,
        /// The field.
        field: &'static str,
        /// What it should have been.
        expected: &'static str,
    },
    /// A value that Python's type check passes and that makes no sense here.
    #[error("{class}: the field `{field}` is not {expected}")]
    WrongContent {
        /// The message's class.
        class: String,
        /// The field.
        field: &'static str,
        /// What it should have been.
        expected: &'static str,
    },
    /// A text that should be an id is not one.
    #[error("{class}: the field `{field}`: {error}")]
    BadId {
        /// The message's class.
        class: String,
        /// The field.
        field: &'static str,
        /// Why not.
        error: IdError,
    },
}

impl MessageError {
    /// Why we refuse what the reference may take; `None` where it refuses too.
    pub fn stricter_than_reference(&self) -> Option<&'static str> {
        match self {
            Self::Decode(error) => error.stricter_than_reference(),
            Self::BadClass(_) | Self::BadId { .. } => {
                Some("an id is not empty, of bounded length and free of control characters")
            }
            Self::VersionForm => Some("a protocol version is made of numbers and dots"),
            Self::WrongContent { .. } => Some("a field is checked down to its elements"),
            _ => None,
        }
    }
}

/// A message under way from its map to its type: fields are taken one by one, and none may be left.
pub(super) struct Record {
    class: String,
    fields: Vec<(String, Value)>,
}

impl Record {
    /// Checks class and version, which all messages have.
    pub(super) fn read(value: Value) -> Result<Self, MessageError> {
        let mut record = Self::read_any_version(value)?;
        match record.take(VERSION_FIELD) {
            Some(Value::Str(version)) => check_version(&version)?,
            _ => return Err(MessageError::Version),
        }
        Ok(record)
    }

    fn read_any_version(value: Value) -> Result<Self, MessageError> {
        let Value::Map(entries) = value else {
            return Err(MessageError::NotNamedFields);
        };
        let mut record = Self {
            class: String::new(),
            fields: Vec::with_capacity(entries.len()),
        };
        for (key, value) in entries {
            let Value::Str(name) = key else {
                return Err(MessageError::NotNamedFields);
            };
            record.fields.push((name, value));
        }
        let kind = record.take(TYPE_FIELD).ok_or(MessageError::NoType)?;
        if kind.get("module").is_none() {
            return Err(MessageError::NoType);
        }
        let class = kind.get("class").and_then(Value::as_str);
        record.class = class.ok_or(MessageError::NoType)?.to_owned();
        ids::check(&record.class).map_err(MessageError::BadClass)?;
        Ok(record)
    }

    pub(super) fn class(&self) -> &str {
        &self.class
    }

    /// The field's value; `None` if there is no such field.
    pub(super) fn take(&mut self, field: &str) -> Option<Value> {
        let position = self.fields.iter().position(|(name, _)| name == field)?;
        Some(self.fields.remove(position).1)
    }

    pub(super) fn required(&mut self, field: &'static str) -> Result<Value, MessageError> {
        self.take(field).ok_or_else(|| MessageError::Missing {
            class: self.class.clone(),
            field,
        })
    }

    pub(super) fn text(&mut self, field: &'static str) -> Result<String, MessageError> {
        match self.required(field)? {
            Value::Str(text) => Ok(text),
            _ => Err(self.wrong_type(field, "text")),
        }
    }

    /// Nil is no text. A field that has a default value in the reference may also be missing.
    pub(super) fn optional_text(
        &mut self,
        field: &'static str,
    ) -> Result<Option<String>, MessageError> {
        match self.take(field) {
            None | Some(Value::Nil) => Ok(None),
            Some(Value::Str(text)) => Ok(Some(text)),
            Some(_) => Err(self.wrong_type(field, "text or nil")),
        }
    }

    pub(super) fn id<T>(&mut self, field: &'static str) -> Result<T, MessageError>
    where
        T: TryFrom<String, Error = IdError>,
    {
        let text = self.text(field)?;
        T::try_from(text).map_err(|error| self.bad_id(field, error))
    }

    pub(super) fn optional_id<T>(&mut self, field: &'static str) -> Result<Option<T>, MessageError>
    where
        T: TryFrom<String, Error = IdError>,
    {
        self.optional_text(field)?
            .map(T::try_from)
            .transpose()
            .map_err(|error| self.bad_id(field, error))
    }

    pub(super) fn bytes(&mut self, field: &'static str) -> Result<Vec<u8>, MessageError> {
        match self.required(field)? {
            Value::Bin(bytes) => Ok(bytes),
            _ => Err(self.wrong_type(field, "bytes")),
        }
    }

    pub(super) fn flag(&mut self, field: &'static str) -> Result<bool, MessageError> {
        match self.required(field)? {
            Value::Bool(truth) => Ok(truth),
            _ => Err(self.wrong_type(field, "a Boolean")),
        }
    }

    pub(super) fn integer(&mut self, field: &'static str) -> Result<Integer, MessageError> {
        match self.required(field)? {
            Value::Int(integer) => Ok(integer),
            // Python's Booleans are integers.
            Value::Bool(_) => Err(self.wrong_content(field, "an integer")),
            _ => Err(self.wrong_type(field, "an integer")),
        }
    }

    pub(super) fn list(&mut self, field: &'static str) -> Result<Vec<Value>, MessageError> {
        match self.required(field)? {
            Value::List(items) => Ok(items),
            _ => Err(self.wrong_type(field, "a list")),
        }
    }

    pub(super) fn node_ids(&mut self, field: &'static str) -> Result<Vec<NodeId>, MessageError> {
        let mut ids = Vec::new();
        for id in self.list(field)? {
            let Value::Str(id) = id else {
                return Err(self.wrong_content(field, "a list of node ids"));
            };
            ids.push(NodeId::try_from(id).map_err(|error| self.bad_id(field, error))?);
        }
        Ok(ids)
    }

    /// All fields must have been taken.
    pub(super) fn finish(self) -> Result<(), MessageError> {
        match self.fields.into_iter().next() {
            None => Ok(()),
            Some((field, _)) => Err(MessageError::Unknown {
                class: self.class,
                field: field.chars().take(64).collect(),
            }),
        }
    }

    /// The fields not taken yet, in the order sent.
    pub(super) fn into_rest(self) -> Vec<(Value, Value)> {
        self.fields
            .into_iter()
            .map(|(name, value)| (Value::Str(name), value))
            .collect()
    }

    pub(super) fn wrong_type(&self, field: &'static str, expected: &'static str) -> MessageError {
        MessageError::WrongType {
            class: self.class.clone(),
            field,
            expected,
        }
    }

    pub(super) fn wrong_content(
        &self,
        field: &'static str,
        expected: &'static str,
    ) -> MessageError {
        MessageError::WrongContent {
            class: self.class.clone(),
            field,
            expected,
        }
    }

    pub(super) fn bad_id(&self, field: &'static str, error: IdError) -> MessageError {
        MessageError::BadId {
            class: self.class.clone(),
            field,
            error,
        }
    }
}

/// Whether a custom message may name a field so: these hold ids, class and version.
pub(crate) fn is_reserved(field: &str) -> bool {
    matches!(
        field,
        VERSION_FIELD | TYPE_FIELD | "node_id" | "dest_node_id" | "request_id"
    )
}

/// A message's map in the reference's field order: version, fields, class.
pub(super) fn write<'a>(
    class: &str,
    fields: impl IntoIterator<Item = (&'a str, Value)>,
    own: impl IntoIterator<Item = (Value, Value)>,
) -> Value {
    let kind = Value::Map(vec![
        ("module".into(), MODULE.into()),
        ("class".into(), class.into()),
    ]);
    let mut entries = vec![(VERSION_FIELD.into(), PROTOCOL_VERSION.into())];
    entries.extend(
        fields
            .into_iter()
            .map(|(name, value)| (Value::from(name), value)),
    );
    entries.extend(own);
    entries.push((TYPE_FIELD.into(), kind));
    Value::Map(entries)
}

/// A field on its way to a message's bytes. Borrowed: what is long is copied once.
#[derive(Clone, Copy)]
pub(super) enum Field<'a> {
    Nil,
    Flag(bool),
    Text(&'a str),
    Bytes(&'a [u8]),
}

impl<'a> From<Option<&'a str>> for Field<'a> {
    /// `None` is nil.
    fn from(text: Option<&'a str>) -> Self {
        text.map_or(Self::Nil, Self::Text)
    }
}

/// The bytes of what [`write`] makes of the same.
pub(super) fn encode(class: &str, fields: &[(&str, Field<'_>)], own: &[(Value, Value)]) -> Vec<u8> {
    let most = |(name, field): &(&str, Field<'_>)| {
        let long = match field {
            Field::Nil | Field::Flag(_) => 0,
            Field::Text(text) => text.len(),
            Field::Bytes(bytes) => bytes.len(),
        };
        2 * LENGTH_BYTES + name.len() + long
    };
    let most_own = |(name, value): &(Value, Value)| name.most_bytes() + value.most_bytes();
    let most = fields.iter().map(most).sum::<usize>() + own.iter().map(most_own).sum::<usize>();
    // Bytes that grow leave copies where they were, which nobody clears.
    let mut bytes = ByteBuf::with_capacity(AROUND_BYTES + class.len() + most);
    let out = &mut bytes;
    // Writing to memory cannot fail: the error type has no values.
    let text = |text: &str, out: &mut ByteBuf| {
        let Ok(()) = encode::write_str(out, text);
    };
    let Ok(_) = encode::write_map_len(out, (2 + fields.len() + own.len()) as u32);
    text(VERSION_FIELD, out);
    text(PROTOCOL_VERSION, out);
    for (name, field) in fields {
        text(name, out);
        match field {
            Field::Nil => {
                let Ok(()) = encode::write_nil(out);
            }
            Field::Flag(truth) => {
                let Ok(()) = encode::write_bool(out, *truth);
            }
            Field::Text(field) => text(field, out),
            Field::Bytes(long) => {
                let Ok(()) = encode::write_bin(out, long);
            }
        }
    }
    for (name, value) in own {
        name.write(out);
        value.write(out);
    }
    text(TYPE_FIELD, out);
    let Ok(_) = encode::write_map_len(out, 2);
    for part in ["module", MODULE, "class", class] {
        text(part, out);
    }
    bytes.into_vec()
}

/// The bytes of a message between researcher and node: all begin with the ids of request and researcher.
pub(super) fn write_researcher<'a>(
    class: &str,
    request_id: &'a Option<RequestId>,
    researcher_id: &'a ResearcherId,
    own: impl IntoIterator<Item = (&'a str, Value)>,
) -> Vec<u8> {
    let request_id = request_id.as_ref().map(RequestId::as_str);
    let common = [
        ("request_id", request_id.into()),
        ("researcher_id", researcher_id.as_str().into()),
    ];
    write(class, common.into_iter().chain(own), []).encode()
}

/// The reference's rule: the same major number, and minor and micro numbers not above ours, which are zero.
pub(crate) fn check_version(version: &str) -> Result<(), MessageError> {
    let mut numbers = Vec::new();
    for part in version.split('.') {
        let digits = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        if !digits {
            return Err(MessageError::VersionForm);
        }
        // Beyond u64 a number is not ours, whatever it is.
        numbers.push(part.parse().unwrap_or(u64::MAX));
    }
    let [major, newer @ ..] = numbers.as_slice() else {
        return Err(MessageError::VersionForm);
    };
    let ours = *major == 7 && newer.iter().take(2).all(|number| *number == 0);
    if ours {
        Ok(())
    } else {
        Err(MessageError::Version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_accepted_as_the_reference_accepts_it() {
        for good in ["7", "07", "7.0", "7.0.0", "7.0.0.4"] {
            assert_eq!(check_version(good), Ok(()), "{good}");
        }
        for bad in [
            "6",
            "6.9",
            "7.1",
            "7.0.1",
            "8",
            "77",
            "99999999999999999999999",
        ] {
            assert_eq!(check_version(bad), Err(MessageError::Version), "{bad}");
        }
        for bad in ["", "abc", "7.", ".7", "-7", "7.0a1", " 7", "٧"] {
            assert_eq!(check_version(bad), Err(MessageError::VersionForm), "{bad}");
        }
    }

    #[test]
    fn refuses_keys_that_are_no_names() {
        let odd = Value::Map(vec![(5.into(), Value::Nil)]);
        let result = Record::read(odd).map(|record| record.class);
        assert_eq!(result, Err(MessageError::NotNamedFields));
    }
}
