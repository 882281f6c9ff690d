//! A column of numbers out of a CSV file.

use std::path::Path;

use super::{Exit, Problem};
use crate::inputs::{Kind, ReadError, Source, number};

/// Reads the numbers of `column`. The first row holds the names; empty cells are errors, not zeros.
pub(super) fn read(path: &Path, column: &str) -> Result<Vec<f64>, Problem> {
    let what = || format!("column {column:?} of {} cannot be read", path.display());
    let source = Source::Column {
        file: path.to_owned(),
        column: column.to_owned(),
    };
    let numbers = source
        .read(Kind::Numbers, number)
        .map_err(|error| match error {
            // Whoever asks may see the file; a log must not.
            ReadError::NoColumn { there, .. } => Problem::new(
                Exit::Input,
                what(),
                format!("there is no such column; there are: {}", there.join(", ")),
                "name one of them with --column",
            ),
            error => {
                let todo = error.advice();
                Problem::new(Exit::Input, what(), error, todo)
            }
        })?;
    if numbers.is_empty() {
        return Err(Problem::new(
            Exit::Input,
            what(),
            "it has no rows",
            "give a file with data",
        ));
    }
    Ok(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(text: &str, column: &str) -> Result<Vec<f64>, String> {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("data.csv");
        std::fs::write(&path, text).expect("written");
        read(&path, column).map_err(|problem| format!("{:?}", miette::Report::new(problem)))
    }

    #[test]
    fn names_the_columns_there_are_when_one_is_missing() {
        let error = read_text("age,mass\n1,2\n", "height").expect_err("refused");
        assert!(error.contains("age, mass"), "{error}");
    }

    #[test]
    fn names_the_line_of_a_cell_that_is_no_number() {
        for bad in ["n/a", "", "inf", "NaN", "1,5"] {
            let error = read_text(&format!("age\n1\n\"{bad}\"\n"), "age").expect_err("refused");
            assert!(error.contains("line 3"), "{error}");
        }
    }

    #[test]
    fn refuses_a_column_without_rows() {
        assert!(read_text("age\n", "age").is_err());
    }

    #[test]
    fn reads_numbers() {
        assert_eq!(
            read_text("id, age\nx, 1.5\ny, -2e3\n", "age"),
            Ok(vec![1.5, -2000.0])
        );
    }
}
