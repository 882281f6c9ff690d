//! The one form in which what is expected and what came are written, compared and shown: trees with the words of the case file.

use crate::message::Value;
use crate::trace::{Answer, Bytes, Effect, Ended, Request};

/// What a table with one such key stands for is not a map.
pub(super) const WORDS: [&str; 9] = [
    "hex", "base64", "text", "int", "nil", RAW, "any", "length", "same",
];
/// The word for MessagePack as it is; the only one that counts in the place of a message's fields.
pub(super) const RAW: &str = "raw";

/// A part of what a plugin did, or of what it is expected to do.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Form {
    /// A value that has no parts, or whose parts TOML has no words for.
    Leaf(Value),
    List(Vec<Form>),
    /// In order; that is of no account in a comparison.
    Table(Vec<(String, Form)>),
    /// Bytes that stand for themselves: what is published, stored, delivered.
    Body(Vec<u8>),
    /// Bytes that are the MessagePack of this table.
    Fields(Vec<(String, Form)>),
    /// Expected: anything.
    Any,
    /// Expected: bytes or a text, so many bytes long.
    Length(usize),
    /// Expected: the same wherever this name stands in a case.
    Same(String),
    /// Expected: a text that holds this one.
    Part(String),
    /// What was expected and came: it stays in the file as it is written.
    Kept(Box<Form>),
}

impl Form {
    pub(super) fn text(text: impl Into<String>) -> Self {
        Self::Leaf(Value::Str(text.into()))
    }

    /// A table with one entry.
    pub(super) fn one(key: &str, value: Self) -> Self {
        Self::Table(vec![(key.to_owned(), value)])
    }

    /// How a call ended.
    pub(super) fn of_ended(ended: &Ended) -> Self {
        match ended {
            Ended::Nothing => Self::one("nothing", Self::Leaf(true.into())),
            Ended::Effects { effects, .. } => {
                Self::List(effects.iter().map(Self::of_effect).collect())
            }
            Ended::Failed { kind, text } => {
                let why = vec![
                    ("kind".to_owned(), Self::text(kind)),
                    ("text".to_owned(), Self::text(text)),
                ];
                Self::one("failure", Self::Table(why))
            }
            Ended::Stopped(why) => Self::stopped(why),
            Ended::Found => Self::stopped("it found something and was not asked for more"),
            Ended::Cancelled => Self::stopped("cancelled"),
        }
    }

    pub(super) fn stopped(why: &str) -> Self {
        Self::one("stopped", Self::text(why))
    }

    /// The requests of a step.
    pub(super) fn of_asks(ended: &Ended) -> Self {
        let asks: &[Request] = match ended {
            Ended::Effects { ask, .. } => ask,
            _ => &[],
        };
        let ask = |ask: &Request| {
            let mut table = vec![("to".to_owned(), Self::text(&ask.to))];
            table.extend(outgoing(&ask.kind, &ask.fields));
            Self::Table(table)
        };
        Self::List(asks.iter().map(ask).collect())
    }

    fn of_effect(effect: &Effect) -> Self {
        match effect {
            Effect::Reply { kind, fields } => {
                Self::one("reply", Self::Table(outgoing(kind, fields)))
            }
            Effect::Deliver { body } => Self::one("deliver", Self::body(body)),
            Effect::SetPeerKey { pem } => Self::one("set-peer-key", Self::body(pem)),
            // The run is the one at hand: the host refuses any other.
            Effect::Publish { audience, body, .. } => {
                let audience = audience.iter().map(Self::text);
                let audience = audience.map(|one| ("audience".to_owned(), one));
                let body = ("body".to_owned(), Self::body(body));
                Self::one("publish", Self::Table(audience.chain([body]).collect()))
            }
            Effect::EstablishPairSecrets { keys } => of_parties("pair-secrets", keys),
            Effect::EstablishServerKey { shares } => of_parties("server-key", shares),
            Effect::Store { key, value } => {
                let key = ("key".to_owned(), Self::text(key));
                let value = value.iter().map(Self::body);
                let value = value.map(|value| ("value".to_owned(), value));
                Self::one(
                    "store",
                    Self::Table([key].into_iter().chain(value).collect()),
                )
            }
        }
    }

    fn body(bytes: &Bytes) -> Self {
        Self::Body(bytes.stand_in())
    }

    /// A value of a message. A map with one key, which is a word for something else, is none of TOML's tables.
    pub(super) fn of_value(value: Value) -> Self {
        match value {
            Value::List(items) => Self::List(items.into_iter().map(Self::of_value).collect()),
            Value::Map(entries) => match entries.as_slice() {
                [(key, _)] if key.as_str().is_some_and(|key| WORDS.contains(&key)) => {
                    Self::Leaf(Value::Map(entries))
                }
                _ => Self::of_map(entries),
            },
            other => Self::Leaf(other),
        }
    }

    /// The fields of a message.
    pub(super) fn of_fields(fields: Value) -> Self {
        match fields {
            Value::Map(entries) => match entries.as_slice() {
                [(key, _)] if key.as_str() == Some(RAW) => Self::Leaf(Value::Map(entries)),
                _ => Self::of_map(entries),
            },
            other => Self::of_value(other),
        }
    }

    fn of_map(entries: Vec<(Value, Value)>) -> Self {
        if entries.iter().any(|(key, _)| key.as_str().is_none()) {
            return Self::Leaf(Value::Map(entries));
        }
        let entries = entries.into_iter().filter_map(|(key, value)| match key {
            Value::Str(key) => Some((key, Self::of_value(value))),
            _ => None,
        });
        Self::Table(entries.collect())
    }

    /// The value of a message that this is; `None` for what only stands for one.
    pub(super) fn to_value(&self) -> Option<Value> {
        Some(match self {
            Self::Leaf(value) => value.clone(),
            Self::List(items) => {
                Value::List(items.iter().map(Self::to_value).collect::<Option<_>>()?)
            }
            Self::Table(entries) => of_entries(entries)?,
            Self::Body(_) | Self::Fields(_) => return None,
            Self::Any | Self::Length(_) | Self::Same(_) | Self::Part(_) | Self::Kept(_) => {
                return None;
            }
        })
    }

    /// The table that bytes are the MessagePack of, if they are: with text keys, and not empty.
    pub(super) fn fields_in(bytes: &[u8]) -> Option<Vec<(String, Self)>> {
        match Value::decode(bytes).map(Self::of_fields) {
            Ok(Self::Table(entries)) if !entries.is_empty() => {
                (of_entries(&entries)?.encode() == bytes).then_some(entries)
            }
            _ => None,
        }
    }
}

/// The map of a table's entries.
pub(super) fn of_entries(entries: &[(String, Form)]) -> Option<Value> {
    let entries = entries
        .iter()
        .map(|(key, value)| Some((Value::Str(key.clone()), value.to_value()?)));
    Some(Value::Map(entries.collect::<Option<_>>()?))
}

fn outgoing(kind: &str, fields: &Bytes) -> Vec<(String, Form)> {
    let bytes = fields.stand_in();
    // The host lets no other fields through than a map with text keys.
    let fields = Value::decode(&bytes).map_or(Form::Body(bytes), Form::of_fields);
    vec![
        ("kind".to_owned(), Form::text(kind)),
        ("fields".to_owned(), fields),
    ]
}

fn of_parties(what: &str, parties: &[Answer]) -> Form {
    let parties = parties
        .iter()
        .map(|party| (party.from.clone(), Form::body(&party.body)));
    let parties = Form::Table(parties.collect());
    Form::one("establish", Form::one(what, parties))
}
