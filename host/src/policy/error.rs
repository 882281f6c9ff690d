use std::io;
use std::path::PathBuf;

/// Why a policy cannot be used, or not be changed. All of these are the operator's to mend.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// The file system would not.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
    /// A line of it.
    #[error("policy.toml:{line}: {why}")]
    Line {
        /// Which, counted from 1.
        line: usize,
        /// What is wrong there.
        why: String,
        /// What the operator can do about it.
        todo: String,
    },
    /// Another command is changing it.
    #[error("another command is changing policy.toml")]
    Busy,
    /// It was changed by somebody else while it was being changed.
    #[error("policy.toml was changed by somebody else at the same time")]
    Changed,
    /// It says nothing of that plugin.
    #[error("policy.toml has no [plugin.{0}]")]
    NoEntry(String),
    /// It holds something where a command would write that the command does not understand.
    #[error("policy.toml: {0} is not written as a table")]
    NotATable(String),
}

impl PolicyError {
    /// What the operator can do about it.
    pub fn advice(&self) -> String {
        match self {
            Self::Io { .. } => "check that the data directory is yours, and its permissions".into(),
            Self::Line { todo, .. } => todo.clone(),
            Self::Busy => "wait until it has ended, then try again".into(),
            Self::Changed => "look at what was changed, then try again".into(),
            Self::NoEntry(_) => {
                "`backchannel plugin list` shows the plugins; `plugin approve` makes an entry"
                    .into()
            }
            Self::NotATable(table) => {
                format!("write it as a [{table}] heading with its settings below")
            }
        }
    }
}
