//! Faults: which there are, how often each happens in a run ([`Faults`]), and which of them hit what ([`Plan`]).

mod parse;
mod plan;

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Duration;

pub use parse::FaultsError;
pub(super) use plan::{Fate, Plan, Planned, between};

/// The longest delay of a message: as long as a relay keeps it.
pub(super) const LONGEST_DELAY: Duration = Duration::from_secs(300);

/// By how much messages are late, or come again, if it is not said.
const LATER: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_secs(60);

/// What may happen to messages, nodes and the relay in a run: none by default. Written as `drop=0.1,delay=50ms..2s,kill=2`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Faults {
    /// How likely it is that a message meets each, 0 to 1.
    chances: BTreeMap<Mishap, f64>,
    /// How much longer a delayed message takes, and how much later a message comes again, where that is said.
    delay: Option<RangeInclusive<Duration>>,
    /// How many times each happens.
    times: BTreeMap<Accident, u32>,
}

impl Faults {
    /// All there are, each with its name and meaning, for people.
    pub fn explained() -> String {
        let mut lines = vec!["with a chance from 0 to 1 for each message:".to_owned()];
        let line = |name: &str, meaning: &str| format!("  {name:<13} {meaning}");
        lines.extend(Mishap::ALL.map(|mishap| line(mishap.name(), mishap.meaning())));
        lines.push("with a time, such as 2s, or two, such as 50ms..2s, up to 300s:".to_owned());
        lines.push(line(
            "delay",
            "by how much messages are delayed, or come again: 0s..60s if it is not said",
        ));
        lines.push("so many times, at moments and for spans that the seed draws:".to_owned());
        lines.extend(Accident::ALL.map(|accident| line(accident.name(), accident.meaning())));
        lines.join("\n")
    }

    /// Whether nothing can happen.
    pub(super) fn is_none(&self) -> bool {
        let likely = self.chances.values().any(|chance| *chance > 0.0);
        !likely && self.times.values().all(|times| *times == 0)
    }

    /// By how much messages are late, or come again.
    fn later(&self) -> RangeInclusive<Duration> {
        self.delay.clone().unwrap_or(LATER)
    }

    fn chance(&self, of: Mishap) -> f64 {
        self.chances.get(&of).copied().unwrap_or_default()
    }
}

/// What may happen to a message at the relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Mishap {
    Drop,
    Duplicate,
    Corrupt,
    Reorder,
    Delay,
}

impl Mishap {
    /// All there are.
    pub(super) const ALL: [Self; 5] = [
        Self::Drop,
        Self::Duplicate,
        Self::Corrupt,
        Self::Reorder,
        Self::Delay,
    ];

    /// Its name and its meaning.
    const fn row(self) -> (&'static str, &'static str) {
        match self {
            Self::Drop => ("drop", "it is lost"),
            Self::Duplicate => ("dup", "it is delivered twice, the second time later"),
            Self::Corrupt => ("corrupt", "one of its bytes is changed"),
            Self::Reorder => (
                "reorder",
                "it is held back until one to eight later ones have overtaken it, up to 30 s",
            ),
            Self::Delay => (
                "delayed",
                "it takes `delay` longer; which also reorders messages",
            ),
        }
    }

    /// What it is written as.
    pub(super) const fn name(self) -> &'static str {
        self.row().0
    }

    /// What it does to a message.
    pub(super) const fn meaning(self) -> &'static str {
        self.row().1
    }
}

/// What may happen to a node or to the relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Accident {
    Kill,
    PowerCut,
    Torn,
    Partition,
    RelayRestart,
    DiskFull,
    ReadOnly,
    Io,
    Damage,
    Backup,
    ClockJump,
    SlowNode,
    SlowRelay,
    SlowPlugins,
    Stopped,
    Forged,
}

/// What stands in one row of the table: the name, what it befalls, when it shows, how long it lasts (in ms), and what it is.
struct Row(
    &'static str,
    Befalls,
    Shows,
    RangeInclusive<u64>,
    &'static str,
);

/// Whom an accident befalls.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Befalls {
    Node,
    Relay,
}

/// When there is something of an accident to be seen.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shows {
    AtOnce,
    /// It may pass without anybody's noticing, so that it counts only when it was felt.
    WhenFelt,
    AtItsEnd,
}

impl Accident {
    /// All there are, in the order in which they are shown.
    pub(super) const ALL: [Self; 16] = [
        Self::Kill,
        Self::PowerCut,
        Self::Torn,
        Self::Partition,
        Self::RelayRestart,
        Self::DiskFull,
        Self::ReadOnly,
        Self::Io,
        Self::Damage,
        Self::Backup,
        Self::ClockJump,
        Self::SlowNode,
        Self::SlowRelay,
        Self::SlowPlugins,
        Self::Stopped,
        Self::Forged,
    ];

