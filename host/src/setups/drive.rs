//! Driving a run: the plugin says what is next, the host does it and keeps the time.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use super::{Outcome, SetupError, Setups};
use crate::audit::{Event, SecaggSetup, Subject};
use crate::handlers::{
    Body, CallError, Called, Datum, Effect, Entry, Outgoing, Plugin, Run, SecaggResult, Setup,
    Usage,
};
use crate::message::{NodeId, ResearcherId};
use crate::requests::{REPLY_TIMEOUT, Ticket};
use crate::witness::{self, Witness};

/// A researcher of the reference waits so long for its answer; a run that goes on would report to nobody.
const RUN_DEADLINE: Duration = Duration::from_secs(60);
/// The most rounds of one run.
const MOST_STEPS: usize = 64;
/// The most parties of one run. Each is asked by each.
const MOST_PARTIES: usize = 1000;

impl Setups {
    /// Drives a run to its end, whatever that is.
    pub(super) async fn drive(&self, setup: &Setup) -> Outcome {
        let started = Instant::now();
        let (run, kind) = (&setup.run, setup.kind);
        let (audit, metrics) = (&self.chronicle.audit, &self.chronicle.metrics);
        audit.record(Event::SecaggSetupStart(told(setup)));
        let plugin = self.plugins.for_request(kind);
        let ended = timeout_at(started + RUN_DEADLINE, async {
            let plugin = plugin.as_ref().ok_or_else(|| self.no_plugin(kind))?;
            let admitted = plugin
                .scope()
                .admits_run(setup, self.services.sources.clock.today());
            admitted.map_err(|why| SetupError::OutOfScope(plugin.name().into(), why))?;
            let _in_work = self.plugins.enter(plugin).inspect_err(|error| {
                self.witness(plugin, setup)
                    .end(&Usage::default(), Some(error));
            })?;
            // Never closed: waits, does not fail.
            let _work = self.work.acquire().await;
            let ended = plugin.unless_taken_back(self.run(plugin, setup)).await;
            ended.unwrap_or_else(|| Err(SetupError::Off(plugin.name().into())))
        });
        let ended = match self.stopping.run_until_cancelled(ended).await {
            Some(ended) => ended.unwrap_or(Err(SetupError::Deadline)),
            None => Err(SetupError::Stopping),
        };
        let took = started.elapsed();
        metrics.set_up(kind, ended.is_ok(), took);
        audit.record(Event::SecaggSetupComplete {
            setup: told(setup),
            ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            why: ended.as_ref().err().map(ToString::to_string),
        });
        match ended {
            Ok(outcome) => {
                let ms = took.as_millis();
                tracing::info!(secagg_id = %run, kind, parties = setup.parties.len(), ms, "set up");
                outcome
            }
            Err(error) => {
                tracing::error!(secagg_id = %run, kind, "FB318: {error}");
                if let Some(plugin) = &plugin {
                    let materials = &self.services.sources.materials;
                    materials.withdraw(plugin.shared_name(), run.as_str());
                }
                Outcome::Failed(error.to_string())
            }
        }
    }

    fn no_plugin(&self, kind: &'static str) -> SetupError {
        match self.plugins.off(kind) {
            Some(plugin) => SetupError::Off(plugin),
            None => SetupError::NoPlugin(kind),
        }
    }

    /// One run, from the plugin's `begin` to its last step.
    async fn run(&self, plugin: &Arc<Plugin>, setup: &Setup) -> Result<Outcome, SetupError> {
        check_parties(&self.own, &setup.parties)?;
        let demand = plugin.manifest().assurance;
        self.post.talks_to(&setup.parties, demand)?;
        // What an earlier run of this name published must not meet the keys of this one.
        let materials = &self.services.sources.materials;
        materials.withdraw(plugin.shared_name(), setup.run.as_str());
        let witness = self.witness(plugin, setup);
        let begun = Run::begin(plugin, self.services.clone(), setup).await;
        let mut run = self.called(witness, setup, begun)?;
        let mut established = None;
        let mut answers = Vec::new();
        for _ in 0..MOST_STEPS {
            let witness = self.witness(plugin, setup);
            let step = run.step(answers).await;
            let step = self.called(witness, setup, step)?;
            let (result, entries) = self.publish(plugin, setup, step.effects)?;
            match result {
                Some(result) => {
                    established = Some(self.establish(&run, setup, result, entries).await?);
                }
                None => self.store(plugin, entries).await?,
            }
            if step.ask.is_empty() {
                return established.ok_or_else(|| SetupError::Plugin {
                    plugin: plugin.name().into(),
                    why: "it ended its run without a result",
                });
            }
            answers = self.ask(plugin, &setup.researcher, step.ask).await?;
        }
        Err(SetupError::Plugin {
            plugin: plugin.name().into(),
            why: "its run does not end",
        })
    }

    fn witness(&self, plugin: &Arc<Plugin>, setup: &Setup) -> Witness {
        let subject = Subject {
            secagg_id: Some(setup.run.to_string()),
            researcher_id: Some(setup.researcher.to_string()),
            ..Subject::default()
        };
        Witness::new(&self.chronicle, plugin, subject)
    }

