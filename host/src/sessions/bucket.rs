//! How often a peer may have this node compute on a curve.

use std::time::Duration;

/// Handshakes at once.
const MOST: u32 = 10;
/// One more every so long.
const EVERY: Duration = Duration::from_secs(1);

/// A token bucket.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bucket {
    tokens: u32,
    /// When the last token came.
    filled: Duration,
}

impl Bucket {
    /// A full one.
    pub(super) fn new(now: Duration) -> Self {
        Self {
            tokens: MOST,
            filled: now,
        }
    }

    /// Takes a token; `false` when there is none.
    pub(super) fn take(&mut self, now: Duration) -> bool {
        let passed = now.saturating_sub(self.filled).as_nanos() / EVERY.as_nanos();
        let came = u32::try_from(passed).unwrap_or(MOST);
        if self.tokens.saturating_add(came) >= MOST {
            (self.tokens, self.filled) = (MOST, now);
        } else {
            self.tokens += came;
            self.filled += EVERY * came;
        }
        let Some(left) = self.tokens.checked_sub(1) else {
            return false;
        };
        self.tokens = left;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gives_so_many_at_once_and_then_one_every_so_long() {
        let at = |tenths: u32| EVERY * tenths / 10;
        let mut bucket = Bucket::new(at(0));
        let taken = (0..100).filter(|_| bucket.take(at(0))).count();
        assert_eq!(taken, MOST as usize);

        // Asked ten times as often as it fills.
        let taken = (1..=100).filter(|tenth| bucket.take(at(*tenth))).count();
        assert_eq!(taken, 10);

        let taken = (0..100).filter(|_| bucket.take(at(100_000))).count();
        assert_eq!(taken, MOST as usize, "no more than full");
        assert!(!bucket.take(at(0)), "time does not go back");
    }
}
