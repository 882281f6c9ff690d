//! The runs of a node: one at a time per name, and one answer to a request however often it is delivered.
//!
//! Two runs under one name would draw two keys, and their peers would mix them up: every party would report success, and
//! every sum would be wrong.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::handlers::Setup;
use crate::message::{Integer, RequestId, SecaggId};

/// How long an outcome is remembered: longer than a relay keeps a request (reference: 300 s).
const REMEMBERED: Duration = Duration::from_secs(600);
/// The most runs under way or remembered.
const MOST: usize = 4096;

/// How a run ended.
#[derive(Clone, Debug)]
pub(super) enum Outcome {
    PairSecrets,
    ServerKey { reply_share: Integer },
    Failed(String),
}

/// What a request comes to.
pub(super) enum Entry {
    /// A new run: to be driven, and its outcome to be sent.
    Begin(Report),
    /// The same as one that is under way, or was answered.
    Join(Ending),
    /// Another set-up runs under this name.
    Taken,
    /// There are too many.
    Full,
}

/// How a run ends, for all who wait for it. (Not a `watch` channel, which wakes them in an order that no seed repeats.)
#[derive(Clone, Default)]
pub(super) struct Ending {
    outcome: Arc<OnceLock<Outcome>>,
    ended: CancellationToken,
}

/// For whoever drives the run. Dropped without a word, the run has ended all the same.
pub(super) struct Report {
    ending: Ending,
    _ended: DropGuard,
}

impl Report {
    fn of(ending: &Ending) -> Self {
        Self {
            ending: ending.clone(),
            _ended: ending.ended.clone().drop_guard(),
        }
    }

    /// What the others are told.
    pub(super) fn ending(&self) -> Ending {
        self.ending.clone()
    }

    /// Tells it.
    pub(super) fn send(self, outcome: Outcome) {
        // Consumed: the first is the only one.
        let _ = self.ending.outcome.set(outcome);
    }
}

impl Ending {
    /// Waits for the outcome; `None` when the run ended without one.
    pub(super) async fn outcome(&self) -> Option<Outcome> {
        self.ended.cancelled().await;
        self.outcome.get().cloned()
    }
}

#[derive(Default)]
pub(super) struct Runs(Mutex<HashMap<SecaggId, Known>>);

struct Known {
    setup: Setup,
    requests: BTreeSet<Option<RequestId>>,
    ending: Ending,
    begun: Instant,
}

impl Runs {
    pub(super) fn enter(&self, setup: &Setup, request: Option<&RequestId>) -> Entry {
        let mut runs = self.runs();
        runs.retain(|_, run| run.begun.elapsed() < REMEMBERED);
        if let Some(run) = runs.get_mut(&setup.run) {
            let under_way = !run.ending.ended.is_cancelled();
            let same = run.setup == *setup;
            // A request that was answered is answered alike; a new one under an old name begins a new run.
            if same && (under_way || run.requests.contains(&request.cloned())) {
                run.requests.insert(request.cloned());
                return Entry::Join(run.ending.clone());
            }
            if under_way {
                return Entry::Taken;
            }
        } else if runs.len() >= MOST {
            return Entry::Full;
        }
        let ending = Ending::default();
        let report = Report::of(&ending);
        let known = Known {
            setup: setup.clone(),
            requests: BTreeSet::from([request.cloned()]),
            ending,
            begun: Instant::now(),
        };
        runs.insert(setup.run.clone(), known);
        Entry::Begin(report)
    }

    fn runs(&self) -> MutexGuard<'_, HashMap<SecaggId, Known>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{ExperimentId, NodeId, ResearcherId};

    fn setup(run: &str, kind: &'static str) -> Setup {
        let node = |name: &str| NodeId::try_from(name).expect("valid");
        Setup {
            kind,
            researcher: ResearcherId::try_from("r").expect("valid"),
            run: SecaggId::try_from(run).expect("valid"),
            experiment: ExperimentId::try_from("e").expect("valid"),
            own: node("a"),
            parties: vec![node("a"), node("b")],
        }
    }

    fn id(text: &str) -> RequestId {
        RequestId::try_from(text).expect("valid")
    }

    #[tokio::test]
    async fn a_request_that_is_delivered_twice_begins_one_run() {
        let runs = Runs::default();
        let Entry::Begin(report) = runs.enter(&setup("s", "k"), Some(&id("1"))) else {
            panic!("the first begins");
        };
        assert!(matches!(
            runs.enter(&setup("s", "k"), Some(&id("1"))),
            Entry::Join(_)
        ));
        assert!(matches!(
            runs.enter(&setup("s", "k"), Some(&id("2"))),
            Entry::Join(_)
        ));
        report.send(Outcome::PairSecrets);

        let again = runs.enter(&setup("s", "k"), Some(&id("1")));
        let Entry::Join(ending) = again else {
            panic!("answered alike");
        };
        assert!(matches!(ending.outcome().await, Some(Outcome::PairSecrets)));
        assert!(matches!(
            runs.enter(&setup("s", "k"), Some(&id("3"))),
            Entry::Begin(_)
        ));
    }

    #[tokio::test]
    async fn another_set_up_under_the_name_of_one_under_way_is_refused() {
        let runs = Runs::default();
        let _report = runs.enter(&setup("s", "k"), Some(&id("1")));
        assert!(matches!(
            runs.enter(&setup("s", "other"), Some(&id("2"))),
            Entry::Taken
        ));
    }

    #[tokio::test]
    async fn a_run_that_ended_without_a_word_can_be_begun_again() {
        let runs = Runs::default();
        drop(runs.enter(&setup("s", "k"), Some(&id("1"))));
        assert!(matches!(
            runs.enter(&setup("s", "k"), Some(&id("2"))),
            Entry::Begin(_)
        ));
    }
}