    /// What came of a call into a run's plugin. Here everything that is counted of it comes by.
    fn called<T>(
        &self,
        witness: Witness,
        setup: &Setup,
        called: Called<T>,
    ) -> Result<T, CallError> {
        let Called { usage, result } = called;
        let plugin = witness.plugin().clone();
        witness.end(&usage, result.as_ref().err());
        if let Err(error) = &result
            && let Some(quarantine) = self.plugins.failed(
                &plugin,
                setup.run.as_str(),
                error,
                self.services.sources.clock.now(),
            )
        {
            witness::quarantined(&self.chronicle, &plugin, &quarantine);
        }
        result
    }

    /// Publishes what a step asks to publish; hands back what it asks to keep, the result and entries of its own.
    fn publish(
        &self,
        plugin: &Arc<Plugin>,
        setup: &Setup,
        effects: Vec<Effect>,
    ) -> Result<(Option<SecaggResult>, Vec<Entry>), SetupError> {
        let mut data: Vec<Datum> = Vec::new();
        let mut result = None;
        let mut entries = Vec::new();
        for effect in effects {
            match effect {
                Effect::Publish(datum) => data.push(datum),
                Effect::Establish(found) => result = Some(found),
                Effect::Store(entry) => entries.push(entry),
                Effect::Reply(_) | Effect::Deliver(_) | Effect::SetPeerKey(_) => {
                    return Err(SetupError::Plugin {
                        plugin: plugin.name().into(),
                        why: "an effect of a message in a run",
                    });
                }
            }
        }
        if !data.is_empty()
            && !self.services.sources.materials.publish(
                plugin.shared_name(),
                setup.run.as_str(),
                &setup.parties,
                data,
            )
        {
            return Err(SetupError::Plugin {
                plugin: plugin.name().into(),
                why: "it has too much published",
            });
        }
        Ok((result, entries))
    }

    /// Sends a round's requests, all at once, and gathers the answers.
    async fn ask(
        &self,
        plugin: &Arc<Plugin>,
        researcher: &ResearcherId,
        ask: Vec<(NodeId, Outgoing)>,
    ) -> Result<Vec<(NodeId, Body)>, SetupError> {
        let deadline = Instant::now() + REPLY_TIMEOUT;
        // Ends with this round: nothing is sent for a run that is over.
        let mut sending = JoinSet::new();
        let mut tickets = Vec::with_capacity(ask.len());
        for (peer, outgoing) in ask {
            let ticket = self
                .requests
                .register(plugin.name(), &peer, &self.randomness);
            let (post, researcher, id) =
                (self.post.clone(), researcher.clone(), ticket.id().clone());
            // A channel that has to be set up first must not hold up the others; whoever stays silent is named below.
            sending.spawn(async move {
                if let Err(error) = post.ask(&researcher, &peer, id, outgoing).await {
                    tracing::warn!(%peer, "request not sent: {error}");
                }
            });
            tickets.push(ticket);
        }
        let gathered = Ticket::gather(tickets, deadline).await;
        if gathered.silent.is_empty() {
            Ok(gathered.answered)
        } else {
            Err(SetupError::Silent(
                gathered.silent.iter().map(ToString::to_string).collect(),
            ))
        }
    }
}

/// The run as the audit log tells of it.
fn told(setup: &Setup) -> SecaggSetup {
    let named = setup.parties.iter().take(SecaggSetup::NAMED);
    SecaggSetup {
        researcher_id: setup.researcher.to_string(),
        experiment_id: setup.experiment.to_string(),
        secagg_id: setup.run.to_string(),
        message_type: setup.kind,
        parties: named.map(ToString::to_string).collect(),
        party_count: setup.parties.len(),
    }
}

fn check_parties(own: &NodeId, parties: &[NodeId]) -> Result<(), SetupError> {
    if parties.len() < 2 {
        return Err(SetupError::TooFewParties(parties.len()));
    }
    if parties.len() > MOST_PARTIES {
        return Err(SetupError::TooManyParties(parties.len()));
    }
    let mut seen = BTreeSet::new();
    if let Some(twice) = parties.iter().find(|party| !seen.insert(*party)) {
        return Err(SetupError::PartyTwice(twice.clone()));
    }
    if seen.contains(own) {
        Ok(())
    } else {
        Err(SetupError::NotAParty)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nodes(names: &[&str]) -> Vec<NodeId> {
        names
            .iter()
            .map(|name| NodeId::try_from(*name).expect("valid"))
            .collect()
    }

    #[test]
    fn refuses_parties_that_cannot_aggregate() {
        let own = &nodes(&["a"])[0];
        assert!(matches!(
            check_parties(own, &nodes(&["a"])),
            Err(SetupError::TooFewParties(1))
        ));
        assert!(matches!(
            check_parties(own, &nodes(&["a", "b", "b"])),
            Err(SetupError::PartyTwice(_))
        ));
        assert!(matches!(
            check_parties(own, &nodes(&["b", "c"])),
            Err(SetupError::NotAParty)
        ));
        assert!(check_parties(own, &nodes(&["b", "a"])).is_ok());
    }
}
