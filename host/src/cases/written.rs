//! TOML as it was written: values in their order, each with its place.

use std::fmt;
use std::ops::Range;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use toml::Spanned;

use super::CasesError;

/// A TOML value. Dates are none: no message has them.
#[derive(Clone, Debug)]
pub(super) enum Written {
    Text(String),
    Whole(i64),
    Real(f64),
    Truth(bool),
    List(Vec<Spanned<Written>>),
    /// In the order in which it was written.
    Table(Vec<(Spanned<String>, Spanned<Written>)>),
}

impl Written {
    /// What it is, in words.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) => "a text",
            Self::Whole(_) => "a number",
            Self::Real(_) => "a number with a fraction",
            Self::Truth(_) => "true or false",
            Self::List(_) => "a list",
            Self::Table(_) => "a table",
        }
    }
}

/// The key and value of a table that has one only, as the words for bytes and patterns are written.
pub(super) fn only(
    table: &[(Spanned<String>, Spanned<Written>)],
) -> Option<(&str, &Spanned<Written>)> {
    match table {
        [(key, value)] => Some((key.as_ref(), value)),
        _ => None,
    }
}

impl<'de> Deserialize<'de> for Written {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(WrittenVisitor)
    }
}

struct WrittenVisitor;

impl<'de> Visitor<'de> for WrittenVisitor {
    type Value = Written;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a text, a number, true or false, a list or a table")
    }

    fn visit_str<E>(self, text: &str) -> Result<Written, E> {
        Ok(Written::Text(text.to_owned()))
    }

    fn visit_i64<E>(self, whole: i64) -> Result<Written, E> {
        Ok(Written::Whole(whole))
    }

    fn visit_f64<E>(self, real: f64) -> Result<Written, E> {
        Ok(Written::Real(real))
    }

    fn visit_bool<E>(self, truth: bool) -> Result<Written, E> {
        Ok(Written::Truth(truth))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Written, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = seq.next_element()? {
            list.push(item);
        }
        Ok(Written::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Written, A::Error> {
        let mut table = Vec::new();
        while let Some(entry) = map.next_entry()? {
            table.push(entry);
        }
        Ok(Written::Table(table))
    }
}

/// The text of a file, to tell lines from places.
#[derive(Clone, Copy)]
pub(super) struct Source<'a> {
    pub(super) file: &'a str,
    pub(super) text: &'a str,
}

impl Source<'_> {
    /// The line of a place, counted from 1.
    pub(super) fn line(&self, span: &Range<usize>) -> usize {
        let before = self.text.get(..span.start).unwrap_or(self.text);
        before.matches('\n').count() + 1
    }

    pub(super) fn wrong(
        &self,
        span: &Range<usize>,
        why: impl Into<String>,
        todo: impl Into<String>,
    ) -> CasesError {
        CasesError::Line {
            file: self.file.to_owned(),
            line: self.line(span),
            why: why.into(),
            todo: todo.into(),
        }
    }
}
