//! How long to wait before the next attempt.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rand_core::Rng;

/// Wait after the first failure.
const FIRST: Duration = Duration::from_millis(200);

/// Longest wait.
const LONGEST: Duration = Duration::from_secs(5);

/// Waits that double from 0.2 s to 5 s, each shortened by up to half at random, so that the nodes of a relay that
/// comes back do not all knock at once. The randomness is the caller's: a simulation passes a seeded one.
pub(super) struct Backoff(Mutex<Box<dyn Rng + Send>>);

impl Backoff {
    pub(super) fn new(rng: impl Rng + Send + 'static) -> Self {
        Self(Mutex::new(Box::new(rng)))
    }

    /// The wait after `failures` failures in a row, the first of which counts as zero.
    pub(super) fn after(&self, failures: u32) -> Duration {
        let whole = FIRST.saturating_mul(1 << failures.min(16)).min(LONGEST);
        let random = self
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .next_u32();
        whole.mul_f64(0.5 + 0.5 * f64::from(random) / f64::from(u32::MAX))
    }
}

#[cfg(test)]
mod tests {
    use rand_core::SeedableRng;

    use super::*;

    #[test]
    fn never_spins_and_never_waits_longer_than_five_seconds() {
        let backoff = Backoff::new(rand_chacha::ChaCha20Rng::seed_from_u64(1));
        for failures in [0, 1, 5, 31, 32, u32::MAX] {
            let wait = backoff.after(failures);
            assert!(wait >= FIRST / 2 && wait <= LONGEST, "{failures}: {wait:?}");
        }
        assert!(backoff.after(9) >= LONGEST / 2);
    }

    #[test]
    fn two_nodes_wait_differently() {
        let waits = |seed| {
            let backoff = Backoff::new(rand_chacha::ChaCha20Rng::seed_from_u64(seed));
            (0..8)
                .map(|failures| backoff.after(failures))
                .collect::<Vec<_>>()
        };
        assert_ne!(waits(1), waits(2));
        assert_eq!(waits(1), waits(1));
    }
}
