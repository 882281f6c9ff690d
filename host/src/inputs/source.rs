use std::fmt;
use std::path::{Path, PathBuf};

use super::{MOST_ROWS, ReadError, column, vector};

/// What values are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Finite numbers, which the plugin reads.
    Numbers,
    /// Ids, of which it gets blinded points only.
    Ids,
}

impl Kind {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Numbers, Self::Ids];

    /// What it is written as.
    pub fn name(self) -> &'static str {
        match self {
            Self::Numbers => "numbers",
            Self::Ids => "ids",
        }
    }

    /// A single one.
    pub(super) fn one(self) -> &'static str {
        match self {
            Self::Numbers => "number",
            Self::Ids => "id",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Where values stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// In a column of a CSV file.
    Column {
        /// The file.
        file: PathBuf,
        /// By the first row.
        column: String,
    },
    /// In a file of nothing else: a JSON list if its name ends in `.json`, otherwise one value a line.
    Vector(PathBuf),
    /// Here: in a simulation or a test.
    Values(Vec<String>),
    /// Nowhere: so many whole numbers, each one more than the last, in a simulation.
    Ramp {
        /// The first.
        from: usize,
        /// How many.
        count: usize,
    },
}

/// One value as it stands there.
#[derive(Clone, Copy)]
pub enum Cell<'a> {
    /// A text, without space around it.
    Text(&'a str),
    /// A number that JSON knows as one.
    Number(f64),
}

impl Source {
    /// The source with its file taken from `folder`, if it does not say where from.
    pub fn within(&self, folder: &Path) -> Self {
        match self {
            Self::Column { file, column } => Self::Column {
                file: folder.join(file),
                column: column.clone(),
            },
            Self::Vector(file) => Self::Vector(folder.join(file)),
            Self::Values(values) => Self::Values(values.clone()),
            Self::Ramp { from, count } => Self::Ramp {
                from: *from,
                count: *count,
            },
        }
    }

    /// All values in their order, each as `meant` takes it, which hands back `None` for what is none of `kind`.
    pub fn read<T>(
        &self,
        kind: Kind,
        meant: impl Fn(Cell<'_>) -> Option<T>,
    ) -> Result<Vec<T>, ReadError> {
        let of = self.to_string();
        let mut rows = Vec::new();
        let mut take = |line: u64, cell: Cell<'_>| {
            if rows.len() == MOST_ROWS {
                return Err(ReadError::TooMany(of.clone()));
            }
            let of = || of.clone();
            let wrong = || ReadError::Value {
                of: of(),
                line,
                kind,
            };
            rows.push(meant(cell).ok_or_else(wrong)?);
            Ok(())
        };
        match self {
            Self::Column { file, column } => column::each(file, column, &mut take)?,
            Self::Vector(file) => vector::each(file, &mut take)?,
            Self::Values(values) => (1..)
                .zip(values)
                .try_for_each(|(line, value)| take(line, Cell::Text(value.trim())))?,
            Self::Ramp { from, count } => (1..)
                .zip(*from..from + count)
                .try_for_each(|(line, number)| take(line, Cell::Text(&number.to_string())))?,
        }
        Ok(rows)
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Column { file, .. } | Self::Vector(file) => write!(f, "{}", file.display()),
            Self::Values(values) => write!(f, "the list of {} values", values.len()),
            Self::Ramp { from, count } => write!(f, "the {count} numbers from {from} on"),
        }
    }
}
