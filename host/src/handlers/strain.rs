use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// What calls into plugins suffer beside what they do themselves: nothing, except in a simulation and where one is replayed.
#[derive(Clone, Default)]
pub struct Strain(Option<Arc<Mutex<Source>>>);

struct Source {
    next: Box<dyn FnMut() -> Hardship + Send>,
    felt: Box<dyn FnMut(Hardship) + Send>,
}

/// What one call suffers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hardship {
    /// How long it stands still before its first instruction, within its time.
    pub stalls: Duration,
    /// After how many instructions it is stopped, on a metered engine: as if it had computed for all its time.
    pub instructions: Option<u64>,
    /// What it comes from, in the numbers of whoever says it.
    pub cause: Option<usize>,
}

impl Strain {
    /// None.
    pub fn none() -> Self {
        Self::default()
    }

    /// What `next` says, call by call; `felt` is told each that a call ended over.
    pub fn of(
        next: impl FnMut() -> Hardship + Send + 'static,
        felt: impl FnMut(Hardship) + Send + 'static,
    ) -> Self {
        let source = Source {
            next: Box::new(next),
            felt: Box::new(felt),
        };
        Self(Some(Arc::new(Mutex::new(source))))
    }

    /// What the next call suffers.
    pub(super) fn next(&self) -> Hardship {
        let next = |source: &mut Source| (source.next)();
        self.ask(next).unwrap_or_default()
    }

    /// A call ended over it.
    pub(super) fn felt(&self, hardship: Hardship) {
        self.ask(|source| (source.felt)(hardship));
    }

    fn ask<T>(&self, ask: impl FnOnce(&mut Source) -> T) -> Option<T> {
        let source = self.0.as_ref()?;
        Some(ask(&mut source
            .lock()
            .unwrap_or_else(PoisonError::into_inner)))
    }
}
