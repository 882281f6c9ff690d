use std::io;
use std::path::PathBuf;

use semver::Version;

use crate::handlers::LoadError;
use crate::packages::{Digest, NotASignature, NotVouched};
use crate::policy::{KeyName, PolicyError};

/// A plugin that the policy allows and that was not loaded.
#[derive(Debug, thiserror::Error)]
#[error("{plugin}: {why}")]
pub struct NotLoaded {
    /// Which.
    pub plugin: String,
    /// Why.
    pub why: Refusal,
}

/// Why an installed file is not used. Nothing of it has run.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// It is not installed.
    #[error("{digest} is not installed: there is no {path}")]
    Missing {
        /// What was looked for.
        digest: Digest,
        /// Where.
        path: PathBuf,
    },
    /// The file system would not.
    #[error("{path}: {source}")]
    Io {
        /// Which file.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
    /// The file is not what was installed.
    #[error("the file of {digest} was changed: it has the digest {found} now")]
    Changed {
        /// What was approved.
        digest: Digest,
        /// What is there.
        found: Digest,
    },
    /// Larger than any limit could allow.
    #[error("{path} has {size} bytes, more than a plugin can have")]
    TooLarge {
        /// Which file.
        path: PathBuf,
        /// Its size.
        size: u64,
    },
    /// A signature file beside it is none.
    #[error("{path}: {source}")]
    Signature {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: NotASignature,
    },
    /// The signatures do not suffice.
    #[error("{0}")]
    NotVouched(#[from] NotVouched),
    /// A signature that this plugin must have.
    #[error("{0} has not signed it, and the policy names this key under signed-by")]
    NotSignedBy(KeyName),
    /// It is another plugin.
    #[error("the file calls itself {0}")]
    OtherName(String),
    /// A built-in plugin has that name.
    #[error("{0} is the name of a built-in plugin")]
    BuiltInName(String),
    /// Its version cannot be compared.
    #[error(
        "its version {0:?} is not written as MAJOR.MINOR.PATCH, so older and newer cannot be told apart"
    )]
    Version(String),
    /// An older version than the approved one: perhaps one with a known weakness.
    #[error("{plugin} {version} is older than {approved}, which is approved")]
    Older {
        /// The plugin.
        plugin: String,
        /// The file's version.
        version: Version,
        /// What is approved.
        approved: Version,
    },
    /// A limit that would limit nothing.
    #[error(
        "it begins no runs, so a limit to experiments would limit nothing: messages do not say for which experiment they are"
    )]
    NoExperiments,
    /// The component.
    #[error("{0}")]
    Load(#[from] LoadError),
}

impl Refusal {
    /// What the operator can do about it.
    pub fn advice(&self) -> String {
        match self {
            Self::Missing { .. } => {
                "install the file again with `backchannel plugin install`, or disable the plugin"
                    .into()
            }
            Self::Io { .. } => "check the permissions in the data directory".into(),
            Self::Changed { .. } => {
                "find out who changed it; then install the right file again".into()
            }
            Self::TooLarge { .. } => "check that it is the right file".into(),
            Self::Signature { .. } => "remove that file, or get it again from the signer".into(),
            Self::NotVouched(error) => error.advice(),
            Self::NotSignedBy(key) => {
                format!(
                    "ask {key} for a signature and install the file with it, or change signed-by"
                )
            }
            Self::OtherName(_) => "put the approval under that name".into(),
            Self::BuiltInName(_) => {
                "ask the author for another name; a built-in plugin can be disabled, not replaced"
                    .into()
            }
            Self::Version(_) => "ask the author to number it as semver.org says".into(),
            Self::Older { plugin, .. } => format!(
                "install a newer one; to go back to what was approved before: `backchannel plugin rollback {plugin}`"
            ),
            Self::NoExperiments => "limit it to researchers or parties, or to nothing".into(),
            Self::Load(error) => error.advice(),
        }
    }
}

/// Why a node keeps the plugins it had.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    /// The policy cannot be read.
    #[error("{0}")]
    Policy(#[from] PolicyError),
    /// A plugin that it allows cannot be loaded.
    #[error("{}", all(.0))]
    Plugins(Vec<NotLoaded>),
}

impl ReloadError {
    /// What the operator can do about it.
    pub fn advice(&self) -> String {
        match self {
            Self::Policy(error) => error.advice(),
            Self::Plugins(failed) => failed
                .first()
                .map_or_else(String::new, |first| first.why.advice()),
        }
    }
}

fn all(failed: &[NotLoaded]) -> String {
    let texts: Vec<_> = failed.iter().map(ToString::to_string).collect();
    texts.join("; ")
}
