//! This node's part in a protocol that several parties run together, round by round.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use wasmtime::Store;
use wasmtime::component::ResourceAny;

use super::bindings::exports::backchannel::n2n::rounds;
use super::call::{Bounds, failure};
use super::effect::stored;
use super::part_secrets::PartSecrets;
use super::state::{CallState, PartState, Subject};
use super::{Body, CallError, Called, Entry, Limit, Plugin, Recorder, Refused, Services, Usage};
use crate::message::{LONGEST_LINE, NodeId, ResearcherId, RunId, one_line};
use crate::trace::{RunOf, Work};

/// The longest that a round can wait.
const LONGEST_WAIT: u32 = 600;

/// What a researcher asks the parties to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Start {
    /// The protocol, of the plugin's manifest.
    pub protocol: String,
    /// Who asks.
    pub researcher: ResearcherId,
    /// The run's name.
    pub run: RunId,
    /// This node.
    pub own: NodeId,
    /// Everybody, this node among them, each once.
    pub parties: Vec<NodeId>,
    /// One MessagePack map.
    pub params: Body,
}

/// A part under way. Dropping it ends it.
pub struct Part {
    plugin: Arc<Plugin>,
    store: Store<CallState>,
    guest: rounds::Guest,
    part: ResourceAny,
}

/// What comes next.
#[derive(Debug)]
pub enum Next {
    /// Another round.
    Round(Round),
    /// The run is finished: its result, one MessagePack map.
    Done(Body),
    /// The run is given up.
    Abort {
        /// Other parties, whose fault it is; nobody, if that cannot be told.
        blamed: Vec<NodeId>,
        /// Why, on one harmless line.
        why: String,
    },
}

/// A round, checked.
#[derive(Debug)]
pub struct Round {
    /// Changes of the plugin's own entries.
    pub entries: Vec<Entry>,
    /// For every other party that has no parcel of its own.
    pub broadcast: Option<Body>,
    /// For one other party each.
    pub parcels: BTreeMap<NodeId, Body>,
    /// Other parties whose parcels are waited for, each once.
    pub from: Vec<NodeId>,
    /// How many of them are needed.
    pub quorum: usize,
    /// How long all of them are waited for.
    pub within: Duration,
}

impl Part {
    /// Takes part. Changes nothing outside the instance.
    pub async fn begin(plugin: &Arc<Plugin>, services: Services, start: &Start) -> Called<Self> {
        let name = plugin.name();
        let Some(indices) = &plugin.rounds else {
            let lacks = CallError::Lacks {
                plugin: name.into(),
                what: "takes part in no protocol",
            };
            return Called::new(Usage::default(), Err(lacks));
        };
        // Recordings hold messages and set-ups so far, not yet what parties hand each other.
        let services = Services {
            recorder: Recorder::none(),
            ..services
        };
        let subject = Subject::Part(Box::new(PartState {
            own: start.own.clone(),
            parties: start.parties.clone(),
            secrets: PartSecrets::new(plugin, &start.protocol, start.run.as_str()),
        }));
        let raw = rounds::Start {
            protocol: start.protocol.clone(),
            researcher_id: start.researcher.to_string(),
            run: start.run.to_string(),
            node_id: start.own.to_string(),
            parties: start.parties.iter().map(ToString::to_string).collect(),
            params: start.params.to_vec(),
        };
        let mut store = plugin.store(services, subject, || Work::Run(run_of(start)));
        let bounds = Bounds::begin(plugin, &mut store, Limit::HandleCpuMs, Limit::HandleWallMs);
        store.data_mut().may_wait_until = Some(bounds.deadline);
        let call = async {
            let instance = plugin.instantiate(&mut store).await?;
            let guest = indices.load(&mut store, &instance)?;
            let part = guest.part().call_begin(&mut store, &raw).await?;
            Ok((guest, part))
        };
        let (called, took) = bounds.within(call).await;
        let usage = took.of(&mut store);
        let begun = called
            .and_then(|(guest, part)| Ok((guest, part.map_err(|why| failure(name, &why))?)))
            .map(|(guest, part)| Self {
                plugin: plugin.clone(),
                store,
                guest,
                part,
            });
        Called::new(usage, begun)
    }

    /// Takes in the parcel of one party. A [`CallError::Failure`] of the kind `malformed` blames that party.
    pub async fn accept(&mut self, from: &NodeId, body: &Body) -> Called<()> {
        if let Err(error) = self.plugin.can_read(body.len()) {
            return Called::new(Usage::default(), Err(error));
        }
        let (plugin, store) = (&self.plugin, &mut self.store);
        store.data_mut().refill();
        let bounds = Bounds::begin(plugin, store, Limit::HandleCpuMs, Limit::HandleWallMs);
        store.data_mut().may_wait_until = Some(bounds.deadline);
        let guest = self.guest.part();
        let call = guest.call_accept(&mut *store, self.part, from.as_str(), body);
        let (called, took) = bounds.within(call).await;
        let usage = took.of(store);
        let accepted =
            called.and_then(|accepted| accepted.map_err(|why| failure(plugin.name(), &why)));
        Called::new(usage, accepted)
    }

