//! The reference's database: TinyDB, one JSON object of tables, each an object of rows by number.
//!
//! Two tables are brought over: `ChannelManager` and `SecaggManager`. A row that makes no sense spoils no other. A third,
//! `NodeProcessState`, says whether the node runs.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::value::RawValue;
use zeroize::Zeroizing;

const CHANNELS: &str = "ChannelManager";
const CONTEXTS: &str = "SecaggManager";
const PROCESS: &str = "NodeProcessState";

/// A database's text, read whole. Wiped when dropped: it holds keys.
pub struct TinyDb {
    path: PathBuf,
    text: Zeroizing<String>,
}

/// What of it concerns us. Rows are in the order of their numbers.
pub(super) struct Tables<'a> {
    pub(super) channels: Vec<Result<ChannelRow<'a>, String>>,
    pub(super) contexts: Vec<Result<ContextRow<'a>, String>>,
    /// The other tables, and how many rows they have.
    pub(super) others: Vec<(String, usize)>,
}

/// A row of `ChannelManager`.
#[derive(Deserialize)]
pub(super) struct ChannelRow<'a> {
    #[serde(borrow, rename = "n2n_channel_version")]
    pub(super) version: Cow<'a, str>,
    #[serde(borrow, rename = "distant_node_id")]
    pub(super) peer: Cow<'a, str>,
    /// PEM in base64.
    #[serde(borrow)]
    pub(super) local_key: Cow<'a, str>,
}

/// A row of `SecaggManager`.
#[derive(Deserialize)]
pub(super) struct ContextRow<'a> {
    #[serde(borrow, rename = "secagg_version")]
    pub(super) version: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) secagg_id: Cow<'a, str>,
    #[serde(borrow, rename = "experiment_id")]
    pub(super) experiment: Cow<'a, str>,
    pub(super) parties: Vec<String>,
    #[serde(rename = "secagg_elem")]
    pub(super) element: u64,
    #[serde(borrow)]
    pub(super) context: &'a RawValue,
}

/// A row of `NodeProcessState`.
#[derive(Deserialize)]
struct ProcessRow {
    state: String,
    pid: Option<u32>,
}

/// Why a file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TinyDbError {
    /// It cannot be read.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is not JSON: cut short, say.
    #[error("{path} is not JSON: {source}")]
    NotJson {
        /// The file.
        path: PathBuf,
        /// Where and why.
        source: serde_json::Error,
    },
    /// JSON, but not laid out as the reference's.
    #[error(
        "{path} is not a database of Fed-BioMed 6.4: {what} is not an object of rows by number"
    )]
    Layout {
        /// The file.
        path: PathBuf,
        /// Which part.
        what: String,
    },
}

impl TinyDbError {
    /// What the operator can do about it.
    pub fn advice(&self) -> &'static str {
        match self {
            Self::Io { .. } => {
                "name the component folder of a Fed-BioMed node that was started at least once, and check its permissions"
            }
            Self::NotJson { .. } => {
                "stop the Fed-BioMed node, so that it does not write the file meanwhile; else restore it from a backup"
            }
            Self::Layout { .. } => "check that etc/config.ini names the node's own database",
        }
    }
}

impl TinyDb {
    /// Reads a file. It is opened for reading only.
    pub fn read(path: &Path) -> Result<Self, TinyDbError> {
        let path = path.to_owned();
        match std::fs::read_to_string(&path) {
            Ok(text) => Ok(Self {
                path,
                text: Zeroizing::new(text),
            }),
            Err(source) => Err(TinyDbError::Io { path, source }),
        }
    }

    #[cfg(test)]
    pub(super) fn from_text(text: &str) -> Self {
        Self {
            path: "db.json".into(),
            text: Zeroizing::new(text.to_owned()),
        }
    }

    /// Whether it is laid out as the reference's; rows are not looked at.
    pub fn check(&self) -> Result<(), TinyDbError> {
        self.tables().map(drop)
    }

    /// The process that runs this database's node on this machine, if there is one. The reference notes it at the start, and
    /// again at a stop, which a kill spares; so the process is looked for.
    pub fn running(&self) -> Option<u32> {
        let named: BTreeMap<String, &RawValue> = serde_json::from_str(&self.text).ok()?;
        let rows = self.rows(PROCESS, named.get(PROCESS)?).ok()?;
        let rows = rows.into_iter().filter_map(|row| parse(row).ok());
        rows.filter(|row: &ProcessRow| row.state != "stopped")
            .filter_map(|row| row.pid)
            .find(|pid| {
                let command = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
                String::from_utf8_lossy(&command).contains("fedbiomed")
            })
    }

