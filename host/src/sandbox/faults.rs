//! Faults: which ones, how often, and which of them hit what.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};

/// The longest delay of a message: as long as a relay keeps it.
const LONGEST_DELAY: Duration = Duration::from_secs(300);

/// What may happen to messages and nodes in a run. Written as `drop=0.1,delay=50ms..2s,kill=2`.
#[derive(Clone, Debug, PartialEq)]
pub struct Faults {
    /// The chance that a message is lost at the relay, 0 to 1; likewise the next ones.
    pub drop: f64,
    /// That it is delivered twice.
    pub duplicate: f64,
    /// That one of its bytes is changed.
    pub corrupt: f64,
    /// That it takes some of `delay` longer than the others.
    pub delayed: f64,
    /// How much longer.
    pub delay: RangeInclusive<Duration>,
    /// How many times a node is killed.
    pub kill: u32,
    /// How many times a node loses its power, and with it what was not synced.
    pub power: u32,
    /// How many times a node is cut off from the relay for a while.
    pub partition: u32,
    /// How many times the relay restarts and loses what it held.
    pub relay: u32,
    /// How many times a node's disk is full for a while.
    pub full: u32,
}

impl Default for Faults {
    /// None.
    fn default() -> Self {
        Self {
            drop: 0.0,
            duplicate: 0.0,
            corrupt: 0.0,
            delayed: 0.0,
            delay: Duration::ZERO..=Duration::ZERO,
            kill: 0,
            power: 0,
            partition: 0,
            relay: 0,
            full: 0,
        }
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        let chances = [
            ("drop", self.drop),
            ("dup", self.duplicate),
            ("corrupt", self.corrupt),
            ("delayed", self.delayed),
        ];
        let chances = chances.into_iter().filter(|(_, chance)| *chance > 0.0);
        parts.extend(chances.map(|(name, chance)| format!("{name}={chance}")));
        if !self.delay.end().is_zero() {
            let (from, to) = (self.delay.start().as_millis(), self.delay.end().as_millis());
            parts.push(format!("delay={from}ms..{to}ms"));
        }
        let times = [
            ("kill", self.kill),
            ("power", self.power),
            ("partition", self.partition),
            ("relay", self.relay),
            ("full", self.full),
        ];
        let times = times.into_iter().filter(|(_, times)| *times > 0);
        parts.extend(times.map(|(name, times)| format!("{name}={times}")));
        f.write_str(&parts.join(","))
    }
}

/// What is wrong with a text of faults.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{part:?}: {why}")]
pub struct FaultsError {
    /// The part in question.
    pub part: String,
    /// Why it is none.
    pub why: &'static str,
}

impl FromStr for Faults {
    type Err = FaultsError;

    fn from_str(text: &str) -> Result<Self, FaultsError> {
        let mut faults = Self::default();
        for part in text.split(',').filter(|part| !part.is_empty()) {
            let wrong = |why| FaultsError {
                part: part.to_owned(),
                why,
            };
            let (name, value) = part
                .split_once('=')
                .ok_or(wrong("NAME=VALUE is expected"))?;
            match name {
                "drop" => faults.drop = chance(value).ok_or(wrong(CHANCE))?,
                "dup" => faults.duplicate = chance(value).ok_or(wrong(CHANCE))?,
                "corrupt" => faults.corrupt = chance(value).ok_or(wrong(CHANCE))?,
                "delay" => {
                    faults.delay = span(value).ok_or(wrong(
                        "a time such as 50ms or 2s, or two with .. between, up to 300s, is expected",
                    ))?;
                    if faults.delayed == 0.0 {
                        faults.delayed = 0.3;
                    }
                }
                "delayed" => faults.delayed = chance(value).ok_or(wrong(CHANCE))?,
                "kill" => faults.kill = times(value).ok_or(wrong(TIMES))?,
                "power" => faults.power = times(value).ok_or(wrong(TIMES))?,
                "partition" => faults.partition = times(value).ok_or(wrong(TIMES))?,
                "relay" => faults.relay = times(value).ok_or(wrong(TIMES))?,
                "full" => faults.full = times(value).ok_or(wrong(TIMES))?,
                _ => {
                    return Err(wrong(
                        "the faults are drop, dup, corrupt, delay, delayed, kill, power, partition, relay, full",
                    ));
                }
            }
        }
        Ok(faults)
    }
}

