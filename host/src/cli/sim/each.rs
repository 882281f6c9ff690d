use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// Does `count` jobs on as many threads as the machine has, each by its number from 0 on, and takes what comes of them as it
/// comes. At an error of either, no further job is begun.
pub(super) fn each<T, E: Send>(
    count: u64,
    run: impl Fn(u64) -> Result<T, E> + Sync,
    take: impl FnMut(u64, T) -> Result<(), E> + Send,
) -> Result<(), E> {
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let (next, take) = (AtomicU64::new(0), Mutex::new(take));
    let one = |job| {
        let done = run(job)?;
        let mut take = take.lock().unwrap_or_else(PoisonError::into_inner);
        take(job, done)
    };
    let work = || -> Result<(), E> {
        loop {
            let job = next.fetch_add(1, Ordering::Relaxed);
            if job >= count {
                return Ok(());
            }
            one(job).inspect_err(|_| next.store(count, Ordering::Relaxed))?;
        }
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        workers.into_iter().try_for_each(|worker| {
            let done = worker.join();
            done.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    })
}
