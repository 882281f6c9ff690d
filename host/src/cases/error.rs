use std::io;
use std::path::PathBuf;

use crate::handlers::LoadError;
use crate::key_store::StoreError;

/// Why cases cannot be read, run or rewritten. That a case fails is none of these.
#[derive(Debug, thiserror::Error)]
pub enum CasesError {
    /// The file system would not.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
    /// A line of a file.
    #[error("{file}:{line}: {why}")]
    Line {
        /// The file.
        file: String,
        /// Which, counted from 1.
        line: usize,
        /// What is wrong there.
        why: String,
        /// What to write instead.
        todo: String,
    },
    /// The plugin cannot be loaded as the file asks.
    #[error("{file}:{line}: the plugin does not load so: {source}")]
    Load {
        /// The file.
        file: String,
        /// Where the case begins that it was to be loaded for.
        line: usize,
        /// Why not.
        source: LoadError,
    },
    /// The file was changed by somebody else while its cases ran.
    #[error("{0} was changed while its cases ran")]
    Changed(PathBuf),
    /// The machine cannot give what a run needs.
    #[error("the cases cannot be run: {0}")]
    Machine(String),
}

impl CasesError {
    /// What its author can do about it.
    pub fn advice(&self) -> String {
        match self {
            Self::Io { .. } => "check the path, and that the file is yours".into(),
            Self::Line { todo, .. } => todo.clone(),
            Self::Load { source, .. } => source.advice(),
            Self::Changed(_) => "look at what was changed, then try again".into(),
            Self::Machine(_) => "raise the limits of threads, memory and address space".into(),
        }
    }
}

impl From<StoreError> for CasesError {
    fn from(error: StoreError) -> Self {
        Self::Machine(error.to_string())
    }
}