const CHANCE: &str = "a chance between 0 and 1 is expected";
const TIMES: &str = "a number of times, up to 1000, is expected";

fn chance(text: &str) -> Option<f64> {
    let chance: f64 = text.parse().ok()?;
    (0.0..=1.0).contains(&chance).then_some(chance)
}

fn times(text: &str) -> Option<u32> {
    text.parse().ok().filter(|times| *times <= 1000)
}

fn span(text: &str) -> Option<RangeInclusive<Duration>> {
    let (from, to) = text.split_once("..").unwrap_or((text, text));
    let span = duration(from)?..=duration(to)?;
    (!span.is_empty() && *span.end() <= LONGEST_DELAY).then_some(span)
}

fn duration(text: &str) -> Option<Duration> {
    if let Some(ms) = text.strip_suffix("ms") {
        return ms.parse().ok().map(Duration::from_millis);
    }
    text.strip_suffix('s')?
        .parse()
        .ok()
        .map(Duration::from_secs)
}

/// What happens to a message at the relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Dropped,
    /// Delivered once more, so much later.
    Duplicated(Duration),
    /// This byte, counted round the message, is changed by this much.
    Corrupted {
        at: u64,
        by: u8,
    },
    Delayed(Duration),
}

impl Fate {
    /// Its name in counts.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Dropped => "drop",
            Self::Duplicated(_) => "dup",
            Self::Corrupted { .. } => "corrupt",
            Self::Delayed(_) => "delay",
        }
    }
}

impl fmt::Display for Fate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dropped => f.write_str("lost"),
            Self::Duplicated(later) => write!(f, "again {} ms later", later.as_millis()),
            Self::Corrupted { at, by } => write!(f, "byte {at} changed by {by}"),
            Self::Delayed(by) => write!(f, "by {} ms", by.as_millis()),
        }
    }
}

/// What happens to a node or to the relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Accident {
    Kill,
    PowerCut,
    Partition,
    RelayRestart,
    DiskFull,
}

impl Accident {
    /// Its name in counts.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Kill => "kill",
            Self::PowerCut => "power",
            Self::Partition => "partition",
            Self::RelayRestart => "relay",
            Self::DiskFull => "full",
        }
    }
}

/// One accident of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Planned {
    /// From the beginning of the run.
    pub(super) at: Duration,
    /// What.
    pub(super) accident: Accident,
    /// Which node, by its place among them.
    pub(super) node: usize,
    /// How long it lasts.
    pub(super) lasting: Duration,
}

/// The faults of one run: either drawn as messages come, or a list of them, to run a failure again with fewer.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    fates: Fates,
    pub(super) accidents: Vec<Planned>,
}

#[derive(Clone, Debug)]
enum Fates {
    Drawn {
        faults: Faults,
        rng: Box<ChaCha20Rng>,
    },
    Listed(BTreeMap<u64, Fate>),
}

