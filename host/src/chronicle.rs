//! What a node keeps of what happens in it: for good, as numbers, and message by message.

use crate::audit::Audit;
use crate::journeys::Journeys;
use crate::metrics::Metrics;

/// Handed to every part of a node. Clones are the same.
#[derive(Clone)]
pub struct Chronicle {
    /// What stays.
    pub audit: Audit,
    /// How much and how long.
    pub metrics: Metrics,
    /// What became of each message, lately.
    pub journeys: Journeys,
}

impl Chronicle {
    /// One whose lasting part is `audit`.
    pub fn new(audit: Audit) -> Self {
        Self {
            audit,
            metrics: Metrics::default(),
            journeys: Journeys::default(),
        }
    }

    /// One that is gone with the process: for simulations and tests.
    pub fn in_memory() -> Self {
        Self::new(Audit::none())
    }
}
