//! TOML as it was written: values in their order, each with its place.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

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
    Table(Vec<Entry>),
}

/// A key and its value.
pub(super) type Entry = (Spanned<String>, Spanned<Written>);

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
pub(super) fn only(table: &[Entry]) -> Option<(&str, &Spanned<Written>)> {
    match table {
        [(key, value)] => Some((key.as_ref(), value)),
        _ => None,
    }
}

/// The text of a file, to tell lines from places.
#[derive(Clone, Copy)]
pub(super) struct Source<'a> {
    pub(super) file: &'a str,
    pub(super) text: &'a str,
}

impl Source<'_> {
    /// What is written in the file.
    pub(super) fn read(&self) -> Result<Spanned<Written>, CasesError> {
        let root = DeTable::parse(self.text).map_err(|error| {
            let why = error.message().replace('\n', " ");
            let todo = "correct that line: it is not TOML";
            self.wrong(&error.span().unwrap_or_default(), why, todo)
        })?;
        let span = root.span();
        Ok(Spanned::new(span, self.table(root.into_inner())?))
    }

    fn table(&self, table: DeTable<'_>) -> Result<Written, CasesError> {
        let entries = table.into_iter().map(|(key, value)| {
            let name = key.get_ref().clone().into_owned();
            Ok((Spanned::new(key.span(), name), self.value(value)?))
        });
        Ok(Written::Table(entries.collect::<Result<_, CasesError>>()?))
    }

    fn value(&self, value: Spanned<DeValue<'_>>) -> Result<Spanned<Written>, CasesError> {
        let span = value.span();
        let written = match value.into_inner() {
            DeValue::String(text) => Written::Text(text.into_owned()),
            DeValue::Boolean(truth) => Written::Truth(truth),
            DeValue::Integer(whole) => {
                let read = i64::from_str_radix(whole.as_str(), whole.radix());
                Written::Whole(read.map_err(|_| {
                    let why = "this integer has more than 64 bits";
                    self.wrong(&span, why, "write { int = \"…\" }")
                })?)
            }
            DeValue::Float(real) => {
                let read = real.as_str().parse();
                Written::Real(read.map_err(|_| {
                    let why = "this is no number with a fraction";
                    self.wrong(&span, why, "write it as 0.5 or 5e-1")
                })?)
            }
            DeValue::Datetime(_) => {
                let why = "this is a date, and no message has dates";
                return Err(self.wrong(&span, why, "write it as a text, in quotes"));
            }
            DeValue::Array(items) => {
                let items = items.into_iter().map(|item| self.value(item));
                Written::List(items.collect::<Result<_, _>>()?)
            }
            DeValue::Table(table) => self.table(table)?,
        };
        Ok(Spanned::new(span, written))
    }

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