impl Plan {
    /// Draws the accidents of a run whose faults end after `during`; fates of messages are drawn as they come.
    pub(super) fn draw(faults: &Faults, nodes: usize, during: Duration, seed: u64) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let mut accidents = Vec::new();
        let kinds = [
            (faults.kill, Accident::Kill, 0..=30_000),
            (faults.power, Accident::PowerCut, 0..=30_000),
            (faults.partition, Accident::Partition, 100..=60_000),
            (faults.relay, Accident::RelayRestart, 0..=5_000),
            (faults.full, Accident::DiskFull, 100..=20_000),
        ];
        for (times, accident, lasting) in kinds {
            for _ in 0..times {
                accidents.push(Planned {
                    at: between(&mut rng, Duration::ZERO..=during),
                    accident,
                    node: rng.next_u32() as usize % nodes.max(1),
                    lasting: between(
                        &mut rng,
                        Duration::from_millis(*lasting.start())
                            ..=Duration::from_millis(*lasting.end()),
                    ),
                });
            }
        }
        accidents.sort_by_key(|planned| planned.at);
        Self {
            fates: Fates::Drawn {
                faults: faults.clone(),
                rng: Box::new(rng),
            },
            accidents,
        }
    }

    /// These and no others.
    pub(super) fn of(fates: BTreeMap<u64, Fate>, accidents: Vec<Planned>) -> Self {
        Self {
            fates: Fates::Listed(fates),
            accidents,
        }
    }

    /// The fate of the `n`th message, if it has one.
    pub(super) fn fate(&mut self, n: u64) -> Option<Fate> {
        match &mut self.fates {
            Fates::Listed(fates) => fates.get(&n).copied(),
            Fates::Drawn { faults, rng } => {
                // The same draws whatever happens, so that one chance does not shift the others.
                let draws: [f64; 4] = std::array::from_fn(|_| unit(rng));
                let (at, by) = (rng.next_u64(), (rng.next_u32() % 255 + 1) as u8);
                let later = between(rng, faults.delay.clone());
                if draws[0] < faults.drop {
                    Some(Fate::Dropped)
                } else if draws[1] < faults.corrupt {
                    Some(Fate::Corrupted { at, by })
                } else if draws[2] < faults.duplicate {
                    Some(Fate::Duplicated(later))
                } else if draws[3] < faults.delayed {
                    Some(Fate::Delayed(later))
                } else {
                    None
                }
            }
        }
    }
}

/// A number from 0 to below 1.
fn unit(rng: &mut impl Rng) -> f64 {
    f64::from(rng.next_u32()) / 4_294_967_296.0
}

/// A time in that span, by the microsecond.
pub(super) fn between(rng: &mut impl Rng, span: RangeInclusive<Duration>) -> Duration {
    let wide = u64::try_from((*span.end() - *span.start()).as_micros()).unwrap_or(u64::MAX - 1);
    *span.start() + Duration::from_micros(rng.next_u64() % (wide + 1))
}

impl fmt::Display for Planned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, at) = (self.accident.name(), self.at.as_millis());
        write!(
            f,
            "{name} of node {} at {at} ms for {} ms",
            self.node,
            self.lasting.as_millis()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_the_part_that_is_wrong() {
        for (text, part) in [
            ("drop=0.1,dupe=1", "dupe=1"),
            ("drop=2", "drop=2"),
            ("drop", "drop"),
            ("delay=2s..1s", "delay=2s..1s"),
            ("delay=400s", "delay=400s"),
            ("kill=-1", "kill=-1"),
        ] {
            let refused = text.parse::<Faults>().expect_err(text);
            assert_eq!(refused.part, part);
        }
    }

    #[test]
    fn reads_what_the_help_shows() {
        let faults: Faults = "drop=0.1,dup=0.05,delay=50ms..2s,kill=2"
            .parse()
            .expect("read");

        assert_eq!((faults.drop, faults.duplicate, faults.kill), (0.1, 0.05, 2));
        let span = Duration::from_millis(50)..=Duration::from_secs(2);
        assert_eq!(faults.delay, span);
        assert!(faults.delayed > 0.0);
    }

    #[test]
    fn writes_what_it_reads() {
        let text = "drop=0.1,dup=0.05,delayed=0.2,delay=50ms..2000ms,kill=2,relay=1";
        let faults: Faults = text.parse().expect("read");

        assert_eq!(faults.to_string(), text);
        assert_eq!(Faults::default().to_string().parse(), Ok(Faults::default()));
    }

    #[test]
    fn the_same_seed_draws_the_same_faults() {
        let faults: Faults = "drop=0.2,corrupt=0.2,dup=0.2,delay=1s..9s,kill=3,relay=2"
            .parse()
            .expect("read");
        let drawn = |seed| {
            let mut plan = Plan::draw(&faults, 3, Duration::from_secs(60), seed);
            let fates: Vec<_> = (0..100).map(|n| plan.fate(n)).collect();
            (fates, plan.accidents)
        };

        assert_eq!(drawn(1), drawn(1));
        assert_ne!(drawn(1), drawn(2));
    }
}
