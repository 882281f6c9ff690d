//! Catching a panic of a library without its message on standard error, where it would stand before our own.

use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

thread_local! {
    /// Whether this thread's panics are being caught. Other threads' are shown all the while.
    static QUIET: Cell<bool> = const { Cell::new(false) };
}

/// Does `work`; `None` if it panicked. What it had changed by then must not be used any more.
///
/// The process has one panic hook, so it is wrapped once and for all, never taken out and put back: threads that did so at
/// the same time would leave the wrong one.
pub(super) fn catch<T>(work: impl FnOnce() -> T) -> Option<T> {
    static WRAPPED: Once = Once::new();
    WRAPPED.call_once(|| {
        let shown = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            // A thread that is ending has no thread-local values: its panics are shown.
            if !QUIET.try_with(Cell::get).unwrap_or(false) {
                shown(panic);
            }
        }));
    });
    let before = QUIET.replace(true);
    let done = panic::catch_unwind(AssertUnwindSafe(work));
    QUIET.set(before);
    done.ok()
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    /// Tells this test that it is the process whose standard error is looked at.
    const INNER: &str = "BACKCHANNEL_TEST_QUIET_PANIC";

    #[test]
    fn shows_no_panic_that_is_caught_and_every_other() {
        let name = "key_store::quiet_panic::tests::shows_no_panic_that_is_caught_and_every_other";
        if std::env::var_os(INNER).is_some() {
            assert_eq!(catch(|| 1), Some(1));
            let caught: Option<()> = catch(|| {
                // Meanwhile another thread's panic, and one inside, are not mixed up with it.
                let other = std::thread::spawn(|| panic!("shown: another thread's"));
                assert!(other.join().is_err());
                assert_eq!(catch(|| panic!("hidden: inner")), None::<()>);
                panic!("hidden: outer")
            });
            assert_eq!(caught, None);
            assert!(panic::catch_unwind(|| panic!("shown: afterwards")).is_err());
            return;
        }
        let inner = Command::new(std::env::current_exe().expect("this program"))
            .args(["--exact", name, "--nocapture"])
            .env(INNER, "1")
            .output()
            .expect("started");

        let shown = String::from_utf8_lossy(&inner.stderr);
        assert!(inner.status.success(), "{shown}");
        assert!(!shown.contains("hidden"), "{shown}");
        assert!(shown.contains("shown: another thread's"), "{shown}");
        assert!(shown.contains("shown: afterwards"), "{shown}");
    }
}
