//! A file of values and nothing else.

use std::fmt;
use std::io::{BufRead, BufReader};
use std::path::Path;

use serde::de::{DeserializeSeed, Deserializer, Error, SeqAccess, Visitor};

use super::{Cell, ReadError, file};

/// Shows `take` each value with its line, or its place in a JSON list.
pub(super) fn each(
    path: &Path,
    take: &mut impl FnMut(u64, Cell<'_>) -> Result<(), ReadError>,
) -> Result<(), ReadError> {
    let file = BufReader::new(file::open(path)?);
    if path.extension().is_some_and(|ending| ending == "json") {
        list(path, file, take)
    } else {
        lines(path, file, take)
    }
}

/// Empty lines at the end do not count; one in between is a missing value.
fn lines(
    path: &Path,
    file: impl BufRead,
    take: &mut impl FnMut(u64, Cell<'_>) -> Result<(), ReadError>,
) -> Result<(), ReadError> {
    let mut empty = None;
    for (number, line) in (1..).zip(file.lines()) {
        let line = line.map_err(|source| ReadError::Io {
            of: path.display().to_string(),
            source,
        })?;
        // Some editors begin a file with the mark of its byte order.
        let value = line.trim_start_matches('\u{feff}').trim();
        match empty {
            None if value.is_empty() => empty = Some(number),
            Some(_) if value.is_empty() => {}
            Some(missing) => take(missing, Cell::Text(""))?,
            None => take(number, Cell::Text(value))?,
        }
    }
    Ok(())
}

fn list(
    path: &Path,
    file: impl BufRead,
    take: &mut impl FnMut(u64, Cell<'_>) -> Result<(), ReadError>,
) -> Result<(), ReadError> {
    let mut refused = None;
    let mut values = serde_json::Deserializer::from_reader(file);
    let list = List {
        take,
        refused: &mut refused,
    };
    let read = values.deserialize_seq(list).and_then(|()| values.end());
    match (refused, read) {
        (Some(why), _) => Err(why),
        (None, Ok(())) => Ok(()),
        // Its words would show the value.
        (None, Err(error)) => Err(ReadError::Malformed {
            of: path.display().to_string(),
            why: format!(
                "line {}, column {}: no JSON list of numbers or texts",
                error.line(),
                error.column()
            ),
        }),
    }
}

/// Takes the values as they come: a list is never in memory as a whole.
struct List<'a, F> {
    take: &'a mut F,
    refused: &'a mut Option<ReadError>,
}

impl<'de, F> Visitor<'de> for List<'_, F>
where
    F: FnMut(u64, Cell<'_>) -> Result<(), ReadError>,
{
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of numbers or texts")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let mut place = 0;
        while items
            .next_element_seed(Item {
                place: place + 1,
                take: self.take,
                refused: self.refused,
            })?
            .is_some()
        {
            place += 1;
        }
        Ok(())
    }
}

struct Item<'a, F> {
    place: u64,
    take: &'a mut F,
    refused: &'a mut Option<ReadError>,
}

impl<F> Item<'_, F>
where
    F: FnMut(u64, Cell<'_>) -> Result<(), ReadError>,
{
    fn taken<E: Error>(self, cell: Cell<'_>) -> Result<(), E> {
        (self.take)(self.place, cell).map_err(|why| {
            *self.refused = Some(why);
            E::custom("refused")
        })
    }
}

impl<'de, F> DeserializeSeed<'de> for Item<'_, F>
where
    F: FnMut(u64, Cell<'_>) -> Result<(), ReadError>,
{
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, value: D) -> Result<(), D::Error> {
        value.deserialize_any(self)
    }
}

impl<F> Visitor<'_> for Item<'_, F>
where
    F: FnMut(u64, Cell<'_>) -> Result<(), ReadError>,
{
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number or a text")
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<(), E> {
        self.taken(Cell::Number(number))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<(), E> {
        self.taken(Cell::Number(number as f64))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<(), E> {
        self.taken(Cell::Number(number as f64))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        self.taken(Cell::Text(text.trim()))
    }
}
