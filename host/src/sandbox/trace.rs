//! What happened in a run, in order. Two runs are the same if their traces are.

use std::fmt;
use std::time::Duration;

use sha2::{Digest, Sha256};
use tokio::time::Instant;

use super::faults::{Accident, Fate};
use crate::message::NodeId;

/// What happened, and when.
#[derive(Clone, Debug)]
pub struct Entry {
    /// From the beginning of the run.
    pub at: Duration,
    /// What.
    pub(super) what: What,
}

/// Numbers are those of messages to nodes, counted at the relay.
#[derive(Clone, Debug)]
pub(super) enum What {
    /// A node began to work.
    Started { node: NodeId, life: u32 },
    /// It could not.
    NotStarted { node: NodeId, why: String },
    /// An accident began.
    Began { accident: Accident, node: NodeId },
    /// And ended.
    Ended { accident: Accident, node: NodeId },
    /// A node gave the relay a message for another.
    Relayed {
        n: u64,
        from: NodeId,
        to: NodeId,
        bytes: usize,
        hash: [u8; 8],
    },
    /// The researcher asked a node.
    Asked {
        n: u64,
        to: NodeId,
        kind: &'static str,
        run: String,
    },
    /// A node answered the researcher.
    Answered { from: NodeId, with: String },
    /// A fault hit a message.
    Hit { n: u64, fate: Fate },
    /// A node got a message.
    Delivered { n: u64, to: NodeId },
    /// The relay no longer has a message that nobody got.
    Lost { n: u64, why: &'static str },
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>10.3} s  ", self.at.as_secs_f64())?;
        match &self.what {
            What::Started { node, life } => write!(f, "{node} starts (life {life})"),
            What::NotStarted { node, why } => write!(f, "{node} does not start: {why}"),
            What::Began { accident, node } => write!(f, "! {} of {node}", accident.name()),
            What::Ended { accident, node } => write!(f, "! {} of {node} over", accident.name()),
            What::Relayed {
                n,
                from,
                to,
                bytes,
                hash,
            } => write!(
                f,
                "{from} -> {to}  #{n} {bytes} bytes {}",
                hex::encode(hash)
            ),
            What::Asked { n, to, kind, run } => write!(f, "researcher -> {to}  #{n} {kind} {run}"),
            What::Answered { from, with } => write!(f, "{from} -> researcher  {with}"),
            What::Hit { n, fate } => match fate {
                Fate::Dropped => write!(f, "! #{n} dropped"),
                Fate::Duplicated(later) => {
                    write!(f, "! #{n} again {} ms later", later.as_millis())
                }
                Fate::Corrupted { at, by } => write!(f, "! #{n} byte {at} changed by {by}"),
                Fate::Overtaken { by } => write!(f, "! #{n} held back until {by} have passed"),
                Fate::Delayed(by) => write!(f, "! #{n} delayed by {} ms", by.as_millis()),
            },
            What::Delivered { n, to } => write!(f, "{to} has #{n}"),
            What::Lost { n, why } => write!(f, "! #{n} lost: {why}"),
        }
    }
}

/// The entries of a run, in order.
pub(super) struct Trace {
    began: Instant,
    entries: Vec<Entry>,
}

impl Trace {
    pub(super) fn new() -> Self {
        Self {
            began: Instant::now(),
            entries: Vec::new(),
        }
    }

    pub(super) fn record(&mut self, what: What) {
        let at = self.began.elapsed();
        self.entries.push(Entry { at, what });
    }

    pub(super) fn now(&self) -> Duration {
        self.began.elapsed()
    }

    pub(super) fn into_entries(self) -> Vec<Entry> {
        self.entries
    }
}

/// SHA-256 over all of a run's entries.
pub(super) fn hash(entries: &[Entry]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    for entry in entries {
        hasher.update(format!("{:?}\n", entry));
    }
    hasher.finalize().into()
}
