//! Faults as they are written: `drop=0.1,delay=50ms..2s,kill=2`.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use super::{Accident, Faults, LONGEST_DELAY, Mishap};
use crate::sandbox::times;

/// The chance of a delay where only its span is given.
const DELAYED: f64 = 0.3;
/// The most times that one kind of accident happens in a run.
const MOST_TIMES: u32 = 1000;

const CHANCE: &str = "a chance between 0 and 1 is expected";
const TIMES: &str = "a number of times, up to 1000, is expected";
const SPAN: &str =
    "a time such as 50ms, 2s or 5min, or two with .. between, up to 300s, is expected";

/// What is wrong with a text of faults.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{part:?}: {why}")]
pub struct FaultsError {
    /// The part in question.
    pub part: String,
    /// Why it is none.
    pub why: String,
}

impl FromStr for Faults {
    type Err = FaultsError;

    fn from_str(text: &str) -> Result<Self, FaultsError> {
        let mut faults = Self::default();
        for part in text.split(',').filter(|part| !part.is_empty()) {
            faults.read(part).map_err(|why| FaultsError {
                part: part.to_owned(),
                why,
            })?;
        }
        Ok(faults)
    }
}

impl Faults {
    fn read(&mut self, part: &str) -> Result<(), String> {
        let (name, value) = part.split_once('=').ok_or("NAME=VALUE is expected")?;
        if name == "delay" {
            self.delay = Some(span(value).ok_or(SPAN)?);
            self.chances.entry(Mishap::Delay).or_insert(DELAYED);
        } else if let Some(mishap) = Mishap::ALL.into_iter().find(|one| one.name() == name) {
            self.chances.insert(mishap, chance(value).ok_or(CHANCE)?);
        } else if let Some(accident) = Accident::named(name) {
            self.times.insert(accident, times(value).ok_or(TIMES)?);
        } else {
            return Err(format!("the faults are {}", names().join(", ")));
        }
        Ok(())
    }
}

fn names() -> Vec<&'static str> {
    let mishaps = Mishap::ALL.into_iter().map(Mishap::name);
    let accidents = Accident::ALL.into_iter().map(Accident::name);
    mishaps.chain(["delay"]).chain(accidents).collect()
}

fn chance(text: &str) -> Option<f64> {
    let chance: f64 = text.parse().ok()?;
    (0.0..=1.0).contains(&chance).then_some(chance)
}

fn times(text: &str) -> Option<u32> {
    text.parse().ok().filter(|times| *times <= MOST_TIMES)
}

fn span(text: &str) -> Option<RangeInclusive<Duration>> {
    let (from, to) = text.split_once("..").unwrap_or((text, text));
    let span = times::read(from)?..=times::read(to)?;
    (!span.is_empty() && *span.end() <= LONGEST_DELAY).then_some(span)
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        let chances = self.chances.iter().filter(|(_, chance)| **chance > 0.0);
        parts.extend(chances.map(|(mishap, chance)| format!("{}={chance}", mishap.name())));
        if let Some(delay) = &self.delay {
            let [from, to] = [delay.start(), delay.end()].map(|time| times::shown(*time));
            parts.push(format!("delay={from}..{to}"));
        }
        let times = self.times.iter().filter(|(_, times)| **times > 0);
        parts.extend(times.map(|(accident, times)| format!("{}={times}", accident.name())));
        f.write_str(&parts.join(","))
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
            ("kill=1001", "kill=1001"),
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

        let chances = [Mishap::Drop, Mishap::Duplicate].map(|mishap| faults.chance(mishap));
        assert_eq!(chances, [0.1, 0.05]);
        assert_eq!(faults.times[&Accident::Kill], 2);
        let span = Duration::from_millis(50)..=Duration::from_secs(2);
        assert_eq!(faults.delay, Some(span));
        assert_eq!(faults.chance(Mishap::Delay), DELAYED);
    }

    #[test]
    fn writes_what_it_reads() {
        let text = "drop=0.1,dup=0.05,delayed=0.2,delay=50ms..2s,kill=2,relay=1";
        let faults: Faults = text.parse().expect("read");

        assert_eq!(faults.to_string(), text);
        assert_eq!(Faults::default().to_string().parse(), Ok(Faults::default()));
    }

    #[test]
    fn reads_every_fault_by_its_name() {
        for name in names() {
            let value = if name == "delay" { "5min" } else { "1" };
            let faults = format!("{name}={value}").parse::<Faults>().expect(name);
            assert_eq!(faults.to_string().parse(), Ok(faults));
        }
    }
}
