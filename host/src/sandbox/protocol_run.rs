//! What the researcher of a simulated network heard of a protocol that several parties ran.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::message::{NodeId, RunId, Value};

/// What came of a run.
#[derive(Clone, Debug)]
pub(super) struct Ran {
    /// Its name.
    pub(super) name: RunId,
    /// When it was begun, from the beginning of the simulation.
    pub(super) begun: Duration,
    /// Who finished, and with which result.
    pub(super) done: BTreeMap<NodeId, Value>,
    /// Who did not, why, and whom it blames.
    pub(super) failed: BTreeMap<NodeId, (String, Vec<NodeId>)>,
    /// Of whom nothing was heard.
    pub(super) silent: BTreeSet<NodeId>,
}

impl Ran {
    /// Whether every party finished.
    pub(super) fn is_success(&self) -> bool {
        self.failed.is_empty() && self.silent.is_empty()
    }

    /// Whom those that failed blame, all together.
    pub(super) fn blamed(&self) -> BTreeSet<&NodeId> {
        self.failed
            .values()
            .flat_map(|(_, blamed)| blamed)
            .collect()
    }
}
