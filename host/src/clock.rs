//! The wall clock: which day and time it is for people, in what is shown to them, and for a plugin's last day.
//!
//! It may be wrong, jump and go backwards. So nothing is put in order by it, and how long something takes or lasts is for
//! [`tokio::time`] to say.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime};

use time::{Date, OffsetDateTime};
use tokio::time::Instant;

/// When the clock of a simulation begins: 2026-01-01, in seconds since 1970.
const SIMULATED: Duration = Duration::from_secs(1_767_225_600);

/// A wall clock. Clones are the same clock.
#[derive(Clone, Debug)]
pub struct Clock(Option<Simulated>);

#[derive(Clone, Debug)]
struct Simulated {
    began: Instant,
    /// By how many seconds it is wrong.
    wrong: Arc<AtomicI64>,
}

impl Clock {
    /// The system's.
    pub fn of_system() -> Self {
        Self(None)
    }

    /// One that goes with the time of a simulation, and is right until it is [put wrong](Self::put_wrong).
    pub(crate) fn simulated() -> Self {
        Self(Some(Simulated {
            began: Instant::now(),
            wrong: Arc::default(),
        }))
    }

    /// What it says.
    pub fn now(&self) -> SystemTime {
        let Some(simulated) = &self.0 else {
            return SystemTime::now();
        };
        let right = SystemTime::UNIX_EPOCH + SIMULATED + simulated.began.elapsed();
        let wrong = simulated.wrong.load(Ordering::Relaxed);
        let by = Duration::from_secs(wrong.unsigned_abs());
        if wrong < 0 { right - by } else { right + by }
    }

    /// The day it says, in UTC.
    pub fn today(&self) -> Date {
        OffsetDateTime::from(self.now()).date()
    }

    /// Has it jump by so many seconds. The system's does not.
    pub(crate) fn put_wrong(&self, by: i64) {
        if let Some(simulated) = &self.0 {
            simulated.wrong.fetch_add(by, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_simulated_clock_goes_with_its_time_and_jumps_both_ways() {
        let clock = Clock::simulated();
        let began = clock.now();
        tokio::time::advance(Duration::from_secs(86_400)).await;
        assert_eq!(clock.now(), began + Duration::from_secs(86_400));
        assert_eq!(clock.today().to_string(), "2026-01-02");

        let other_hand = clock.clone();
        other_hand.put_wrong(-3600);
        assert_eq!(clock.now(), began + Duration::from_secs(82_800));
        other_hand.put_wrong(3600 + 10 * 365 * 86_400);
        assert_eq!(clock.today().to_string(), "2035-12-31");
    }

    #[test]
    fn the_systems_clock_is_not_put_wrong() {
        let clock = Clock::of_system();
        clock.put_wrong(1_000_000);

        let now = SystemTime::now();
        let off = now.duration_since(clock.now()).unwrap_or_default();
        assert!(clock.now() <= SystemTime::now() && off.as_secs() < 1_000_000);
    }
}
