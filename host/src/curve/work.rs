use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rayon::prelude::*;

/// So many points are done between two looks at [`Stop`], and share one inversion: some 20 ms of work.
const CHUNK: usize = 64;

/// Ends long work from outside. Clones end the same work.
#[derive(Clone, Default)]
pub struct Stop(Arc<AtomicBool>);

/// The work was stopped before it was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it was stopped before it was done")]
pub struct Stopped;

impl Stop {
    /// Ends the work.
    pub fn now(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn is_over(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Does `work` on all `items`, on all cores; results are in the order of the items. One thread per core, however many ask.
pub(super) fn on_all<T: Sync, U: Send, E: Send + From<Stopped>>(
    items: &[T],
    stop: &Stop,
    work: impl Fn(&[T]) -> Result<Vec<U>, E> + Sync,
) -> Result<Vec<U>, E> {
    let chunks = items.par_chunks(CHUNK).map(|chunk| {
        if stop.is_over() {
            return Err(Stopped.into());
        }
        work(chunk)
    });
    let done: Vec<Vec<U>> = chunks.collect::<Result<_, _>>()?;
    Ok(done.into_iter().flatten().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_stopped_goes_no_further() {
        let stop = Stop::default();
        let done = |_: &[u8]| Ok::<_, Stopped>(vec![()]);
        assert!(on_all(&[0; 1000], &stop, done).is_ok());
        stop.now();
        assert_eq!(on_all(&[0; 1000], &stop, done), Err(Stopped));
    }

    #[test]
    fn results_are_in_the_order_of_the_items() {
        let items: Vec<usize> = (0..10_000).collect();
        let same = on_all(&items, &Stop::default(), |chunk| {
            Ok::<_, Stopped>(chunk.to_vec())
        });
        assert_eq!(same, Ok(items));
    }
}
