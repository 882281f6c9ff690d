//! Requests that nodes of a simulated network make to each other because a scenario says so.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::record::Record;
use super::scenario::Ended;
use crate::message::NodeId;

/// All such requests of a run. Clones are the same.
#[derive(Clone, Default)]
pub(super) struct Asking(Arc<Mutex<Vec<Asked>>>);

/// One of them.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    /// For which of the scenario's requests, by its place there.
    pub(super) ask: usize,
    /// Who asked.
    pub(super) from: NodeId,
    /// Whom.
    pub(super) to: NodeId,
    /// When, from the beginning of the run.
    pub(super) at: Duration,
    /// When and how it ended, if it has.
    pub(super) end: Option<(Duration, Ended)>,
}

/// A request under way. Dropped without an end, it failed: its node ended.
pub(super) struct UnderWay {
    asking: Asking,
    record: Record,
    place: usize,
}

impl Asking {
    /// The scenario's request `ask` is made now.
    pub(super) fn begin(
        &self,
        record: &Record,
        ask: usize,
        from: &NodeId,
        to: &NodeId,
    ) -> UnderWay {
        let mut all = self.all();
        all.push(Asked {
            ask,
            from: from.clone(),
            to: to.clone(),
            at: record.now(),
            end: None,
        });
        UnderWay {
            asking: self.clone(),
            record: record.clone(),
            place: all.len() - 1,
        }
    }

    /// Whether the scenario's request `ask` was answered once.
    pub(super) fn is_answered(&self, ask: usize) -> bool {
        let all = self.all();
        all.iter()
            .any(|asked| asked.ask == ask && asked.is_answered())
    }

    /// What came of them so far.
    pub(super) fn ended(&self) -> Vec<Asked> {
        self.all().clone()
    }

    fn all(&self) -> MutexGuard<'_, Vec<Asked>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Asked {
    /// Whether it ended with an answer.
    pub(super) fn is_answered(&self) -> bool {
        matches!(self.end, Some((_, Ended::Answered)))
    }
}

impl UnderWay {
    /// It ends now. The first end counts.
    pub(super) fn end(&self, how: Ended) {
        let now = self.record.now();
        if let Some(asked) = self.asking.all().get_mut(self.place) {
            asked.end.get_or_insert((now, how));
        }
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.end(Ended::Failed);
    }
}
