//! The faults of one run, drawn by its seed.

use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};

use super::{Accident, Faults, Mishap};

/// How many messages may overtake one at most.
const MOST_OVERTAKING: u32 = 8;

/// How soon after the begin of a set-up an accident happens, if it is to hit it: a set-up without faults takes some 30 ms.
const DURING_SET_UP: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_millis(40);

/// What happens to a message at the relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Dropped,
    /// Delivered once more, so much later.
    Duplicated(Duration),
    /// This byte, counted round the message, is changed by this much.
    Corrupted {
        at: u64,
        by: u8,
    },
    /// Held back until so many later ones have passed.
    Overtaken {
        by: u32,
    },
    Delayed(Duration),
}

impl Fate {
    /// Its name in counts.
    pub fn name(self) -> &'static str {
        match self {
            Self::Dropped => "drop",
            Self::Duplicated(_) => "dup",
            Self::Corrupted { .. } => "corrupt",
            Self::Overtaken { .. } => "reorder",
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
            Self::Overtaken { by } => write!(f, "held back for {by} later ones"),
            Self::Delayed(by) => write!(f, "by {} ms", by.as_millis()),
        }
    }
}

/// One accident of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Planned {
    /// From the beginning of the run.
    pub at: Duration,
    /// What.
    pub accident: Accident,
    /// Which node, by its place among them.
    pub node: usize,
    /// How long it lasts.
    pub lasting: Duration,
    /// What else is to be drawn for it is drawn from this.
    pub draw: u64,
}

impl Planned {
    /// What draws the rest.
    pub fn rng(&self) -> ChaCha20Rng {
        ChaCha20Rng::seed_from_u64(self.draw)
    }
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

/// The faults of one run, as its seed draws them.
#[derive(Clone, Debug)]
pub struct Plan {
    faults: Faults,
    rng: Box<ChaCha20Rng>,
    pub accidents: Vec<Planned>,
}

impl Plan {
    /// Draws the accidents of a run: at any time until `during`, or right after one of `begins`, when set-ups begin. Fates of
    /// messages are drawn as they come.
    pub fn draw(
        faults: &Faults,
        nodes: usize,
        during: Duration,
        begins: &[Duration],
        seed: u64,
    ) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let mut accidents = Vec::new();
        for (accident, times) in &faults.times {
            for _ in 0..*times {
                accidents.push(Planned {
                    at: moment(&mut rng, during, begins),
                    accident: *accident,
                    node: rng.next_u32() as usize % nodes.max(1),
                    lasting: between(&mut rng, accident.lasting()),
                    draw: rng.next_u64(),
                });
            }
        }
        accidents.sort_by_key(|planned| planned.at);
        Self {
            faults: faults.clone(),
            rng: Box::new(rng),
            accidents,
        }
    }

    /// The fate of the next message, if it has one.
    pub fn fate(&mut self) -> Option<Fate> {
        let (faults, rng) = (&self.faults, &mut self.rng);
        // The same draws whatever happens, so that one chance does not shift the others.
        let met = Mishap::ALL.map(|mishap| unit(rng) < faults.chance(mishap));
        let (at, by) = (rng.next_u64(), (rng.next_u32() % 255 + 1) as u8);
        let later = between(rng, faults.later());
        let overtaking = rng.next_u32() % MOST_OVERTAKING + 1;
        let fates = Mishap::ALL.map(|mishap| match mishap {
            Mishap::Drop => Fate::Dropped,
            Mishap::Duplicate => Fate::Duplicated(later),
            Mishap::Corrupt => Fate::Corrupted { at, by },
            Mishap::Reorder => Fate::Overtaken { by: overtaking },
            Mishap::Delay => Fate::Delayed(later),
        });
        let first = met.into_iter().position(|met| met)?;
        fates.get(first).copied()
    }
}

/// A time for an accident: any, or right after a set-up began.
fn moment(rng: &mut impl Rng, during: Duration, begins: &[Duration]) -> Duration {
    let any = between(rng, Duration::ZERO..=during);
    let (of, after) = (rng.next_u32() as usize, between(rng, DURING_SET_UP));
    match begins.get(of % (2 * begins.len()).max(1)) {
        Some(begin) => *begin + after,
        None => any,
    }
}

/// A number from 0 to below 1.
fn unit(rng: &mut impl Rng) -> f64 {
    f64::from(rng.next_u32()) / 4_294_967_296.0
}

/// A time in that span, by the microsecond.
pub fn between(rng: &mut impl Rng, span: RangeInclusive<Duration>) -> Duration {
    let wide = u64::try_from((*span.end() - *span.start()).as_micros()).unwrap_or(u64::MAX - 1);
    *span.start() + Duration::from_micros(rng.next_u64() % (wide + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_again_comes_later() {
        for (text, latest) in [("dup=1", 60), ("dup=1,delay=0s..2s,delayed=0", 2)] {
            let faults: Faults = text.parse().expect("read");
            let mut plan = Plan::draw(&faults, 3, Duration::ZERO, &[], 1);
            let later = (0..50).map(|_| match plan.fate() {
                Some(Fate::Duplicated(later)) => later,
                other => panic!("{other:?}"),
            });
            let most = later.max().expect("some");

            let latest = Duration::from_secs(latest);
            assert!(most > latest / 2 && most <= latest, "{text}: {most:?}");
        }
    }

    #[test]
    fn the_same_seed_draws_the_same_faults() {
        let faults: Faults = "drop=0.2,corrupt=0.2,dup=0.2,delay=1s..9s,kill=3,relay=2"
            .parse()
            .expect("read");
        let drawn = |seed| {
            let begins = [Duration::from_secs(1)];
            let mut plan = Plan::draw(&faults, 3, Duration::from_secs(60), &begins, seed);
            let fates: Vec<_> = (0..100).map(|_| plan.fate()).collect();
            (fates, plan.accidents)
        };

        assert_eq!(drawn(1), drawn(1));
        assert_ne!(drawn(1), drawn(2));
    }
}
