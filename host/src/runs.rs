//! The runs that researchers ask a node for: one at a time per name, and one answer to a request however often it is delivered.
//!
//! Two runs under one name would draw two keys, and their peers would mix them up: every party would report success, and
//! every sum would be wrong.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::message::RequestId;

/// How long an outcome is remembered: longer than a relay keeps a request (reference: 300 s).
const REMEMBERED: Duration = Duration::from_secs(600);
/// The most runs under way or remembered.
const MOST: usize = 4096;

/// What a request comes to.
pub enum Entry<Outcome> {
    /// A new run: to be driven, and its outcome to be sent.
    Begin(Report<Outcome>),
    /// The same as one that is under way, or was answered.
    Join(Ending<Outcome>),
    /// Another run has this name.
    Taken,
    /// There are too many.
    Full,
}

/// How a run ends, for all who wait for it. (Not a `watch` channel, which wakes them in an order that no seed repeats.)
pub struct Ending<Outcome> {
    outcome: Arc<OnceLock<Outcome>>,
    ended: CancellationToken,
}

impl<Outcome> Clone for Ending<Outcome> {
    fn clone(&self) -> Self {
        Self {
            outcome: self.outcome.clone(),
            ended: self.ended.clone(),
        }
    }
}

impl<Outcome> Default for Ending<Outcome> {
    fn default() -> Self {
        Self {
            outcome: Arc::default(),
            ended: CancellationToken::new(),
        }
    }
}

/// For whoever drives the run. Dropped without a word, the run has ended all the same.
pub struct Report<Outcome> {
    ending: Ending<Outcome>,
    _ended: DropGuard,
}

impl<Outcome> Report<Outcome> {
    fn of(ending: &Ending<Outcome>) -> Self {
        Self {
            ending: ending.clone(),
            _ended: ending.ended.clone().drop_guard(),
        }
    }

    /// What the others are told.
    pub fn ending(&self) -> Ending<Outcome> {
        self.ending.clone()
    }

    /// Tells it.
    pub fn send(self, outcome: Outcome) {
        // Consumed: the first is the only one.
        let _ = self.ending.outcome.set(outcome);
    }
}

impl<Outcome: Clone> Ending<Outcome> {
    /// Waits for the outcome; `None` when the run ended without one.
    pub async fn outcome(&self) -> Option<Outcome> {
        self.ended.cancelled().await;
        self.outcome.get().cloned()
    }
}

/// Whether a name can be used again once its run has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Names {
    /// By a new request.
    Again,
    /// Not as long as the run is remembered.
    Once,
}

/// The runs of one kind, by the name that an `Order` gives them.
pub struct Runs<Order, Outcome> {
    names: Names,
    known: Mutex<HashMap<String, Known<Order, Outcome>>>,
}

struct Known<Order, Outcome> {
    order: Order,
    requests: BTreeSet<Option<RequestId>>,
    ending: Ending<Outcome>,
    begun: Instant,
}

impl<Order: Clone + PartialEq, Outcome> Runs<Order, Outcome> {
    /// None yet.
    pub fn new(names: Names) -> Self {
        Self {
            names,
            known: Mutex::default(),
        }
    }

    /// A request for a run of this name.
    pub fn enter(&self, name: &str, order: &Order, request: Option<&RequestId>) -> Entry<Outcome> {
        let mut runs = self.known();
        runs.retain(|_, run| run.begun.elapsed() < REMEMBERED || !run.ending.ended.is_cancelled());
        if let Some(run) = runs.get_mut(name) {
            let under_way = !run.ending.ended.is_cancelled();
            let same = run.order == *order;
            // A request that was answered is answered alike; a new one under an old name may begin a new run.
            if same && (under_way || run.requests.contains(&request.cloned())) {
                run.requests.insert(request.cloned());
                return Entry::Join(run.ending.clone());
            }
            if under_way || self.names == Names::Once {
                return Entry::Taken;
            }
        } else if runs.len() >= MOST {
            return Entry::Full;
        }
        let ending = Ending::default();
        let report = Report::of(&ending);
        let known = Known {
            order: order.clone(),
            requests: BTreeSet::from([request.cloned()]),
            ending,
            begun: Instant::now(),
        };
        runs.insert(name.to_owned(), known);
        Entry::Begin(report)
    }

    fn known(&self) -> MutexGuard<'_, HashMap<String, Known<Order, Outcome>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> RequestId {
        RequestId::try_from(text).expect("valid")
    }

    #[tokio::test]
    async fn a_request_that_is_delivered_twice_begins_one_run() {
        let runs = Runs::new(Names::Again);
        let Entry::Begin(report) = runs.enter("s", &"k", Some(&id("1"))) else {
            panic!("the first begins");
        };
        assert!(matches!(
            runs.enter("s", &"k", Some(&id("1"))),
            Entry::Join(_)
        ));
        assert!(matches!(
            runs.enter("s", &"k", Some(&id("2"))),
            Entry::Join(_)
        ));
        report.send("done");

        let Entry::Join(ending) = runs.enter("s", &"k", Some(&id("1"))) else {
            panic!("answered alike");
        };
        assert_eq!(ending.outcome().await, Some("done"));
        assert!(matches!(
            runs.enter("s", &"k", Some(&id("3"))),
            Entry::Begin(_)
        ));
    }

    #[tokio::test]
    async fn another_run_under_the_name_of_one_under_way_is_refused() {
        let runs = Runs::<_, ()>::new(Names::Again);
        let _report = runs.enter("s", &"k", Some(&id("1")));
        assert!(matches!(
            runs.enter("s", &"other", Some(&id("2"))),
            Entry::Taken
        ));
    }

    #[tokio::test]
    async fn a_run_that_ended_without_a_word_can_be_begun_again() {
        let runs = Runs::<_, ()>::new(Names::Again);
        drop(runs.enter("s", &"k", Some(&id("1"))));
        assert!(matches!(
            runs.enter("s", &"k", Some(&id("2"))),
            Entry::Begin(_)
        ));
    }

    #[tokio::test(start_paused = true)]
    async fn a_name_that_serves_once_is_taken_until_its_run_is_forgotten() {
        let runs = Runs::<_, ()>::new(Names::Once);
        drop(runs.enter("s", &"k", Some(&id("1"))));
        assert!(matches!(
            runs.enter("s", &"k", Some(&id("2"))),
            Entry::Taken
        ));
        tokio::time::sleep(REMEMBERED).await;
        assert!(matches!(
            runs.enter("s", &"k", Some(&id("2"))),
            Entry::Begin(_)
        ));
    }

    #[tokio::test(start_paused = true)]
    async fn a_run_is_not_forgotten_while_it_is_under_way() {
        let runs = Runs::<_, ()>::new(Names::Again);
        let _report = runs.enter("s", &"k", Some(&id("1")));
        tokio::time::sleep(REMEMBERED * 2).await;
        assert!(matches!(
            runs.enter("s", &"k", Some(&id("1"))),
            Entry::Join(_)
        ));
    }
}