    pub(super) fn tables(&self) -> Result<Tables<'_>, TinyDbError> {
        let whole: &RawValue =
            serde_json::from_str(&self.text).map_err(|source| TinyDbError::NotJson {
                path: self.path.clone(),
                source,
            })?;
        let named: BTreeMap<String, &RawValue> =
            serde_json::from_str(whole.get()).map_err(|_| self.layout("the whole"))?;
        let mut tables = Tables {
            channels: Vec::new(),
            contexts: Vec::new(),
            others: Vec::new(),
        };
        for (name, table) in named {
            let rows = self.rows(&name, table)?;
            match name.as_str() {
                CHANNELS => tables.channels = rows.iter().map(|row| parse(row)).collect(),
                CONTEXTS => tables.contexts = rows.iter().map(|row| parse(row)).collect(),
                _ => tables.others.push((name, rows.len())),
            }
        }
        Ok(tables)
    }

    fn rows<'a>(&self, name: &str, table: &'a RawValue) -> Result<Vec<&'a RawValue>, TinyDbError> {
        let layout = || self.layout(&format!("the table {name:?}"));
        let rows: BTreeMap<String, &RawValue> =
            serde_json::from_str(table.get()).map_err(|_| layout())?;
        let mut numbered = BTreeMap::new();
        for (number, row) in rows {
            let number: u64 = number.parse().map_err(|_| layout())?;
            if !row.get().starts_with('{') {
                return Err(layout());
            }
            numbered.insert(number, row);
        }
        Ok(numbered.into_values().collect())
    }

    fn layout(&self, what: &str) -> TinyDbError {
        TinyDbError::Layout {
            path: self.path.clone(),
            what: what.to_owned(),
        }
    }
}

/// The error never quotes a value: it may be a key.
fn parse<'a, T: Deserialize<'a>>(row: &'a RawValue) -> Result<T, String> {
    serde_json::from_str(row.get()).map_err(|error| {
        let text = error.to_string();
        match text.split('`').nth(1) {
            Some(field) if text.starts_with("missing field") => format!("it has no {field}"),
            _ => "a field is of another type".to_owned(),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_what_is_missing_or_cut_short() {
        let missing = TinyDb::read(Path::new("/nonexistent/db.json"));
        assert!(matches!(missing, Err(TinyDbError::Io { .. })));
        for broken in [
            "",
            "{",
            "{\"ChannelManager\": {\"1\": {",
            "not json",
            "{} {}",
        ] {
            let refused = TinyDb::from_text(broken).check();
            assert!(
                matches!(refused, Err(TinyDbError::NotJson { .. })),
                "{broken}"
            );
        }
    }

    #[test]
    fn refuses_other_layouts() {
        for other in [
            "[]",
            "7",
            r#"{"ChannelManager": []}"#,
            r#"{"SecaggManager": {"1": 7}}"#,
            r#"{"SecaggManager": {"one": {}}}"#,
            r#"{"version": 1}"#,
        ] {
            let refused = TinyDb::from_text(other).check();
            assert!(
                matches!(refused, Err(TinyDbError::Layout { .. })),
                "{other}"
            );
        }
    }

    #[test]
    fn a_row_that_makes_no_sense_spoils_no_other_and_is_not_quoted() {
        let text = r#"{"ChannelManager": {
            "10": {"n2n_channel_version": "1", "distant_node_id": "b", "local_key": "QQ=="},
            "2": {"n2n_channel_version": "1", "distant_node_id": "c", "local_key": 12345},
            "3": {"n2n_channel_version": "1", "local_key": "c2VjcmV0"}}}"#;
        let db = TinyDb::from_text(text);
        let rows = db.tables().expect("read").channels;

        let errors: Vec<_> = rows.iter().filter_map(|row| row.as_ref().err()).collect();
        assert_eq!(
            errors,
            ["a field is of another type", "it has no distant_node_id"]
        );
        assert!(matches!(&rows[2], Ok(row) if row.peer == "b"));
    }

    #[test]
    fn counts_the_rows_of_tables_that_are_none_of_our_business() {
        let db = TinyDb::from_text(r#"{"Datasets": {"1": {}, "2": {"x": []}}, "_default": {}}"#);
        let others = db.tables().expect("read").others;
        assert_eq!(others, [("Datasets".into(), 2), ("_default".into(), 0)]);
    }
}
