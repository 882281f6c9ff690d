//! Driving a part to its end: the plugin says what is next, the host carries parcels and keeps the time.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::SemaphorePermit;
use tokio::time::{Instant, timeout_at};

use super::gather::Gathering;
use super::{Rounds, RoundsError};
use crate::audit::{Event, ProtocolRun as Told, Subject};
use crate::handlers::{Body, CallError, Called, InWork, Next, Part, Plugin, Round, Start};
use crate::message::NodeId;
use crate::parcels::{Handed, Handing};
use crate::tasks::blocking;
use crate::witness::{self, Witness};

/// The longest that a run can take.
pub const RUN_DEADLINE: Duration = Duration::from_secs(3600);
/// The most rounds of one run.
const MOST_ROUNDS: usize = 4096;
/// The most parties of one run.
const MOST_PARTIES: usize = 1000;

impl Rounds {
    /// Takes part in a run to its end, whatever that is.
    pub(super) async fn drive(&self, start: &Start) -> Result<Body, RoundsError> {
        let started = Instant::now();
        let audit = &self.chronicle.audit;
        audit.record(Event::ProtocolRunStart(told(start)));
        let ended = timeout_at(started + RUN_DEADLINE, self.take_part(start));
        let ended = match self.stopping.run_until_cancelled(ended).await {
            Some(ended) => ended.unwrap_or(Err(RoundsError::Deadline)),
            None => Err(RoundsError::Stopping),
        };
        let ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        audit.record(Event::ProtocolRunComplete {
            run: told(start),
            ms,
            why: ended.as_ref().err().map(ToString::to_string),
        });
        let (run, protocol) = (&start.run, &start.protocol);
        match &ended {
            Ok(_) => tracing::info!(%run, protocol, parties = start.parties.len(), ms, "done"),
            Err(error) => tracing::error!(%run, protocol, "{error}"),
        }
        ended
    }

    async fn take_part(&self, start: &Start) -> Result<Body, RoundsError> {
        check_parties(start)?;
        let key = (start.protocol.clone(), start.run.clone());
        let (researcher, parties) = (start.researcher.clone(), start.parties.clone());
        let (plugin, _in_work) = match self.admit(start) {
            Ok(admitted) => admitted,
            Err(error) => {
                self.parcels.refuse(key, researcher, parties);
                return Err(error);
            }
        };
        let handing = self.parcels.begin(key, plugin.name(), researcher, parties);
        let ended = plugin.unless_taken_back(self.rounds(&plugin, start, handing));
        let ended = ended.await;
        ended.unwrap_or_else(|| Err(RoundsError::Off(plugin.name().into())))
    }

