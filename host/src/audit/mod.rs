//! The audit log: what was decided, allowed, refused and limited on this node, and what its peers tried, in JSON lines that
//! form a chain.
//!
//! [`Event`] is what is recorded; [`Audit`] is a running node's handle, which never waits for the disk; [`append`] is for
//! commands, which do. Several processes may append to one log. [`verify`] tells whether lines were changed, removed,
//! inserted or moved.
//!
//! The chain needs no secret, so it does not stop somebody who may write the whole directory and rewrites all of it. Against
//! that, note the head ([`Head`], in `status`) elsewhere from time to time, and have it looked for: see [`Check`].

mod event;
mod log;
mod ration;
mod read;
mod recovery;
mod verify;
mod writer;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

pub use event::{Event, ProtocolRun, SecaggSetup, Subject};
pub use log::{Component, Head};
pub use read::{Record, read};
pub use verify::{Broken, Check, Verified, verify};

use log::Log;
use writer::Writer;

/// A running node's audit log. Clones are the same log; when the last is gone, what was recorded is on the disk.
#[derive(Clone)]
pub struct Audit(Option<Arc<Writer>>);

/// The audit log cannot be used. The disk's or the operator's doing.
#[derive(Debug, thiserror::Error)]
#[error("the audit log {path} cannot be used: {source}")]
pub struct AuditError {
    /// Which.
    pub path: PathBuf,
    /// Why.
    pub source: io::Error,
}

impl AuditError {
    fn new(log: &Log, source: io::Error) -> Self {
        Self {
            path: log.path(),
            source,
        }
    }

    /// What the operator can do about it.
    pub fn advice(&self) -> &'static str {
        match self.source.kind() {
            io::ErrorKind::InvalidData => {
                "run `backchannel audit verify`; keep a copy of the audit files, then remove audit.head: the log goes on and says so"
            }
            io::ErrorKind::StorageFull => "free space on the disk",
            _ => "check that the audit files in the data directory are yours and writable",
        }
    }
}

impl Audit {
    /// Opens the log in the data directory of the node `component`, or begins it. What an earlier process left unfinished
    /// is put in order. Blocks for the disk.
    pub fn open(data: &Path, component: Component) -> Result<Self, AuditError> {
        let log = Log::new(data);
        match Writer::start(Log::new(data), component) {
            Ok(writer) => Ok(Self(Some(Arc::new(writer)))),
            Err(error) => Err(AuditError::new(&log, error)),
        }
    }

    /// A log that keeps nothing: for simulations and tests.
    pub fn none() -> Self {
        Self(None)
    }

    /// Records an event. Never waits: the line is written by a thread, some milliseconds later at most while the disk
    /// keeps up. What peers and plugins can make happen without end is rationed, and what is left out is counted in a
    /// line. Nothing is ever lost without a line that says how much.
    pub fn record(&self, event: Event) {
        if let Some(writer) = &self.0 {
            writer.take(event);
        }
    }

    /// Waits until everything recorded so far is on the disk, but not longer than `limit`; whether it is.
    pub async fn flush(&self, limit: Duration) -> bool {
        match &self.0 {
            Some(writer) => tokio::time::timeout(limit, writer.flush()).await.is_ok(),
            None => true,
        }
    }

    /// How the log fares.
    pub fn state(&self) -> State {
        match &self.0 {
            Some(writer) => writer.state(),
            None => State::default(),
        }
    }
}

/// How a log fares.
#[derive(Debug, Clone, Default)]
pub struct State {
    /// The last line's number.
    pub seq: u64,
    /// The last line's SHA-256, hex.
    pub hash: String,
    /// Records lost since the start, as the disk did not keep up.
    pub lost: u64,
    /// Why the last attempt to write failed, if it did.
    pub failing: Option<String>,
}

/// Appends one event to the log in a data directory, whether or not a node runs on it: for commands. On the disk when this
/// returns.
pub fn append(data: &Path, event: Event) -> Result<(), AuditError> {
    let log = Log::new(data);
    match log.append(None, &[event]) {
        Ok(_) => Ok(()),
        Err(error) => Err(AuditError::new(&log, error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn operator(n: usize) -> Event {
        Event::PluginEnabled {
            plugin: n.to_string(),
            by: "alex".into(),
        }
    }

    fn missing_disk(folder: &Path) -> PathBuf {
        // A folder in the log's place: opening it to append fails.
        let path = folder.join("audit.jsonl");
        std::fs::create_dir(&path).expect("made");
        path
    }

    #[tokio::test]
    async fn a_disk_that_fails_for_a_while_loses_nothing_silently() {
        let folder = tempfile::tempdir().expect("a folder");
        let audit = Audit::open(folder.path(), Component::default()).expect("opened");
        std::fs::remove_file(folder.path().join("audit.jsonl")).expect("removed");
        let blocked = missing_disk(folder.path());
        for n in 0..6000 {
            audit.record(operator(n));
        }
        assert!(!audit.flush(Duration::from_millis(50)).await);
        assert!(audit.state().failing.is_some());

        std::fs::remove_dir(blocked).expect("removed");
        assert!(audit.flush(Duration::from_secs(60)).await);
        let state = audit.state();
        assert!(state.failing.is_none() && state.lost > 0, "{state:?}");
        drop(audit);
        let written = read(folder.path(), |line| line.contains("plugin_enabled"));
        let told = read(folder.path(), |line| line.contains("records_lost"));
        let told: u64 = told
            .expect("read")
            .iter()
            .flat_map(|record| record.details())
            .filter_map(|(_, value)| value.as_u64())
            .sum();
        assert_eq!(written.expect("read").len() as u64 + told, 6000);
        assert_eq!(
            verify(folder.path(), &Check::default())
                .expect("read")
                .broken,
            []
        );
    }

    #[test]
    fn what_was_recorded_is_on_the_disk_when_the_last_handle_is_gone() {
        let folder = tempfile::tempdir().expect("a folder");
        let audit = Audit::open(folder.path(), Component::default()).expect("opened");
        append(folder.path(), operator(0)).expect("a command may append meanwhile");
        (1..100).for_each(|n| audit.record(operator(n)));
        drop(audit);

        assert_eq!(read(folder.path(), |_| true).expect("read").len(), 100);
        assert_eq!(
            verify(folder.path(), &Check::default())
                .expect("read")
                .broken,
            []
        );
    }
}
