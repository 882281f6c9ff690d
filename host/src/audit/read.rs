use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use serde_json::{Map, Value};

use super::AuditError;
use super::log::Log;

/// The fields that every line has, in this order.
const COMMON: [&str; 8] = [
    "seq",
    "prev",
    "timestamp",
    "component_id",
    "component_name",
    "backchannel_version",
    "status",
    "operation",
];

/// A line of the log, as it stands there: not checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record(Map<String, Value>);

impl Record {
    /// A field's text; empty when there is no such field or it is no text.
    pub fn text(&self, field: &str) -> &str {
        self.0.get(field).and_then(Value::as_str).unwrap_or("")
    }

    /// The line's number.
    pub fn seq(&self) -> u64 {
        self.0.get("seq").and_then(Value::as_u64).unwrap_or(0)
    }

    /// What only this operation has.
    pub fn details(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0
            .iter()
            .map(|(name, value)| (name.as_str(), value))
            .filter(|(name, _)| !COMMON.contains(name))
    }

    /// The line.
    pub fn into_json(self) -> Value {
        Value::Object(self.0)
    }
}

/// The lines of the log in a data directory that `matches` takes, the oldest first. What cannot be read is left out:
/// [`verify`](super::verify) names it.
pub fn read(data: &Path, mut matches: impl FnMut(&str) -> bool) -> Result<Vec<Record>, AuditError> {
    let log = Log::new(data);
    let mut found = Vec::new();
    let mut read = || {
        let mut files = log.rotated()?;
        files.extend(Some(log.path()).filter(|path| path.exists()));
        for path in files {
            let mut lines = BufReader::new(File::open(path)?);
            let mut line = Vec::new();
            while lines.read_until(b'\n', &mut line)? > 0 {
                if let Ok(text) = std::str::from_utf8(&line)
                    && matches(text)
                    && let Ok(record) = serde_json::from_str(text)
                {
                    found.push(Record(record));
                }
                line.clear();
            }
        }
        Ok(())
    };
    read().map_err(|error| AuditError::new(&log, error))?;
    Ok(found)
}
