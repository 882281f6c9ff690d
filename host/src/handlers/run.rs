//! One run: an exchange that a researcher asked for, begun by a plugin's initiator and driven round by round.

use std::sync::Arc;

use p256::SecretKey;
use wasmtime::Store;
use wasmtime::component::ResourceAny;

use super::bindings::exports::backchannel::n2n::initiator;
use super::call::{Bounds, failure};
use super::effect::{self, other_party, outgoing_of};
use super::state::{CallState, RunState, Subject};
use super::traced;
use super::{Body, CallError, Called, Effect, Limit, Outgoing, Plugin, Refused, Services, Usage};
use crate::message::{ExperimentId, NodeId, ResearcherId, SecaggId};
use crate::secure_sum::additive::{ServerKey, Share};
use crate::trace::{Ended, Entry, Work};

/// What a researcher asks to be set up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setup {
    /// The request's kind.
    pub kind: &'static str,
    /// Who asks.
    pub researcher: ResearcherId,
    /// The run's name.
    pub run: SecaggId,
    /// What it is for.
    pub experiment: ExperimentId,
    /// This node.
    pub own: NodeId,
    /// Everybody, this node among them, each once.
    pub parties: Vec<NodeId>,
}

impl Setup {
    /// The requests that begin runs.
    pub const KINDS: [&'static str; 2] = ["SecaggRequest", "AdditiveSSSetupRequest"];
}

/// A run under way. Dropping it ends it; the secrets that the host drew for it go with it.
pub struct Run {
    plugin: Arc<Plugin>,
    store: Store<CallState>,
    guest: initiator::Guest,
    run: ResourceAny,
}

/// One round: effects to carry out, then requests to send. Without requests the run is finished.
#[derive(Debug)]
pub struct Step {
    /// Checked.
    pub effects: Vec<Effect>,
    /// To other parties only, each at most once.
    pub ask: Vec<(NodeId, Outgoing)>,
}

impl Run {
    /// Begins a run. Changes nothing outside the instance.
    pub async fn begin(plugin: &Arc<Plugin>, services: Services, setup: &Setup) -> Called<Self> {
        let name = plugin.name();
        let Some(indices) = &plugin.initiator else {
            let lacks = CallError::Lacks {
                plugin: name.into(),
                what: "begins no exchanges",
            };
            return Called::new(Usage::default(), Err(lacks));
        };
        let subject = Subject::Run(Box::new(RunState {
            run: setup.run.to_string(),
            own: setup.own.clone(),
            parties: setup.parties.clone(),
            agreement: None,
            sharing: None,
        }));
        let raw = initiator::Setup {
            kind: setup.kind.into(),
            researcher_id: setup.researcher.to_string(),
            run: setup.run.to_string(),
            experiment_id: setup.experiment.to_string(),
            node_id: setup.own.to_string(),
            parties: setup.parties.iter().map(ToString::to_string).collect(),
        };
        let work = || Work::Run(traced::run_of(setup));
        let mut store = plugin.store(services, subject, work);
        store.data_mut().call_begins(|| Entry::Begin);
        let bounds = Bounds::begin(plugin, &mut store, Limit::HandleCpuMs, Limit::HandleWallMs);
        let call = async {
            let instance = plugin.instantiate(&mut store).await?;
            let guest = indices.load(&mut store, &instance)?;
            let run = guest.run().call_begin(&mut store, &raw).await?;
            Ok((guest, run))
        };
        let (called, took) = bounds.within(call).await;
        let usage = took.of(&mut store);
        let begun =
            called.and_then(|(guest, run)| Ok((guest, run.map_err(|why| failure(name, &why))?)));
        let ended = || {
            begun
                .as_ref()
                .map_or_else(CallError::ended, |_| Ended::Found)
        };
        store.data_mut().call_ends(ended, &usage);
        let begun = begun.map(|(guest, run)| Self {
            run,
            plugin: plugin.clone(),
            store,
            guest,
        });
        Called::new(usage, begun)
    }

    /// The next round, given the answers of the one before.
    pub async fn step(&mut self, answers: Vec<(NodeId, Body)>) -> Called<Step> {
        let bytes = answers.iter().map(|(_, body)| body.len()).sum();
        if let Err(error) = self.plugin.can_read(bytes) {
            return Called::new(Usage::default(), Err(error));
        }
        let answers: Vec<_> = answers
            .into_iter()
            .map(|(peer, body)| initiator::Answer {
                from: peer.to_string(),
                body: body.to_vec(),
            })
            .collect();
        let (plugin, store) = (&self.plugin, &mut self.store);
        store.data_mut().refill();
        store
            .data_mut()
            .call_begins(|| Entry::Step(traced::answers(&answers)));
        let bounds = Bounds::begin(plugin, store, Limit::HandleCpuMs, Limit::HandleWallMs);
        let guest = self.guest.run();
        let call = guest.call_step(&mut *store, self.run, &answers);
        let (called, took) = bounds.within(call).await;
        let mut usage = took.of(store);
        let mut asked_for = (Vec::new(), Vec::new());
        let step = called.and_then(|step| {
            let step = step.map_err(|why| failure(plugin.name(), &why))?;
            if store.data().is_recorded() {
                asked_for = (traced::effects(&step.effects), traced::requests(&step.ask));
            }
            let effects = effect::check(step.effects, plugin, &store.data().subject, &mut usage)?;
            Ok((effects, step.ask))
        });
        let step = step.and_then(|(effects, ask)| {
            let ask = self.checked(ask).map_err(|why| CallError::Effect {
                plugin: self.plugin.name().into(),
                why,
            })?;
            Ok(Step { effects, ask })
        });
        let ended = || match &step {
            Ok(_) => Ended::Effects {
                effects: asked_for.0,
                ask: asked_for.1,
            },
            Err(error) => error.ended(),
        };
        self.store.data_mut().call_ends(ended, &usage);
        Called::new(usage, step)
    }

    /// The plugin that drives it.
    pub fn plugin(&self) -> &Arc<Plugin> {
        &self.plugin
    }

    /// The private key of the run, if `agreement` was used.
    pub fn agreement(&self) -> Option<&SecretKey> {
        self.state()?.agreement.as_ref()
    }

    /// The server key of the run and the share that this node keeps, if `sharing` was used.
    pub fn sharing(&self) -> Option<(&ServerKey, &Share)> {
        let split = self.state()?.sharing.as_ref()?;
        Some((&split.key, &split.kept))
    }

    fn state(&self) -> Option<&RunState> {
        match &self.store.data().subject {
            Subject::Run(run) => Some(run),
            Subject::Message(_) | Subject::Part(_) => None,
        }
    }

    fn checked(&self, ask: Vec<initiator::Addressed>) -> Result<Vec<(NodeId, Outgoing)>, Refused> {
        let Some(run) = self.state() else {
            return Err(Refused::OutOfPlace("ask"));
        };
        let mut asked: Vec<(NodeId, Outgoing)> =
            Vec::with_capacity(ask.len().min(run.parties.len()));
        for addressed in ask {
            let party = other_party(&addressed.to, run)?;
            if asked.iter().any(|(other, _)| *other == party) {
                return Err(Refused::Second("request to one party in a round"));
            }
            asked.push((party, outgoing_of(addressed.message, &self.plugin)?));
        }
        Ok(asked)
    }
}
