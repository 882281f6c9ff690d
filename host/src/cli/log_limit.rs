//! A bound on the log: whoever makes a node or a relay write the same line again and again fills no disk, and hides nothing
//! among it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use tracing::dispatcher::{self, WeakDispatch};
use tracing::field::{Field, Visit};
use tracing::{Dispatch, Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer};

use crate::handlers::PLUGIN_LOG;

/// Lines of one cause within [`WINDOW`].
const MOST_LINES: u32 = 20;
/// Lines of one plugin within it: twice what one message lets it write, if its operator has not set another limit.
const MOST_OF_A_PLUGIN: u32 = 200;
/// The time that lines are counted over, and after which it is said how many were left out.
const WINDOW: Duration = Duration::from_secs(1);
/// The most causes. The code has fewer; further ones are limited together.
const MOST_CAUSES: usize = 1000;

/// Lets through the first lines of a cause within each second, and says after it how many it has left out. A cause is a place
/// in the code or, where that writes about many things, what its field `cause` says; each plugin is one. Lines below `info` are not limited: who
/// asks for them wants them all.
#[derive(Clone, Default)]
pub(super) struct LogLimit(Arc<Shared>);

#[derive(Default)]
struct Shared {
    counted: Mutex<Counted>,
    dispatch: OnceLock<WeakDispatch>,
}

