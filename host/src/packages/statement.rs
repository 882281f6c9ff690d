use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::Digest;

/// Longest text of a statement, in bytes; the whole must fit minisign's trusted comment.
const LONGEST_TEXT: usize = 1024;

/// Longest JSON of a statement, in bytes: minisign's trusted comments end at 8192 bytes, prefix and line end included.
const LONGEST: usize = 8192 - 32;

/// What a signer says of a file. It travels as one JSON object in the signature's trusted comment, which is signed too.
///
/// A field that is not known is refused: it may be a condition under which the signer vouches.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Statement {
    /// The plugin's name.
    pub name: String,
    /// The plugin's version.
    pub version: String,
    /// The SHA-256 of the file, as 64 hex digits.
    #[serde(serialize_with = "bare")]
    pub sha256: Digest,
    /// The signature counts from then on.
    #[serde(with = "time::serde::rfc3339")]
    pub from: OffsetDateTime,
    /// And no longer than until then.
    #[serde(with = "time::serde::rfc3339")]
    pub until: OffsetDateTime,
    /// In which role the signer speaks.
    pub role: Role,
    /// What the signer did to come to this.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub checks: Vec<String>,
}

/// In which role someone signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Wrote it, and answers for what it does.
    Author,
    /// Looked at it, and says how.
    Reviewer,
    /// Put a bundle together: vouches for the list of its files, not for the component.
    #[value(skip)]
    Bundler,
}

/// Why a text is no statement.
#[derive(Debug, thiserror::Error)]
pub enum NotAStatement {
    /// Another tool's comment, or a field too many or too few.
    #[error("its comment is not the JSON object that `plugin sign` writes: {0}")]
    Json(#[from] serde_json::Error),
    /// A text that is empty, too long or holds control characters.
    #[error("its {0} is empty, longer than {LONGEST_TEXT} bytes or holds control characters")]
    Text(&'static str),
    /// It ends before it begins.
    #[error("it is never valid: it ends before it begins")]
    Never,
    /// More than minisign's files hold.
    #[error("it has {0} bytes, more than the {LONGEST} that fit a signature file")]
    TooLong(usize),
}

impl Statement {
    pub(super) fn read(json: &str) -> Result<Self, NotAStatement> {
        let statement: Self = serde_json::from_str(json)?;
        statement.check()?;
        Ok(statement)
    }

    pub(super) fn write(&self) -> Result<String, NotAStatement> {
        self.check()?;
        let json = serde_json::to_string(self)?;
        match json.len() {
            0..=LONGEST => Ok(json),
            length => Err(NotAStatement::TooLong(length)),
        }
    }

    fn check(&self) -> Result<(), NotAStatement> {
        let texts = [("name", &self.name), ("version", &self.version)];
        let checks = self.checks.iter().map(|check| ("list of checks", check));
        for (what, text) in texts.into_iter().chain(checks) {
            if text.is_empty() || text.len() > LONGEST_TEXT || text.chars().any(char::is_control) {
                return Err(NotAStatement::Text(what));
            }
        }
        if self.until <= self.from {
            return Err(NotAStatement::Never);
        }
        Ok(())
    }
}

impl Role {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Author => "author",
            Self::Reviewer => "reviewer",
            Self::Bundler => "bundler",
        }
    }
}

fn bare<S: serde::Serializer>(digest: &Digest, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&digest.hex())
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    fn statement() -> Statement {
        Statement {
            name: "overlap".into(),
            version: "1.0.0".into(),
            sha256: Digest::of(b"component"),
            from: datetime!(2026-01-01 0:00 UTC),
            until: datetime!(2027-01-01 0:00 UTC),
            role: Role::Reviewer,
            checks: vec!["read the source".into()],
        }
    }

    #[test]
    fn reads_what_it_writes() {
        let json = statement().write().unwrap();
        assert!(
            json.starts_with(r#"{"name":"overlap","version":"1.0.0","sha256":""#),
            "{json}"
        );
        assert!(json.contains(r#""from":"2026-01-01T00:00:00Z""#), "{json}");
        assert_eq!(Statement::read(&json).unwrap(), statement());
    }

    #[test]
    fn refuses_a_condition_it_does_not_know() {
        let json = statement()
            .write()
            .unwrap()
            .replacen('{', r#"{"only-for":"R1","#, 1);
        assert!(matches!(
            Statement::read(&json),
            Err(NotAStatement::Json(_))
        ));
    }

    #[test]
    fn refuses_texts_that_would_reach_the_terminal_as_commands() {
        let mut hostile = statement();
        hostile.checks = vec!["fine\u{1b}[2J".into()];
        assert!(matches!(hostile.write(), Err(NotAStatement::Text(_))));
        let json = serde_json::to_string(&hostile).unwrap();
        assert!(matches!(
            Statement::read(&json),
            Err(NotAStatement::Text(_))
        ));
    }

    #[test]
    fn refuses_what_is_never_valid_or_fits_no_signature_file() {
        let mut never = statement();
        never.until = never.from;
        assert!(matches!(never.write(), Err(NotAStatement::Never)));
        let mut long = statement();
        long.checks = vec!["x".repeat(1000); 9];
        assert!(matches!(long.write(), Err(NotAStatement::TooLong(_))));
    }
}
