use std::time::Duration;

use serde::{Serialize, Serializer};

/// Times of the same work, measured again and again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Samples(Vec<Duration>);

impl FromIterator<Duration> for Samples {
    fn from_iter<T: IntoIterator<Item = Duration>>(times: T) -> Self {
        let mut times: Vec<_> = times.into_iter().collect();
        times.sort_unstable();
        Self(times)
    }
}

impl Samples {
    /// How many.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nothing was measured.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// In order, the shortest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = Duration> + ExactSizeIterator {
        self.0.iter().copied()
    }

    /// The shortest time that at least this part of them, 0 to 1, does not exceed: the nearest rank, so that it is one of them. Zero
    /// where nothing was measured.
    pub fn quantile(&self, part: f64) -> Duration {
        let rank = (part * self.0.len() as f64).ceil().max(1.0) as usize;
        let at = rank.min(self.0.len()).checked_sub(1);
        at.map_or(Duration::ZERO, |at| self.0[at])
    }

    /// As long as half of them take.
    pub fn p50(&self) -> Duration {
        self.quantile(0.5)
    }

    /// As long as all but one in a hundred take. Of fewer than a hundred it is the longest.
    pub fn p99(&self) -> Duration {
        self.quantile(0.99)
    }

    /// The longest.
    pub fn longest(&self) -> Duration {
        self.quantile(1.0)
    }
}

/// As quantiles, in microseconds.
#[derive(Serialize)]
struct Quantiles {
    times: usize,
    min_us: f64,
    p10_us: f64,
    p25_us: f64,
    p50_us: f64,
    p75_us: f64,
    p90_us: f64,
    p99_us: f64,
    max_us: f64,
}

impl Serialize for Samples {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let us = |part| self.quantile(part).as_nanos() as f64 / 1000.0;
        Quantiles {
            times: self.len(),
            min_us: us(0.0),
            p10_us: us(0.1),
            p25_us: us(0.25),
            p50_us: us(0.5),
            p75_us: us(0.75),
            p90_us: us(0.9),
            p99_us: us(0.99),
            max_us: us(1.0),
        }
        .serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(micros: impl IntoIterator<Item = u64>) -> Samples {
        micros.into_iter().map(Duration::from_micros).collect()
    }

    #[test]
    fn of_nothing_every_quantile_is_zero() {
        assert_eq!(of([]).p99(), Duration::ZERO);
        assert_eq!(of([]).longest(), Duration::ZERO);
    }

    #[test]
    fn a_quantile_is_the_sample_of_its_rank() {
        let hundred = of((1..=100).rev());
        for (part, micros) in [(0.0, 1), (0.01, 1), (0.011, 2), (0.5, 50), (1.0, 100)] {
            assert_eq!(hundred.quantile(part), Duration::from_micros(micros));
        }
        assert_eq!(hundred.p99(), Duration::from_micros(99));
        assert_eq!(of(1..=99).p99(), Duration::from_micros(99), "the longest");
        assert_eq!(of([7]).p50(), Duration::from_micros(7));
        assert_eq!(of([1, 2, 3, 1000]).p50(), Duration::from_micros(2));
    }

    #[test]
    fn at_least_that_part_is_no_longer_and_with_one_rank_less_it_would_not_be() {
        for count in 1..=60_u64 {
            // Two of each.
            let samples = of((0..count).map(|n| n / 2));
            for hundredth in 0..=100 {
                let part = f64::from(hundredth) / 100.0;
                let found = samples.quantile(part);
                let no_longer = samples.iter().filter(|time| *time <= found).count() as f64;
                let shorter = samples.iter().filter(|time| *time < found).count() as f64;
                let needed = part * count as f64;
                assert!(no_longer >= needed, "{part} of {count}");
                assert!(shorter == 0.0 || shorter < needed, "{part} of {count}");
            }
        }
    }

    #[test]
    fn programs_get_quantiles_in_microseconds() {
        let json = serde_json::to_value(of([10, 20, 30])).expect("JSON");
        assert_eq!((&json["times"], &json["p50_us"]), (&3.into(), &20.0.into()));
        assert_eq!(
            (&json["min_us"], &json["max_us"]),
            (&10.0.into(), &30.0.into())
        );
    }
}