#[derive(Default)]
struct Counted {
    causes: HashMap<Cause, Lines>,
    /// Whether a thread is about to say what was left out.
    will_be_told: bool,
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct Cause {
    /// The module, and the line in it, if they are known.
    place: (&'static str, Option<u32>),
    named: Option<String>,
}

struct Lines {
    since: Instant,
    written: u32,
    left_out: u64,
}

impl<S: Subscriber> Layer<S> for LogLimit {
    fn on_register_dispatch(&self, dispatch: &Dispatch) {
        // The first is the only one.
        let _ = self.0.dispatch.set(dispatch.downgrade());
    }

    fn event_enabled(&self, event: &Event<'_>, _: Context<'_, S>) -> bool {
        let about = event.metadata();
        // What this module says comes once for many lines.
        if *about.level() > Level::INFO || about.target() == module_path!() {
            return true;
        }
        let of_plugin = about.target() == PLUGIN_LOG;
        let mut named = Named {
            field: if of_plugin { "plugin" } else { "cause" },
            text: None,
        };
        event.record(&mut named);
        let cause = Cause {
            place: (about.target(), about.line().filter(|_| !of_plugin)),
            named: named.text,
        };
        let most = if of_plugin {
            MOST_OF_A_PLUGIN
        } else {
            MOST_LINES
        };
        let mut counted = self.0.counted();
        if counted.admit(cause, most, Instant::now()) {
            return true;
        }
        if !counted.will_be_told {
            let shared = self.0.clone();
            let thread = std::thread::Builder::new().name("log-limit".into());
            // Without a thread, the next line that is left out tries again.
            counted.will_be_told = thread.spawn(move || shared.tell()).is_ok();
        }
        false
    }
}

impl Shared {
    fn counted(&self) -> MutexGuard<'_, Counted> {
        self.counted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says what was left out, second by second, until nothing is.
    fn tell(&self) {
        loop {
            std::thread::sleep(WINDOW);
            let left_out = {
                let mut counted = self.counted();
                let left_out = counted.take_left_out();
                counted.will_be_told = !left_out.is_empty();
                left_out
            };
            if left_out.is_empty() {
                return;
            }
            let Some(dispatch) = self.dispatch.get().and_then(WeakDispatch::upgrade) else {
                return;
            };
            dispatcher::with_default(&dispatch, || {
                for (Cause { place, named }, left_out) in left_out {
                    let (module, cause) = (place.0, named.unwrap_or_default());
                    tracing::warn!(module, cause, left_out, "more such lines were left out");
                }
            });
        }
    }
}

impl Counted {
    /// Whether a line of this cause may be written now; it is counted in either case.
    fn admit(&mut self, mut cause: Cause, most: u32, now: Instant) -> bool {
        if self.causes.len() >= MOST_CAUSES && !self.causes.contains_key(&cause) {
            cause = Cause {
                place: ("(other)", None),
                named: None,
            };
        }
        let lines = self.causes.entry(cause).or_insert(Lines {
            since: now,
            written: 0,
            left_out: 0,
        });
        if now.duration_since(lines.since) >= WINDOW {
            (lines.since, lines.written) = (now, 0);
        }
        if lines.written < most {
            lines.written += 1;
            return true;
        }
        lines.left_out += 1;
        false
    }

    fn take_left_out(&mut self) -> Vec<(Cause, u64)> {
        let causes = self.causes.iter_mut();
        let taken = causes.map(|(cause, lines)| (cause, std::mem::take(&mut lines.left_out)));
        taken
            .filter(|(_, left_out)| *left_out > 0)
            .map(|(cause, left_out)| (cause.clone(), left_out))
            .collect()
    }
}

/// The text of one field of an event.
struct Named {
    field: &'static str,
    text: Option<String>,
}

impl Visit for Named {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == self.field {
            self.text = Some(value.to_owned());
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn std::fmt::Debug) {}
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    /// Has `work` write lines, and look at what is logged.
    fn logging(work: impl FnOnce(&dyn Fn() -> String)) {
        let log = tempfile::NamedTempFile::new().expect("a file");
        let writer = log.reopen().expect("opened");
        let lines = tracing_subscriber::fmt::layer()
            .with_writer(writer)
            .with_ansi(false);
        let subscriber = tracing_subscriber::registry()
            .with(LogLimit::default())
            .with(lines);
        let read = || std::fs::read_to_string(log.path()).expect("read");
        tracing::subscriber::with_default(subscriber, || work(&read));
    }

    fn left_out(log: &str) -> usize {
        let counts = log.split("left_out=").skip(1);
        let counts =
            counts.filter_map(|rest| rest.split_whitespace().next()?.parse::<usize>().ok());
        counts.sum()
    }

    #[test]
    fn what_one_plugin_writes_hides_nothing_of_another() {
        logging(|log| {
            let began = Instant::now();
            for _ in 0..10_000 {
                tracing::error!(target: PLUGIN_LOG, plugin = "loud", "a line");
            }
            let seconds = began.elapsed().as_secs() as usize + 1;
            tracing::info!(target: PLUGIN_LOG, plugin = "quiet", "a word");

            let loud = log().matches("a line").count();
            assert!(loud >= MOST_OF_A_PLUGIN as usize, "{loud} lines");
            assert!(loud <= seconds * MOST_OF_A_PLUGIN as usize, "{loud} lines");
            assert_eq!(log().matches("a word").count(), 1);
        });
    }

    #[test]
    fn ten_thousand_lines_of_one_cause_are_a_few_and_a_count() {
        logging(|log| {
            let began = Instant::now();
            for number in 0..10_000 {
                tracing::warn!(cause = "noise", "line {number}");
            }
            let seconds = began.elapsed().as_secs() as usize + 1;

            let lines = log().matches(" line ").count();
            assert!(lines <= seconds * MOST_LINES as usize, "{lines} lines");
            while lines + left_out(&log()) < 10_000 {
                assert!(began.elapsed().as_secs() < 60, "{}", log());
                std::thread::sleep(Duration::from_millis(20));
            }
            assert_eq!(lines + left_out(&log()), 10_000);
            assert!(log().contains("cause=\"noise\" left_out="), "{}", log());
        });
    }

    #[test]
    fn one_cause_hides_no_other_and_no_detail_that_was_asked_for() {
        let dropped = |cause| tracing::warn!(cause, "dropped");
        logging(|log| {
            for _ in 0..100 {
                dropped("noise");
                tracing::debug!("detail");
            }
            dropped("rare");
            tracing::error!("another place");

            assert_eq!(log().matches("dropped cause=\"rare\"").count(), 1);
            assert_eq!(log().matches("another place").count(), 1);
            assert_eq!(log().matches("detail").count(), 100);
        });
    }

    #[test]
    fn counts_each_second_anew_and_stays_bounded() {
        let mut counted = Counted::default();
        let cause = |name: &str| Cause {
            place: ("module", Some(1)),
            named: Some(name.to_owned()),
        };
        let began = Instant::now();
        let admitted = |counted: &mut Counted, now| {
            let lines = (0..100).filter(|_| counted.admit(cause("noise"), MOST_LINES, now));
            lines.count()
        };

        assert_eq!(admitted(&mut counted, began), 20);
        assert_eq!(admitted(&mut counted, began + WINDOW), 20);
        let left_out: u64 = counted.take_left_out().iter().map(|(_, count)| count).sum();
        assert_eq!(left_out, 160);
        assert!(counted.take_left_out().is_empty());

        for number in 0..2 * MOST_CAUSES {
            counted.admit(cause(&number.to_string()), MOST_LINES, began);
        }
        assert_eq!(counted.causes.len(), MOST_CAUSES + 1);
    }
}