    /// What comes next, when `missing` had nothing for this node in the round before or were silent.
    pub async fn next(&mut self, missing: &[NodeId]) -> Called<Next> {
        let missing: Vec<_> = missing.iter().map(ToString::to_string).collect();
        let (plugin, store) = (&self.plugin, &mut self.store);
        store.data_mut().refill();
        let bounds = Bounds::begin(plugin, store, Limit::HandleCpuMs, Limit::HandleWallMs);
        store.data_mut().may_wait_until = Some(bounds.deadline);
        let guest = self.guest.part();
        let call = guest.call_next(&mut *store, self.part, &missing);
        let (called, took) = bounds.within(call).await;
        let mut usage = took.of(store);
        let next = called.and_then(|next| {
            let next = next.map_err(|why| failure(plugin.name(), &why))?;
            let size = size(&next);
            (usage.effects, usage.effect_bytes) = size;
            let limits = plugin.limits();
            let over = [
                (Limit::Effects, size.0 > limits.count(Limit::Effects)),
                (Limit::EffectKib, size.1 > limits.bytes(Limit::EffectKib)),
            ];
            if let Some((limit, _)) = over.into_iter().find(|(_, over)| *over) {
                return Err(CallError::Limit {
                    plugin: plugin.name().into(),
                    hit: limits.hit(limit),
                });
            }
            let Subject::Part(state) = &store.data().subject else {
                unreachable!("made for a part");
            };
            checked(next, plugin, state).map_err(|why| CallError::Effect {
                plugin: plugin.name().into(),
                why,
            })
        });
        Called::new(usage, next)
    }
}

fn run_of(start: &Start) -> RunOf {
    RunOf {
        kind: start.protocol.clone(),
        researcher: start.researcher.to_string(),
        run: start.run.to_string(),
        experiment: String::new(),
        parties: start.parties.iter().map(ToString::to_string).collect(),
    }
}

/// How many things a guest hands to the host, and their bytes.
fn size(next: &rounds::Next) -> (usize, usize) {
    match next {
        rounds::Next::Round(round) => {
            let entries = round
                .store
                .iter()
                .map(|entry| entry.value.as_ref().map_or(0, Vec::len));
            let parcels = round.parcels.iter().map(|parcel| parcel.body.len());
            let broadcast = round.broadcast.as_ref().map_or(0, Vec::len);
            let number =
                round.store.len() + round.parcels.len() + usize::from(round.broadcast.is_some());
            (number, entries.chain(parcels).sum::<usize>() + broadcast)
        }
        rounds::Next::Done(result) => (1, result.len()),
        rounds::Next::Abort(blame) => (1, blame.why.len()),
    }
}

fn checked(next: rounds::Next, plugin: &Plugin, part: &PartState) -> Result<Next, Refused> {
    match next {
        rounds::Next::Round(round) => checked_round(round, plugin, part).map(Next::Round),
        rounds::Next::Done(result) => Ok(Next::Done(result.into())),
        rounds::Next::Abort(blame) => {
            let blamed = blame.parties.iter().map(|name| part.other_party(name));
            Ok(Next::Abort {
                blamed: blamed.collect::<Result<_, _>>()?,
                why: one_line(&blame.why, LONGEST_LINE),
            })
        }
    }
}

fn checked_round(
    round: rounds::Round,
    plugin: &Plugin,
    part: &PartState,
) -> Result<Round, Refused> {
    let entries = round.store.into_iter().map(|entry| stored(entry, plugin));
    let mut parcels = BTreeMap::new();
    for parcel in round.parcels {
        let to = part.other_party(&parcel.to)?;
        if parcels.insert(to, parcel.body.into()).is_some() {
            return Err(Refused::Second("parcel for one party in a round"));
        }
    }
    let gather = round.gather;
    let mut from: Vec<NodeId> = Vec::with_capacity(gather.from.len().min(part.parties.len()));
    for name in &gather.from {
        let party = part.other_party(name)?;
        if from.contains(&party) {
            return Err(Refused::Second("mention of one party in a gather"));
        }
        from.push(party);
    }
    let quorum = gather.quorum as usize;
    if quorum > from.len() {
        return Err(Refused::Gather(
            "more parties are needed than are waited for",
        ));
    }
    if !from.is_empty() && !(1..=LONGEST_WAIT).contains(&gather.seconds) {
        return Err(Refused::Gather(
            "it waits for less than 1 s or more than 600 s",
        ));
    }
    Ok(Round {
        entries: entries.collect::<Result<_, _>>()?,
        broadcast: round.broadcast.map(Into::into),
        parcels,
        from,
        quorum,
        within: Duration::from_secs(gather.seconds.into()),
    })
}
