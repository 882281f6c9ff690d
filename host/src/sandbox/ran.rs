//! What the researcher of a simulated network heard of a protocol's run.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::message::{NodeId, ProtocolOutcome, RunId};

/// One run, as far as its parties have told of it.
#[derive(Clone, Debug)]
pub(super) struct Ran {
    /// Which of the scenario's runs, by its place there.
    pub(super) place: usize,
    /// Its name.
    pub(super) run: RunId,
    /// When it was begun, from the beginning of the simulation.
    pub(super) begun: Duration,
    /// Who reported a result: one MessagePack map.
    pub(super) done: BTreeMap<NodeId, Vec<u8>>,
    /// Who reported that it failed.
    pub(super) failed: BTreeMap<NodeId, Failed>,
    /// Who was silent.
    pub(super) silent: BTreeSet<NodeId>,
}

/// What a party says of a run that failed.
#[derive(Clone, Debug)]
pub(super) struct Failed {
    /// Whom it holds responsible.
    pub(super) blamed: Vec<NodeId>,
    /// Why.
    pub(super) why: String,
}

impl Ran {
    /// A run of `parties` that begins now.
    pub(super) fn begun(place: usize, run: RunId, now: Duration, parties: &[NodeId]) -> Self {
        Self {
            place,
            run,
            begun: now,
            done: BTreeMap::new(),
            failed: BTreeMap::new(),
            silent: parties.iter().cloned().collect(),
        }
    }

    /// A party tells how it ended. Each is asked once, and heard once.
    pub(super) fn hear(&mut self, party: NodeId, outcome: ProtocolOutcome) {
        self.silent.remove(&party);
        match outcome {
            ProtocolOutcome::Done(result) => {
                self.done.insert(party, result);
            }
            ProtocolOutcome::Failed { blamed, why } => {
                self.failed.insert(party, Failed { blamed, why });
            }
        }
    }

    /// Whether somebody has a result.
    pub(super) fn has_result(&self) -> bool {
        !self.done.is_empty()
    }
}
