use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// Does all `jobs` on as many threads as the machine has, and takes what comes of them as it comes. At an error of either, no
/// further job is begun.
pub(super) fn each<J: Sync, T, E: Send>(
    jobs: &[J],
    run: impl Fn(&J) -> Result<T, E> + Sync,
    take: impl FnMut(&J, T) -> Result<(), E> + Send,
) -> Result<(), E> {
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let (next, take) = (AtomicUsize::new(0), Mutex::new(take));
    let one = |job| {
        let done = run(job)?;
        let mut take = take.lock().unwrap_or_else(PoisonError::into_inner);
        take(job, done)
    };
    let work = || -> Result<(), E> {
        while let Some(job) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
            one(job).inspect_err(|_| next.store(jobs.len(), Ordering::Relaxed))?;
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads.min(jobs.len()))
            .map(|_| scope.spawn(work))
            .collect();
        workers.into_iter().try_for_each(|worker| {
            let done = worker.join();
            done.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    })
}
