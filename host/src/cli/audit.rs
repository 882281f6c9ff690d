use std::fmt;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde::Serialize;
use serde_json::Value;

use super::output::{foreign, table};
use super::{Exit, Format, Problem};
use crate::audit::{self, AuditError, Broken, Check, Record, Verified};

/// Lines shown when nothing else is asked for.
const LINES: usize = 50;

#[derive(Debug, Subcommand)]
pub(super) enum Audit {
    /// Check that no line of the audit log was changed, removed, inserted or moved.
    Verify(Verify),
    /// Show the audit log.
    Show(Show),
}

/// Check that no line of the audit log was changed, removed, inserted or moved.
#[derive(Debug, Args)]
#[command(
    after_help = "The log's head is in the result and in `backchannel status`. Note it elsewhere from time to time: with --holds it shows \
                  that the log was not written anew.\n\nExample:\n  backchannel audit verify --data /var/lib/backchannel\n  \
                  backchannel audit verify --data /var/lib/backchannel --holds 4711:9f86d081884c7d65…"
)]
pub(super) struct Verify {
    /// The data directory, or a copy of it.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// The first line to look at: earlier ones were archived, or their loss is known [default: 1].
    #[arg(long, value_name = "LINE")]
    from: Option<u64>,
    /// A line that must be in the log and its SHA-256, as noted elsewhere.
    #[arg(long, value_name = "LINE:SHA256", value_parser = noted)]
    holds: Option<(u64, String)>,
}

/// Show the audit log.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  backchannel audit show --data /var/lib/backchannel --operation limit_hit --plugin overlap"
)]
pub(super) struct Show {
    /// The data directory.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Only lines of this operation, such as `plugin_approved`.
    #[arg(long)]
    operation: Option<String>,
    /// Only lines about this plugin.
    #[arg(long, value_name = "NAME")]
    plugin: Option<String>,
    /// Only lines about this message.
    #[arg(long, value_name = "ID")]
    message: Option<String>,
    /// The last so many lines [default: 50].
    #[arg(long, value_name = "COUNT", conflicts_with = "all")]
    lines: Option<usize>,
    /// All lines.
    #[arg(long)]
    all: bool,
}

impl Audit {
    pub(super) fn run(self, format: Format) -> Result<(), Problem> {
        match self {
            Self::Verify(verify) => verify.run(format),
            Self::Show(show) => show.run(format),
        }
    }
}

/// A whole log.
#[derive(Serialize)]
struct Whole {
    ok: bool,
    #[serde(flatten)]
    verified: Verified,
}

impl Verify {
    fn run(self, format: Format) -> Result<(), Problem> {
        let check = Check {
            from: self.from,
            holds: self.holds,
        };
        let verified = audit::verify(&self.data, &check)
            .map_err(|error| problem("the audit log cannot be checked", &error))?;
        if verified.broken.is_empty() {
            format.show(&Whole { ok: true, verified });
            return Ok(());
        }
        let shown: Vec<_> = verified.broken.iter().map(Broken::to_string).collect();
        Err(Problem::new(
            Exit::Refused,
            "the audit log is not as it was written",
            shown.join("\n"),
            "find out who could write to the data directory; keep a copy of it as it is now",
        ))
    }
}

impl fmt::Display for Whole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Verified {
            lines,
            first,
            last,
            hash,
            notes,
            ..
        } = &self.verified;
        if *lines == 0 {
            return write!(f, "the audit log has no lines");
        }
        writeln!(
            f,
            "{lines} lines, {first} to {last}: all as they were written"
        )?;
        write!(f, "head {last}:{hash}")?;
        notes
            .iter()
            .try_for_each(|note| write!(f, "\nnote: {note}"))
    }
}

/// Lines of the log.
#[derive(Serialize)]
struct Shown {
    records: Vec<Value>,
    #[serde(skip)]
    rows: Vec<Vec<String>>,
}

impl Show {
    fn run(self, format: Format) -> Result<(), Problem> {
        let is = |wanted: &Option<String>, record: &Record, field| {
            wanted
                .as_deref()
                .is_none_or(|wanted| record.text(field) == wanted)
        };
        // A line that does not hold the text cannot have it in a field.
        let filters = [&self.operation, &self.plugin, &self.message];
        let may_match = |line: &str| {
            let mut wanted = filters.iter().copied().flatten();
            wanted.all(|text| line.contains(text))
        };
        let mut records = audit::read(&self.data, may_match)
            .map_err(|error| problem("the audit log cannot be read", &error))?;
        records.retain(|record| {
            is(&self.operation, record, "operation")
                && is(&self.plugin, record, "plugin")
                && is(&self.message, record, "message")
        });
        let lines = if self.all {
            usize::MAX
        } else {
            self.lines.unwrap_or(LINES)
        };
        records.drain(..records.len().saturating_sub(lines));
        format.show(&Shown {
            rows: records.iter().map(row).collect(),
            records: records.into_iter().map(Record::into_json).collect(),
        });
        Ok(())
    }
}

fn row(record: &Record) -> Vec<String> {
    vec![
        record.seq().to_string(),
        foreign(record.text("timestamp")),
        foreign(record.text("operation")),
        foreign(record.text("status")),
        details(record),
    ]
}

/// What is special about a line, as `name=value`.
pub(super) fn details(record: &Record) -> String {
    let details: Vec<_> = record
        .details()
        .map(|(name, value)| match value {
            Value::String(text) => format!("{}={}", foreign(name), foreign(text)),
            other => format!("{}={}", foreign(name), foreign(&other.to_string())),
        })
        .collect();
    details.join(" ")
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.rows.is_empty() {
            return f.write_str("no such lines");
        }
        let headings = ["line", "time", "operation", "status", ""];
        f.write_str(&table(&headings, self.rows.clone()))
    }
}

pub(super) fn problem(what: &str, error: &AuditError) -> Problem {
    Problem::new(Exit::Input, what, error, error.advice())
}

/// `LINE:SHA256`.
fn noted(text: &str) -> Result<(u64, String), String> {
    let bad = || "write it as LINE:SHA256, as `audit verify` and `status` show it".to_owned();
    let (seq, hash) = text.split_once(':').ok_or_else(bad)?;
    let seq = seq.parse().map_err(|_| bad())?;
    if hash.len() != 64 || !hash.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(bad());
    }
    Ok((seq, hash.to_owned()))
}
