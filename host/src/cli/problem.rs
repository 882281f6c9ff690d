//! What a person gets when a command fails: what happened, why, what to do, and an exit code.

use std::fmt;
use std::process::ExitCode;

use crate::cli::Format;

/// Exit codes. Documented in the README; 2 is clap's, for a command line that makes no sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// The work was begun and failed: a set-up that a node did not answer, say.
    Failed = 1,
    /// A file, a value or an argument cannot be used.
    Input = 3,
    /// A researcher, relay, node or port cannot be reached or had.
    Unreachable = 4,
    /// Something does not match what is trusted: a certificate, a store, a plugin.
    Refused = 5,
}

/// A failed command.
#[derive(Debug)]
pub struct Problem {
    what: String,
    why: Why,
    todo: String,
    exit: Exit,
    result_shown: bool,
}

/// The reason, as an error of its own so that it is shown as the cause.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Why(String);

impl Problem {
    /// `what` could not be done, `why`, and what `to do` about it.
    pub fn new(
        exit: Exit,
        what: impl Into<String>,
        why: impl fmt::Display,
        todo: impl Into<String>,
    ) -> Self {
        Self {
            what: what.into(),
            why: Why(why.to_string()),
            todo: todo.into(),
            exit,
            result_shown: false,
        }
    }

    /// What failed has a result, which was shown and says so: programs get no second object.
    pub fn beside_result(self) -> Self {
        Self {
            result_shown: true,
            ..self
        }
    }

    /// What happened and why, where it is told beside something else.
    pub fn in_a_line(&self) -> String {
        format!("{}: {}", self.what, self.why)
    }

    /// Shows it and gives the exit code: text on standard error, or one JSON object on standard output.
    pub fn report(self, format: Format) -> ExitCode {
        let code = ExitCode::from(self.exit as u8);
        match format {
            Format::Text => eprintln!("{:?}", miette::Report::new(self)),
            Format::Json if self.result_shown => {}
            Format::Json => {
                let error =
                    serde_json::json!({ "what": self.what, "why": self.why.0, "to_do": self.todo });
                println!("{}", serde_json::json!({ "ok": false, "error": error }));
            }
        }
        code
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl std::error::Error for Problem {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.why)
    }
}

impl miette::Diagnostic for Problem {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Some(Box::new(&self.todo))
    }
}
