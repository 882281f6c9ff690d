use std::path::{Path, PathBuf};

use crate::audit::AuditError;
use crate::key_store::StoreError;
use crate::policy::PolicyError;
use crate::transport::{CertificateError, ConnectError, Fingerprint};

/// Why a node does not start.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// The data directory.
    #[error("the data directory {path} cannot be used: {source}")]
    Data {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The key store.
    #[error("the key store {path} cannot be opened: {source}")]
    Store {
        /// Which.
        path: PathBuf,
        /// Why.
        source: StoreError,
    },
    /// What the key store is encrypted under.
    #[error("the key store cannot be opened: {why}")]
    StoreKey {
        /// Why.
        why: String,
        /// What to do.
        todo: &'static str,
    },
    /// A backup, or what is in its way.
    #[error("{0}")]
    Backup(StoreError),
    /// The recording that was asked for.
    #[error("the recording {path} cannot be begun: {source}")]
    Recording {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The audit log. A node that cannot say what it does does nothing.
    #[error("{0}")]
    Audit(#[from] AuditError),
    /// The operating system.
    #[error("the operating system gives no randomness: {0}")]
    Randomness(#[from] getrandom::Error),
    /// The wasm engine.
    #[error("the wasm engine does not start: {0}")]
    Runtime(String),
    /// The policy.
    #[error("the policy cannot be used: {0}")]
    Policy(#[from] PolicyError),
    /// The researcher's certificate file.
    #[error("the researcher's certificate cannot be used: {0}")]
    Certificate(CertificateError),
    /// The researcher cannot be met.
    #[error("{0}")]
    Researcher(Box<ConnectError>),
    /// The researcher shows another certificate than when this node met it first.
    #[error(
        "the researcher at {address} shows another certificate: {seen}, this node knows {known}"
    )]
    OtherCertificate {
        /// Where.
        address: String,
        /// What it shows.
        seen: Fingerprint,
        /// What is pinned.
        known: Fingerprint,
    },
    /// The researcher shows another certificate than the one the operator wants to trust.
    #[error("the researcher at {address} shows the certificate {seen}, not {given}")]
    NotAsGiven {
        /// Where.
        address: String,
        /// What it shows.
        seen: Fingerprint,
        /// What the operator said.
        given: Fingerprint,
    },
}

impl From<ConnectError> for NodeError {
    fn from(error: ConnectError) -> Self {
        Self::Researcher(Box::new(error))
    }
}

impl NodeError {
    pub(super) fn store(data: &Path, source: StoreError) -> Self {
        Self::Store {
            path: store_path(data),
            source,
        }
    }

    /// What the operator can do about it.
    pub fn advice(&self) -> String {
        match self {
            Self::Data { .. } => "name a directory that you may write to with --data".into(),
            Self::Recording { .. } => "name a file that is not there yet, in a folder that you may write to".into(),
            Self::Store { source, .. } => source.advice().into(),
            Self::Backup(source) => source.advice().into(),
            Self::StoreKey { todo, .. } => (*todo).into(),
            Self::Audit(error) => error.advice().into(),
            Self::Randomness(_) => "wait until the machine has booted, then start again".into(),
            Self::Runtime(_) => "raise the limit of address space (ulimit -v) to at least 200 GiB; it is reserved, not used".into(),
            Self::Policy(error) => error.advice(),
            Self::Certificate(_) => "ask the researcher for the server's certificate in PEM form".into(),
            Self::Researcher(error) => error.advice().into(),
            Self::OtherCertificate { .. } => {
                "ask the researcher, on another way than this network, for the SHA-256 of the server's certificate; only if it is the first one here, run `backchannel trust SHA-256` with this node's settings, or start it with --certificate FILE".into()
            }
            Self::NotAsGiven { .. } => {
                "check that host and port are the researcher's, and ask the researcher again, on another way than this network: somebody may be in between".into()
            }
        }
    }
}

/// The key store's file in a data directory.
pub(super) fn store_path(data: &Path) -> PathBuf {
    data.join("node.redb")
}