    /// The plugin for a run, if it may take part in it now, and its place among those that do.
    fn admit(
        &self,
        start: &Start,
    ) -> Result<(Arc<Plugin>, (InWork, SemaphorePermit<'_>)), RoundsError> {
        let plugin = self.plugins.for_protocol(&start.protocol);
        let plugin = plugin.ok_or_else(|| match self.plugins.off(&start.protocol) {
            Some(plugin) => RoundsError::Off(plugin),
            None => RoundsError::NoPlugin(start.protocol.clone()),
        })?;
        let today = self.services.sources.clock.today();
        let admitted = plugin.scope().admits_part(start, today);
        admitted.map_err(|why| RoundsError::OutOfScope(plugin.name().into(), why))?;
        let demand = plugin.manifest().assurance;
        self.post.talks_to(&start.parties, demand)?;
        let place = self.work.try_acquire().map_err(|_| RoundsError::Busy)?;
        let in_work = self.plugins.enter(&plugin)?;
        Ok((plugin, (in_work, place)))
    }

    /// From the plugin's `begin` to its last round.
    async fn rounds(
        &self,
        plugin: &Arc<Plugin>,
        start: &Start,
        handing: Handing,
    ) -> Result<Body, RoundsError> {
        let witness = self.witness(plugin, start, None);
        let begun = Part::begin(plugin, self.services.clone(), start).await;
        let part = self.called(witness, start, begun)?;
        let mut gathering = Gathering::new(self, plugin, start, part);
        let mut missing = Vec::new();
        for number in 0..MOST_ROUNDS {
            match gathering.next(&missing).await? {
                Next::Round(round) => {
                    let round = self.hand_over(plugin, &handing, round).await?;
                    missing = gathering.gather(number, &round).await?;
                }
                Next::Done(result) => {
                    handing.done();
                    return Ok(result);
                }
                Next::Abort { blamed, why } => return Err(RoundsError::Abort { blamed, why }),
            }
        }
        Err(RoundsError::Endless(plugin.name().into()))
    }

    /// First what goes to disk, then what others can have.
    async fn hand_over(
        &self,
        plugin: &Arc<Plugin>,
        handing: &Handing,
        mut round: Round,
    ) -> Result<Round, RoundsError> {
        let entries = std::mem::take(&mut round.entries);
        if !entries.is_empty() {
            let (store, changes) = (self.services.sources.store.clone(), plugin.changes(entries));
            let stored = blocking(move || store.change_plugin_entries(&changes)).await;
            stored.ok_or(RoundsError::Stopping)?.map_err(|error| {
                match plugin.over_quota(&error) {
                    Some(over) => RoundsError::Call(over),
                    None => RoundsError::Store(error),
                }
            })?;
        }
        let handed = handing.next_round(Handed {
            for_all: round.broadcast.take(),
            for_one: std::mem::take(&mut round.parcels),
        });
        handed.map_err(|why| RoundsError::TooMuch(plugin.name().into(), why))?;
        Ok(round)
    }

    pub(super) fn witness(
        &self,
        plugin: &Arc<Plugin>,
        start: &Start,
        peer: Option<&NodeId>,
    ) -> Witness {
        let subject = Subject {
            secagg_id: Some(start.run.to_string()),
            researcher_id: Some(start.researcher.to_string()),
            peer: peer.map(ToString::to_string),
            ..Subject::default()
        };
        Witness::new(&self.chronicle, plugin, subject)
    }

    /// What came of a call into a part's plugin. Here everything that is counted of it comes by.
    pub(super) fn called<T>(
        &self,
        witness: Witness,
        start: &Start,
        called: Called<T>,
    ) -> Result<T, CallError> {
        let Called { usage, result } = called;
        let plugin = witness.plugin().clone();
        witness.end(&usage, result.as_ref().err());
        if let Err(error) = &result {
            let (run, now) = (start.run.as_str(), self.services.sources.clock.now());
            if let Some(quarantine) = self.plugins.failed(&plugin, run, error, now) {
                witness::quarantined(&self.chronicle, &plugin, &quarantine);
            }
        }
        result
    }
}

/// The run as the audit log tells of it.
fn told(start: &Start) -> Told {
    let named = start.parties.iter().take(Told::NAMED);
    Told {
        researcher_id: start.researcher.to_string(),
        protocol: start.protocol.clone(),
        run_id: start.run.to_string(),
        parties: named.map(ToString::to_string).collect(),
        party_count: start.parties.len(),
    }
}

fn check_parties(start: &Start) -> Result<(), RoundsError> {
    let parties = &start.parties;
    if parties.len() < 2 {
        return Err(RoundsError::TooFewParties(parties.len()));
    }
    if parties.len() > MOST_PARTIES {
        return Err(RoundsError::TooManyParties(parties.len()));
    }
    let mut seen = BTreeSet::new();
    if let Some(twice) = parties.iter().find(|party| !seen.insert(*party)) {
        return Err(RoundsError::PartyTwice(twice.clone()));
    }
    if seen.contains(&start.own) {
        Ok(())
    } else {
        Err(RoundsError::NotAParty)
    }
}
