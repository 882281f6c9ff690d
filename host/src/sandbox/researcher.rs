//! The researcher of a simulated network: what it asks for, and what it hears.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::sync::mpsc;

use super::ran::Ran;
use super::relay::Relay;
use super::scenario::{Run, Scheme, Start};
use crate::message::researcher::SetupRequest;
use crate::message::{
    ExperimentId, IdError, Integer, NodeId, ProtocolOutcome, ProtocolRun, RequestId, ResearcherId,
    SecaggId, ToNode, ToResearcher,
};
use crate::randomness::Randomness;
use crate::rounds::RUN_DEADLINE;

/// How long it waits for answers: a bit longer than a node's run may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(65);
/// How long it waits for what comes of a protocol: likewise.
const PATIENCE_WITH_RUNS: Duration = RUN_DEADLINE.saturating_add(Duration::from_secs(5));

/// The researcher.
pub(super) struct Researcher {
    pub(super) id: ResearcherId,
    /// Another one, which asks for nothing.
    pub(super) other: ResearcherId,
    experiment: ExperimentId,
    randomness: Randomness,
    answers: mpsc::UnboundedReceiver<ToResearcher>,
    waiting: BTreeMap<RequestId, (Waiting, NodeId)>,
    /// What came of each set-up, in the order in which they were begun.
    pub(super) outcomes: Vec<Outcome>,
    /// What came of each run of a protocol, in the order in which they were begun.
    pub(super) ran: Vec<Ran>,
}

/// What is waited for, by its place.
#[derive(Clone, Copy)]
enum Waiting {
    SetUp(usize),
    Run(usize),
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
            ran: Vec::new(),
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
            let waiting = Waiting::SetUp(self.outcomes.len());
            self.waiting.insert(request_id, (waiting, party.clone()));
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

    /// Asks all parties, of `all` if it is not said whom, to run a protocol: that of this place in the scenario.
    pub(super) fn have_run(&mut self, relay: &Relay, place: usize, run: &Run, all: &[NodeId]) {
        let parties = run.parties.as_deref().unwrap_or(all);
        for party in parties {
            let request_id = RequestId::fresh(&mut self.randomness);
            let request = ProtocolRun {
                request_id: Some(request_id.clone()),
                researcher_id: self.id.clone(),
                protocol: run.protocol.clone(),
                run_id: run.run.clone(),
                parties: parties.to_vec(),
                params: run.params.encode(),
            };
            let request = ToNode::ProtocolRun(request);
            relay.ask(party, ProtocolRun::CLASS, run.run.as_str(), &request);
            let waiting = Waiting::Run(self.ran.len());
            self.waiting.insert(request_id, (waiting, party.clone()));
        }
        self.ran
            .push(Ran::begun(place, run.run.clone(), relay.now(), parties));
    }

    /// When runs that somebody has not told of yet must be over.
    pub(super) fn runs_are_over(&self) -> Option<Duration> {
        let open = self.ran.iter().filter(|ran| !ran.silent.is_empty());
        open.map(|ran| ran.begun + PATIENCE_WITH_RUNS).max()
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
            ToResearcher::ProtocolRunReply(reply) => {
                return self.take_run(reply.request_id, reply.outcome);
            }
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
        let waiting = request.and_then(|id| self.waiting.remove(&id));
        let (outcome, node) = match waiting {
            Some((Waiting::SetUp(place), node)) => (&mut self.outcomes[place], node),
            // A node that cannot read a request answers with an error, whatever it was.
            Some((Waiting::Run(place), node)) => {
                let why = heard.err().unwrap_or_default();
                let failed = ProtocolOutcome::Failed {
                    blamed: Vec::new(),
                    why,
                };
                return self.ran[place].hear(node, failed);
            }
            None => return,
        };
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

    fn take_run(&mut self, request: Option<RequestId>, outcome: ProtocolOutcome) {
        let waiting = request.and_then(|id| self.waiting.remove(&id));
        if let Some((Waiting::Run(place), node)) = waiting {
            self.ran[place].hear(node, outcome);
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
