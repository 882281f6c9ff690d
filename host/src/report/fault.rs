//! Faults that last: what befell a node, its link or the relay.

use serde::Serialize;

use super::lane;
use crate::message::one_line;

/// A fault, and how long it lasted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// Whom it befell.
    pub lane: String,
    /// Its name, as faults are asked for: kill, power, partition, relay, full ….
    pub fault: String,
    /// In words, as what the lane is: `cut off from the relay`.
    pub words: String,
    /// What the lane does when it is over: `reaches the relay again`.
    pub over: String,
    /// When it began, in microseconds.
    pub at: u64,
    /// When it ended, if it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<u64>,
}

/// What a node is that died of another fault, until it starts again.
pub(super) const DIED: &str = "died";

/// Of a fault's name, in bytes.
const LONGEST_NAME: usize = 40;

impl Fault {
    /// One that begins.
    pub(super) fn began(fault: &str, node: &str, at: u64) -> Self {
        let lane = match fault {
            // The trace has a node for each fault; this one is the relay's.
            "relay" => lane::RELAY.into(),
            _ => lane::node(node),
        };
        let (words, over) = in_words(fault);
        Self {
            lane,
            words,
            over,
            fault: one_line(fault, LONGEST_NAME),
            at,
            until: None,
        }
    }

    /// Whether it ends what the node was doing.
    pub(super) fn ends_lives(&self) -> bool {
        matches!(
            self.fault.as_str(),
            "kill" | "power" | "damage" | "backup" | DIED
        )
    }

    /// Whether it lasted at some time from `from` to `until`.
    pub(super) fn overlaps(&self, from: u64, until: u64) -> bool {
        self.at <= until && self.until.is_none_or(|end| end >= from)
    }
}

fn in_words(fault: &str) -> (String, String) {
    let (words, over) = match fault {
        "kill" => ("killed", "may start again"),
        "power" => ("without power", "has power again"),
        "partition" => ("cut off from the relay", "reaches the relay again"),
        "relay" => ("down", "is up again"),
        "torn" => ("about to die over a write", "writes as before"),
        DIED => ("dead from a disk error", "may start again"),
        "full" => ("disk full", "has room on its disk again"),
        "read-only" => ("disk read-only", "may write to its disk again"),
        "io" => ("disk failing", "has a disk that works again"),
        "damage" => ("store damaged", "has its store again"),
        "backup" => ("an old store put back", "may start again"),
        "clock" => ("clock wrong", "has the right time again"),
        other => {
            let name = one_line(other, LONGEST_NAME);
            return (name.clone(), format!("no longer {name}"));
        }
    };
    (words.to_owned(), over.to_owned())
}

/// A fault of a message, as what was done to it.
pub(super) fn of_message(fault: &str) -> String {
    match fault {
        "drop" => "dropped".into(),
        "dup" => "doubled".into(),
        "corrupt" => "changed".into(),
        "delay" => "delayed".into(),
        "reorder" => "held back".into(),
        other => one_line(other, LONGEST_NAME),
    }
}
