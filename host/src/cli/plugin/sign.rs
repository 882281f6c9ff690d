use std::fmt;
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;
use time::format_description::well_known::{Iso8601, Rfc3339};
use time::{Date, Duration, OffsetDateTime, Time};

use super::passphrase::PassphraseSource;
use super::{Exit, Format, Problem, key, not_read, surface};
use crate::packages::{NotSigned, Package, Role, Signature, Statement, write_signature};

/// How long a signature counts when its signer says nothing else.
const A_YEAR: Duration = Duration::days(365);

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  backchannel plugin sign overlap.wasm --key author.key\n  backchannel plugin sign overlap.wasm --key dr-lee.key --role reviewer --check \"read the source at v1.0.0\""
)]
pub(in crate::cli) struct Sign {
    /// The component.
    file: PathBuf,
    /// The secret key.
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// In which role.
    #[arg(long, value_enum, default_value = "author")]
    role: Role,
    /// What you did to come to this, in a sentence; a review says at least one. Can be given again.
    #[arg(long, value_name = "TEXT")]
    check: Vec<String>,
    #[command(flatten)]
    validity: Validity,
    #[command(flatten)]
    passphrase: PassphraseSource,
}

/// When a signature counts.
#[derive(Debug, Args)]
pub(super) struct Validity {
    /// From when it counts: `2026-11-23`, or with a time, `2026-11-23T08:00:00Z` [default: now].
    #[arg(long, value_name = "DATE", value_parser = first_instant)]
    from: Option<OffsetDateTime>,
    /// Until when it counts: to the end of that day, or to that time [default: a year].
    #[arg(long, value_name = "DATE", value_parser = last_instant)]
    until: Option<OffsetDateTime>,
}

#[derive(Serialize)]
struct Signed {
    ok: bool,
    signature: PathBuf,
    key: String,
    statement: Statement,
}

impl Sign {
    pub(super) fn run(self, format: Format) -> Result<(), Problem> {
        let what = format!("{} was not signed", self.file.display());
        if self.role == Role::Reviewer && self.check.is_empty() {
            let todo = "say what you did: --check \"read the source at v1.0.0\"";
            return Err(Problem::new(
                Exit::Input,
                what,
                "a review without checks says nothing",
                todo,
            ));
        }
        let package = Package::read(&self.file).map_err(|error| not_read(&what, &error))?;
        if package.is_bundle() {
            let todo =
                "unpack it with `plugin bundle load`, sign the component, and make a new bundle";
            return Err(Problem::new(
                Exit::Input,
                what,
                "it is a bundle, which was signed when it was made",
                todo,
            ));
        }
        let surface = surface(&what, &package.component)?;
        let key = key::unlock(&what, &self.key, &self.passphrase)?;
        let (from, until) = self.validity.get();
        let statement = Statement {
            name: surface.manifest().name.clone(),
            version: surface.manifest().version.clone(),
            sha256: package.digest(),
            from,
            until,
            role: self.role,
            checks: self.check,
        };
        let signature = Signature::sign(&package.component, &statement, &key);
        let signature = signature.map_err(|error| not_signed(&what, &error))?;
        let path =
            write_signature(&self.file, &signature).map_err(|error| not_read(&what, &error))?;
        format.show(&Signed {
            ok: true,
            signature: path,
            key: signature.key().to_string(),
            statement,
        });
        Ok(())
    }
}

impl Validity {
    /// In whole seconds.
    pub(super) fn get(&self) -> (OffsetDateTime, OffsetDateTime) {
        let now = OffsetDateTime::now_utc();
        let from = self.from.unwrap_or(now);
        let from = from.replace_nanosecond(0).unwrap_or(from);
        (from, self.until.unwrap_or(from + A_YEAR))
    }
}

pub(super) fn not_signed(what: &str, error: &NotSigned) -> Problem {
    match error {
        NotSigned::Key(error) => key::unusable(what, error),
        NotSigned::Statement(_) | NotSigned::Signature(_) => {
            let todo = "give dates in their order, and checks that are short lines";
            Problem::new(Exit::Input, what, error, todo)
        }
    }
}

fn first_instant(text: &str) -> Result<OffsetDateTime, String> {
    instant(text, Duration::ZERO)
}

fn last_instant(text: &str) -> Result<OffsetDateTime, String> {
    instant(text, Duration::DAY)
}

/// A time, or a day in UTC and `after_midnight`. In UTC and whole seconds.
fn instant(text: &str, after_midnight: Duration) -> Result<OffsetDateTime, String> {
    let bad = || "write it as 2026-11-23 or 2026-11-23T08:00:00Z".to_owned();
    if let Ok(time) = OffsetDateTime::parse(text, &Rfc3339) {
        let utc = time
            .checked_to_offset(time::UtcOffset::UTC)
            .ok_or_else(bad)?;
        return utc.replace_nanosecond(0).map_err(|_| bad());
    }
    let day = Date::parse(text, &Iso8601::DATE).map_err(|_| bad())?;
    let midnight = day.with_time(Time::MIDNIGHT).assume_utc();
    midnight.checked_add(after_midnight).ok_or_else(bad)
}

/// A time as people and files have it.
pub(in crate::cli) fn date(time: OffsetDateTime) -> String {
    time.format(&Rfc3339).unwrap_or_else(|_| time.to_string())
}

/// What a statement says, in a line: the role, the validity and the checks.
pub(super) fn in_words(statement: &Statement) -> String {
    let mut text = format!(
        "{}, valid {} to {}",
        statement.role.name(),
        date(statement.from),
        date(statement.until)
    );
    for check in &statement.checks {
        text += &format!("; {}", super::foreign(check));
    }
    text
}

impl fmt::Display for Signed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Statement {
            name,
            version,
            sha256,
            ..
        } = &self.statement;
        writeln!(f, "signed  {name} {version}, {sha256}")?;
        writeln!(f, "as      {}", in_words(&self.statement))?;
        writeln!(f, "key     {}", self.key)?;
        write!(f, "file    {}", display(&self.signature))
    }
}

fn display(path: &Path) -> String {
    super::foreign(&path.display().to_string())
}
