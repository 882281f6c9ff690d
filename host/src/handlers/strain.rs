use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// What calls into plugins suffer beside what they do themselves: nothing, except in a simulation and where one is replayed.
#[derive(Clone, Default)]
pub struct Strain(Option<Arc<Mutex<Source>>>);

type Source = dyn FnMut() -> Hardship + Send;

/// What one call suffers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hardship {
    /// How long it stands still before its first instruction, within its time.
    pub stalls: Duration,
    /// After how many instructions it is stopped, on a metered engine: as if it had computed for all its time.
    pub instructions: Option<u64>,
}

impl Strain {
    /// None.
    pub fn none() -> Self {
        Self::default()
    }

    /// What `next` says, call by call.
    pub fn of(next: impl FnMut() -> Hardship + Send + 'static) -> Self {
        Self(Some(Arc::new(Mutex::new(next))))
    }

    /// What the next call suffers.
    pub(super) fn next(&self) -> Hardship {
        match &self.0 {
            Some(next) => next.lock().unwrap_or_else(PoisonError::into_inner)(),
            None => Hardship::default(),
        }
    }
}
