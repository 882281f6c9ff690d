//! From what is written to forms: values, bodies, effects and ends, each in its place.

use std::ops::Range;
use std::str::FromStr;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use toml::Spanned;

use super::CasesError;
use super::form::{Form, RAW, of_entries};
use super::integer;
use super::written::{Entry, Source, Written, only};
use crate::message::Value;

type At<'a> = &'a Spanned<Written>;

/// What may stand for bytes.
const BYTES: &str =
    "write a text, { hex = \"…\" }, { base64 = \"…\" }, { int = \"…\" } or { fields = { … } }";

/// Reads one kind of place: what is given, or what is expected, where parts may be left open.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a> {
    pub(super) source: Source<'a>,
    pub(super) open: bool,
}

impl<'a> Reader<'a> {
    pub(super) fn given(source: Source<'a>) -> Self {
        Self {
            source,
            open: false,
        }
    }

    pub(super) fn expected(source: Source<'a>) -> Self {
        Self { source, open: true }
    }

    pub(super) fn wrong(
        &self,
        at: &Range<usize>,
        why: impl Into<String>,
        todo: impl Into<String>,
    ) -> CasesError {
        self.source.wrong(at, why, todo)
    }

    /// The values under `names` of a table, which has no other keys.
    pub(super) fn keys<'w, const N: usize>(
        &self,
        at: &'w Spanned<Written>,
        what: &str,
        names: [&str; N],
    ) -> Result<[Option<At<'w>>; N], CasesError> {
        let mut found = [None; N];
        for (key, value) in self.table(at, what)? {
            match names.iter().position(|name| name == key.as_ref()) {
                Some(n) => found[n] = Some(value),
                None => {
                    let why = format!("{what} has no {:?}", key.as_ref());
                    return Err(self.wrong(&key.span(), why, one_of(&names)));
                }
            }
        }
        Ok(found)
    }

    /// The one key of a table, which is one of `names`, and its value.
    pub(super) fn choice<'w>(
        &self,
        at: &'w Spanned<Written>,
        what: &str,
        names: &[&str],
    ) -> Result<(&'w str, At<'w>), CasesError> {
        match only(self.table(at, what)?) {
            Some((key, value)) if names.contains(&key) => Ok((key, value)),
            Some((key, _)) => {
                let why = format!("{what} cannot be {key:?}");
                Err(self.wrong(&at.span(), why, one_of(names)))
            }
            None => {
                let why = format!("{what} is written as a table with one key");
                Err(self.wrong(&at.span(), why, one_of(names)))
            }
        }
    }

    pub(super) fn table<'w>(
        &self,
        at: &'w Spanned<Written>,
        what: &str,
    ) -> Result<&'w [Entry], CasesError> {
        match at.as_ref() {
            Written::Table(table) => Ok(table),
            other => Err(self.not_a(at, what, "a table", other)),
        }
    }

    pub(super) fn list<'w>(
        &self,
        at: &'w Spanned<Written>,
        what: &str,
    ) -> Result<&'w [Spanned<Written>], CasesError> {
        match at.as_ref() {
            Written::List(list) => Ok(list),
            other => Err(self.not_a(at, what, "a list, in [ ]", other)),
        }
    }

    pub(super) fn text<'w>(&self, at: At<'w>, what: &str) -> Result<&'w str, CasesError> {
        match at.as_ref() {
            Written::Text(text) => Ok(text),
            other => Err(self.not_a(at, what, "a text, in quotes", other)),
        }
    }

    pub(super) fn number(&self, at: At<'_>, what: &str) -> Result<u64, CasesError> {
        match at.as_ref() {
            Written::Whole(whole) => u64::try_from(*whole).map_err(|_| {
                let why = format!("{what} is below zero");
                self.wrong(&at.span(), why, "write 0 or more")
            }),
            other => Err(self.not_a(at, what, "a whole number", other)),
        }
    }

    pub(super) fn truth(&self, at: At<'_>, what: &str) -> Result<bool, CasesError> {
        match at.as_ref() {
            Written::Truth(truth) => Ok(*truth),
            other => Err(self.not_a(at, what, "true or false", other)),
        }
    }

    /// A key that cannot be `false`: it is there, or it is left out.
    pub(super) fn affirmed(&self, at: At<'_>, what: &str) -> Result<(), CasesError> {
        if self.truth(at, what)? {
            return Ok(());
        }
        let why = format!("{what} is false, which says nothing");
        Err(self.wrong(
            &at.span(),
            why,
            format!("write `{what} = true`, or leave it out"),
        ))
    }

    /// A text of a type's own form, such as an id.
    pub(super) fn parsed<T: FromStr<Err: ToString>>(
        &self,
        at: At<'_>,
        what: &str,
    ) -> Result<T, CasesError> {
        let text = self.text(at, what)?;
        text.parse().map_err(|error: T::Err| {
            let why = format!("{what}: {}", error.to_string());
            self.wrong(&at.span(), why, format!("write another {what}"))
        })
    }

    pub(super) fn required<'w>(
        &self,
        found: Option<At<'w>>,
        table: &Spanned<Written>,
        what: &str,
        key: &str,
    ) -> Result<At<'w>, CasesError> {
        found.ok_or_else(|| {
            let why = format!("{what} has no {key}");
            self.wrong(&table.span(), why, format!("write `{key} = …` in it"))
        })
    }

    fn not_a(&self, at: At<'_>, what: &str, wanted: &str, found: &Written) -> CasesError {
        let why = format!("{what} is {}", found.kind());
        self.wrong(&at.span(), why, format!("write {wanted}"))
    }

    /// A value of a message.
    pub(super) fn value(&self, at: At<'_>) -> Result<Form, CasesError> {
        Ok(match at.as_ref() {
            Written::Text(text) => Form::text(text),
            Written::Whole(whole) => Form::Leaf((*whole).into()),
            Written::Real(real) => Form::Leaf(Value::Float(*real)),
            Written::Truth(truth) => Form::Leaf((*truth).into()),
            Written::List(items) => Form::List(
                items
                    .iter()
                    .map(|item| self.value(item))
                    .collect::<Result<_, CasesError>>()?,
            ),
            Written::Table(table) => {
                if let Some((word, value)) = only(table) {
                    if let Some(bytes) = self.bytes(word, value)? {
                        return Ok(Form::Leaf(Value::Bin(bytes)));
                    }
                    match word {
                        "int" => return Ok(Form::Leaf(Value::Int(self.integer(value)?))),
                        "nil" => {
                            self.affirmed(value, word)?;
                            return Ok(Form::Leaf(Value::Nil));
                        }
                        RAW => return self.raw(value).map(Form::of_value),
                        _ => {}
                    }
                    if let Some(open) = self.open(word, value)? {
                        return Ok(open);
                    }
                }
                Form::Table(self.entries(table)?)
            }
        })
    }

    fn entries(&self, table: &[Entry]) -> Result<Vec<(String, Form)>, CasesError> {
        table
            .iter()
            .map(|(key, value)| Ok((key.as_ref().clone(), self.value(value)?)))
            .collect()
    }

    /// The fields of a message, as they are expected: a table, whose keys mean nothing else, or `{ raw = … }`.
    pub(super) fn fields(&self, at: At<'_>) -> Result<Form, CasesError> {
        let table = self.table(at, "fields")?;
        match only(table) {
            Some((RAW, value)) => self.raw(value).map(Form::of_fields),
            _ => self.entries(table).map(Form::Table),
        }
    }

    /// The fields of a message, as they are sent: MessagePack, or whatever `{ raw = … }` says.
    pub(super) fn sent(&self, at: At<'_>) -> Result<Vec<u8>, CasesError> {
        let table = self.table(at, "fields")?;
        match only(table) {
            Some((RAW, value)) => self.hex(value, RAW),
            _ => Ok(self.encoded(at, &self.entries(table)?)?),
        }
    }

    fn encoded(&self, at: At<'_>, entries: &[(String, Form)]) -> Result<Vec<u8>, CasesError> {
        // Parts cannot be open where something is given.
        let value = of_entries(entries);
        let value = value.ok_or_else(|| self.wrong(&at.span(), "it is not all given", BYTES))?;
        Ok(value.encode())
    }

    /// Bytes that stand for themselves.
    pub(super) fn body(&self, at: At<'_>) -> Result<Form, CasesError> {
        let table = match at.as_ref() {
            Written::Text(text) => return Ok(Form::Body(text.clone().into_bytes())),
            Written::Table(table) => table,
            other => {
                let why = format!("bytes cannot be {}", other.kind());
                return Err(self.wrong(&at.span(), why, BYTES));
            }
        };
        if let Some((word, value)) = only(table) {
            if let Some(bytes) = self.bytes(word, value)? {
                return Ok(Form::Body(bytes));
            }
            match word {
                // As shares are handed on: big-endian two's complement.
                "int" => {
                    let integer = self.integer(value)?;
                    return Ok(Form::Body(integer.to_signed_bytes_be().to_vec()));
                }
                "fields" => {
                    let entries = self.entries(self.table(value, word)?)?;
                    return Ok(if self.open {
                        Form::Fields(entries)
                    } else {
                        Form::Body(self.encoded(value, &entries)?)
                    });
                }
                _ => {}
            }
            if let Some(open) = self.open(word, value)? {
                return Ok(open);
            }
        }
        Err(self.wrong(&at.span(), "this table is no way to write bytes", BYTES))
    }

    /// Bytes that are given.
    pub(super) fn given_body(&self, at: At<'_>) -> Result<Vec<u8>, CasesError> {
        match self.body(at)? {
            Form::Body(bytes) => Ok(bytes),
            _ => Err(self.wrong(&at.span(), "it is not all given", BYTES)),
        }
    }

    fn bytes(&self, word: &str, at: At<'_>) -> Result<Option<Vec<u8>>, CasesError> {
        Ok(Some(match word {
            "text" => self.text(at, word)?.as_bytes().to_vec(),
            "hex" => self.hex(at, word)?,
            "base64" => {
                let text = self.text(at, word)?;
                let text: String = text.split_ascii_whitespace().collect();
                BASE64_STANDARD.decode(text).map_err(|error| {
                    let why = format!("this is not base64: {error}");
                    self.wrong(&at.span(), why, "write base64 with its padding, or hex")
                })?
            }
            _ => return Ok(None),
        }))
    }

    fn hex(&self, at: At<'_>, word: &str) -> Result<Vec<u8>, CasesError> {
        let text = self.text(at, word)?;
        let text: String = text.split_ascii_whitespace().collect();
        hex::decode(text).map_err(|error| {
            let why = format!("this is not hex: {error}");
            self.wrong(
                &at.span(),
                why,
                "write two digits of 0-9 and a-f for each byte",
            )
        })
    }

    fn integer(&self, at: At<'_>) -> Result<crate::message::Integer, CasesError> {
        let integer = match at.as_ref() {
            Written::Whole(whole) => Some((*whole).into()),
            _ => integer::parse(self.text(at, "int")?),
        };
        integer.ok_or_else(|| {
            let todo =
                "write it in decimal, or in hex after 0x, with - before it if it is below zero";
            self.wrong(
                &at.span(),
                "this is not an integer of up to 4096 bytes",
                todo,
            )
        })
    }

    fn raw(&self, at: At<'_>) -> Result<Value, CasesError> {
        Value::decode(&self.hex(at, RAW)?).map_err(|error| {
            let why = format!("this is not MessagePack: {error}");
            let todo = "where a message is given, write all of its fields raw";
            self.wrong(&at.span(), why, todo)
        })
    }

    /// What leaves a part open, if the word does.
    fn open(&self, word: &str, at: At<'_>) -> Result<Option<Form>, CasesError> {
        let open = match word {
            "any" => {
                self.affirmed(at, word)?;
                Form::Any
            }
            "length" => {
                let length = self.number(at, word)?;
                Form::Length(usize::try_from(length).unwrap_or(usize::MAX))
            }
            "same" => Form::Same(self.text(at, word)?.to_owned()),
            _ => return Ok(None),
        };
        if self.open {
            return Ok(Some(open));
        }
        let why = format!("{word:?} is for what is expected, and this is given");
        Err(self.wrong(&at.span(), why, "write the value itself"))
    }
}

pub(super) fn one_of(names: &[&str]) -> String {
    match names {
        [one] => format!("write {one}"),
        [start @ .., last] => format!("write one of {} and {last}", start.join(", ")),
        [] => "leave it out".to_owned(),
    }
}
