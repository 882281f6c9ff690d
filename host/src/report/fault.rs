//! Faults that last: what befell a node, its link or the relay.

use std::collections::{HashMap, VecDeque};
use std::fmt;

use serde::Serialize;

use super::{lane, measure};
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
/// The faults that end what a node was doing.
const ENDING_LIVES: [&str; 5] = ["kill", "power", "damage", "backup", DIED];
/// The relay's: a trace has a node for each fault, for these only by form.
const OF_THE_RELAY: [&str; 3] = ["relay", "slow-relay", "forged"];

/// Of a fault's name, in bytes.
const LONGEST_NAME: usize = 40;

/// Whom a fault befalls.
pub(super) fn lane_of(fault: &str, node: &str) -> String {
    if OF_THE_RELAY.contains(&fault) {
        lane::RELAY.into()
    } else {
        lane::node(node)
    }
}

impl Fault {
    /// One that begins.
    fn began(fault: &str, node: &str, at: u64) -> Self {
        let (words, over) = in_words(fault);
        Self {
            lane: lane_of(fault, node),
            words,
            over,
            fault: one_line(fault, LONGEST_NAME),
            at,
            until: None,
        }
    }

    /// Whether it lasted at some time from `from` to `until`.
    pub(super) fn overlaps(&self, from: u64, until: u64) -> bool {
        self.at <= until && self.until.is_none_or(|end| end >= from)
    }
}

impl fmt::Display for Fault {
    /// Whom it befell, what it was and how long.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.lane, self.words)?;
        match self.until {
            Some(until) => write!(f, " for {}", measure::span(until.saturating_sub(self.at))),
            None => f.write_str(", to the end"),
        }
    }
}

/// All of them in order of time, and which still last while a trace is read.
#[derive(Default)]
pub(super) struct Faults {
    pub(super) all: Vec<Fault>,
    /// By lane and name.
    lasting: HashMap<(String, String), VecDeque<usize>>,
}

impl Faults {
    pub(super) fn begins(&mut self, fault: &str, node: &str, at: u64) {
        let fault = Fault::began(fault, node, at);
        let key = (fault.lane.clone(), fault.fault.clone());
        self.lasting
            .entry(key)
            .or_default()
            .push_back(self.all.len());
        self.all.push(fault);
    }

    /// Of several at once the one that began first ends.
    pub(super) fn ends(&mut self, fault: &str, node: &str, at: u64) {
        let key = (lane_of(fault, node), one_line(fault, LONGEST_NAME));
        let first = self.lasting.get_mut(&key).and_then(VecDeque::pop_front);
        if let Some(place) = first {
            self.all[place].until = Some(at);
        }
    }

    /// A node that works has no fault any more that ends lives, whoever ended it.
    pub(super) fn lives(&mut self, lane: &str, at: u64) {
        for fault in ENDING_LIVES {
            let ended = self.lasting.remove(&(lane.to_owned(), fault.to_owned()));
            for place in ended.into_iter().flatten() {
                self.all[place].until = Some(at);
            }
        }
    }

    pub(super) fn ended_lives(&self) -> EndedLives<'_> {
        let mut by_lane: HashMap<_, Vec<_>> = HashMap::new();
        let ending = |fault: &&Fault| ENDING_LIVES.contains(&fault.fault.as_str());
        for fault in self.all.iter().filter(ending) {
            by_lane.entry(fault.lane.as_str()).or_default().push(fault);
        }
        for faults in by_lane.values_mut() {
            faults.sort_by_key(|fault| fault.at);
        }
        EndedLives(by_lane)
    }
}

/// By what the nodes' lives ended: faults by lane, in order of time.
pub(super) struct EndedLives<'a>(HashMap<&'a str, Vec<&'a Fault>>);

impl EndedLives<'_> {
    /// By what a life ended that went on at this time.
    pub(super) fn first(&self, lane: &str, from: u64) -> Option<&Fault> {
        let faults = self.0.get(lane)?;
        let place = faults.partition_point(|fault| fault.at < from);
        faults.get(place).copied()
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
        "slow" => ("on a slow link", "has a fast link again"),
        "slow-relay" => ("slow", "is as fast as before"),
        "slow-plugins" => ("with slow plugins", "has plugins as fast as before"),
        "stopped" => (
            "with plugins that hang or are stopped",
            "has plugins that run to their end again",
        ),
        "forged" => (
            "handing out messages that nobody sent",
            "hands out only what was sent again",
        ),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_of_the_sandbox_has_words() {
        let explained = crate::sandbox::Faults::explained();
        let (messages, lasting) = explained.split_once("so many times").expect("both");
        let names = |text: &str| -> Vec<String> {
            let rows = text.lines().filter_map(|line| line.strip_prefix("  "));
            let first = rows.filter_map(|row| row.split_whitespace().next());
            first.map(str::to_owned).collect()
        };

        let of_messages = names(messages);
        assert!(of_messages.len() >= 6, "{of_messages:?}");
        for name in of_messages {
            // `delayed` says it itself.
            assert!(name == "delayed" || of_message(&name) != name, "{name}");
        }
        let lasting = names(lasting);
        assert!(lasting.len() >= 16, "{lasting:?}");
        for name in lasting {
            assert_ne!(in_words(&name).1, format!("no longer {name}"));
            assert_eq!(
                lane_of(&name, "a") == lane::RELAY,
                ["relay", "slow-relay", "forged"].contains(&name.as_str()),
                "{name}"
            );
        }
    }
}
