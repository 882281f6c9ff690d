use std::io;

use super::file::MOST_MIB;
use super::{Kind, MOST_ROWS};

/// Why values cannot be read. The operator's to mend; a value is never shown.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The file system would not.
    #[error("{of}: {source}")]
    Io {
        /// Which file.
        of: String,
        /// What it said.
        source: io::Error,
    },
    /// A folder, a pipe, a device.
    #[error("{0} is no file")]
    NoFile(String),
    /// More than anybody reads.
    #[error("{0} has more than {MOST_MIB} MiB")]
    TooLarge(String),
    /// More than any plugin could be given.
    #[error("{0} has more than {MOST_ROWS} rows")]
    TooMany(String),
    /// Not there.
    #[error("{of} has no column {column:?}")]
    NoColumn {
        /// Which file.
        of: String,
        /// What was looked for.
        column: String,
        /// What the first row holds: names, or values where it has none, so not for a log.
        there: Vec<String>,
    },
    /// Not written as its ending says.
    #[error("{of} is not read: {why}")]
    Malformed {
        /// Which file.
        of: String,
        /// Why.
        why: String,
    },
    /// A value of another kind.
    #[error("line {line} of {of} holds no {}", kind.one())]
    Value {
        /// Which file.
        of: String,
        /// Counted from 1; in a JSON list the value's place.
        line: u64,
        /// What was looked for.
        kind: Kind,
    },
}

impl ReadError {
    /// What the operator can do about it.
    pub fn advice(&self) -> String {
        match self {
            Self::Io { .. } => "check the path and its permissions".into(),
            Self::NoFile(_) => "name a file".into(),
            Self::TooLarge(_) | Self::TooMany(_) => {
                "write what is needed of it into a file of its own".into()
            }
            Self::NoColumn { .. } => {
                "name one of the columns in the first row; commas part them".into()
            }
            Self::Malformed { .. } => {
                "write CSV, with one row of names and rows of equal length; a JSON list, in a file that ends in .json; or one value a line".into()
            }
            Self::Value { kind: Kind::Numbers, .. } => {
                "correct or remove that row: numbers are finite, with a point".into()
            }
            Self::Value { kind: Kind::Ids, .. } => {
                "correct or remove that row: an id is text, and not empty".into()
            }
        }
    }
}
