//! What the plugins of a simulated node suffer: calls that stand still before they begin, and calls that are stopped.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rand_chacha::ChaCha20Rng;
use rand_core::Rng;

use crate::handlers::{Hardship, Strain};

/// A call that takes a hundred times as long: most take a millisecond at most.
const SLOW: Duration = Duration::from_millis(100);
/// A call that hangs: longer than any limit.
const HANGS: Duration = Duration::from_secs(3600);
/// One of so many calls is stopped.
const ONE_OF: u32 = 3;
/// A call is stopped within so many instructions: 2 to the power of this. Built-in plugins take some hundred thousand.
const LATEST: u32 = 20;

/// What the plugins of one node suffer, whatever life it is in. Clones are the same.
#[derive(Clone, Default)]
pub(super) struct Suffering(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    slow: u32,
    stopping: Vec<Stopping>,
}

struct Stopping {
    id: usize,
    rng: ChaCha20Rng,
    calls: u64,
}

impl Suffering {
    /// For the plugins of a life.
    pub(super) fn strain(&self) -> Strain {
        let [next, felt] = [self.clone(), self.clone()];
        Strain::of(
            move || next.state().next(),
            move |hardship| felt.state().felt(hardship),
        )
    }

    /// From now on all calls are slow, or not any more.
    pub(super) fn slow(&self, slow: bool) {
        let state = &mut *self.state();
        if slow {
            state.slow += 1;
        } else {
            state.slow = state.slow.saturating_sub(1);
        }
    }

    /// From now on some calls are stopped, as the accident `id` has it.
    pub(super) fn begin_stopping(&self, id: usize, rng: ChaCha20Rng) {
        let calls = 0;
        self.state().stopping.push(Stopping { id, rng, calls });
    }

    /// That accident is over: how many calls it stopped.
    pub(super) fn end_stopping(&self, id: usize) -> u64 {
        let state = &mut *self.state();
        let ended = state.stopping.extract_if(.., |one| one.id == id);
        ended.map(|one| one.calls).sum()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn next(&mut self) -> Hardship {
        let mut hardship = Hardship::default();
        if self.slow > 0 {
            hardship.stalls = SLOW;
        }
        for stopping in &mut self.stopping {
            let (which, how) = (stopping.rng.next_u32(), stopping.rng.next_u32());
            let instructions = 1 + stopping.rng.next_u64() % (1 << (how / 4 % (LATEST + 1)));
            if !which.is_multiple_of(ONE_OF) {
                continue;
            }
            hardship.cause = Some(stopping.id);
            if how.is_multiple_of(4) {
                hardship.stalls = HANGS;
            } else {
                hardship.instructions = Some(instructions);
            }
        }
        hardship
    }

    fn felt(&mut self, hardship: Hardship) {
        let causes = self.stopping.iter_mut();
        for cause in causes.filter(|cause| hardship.cause == Some(cause.id)) {
            cause.calls += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use rand_core::SeedableRng;

    use super::*;

    #[test]
    fn some_calls_hang_some_are_stopped_and_most_go_on_until_it_is_over() {
        let suffering = Suffering::default();
        suffering.begin_stopping(7, ChaCha20Rng::seed_from_u64(1));
        let calls: Vec<_> = (0..300).map(|_| suffering.state().next()).collect();

        let count = |which: fn(&Hardship) -> bool| calls.iter().filter(|call| which(call)).count();
        let hang = count(|call| call.stalls == HANGS);
        let stopped = count(|call| call.instructions.is_some());
        assert!(
            hang > 10 && stopped > 40 && hang + stopped < 150,
            "{hang} {stopped}"
        );
        let ended = calls.iter().filter(|call| call.instructions.is_some());
        ended.for_each(|call| suffering.state().felt(*call));
        assert_eq!(
            suffering.end_stopping(7),
            stopped as u64,
            "only what a call ended over"
        );
        assert_eq!(suffering.state().next(), Hardship::default());
    }

    #[test]
    fn calls_are_slow_until_the_last_accident_is_over() {
        let suffering = Suffering::default();
        suffering.slow(true);
        suffering.slow(true);
        suffering.slow(false);
        assert_eq!(suffering.state().next().stalls, SLOW);

        suffering.slow(false);
        assert_eq!(suffering.state().next(), Hardship::default());
    }
}
