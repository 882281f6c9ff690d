//! The tasks of a node: what must end before it is stopped, and what ends at once when it is killed.

use std::future::Future;

use tokio::runtime::{Handle, RuntimeFlavor};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Tasks of one part of a node. Clones are the same tasks.
#[derive(Clone, Default)]
pub struct Tasks {
    tracker: TaskTracker,
    killed: CancellationToken,
}

impl Tasks {
    /// Tasks of another part of the same node: waited for apart, killed together.
    pub fn of_another_part(&self) -> Self {
        Self {
            tracker: TaskTracker::new(),
            killed: self.killed.clone(),
        }
    }

    /// Starts a task.
    pub fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        let killed = self.killed.clone();
        // In a box: a future that is handed on is kept room for once more at each hand.
        self.tracker.spawn(unless_over(killed, Box::pin(work)));
    }

    /// How many there are of this part.
    pub fn count(&self) -> usize {
        self.tracker.len()
    }

    /// Waits until all tasks of this part have ended by themselves.
    pub async fn ended(&self) {
        self.tracker.close();
        self.tracker.wait().await;
    }

    /// Drops all tasks of the node where they stand, as a crash of its process would.
    pub fn kill(&self) {
        self.killed.cancel();
    }
}

/// Does `work` until `over`, and not one step more: a task that is about to go on when it is over does not.
/// ([`CancellationToken::run_until_cancelled`] lets it.)
pub async fn unless_over(over: CancellationToken, work: impl Future<Output = ()>) {
    tokio::select! {
        biased;
        () = over.cancelled() => {}
        () = work => {}
    }
}

/// Work that blocks: on a disk, or on long arithmetic. It gets a thread of its own; on a runtime with a single thread, as
/// simulations have, it is done in place, for the order in which threads end is not reproducible.
///
/// `None`: the runtime is shutting down, or the work panicked.
pub async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    if Handle::current().runtime_flavor() == RuntimeFlavor::CurrentThread {
        return Some(work());
    }
    tokio::task::spawn_blocking(work).await.ok()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_killed_task_goes_no_further() {
        let tasks = Tasks::default();
        let reached = Arc::new(AtomicBool::new(false));
        let reach = reached.clone();
        let (wake, woken) = tokio::sync::oneshot::channel::<()>();
        tasks.of_another_part().spawn(async move {
            let _ = woken.await;
            reach.store(true, Ordering::SeqCst);
        });
        tokio::task::yield_now().await;

        // It is about to go on.
        wake.send(()).expect("it waits");
        tasks.kill();
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        assert!(!reached.load(Ordering::SeqCst));
    }

    #[tokio::test(start_paused = true)]
    async fn waits_for_its_own_part_only() {
        let (tasks, ended) = (Tasks::default(), Arc::new(AtomicBool::new(false)));
        tasks.of_another_part().spawn(std::future::pending());
        let end = ended.clone();
        tasks.spawn(async move {
            tokio::time::sleep(std::time::Duration::from_secs(1)).await;
            end.store(true, Ordering::SeqCst);
        });

        tasks.ended().await;
        assert!(ended.load(Ordering::SeqCst));
    }

    #[test]
    fn blocking_work_stays_on_the_only_thread() {
        let on_thread = || std::thread::current().id();
        let single = tokio::runtime::Builder::new_current_thread().build();
        let several = tokio::runtime::Builder::new_multi_thread().build();

        let here = on_thread();
        assert_eq!(
            single.expect("built").block_on(blocking(on_thread)),
            Some(here)
        );
        let elsewhere = several.expect("built").block_on(blocking(on_thread));
        assert!(elsewhere.is_some_and(|there| there != here));
    }
}