    const fn row(self) -> Row {
        match self {
            Self::Kill => Row(
                "kill",
                Befalls::Node,
                Shows::AtOnce,
                0..=30_000,
                "a node is killed and started again",
            ),
            Self::PowerCut => Row(
                "power",
                Befalls::Node,
                Shows::AtOnce,
                0..=30_000,
                "a node loses its power, and what its disk had not synced",
            ),
            Self::Torn => Row(
                "torn",
                Befalls::Node,
                Shows::WhenFelt,
                5_000..=45_000,
                "a node dies in the middle of writing its store, half of the times with its power",
            ),
            Self::Partition => Row(
                "partition",
                Befalls::Node,
                Shows::AtOnce,
                100..=60_000,
                "a node and the relay are cut off from each other",
            ),
            Self::RelayRestart => Row(
                "relay",
                Befalls::Relay,
                Shows::AtOnce,
                0..=5_000,
                "the relay restarts and loses all",
            ),
            Self::DiskFull => Row(
                "full",
                Befalls::Node,
                Shows::WhenFelt,
                100..=30_000,
                "a node's disk is full",
            ),
            Self::ReadOnly => Row(
                "read-only",
                Befalls::Node,
                Shows::WhenFelt,
                100..=30_000,
                "a node's disk takes no writes",
            ),
            Self::Io => Row(
                "io",
                Befalls::Node,
                Shows::WhenFelt,
                100..=30_000,
                "a node's disk fails to read, to write or to sync, once or all the while",
            ),
            Self::Damage => Row(
                "damage",
                Befalls::Node,
                Shows::WhenFelt,
                1_000..=20_000,
                "a node dies and its store is cut off, overwritten or changed; once it was refused, its operator restores it",
            ),
            Self::Backup => Row(
                "backup",
                Befalls::Node,
                Shows::AtItsEnd,
                1_000..=40_000,
                "a node's store is copied, and the copy put back later in place of what it has become",
            ),
            Self::ClockJump => Row(
                "clock",
                Befalls::Node,
                Shows::AtOnce,
                1_000..=60_000,
                "a node's clock jumps by an hour or ten years, back or forth, and then back again",
            ),
            Self::SlowNode => Row(
                "slow",
                Befalls::Node,
                Shows::AtOnce,
                1_000..=30_000,
                "messages to and from a node take a hundred times as long",
            ),
            Self::SlowRelay => Row(
                "slow-relay",
                Befalls::Relay,
                Shows::AtOnce,
                1_000..=30_000,
                "all messages take a hundred times as long",
            ),
            Self::SlowPlugins => Row(
                "slow-plugins",
                Befalls::Node,
                Shows::AtOnce,
                1_000..=30_000,
                "calls of a node's plugins take a hundred times as long",
            ),
            Self::Stopped => Row(
                "stopped",
                Befalls::Node,
                Shows::WhenFelt,
                1_000..=30_000,
                "a third of the calls of a node's plugins hang, or are stopped somewhere in them",
            ),
            Self::Forged => Row(
                "forged",
                Befalls::Relay,
                Shows::WhenFelt,
                1_000..=20_000,
                "the relay hands out 100 messages that nobody sent: earlier ones again, in other names, changed, or invented",
            ),
        }
    }

    /// What it is written as.
    pub(super) const fn name(self) -> &'static str {
        self.row().0
    }

    /// How long it lasts.
    pub(super) const fn lasting(self) -> RangeInclusive<Duration> {
        let Row(_, _, _, ms, _) = self.row();
        Duration::from_millis(*ms.start())..=Duration::from_millis(*ms.end())
    }

    /// What it is.
    pub(super) const fn meaning(self) -> &'static str {
        self.row().4
    }

    /// Whether it is about no node.
    pub(super) fn is_of_relay(self) -> bool {
        self.row().1 == Befalls::Relay
    }

    /// Whether a node's disk refuses operations while it lasts.
    pub(super) fn is_of_disk(self) -> bool {
        matches!(self, Self::DiskFull | Self::ReadOnly | Self::Io)
    }

    /// Whether there is nothing of it to be seen when it begins.
    pub(super) fn begins_later(self) -> bool {
        self.row().2 == Shows::AtItsEnd
    }

    /// Whether it may pass without anybody's noticing, so that it counts only when it was felt.
    pub(super) fn may_pass(self) -> bool {
        self.row().2 == Shows::WhenFelt
    }

    /// The one of that name.
    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|accident| accident.name() == name)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_fault_has_a_name_of_its_own_and_is_explained() {
        let names: Vec<_> = Mishap::ALL
            .map(Mishap::name)
            .into_iter()
            .chain(["delay"])
            .chain(Accident::ALL.map(Accident::name))
            .collect();

        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len());
        let explained = Faults::explained();
        for name in names {
            let line = format!("\n  {name} ");
            assert!(explained.contains(&line), "{name}: {explained}");
        }
    }
}
