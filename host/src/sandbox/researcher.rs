//! The researcher of a simulated network: what it asks for, and what it hears.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::sync::mpsc;

use super::relay::Relay;
use super::scenario::{Scheme, Start};
use crate::message::researcher::SetupRequest;
use crate::message::{
    ExperimentId, IdError, Integer, NodeId, RequestId, ResearcherId, SecaggId, ToNode, ToResearcher,
};
use crate::randomness::Randomness;

/// How long it waits for answers: a bit longer than a node's run may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(65);

/// The researcher.
pub(super) struct Researcher {
    pub(super) id: ResearcherId,
    /// Another one, which asks for nothing.
    pub(super) other: ResearcherId,
    experiment: ExperimentId,
    randomness: Randomness,
    answers: mpsc::UnboundedReceiver<ToResearcher>,
    waiting: BTreeMap<RequestId, (usize, NodeId)>,
    /// What came of each set-up, in the order in which they were begun.
    pub(super) outcomes: Vec<Outcome>,
}

/// What the researcher heard of a set-up.
#[derive(Clone, Debug)]
pub(super) struct Outcome {
    /// Its name.
    pub(super) run: SecaggId,
    /// What was set up.
    pub(super) scheme: Scheme,
    /// When it was begun, from the beginning of the run.
    pub(super) begun: Duration,
    /// Who reported success, and with which share.
    pub(super) done: BTreeMap<NodeId, Option<Integer>>,
    /// Who reported a failure.
    pub(super) failed: BTreeMap<NodeId, String>,
    /// Who was silent.
    pub(super) silent: BTreeSet<NodeId>,
    /// When each of them reported, from the beginning of the run.
    pub(super) reported: BTreeMap<NodeId, Duration>,
    /// How long it took until the last answer.
    pub(super) took: Duration,
}

impl Researcher {
    pub(super) fn new(
        answers: mpsc::UnboundedReceiver<ToResearcher>,
        seed: u64,
    ) -> Result<Self, IdError> {
        Ok(Self {
            id: "researcher".parse()?,
            other: "nobody".parse()?,
            experiment: "experiment".parse()?,
            randomness: Randomness::from_seed(seed),
            answers,
            waiting: BTreeMap::new(),
            outcomes: Vec::new(),
        })
    }

    /// Asks all parties, of `all` if it is not said whom, to set a context up.
    pub(super) fn ask(&mut self, relay: &Relay, start: &Start, all: &[NodeId]) {
        let parties = start.parties.as_deref().unwrap_or(all);
        for party in parties {
            let request_id = RequestId::fresh(&mut self.randomness);
            let setup = SetupRequest {
                request_id: Some(request_id.clone()),
                researcher_id: self.id.clone(),
                secagg_id: start.run.clone(),
                experiment_id: self.experiment.clone(),
                parties: parties.to_vec(),
            };
            let request = match start.scheme {
                Scheme::Dh => ToNode::SecaggSetup(setup),
                Scheme::ServerKey => ToNode::ServerKeySetup(setup),
            };
            relay.ask(party, start.scheme.kind(), start.run.as_str(), &request);
            let waiting = (self.outcomes.len(), party.clone());
            self.waiting.insert(request_id, waiting);
        }
        self.outcomes.push(Outcome {
            run: start.run.clone(),
            scheme: start.scheme,
            begun: relay.now(),
            done: BTreeMap::new(),
            failed: BTreeMap::new(),
            silent: parties.iter().cloned().collect(),
            reported: BTreeMap::new(),
            took: Duration::ZERO,
        });
    }

    /// The next answer.
    pub(super) async fn hear(&mut self) -> ToResearcher {
        match self.answers.recv().await {
            Some(answer) => answer,
            // The relay, which holds the other end, lives as long as the run.
            None => std::future::pending().await,
        }
    }

    /// Takes an answer that came `now`, unless nobody waits for it any more.
    pub(super) fn take(&mut self, answer: ToResearcher, now: Duration) {
        let (request, heard) = match answer {
            ToResearcher::SecaggReply(reply) => (reply.request_id, Ok(None)),
            ToResearcher::AdditiveSSSetupReply { reply, share } => {
                (reply.request_id, Ok(Some(share)))
            }
            ToResearcher::Error {
                request_id,
                extra_msg,
                ..
            } => (request_id, Err(extra_msg)),
            _ => return,
        };
        let Some((place, node)) = request.and_then(|id| self.waiting.remove(&id)) else {
            return;
        };
        let outcome = &mut self.outcomes[place];
        let took = now - outcome.begun;
        if took > PATIENCE {
            return;
        }
        outcome.took = took;
        outcome.silent.remove(&node);
        outcome.reported.insert(node.clone(), now);
        match heard {
            Ok(share) => {
                outcome.done.insert(node, share);
            }
            Err(why) => {
                outcome.failed.insert(node, why);
            }
        }
    }
}

impl Outcome {
    /// Everybody who was asked.
    pub(super) fn parties(&self) -> impl Iterator<Item = &NodeId> {
        let heard = self.done.keys().chain(self.failed.keys());
        heard.chain(&self.silent)
    }

    /// Whether every party succeeded.
    pub(super) fn is_success(&self) -> bool {
        self.failed.is_empty() && self.silent.is_empty()
    }
}
