use std::time::Duration;

/// Upper ends of the buckets, in microseconds: 1-2-5 from 100 µs to 50 s. What takes longer is in a last bucket without end.
pub(super) const ENDS: [u64; 18] = [
    100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000, 200_000, 500_000,
    1_000_000, 2_000_000, 5_000_000, 10_000_000, 20_000_000, 50_000_000,
];

/// How long things took.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Histogram {
    /// Not cumulative.
    counts: [u64; ENDS.len() + 1],
    sum: Duration,
}

impl Histogram {
    /// Counts one.
    pub fn add(&mut self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let bucket = ENDS.partition_point(|end| *end < micros);
        self.counts[bucket] += 1;
        self.sum = self.sum.saturating_add(took);
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// All of them together, in seconds.
    pub fn sum(&self) -> f64 {
        self.sum.as_secs_f64()
    }

    /// The time within which this part (0 to 1) of them ended, in seconds: exact to the bucket, interpolated within.
    /// Nothing when there are none; the last bucket's begin when it lies there.
    pub fn quantile(&self, part: f64) -> Option<f64> {
        let count = self.count();
        if count == 0 {
            return None;
        }
        let rank = (part * count as f64).clamp(1.0, count as f64);
        let mut below = 0.0;
        for ((begin, end), counted) in self.buckets() {
            let counted = counted as f64;
            if below + counted >= rank {
                let Some(end) = end else { return Some(begin) };
                return Some(begin + (end - begin) * (rank - below) / counted);
            }
            below += counted;
        }
        None
    }

    /// The buckets: begin, end (none for the last) in seconds, and count.
    pub fn buckets(&self) -> impl Iterator<Item = ((f64, Option<f64>), u64)> {
        let seconds = |micros: &u64| *micros as f64 / 1e6;
        let begins = std::iter::once(0.0).chain(ENDS.iter().map(seconds));
        let ends = ENDS.iter().map(seconds).map(Some).chain([None]);
        begins.zip(ends.collect::<Vec<_>>()).zip(self.counts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_lies_in_the_bucket_of_its_rank() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.quantile(0.5), None);
        for _ in 0..98 {
            histogram.add(Duration::from_millis(3));
        }
        histogram.add(Duration::from_secs(3));
        histogram.add(Duration::from_secs(300));

        let half = histogram.quantile(0.5).expect("some");
        assert!((0.002..0.005).contains(&half), "{half}");
        let most = histogram.quantile(0.99).expect("some");
        assert!((2.0..=5.0).contains(&most), "{most}");
        assert_eq!(histogram.quantile(1.0), Some(50.0));
        assert_eq!(histogram.count(), 100);
    }
}
