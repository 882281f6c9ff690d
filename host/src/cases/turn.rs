//! What one stretch of a plugin's work took.

use crate::handlers::{CallError, Called, Usage};
use crate::trace::Ended;

/// What a budget of host calls and of log lines is for: a message, the beginning of a run, or a step of one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Turn {
    /// Whether an instance was made for it: for a message and for the beginning of a run.
    pub fresh: bool,
    /// What `handle`, `begin` or `step` took.
    pub first: Usage,
    /// What `finalize` took, of a message that something was found in.
    pub last: Option<Usage>,
    /// Why the host stopped it: a trap, a limit, an effect that it may not have.
    pub stopped: Option<String>,
}

impl Turn {
    /// One that began with this call.
    pub(super) fn of<T>(fresh: bool, called: &Called<T>) -> Self {
        let mut turn = Self {
            fresh,
            first: called.usage.clone(),
            ..Self::default()
        };
        turn.ends(called.result.as_ref().err());
        turn
    }

    /// `finalize` followed.
    pub(super) fn then<T>(&mut self, called: &Called<T>) {
        self.last = Some(called.usage.clone());
        self.ends(called.result.as_ref().err());
    }

    fn ends(&mut self, error: Option<&CallError>) {
        self.stopped = match error.map(CallError::ended) {
            Some(Ended::Stopped(why)) => Some(why),
            _ => None,
        };
    }

    /// What all of it took.
    pub fn usage(&self) -> Usage {
        let mut all = self.first.clone();
        if let Some(last) = &self.last {
            all += last;
        }
        all
    }
}
