//! A column of a CSV file.

use std::path::Path;

use super::{Cell, ReadError, file};

/// Shows `take` each value of `column` with its line. The first row holds the names; commas part the columns; space around a value does
/// not count.
pub(super) fn each(
    path: &Path,
    column: &str,
    take: &mut impl FnMut(u64, Cell<'_>) -> Result<(), ReadError>,
) -> Result<(), ReadError> {
    let of = || path.display().to_string();
    let mut reader = csv::ReaderBuilder::new()
        .trim(csv::Trim::All)
        .from_reader(file::open(path)?);
    // It tells of lines and lengths, and of no value.
    let malformed = |error: csv::Error| ReadError::Malformed {
        of: of(),
        why: error.to_string(),
    };
    let names = reader.headers().map_err(malformed)?;
    let Some(at) = names.iter().position(|name| name == column) else {
        return Err(ReadError::NoColumn {
            of: of(),
            column: column.to_owned(),
            there: names.iter().map(str::to_owned).collect(),
        });
    };
    let mut row = csv::StringRecord::new();
    while reader.read_record(&mut row).map_err(malformed)? {
        let line = row.position().map_or(0, csv::Position::line);
        take(line, Cell::Text(row.get(at).unwrap_or_default()))?;
    }
    Ok(())
}
