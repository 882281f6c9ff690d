//! A researcher's requests to this node, and the set-ups they begin.
//!
//! The host answers what every node of the network must answer (a silent node blocks the researcher); a set-up is
//! driven by the plugin that begins it, round by round, with all waiting done here.

mod error;
mod establish;

use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::handlers::{
    Datum, Effect, Outgoing, Plugin, Plugins, Run, SecaggResult, Services, Setup,
};
use crate::key_store::KeyStore;
use crate::message::{
    ExperimentId, Integer, NodeId, RequestId, ResearcherId, SecaggId, SecaggReply, SetupRequest,
    ToNode, ToResearcher,
};
use crate::post::Post;
use crate::randomness::Randomness;
use crate::requests::{REPLY_TIMEOUT, Requests, Ticket};
use crate::transport::Malformed;

pub use error::SetupError;

/// The most rounds of one run.
const MOST_STEPS: usize = 64;
/// Researcher's requests in work at a time.
const IN_WORK: usize = 64;

/// Answers a researcher in a node's name.
pub struct Setups {
    own: NodeId,
    name: String,
    plugins: Arc<Plugins>,
    services: Services,
    store: Arc<KeyStore>,
    requests: Requests,
    post: Arc<Post>,
    randomness: Randomness,
    work: Semaphore,
}

/// What a run left behind, for the reply to the researcher.
enum Established {
    PairSecrets,
    ServerKey { reply_share: Integer },
}

impl Setups {
    /// For node `own`, shown to people as `name`.
    #[allow(
        clippy::too_many_arguments,
        reason = "built once, in the node's wiring"
    )]
    pub fn new(
        own: NodeId,
        name: String,
        plugins: Arc<Plugins>,
        services: Services,
        store: Arc<KeyStore>,
        requests: Requests,
        post: Arc<Post>,
        randomness: Randomness,
    ) -> Self {
        Self {
            own,
            name,
            plugins,
            services,
            store,
            requests,
            post,
            randomness,
            work: Semaphore::new(IN_WORK),
        }
    }

    /// The answer to a researcher's request; `None` for overlays, which are not for this part of the node, and for
    /// what names no researcher.
    pub async fn answer(&self, request: ToNode) -> Option<ToResearcher> {
        // Never closed: waits, does not fail.
        let _work = self.work.acquire().await;
        match request {
            ToNode::Ping {
                request_id,
                researcher_id,
            } => Some(ToResearcher::PingReply {
                request_id,
                researcher_id,
                node_id: self.own.clone(),
                node_name: self.name.clone(),
            }),
            ToNode::Search {
                request_id,
                researcher_id,
                ..
            } => Some(ToResearcher::SearchReply {
                request_id,
                researcher_id,
                databases: Vec::new(),
                node_id: self.own.clone(),
                node_name: self.name.clone(),
                count: 0,
            }),
            ToNode::List {
                request_id,
                researcher_id,
            } => Some(ToResearcher::ListReply {
                request_id,
                researcher_id,
                success: true,
                databases: Vec::new(),
                node_id: self.own.clone(),
                node_name: self.name.clone(),
                count: 0,
            }),
            ToNode::SecaggSetup(setup) => Some(self.set_up("SecaggRequest", setup).await),
            ToNode::ServerKeySetup(setup) => {
                Some(self.set_up("AdditiveSSSetupRequest", setup).await)
            }
            ToNode::SecaggDelete {
                request_id,
                researcher_id,
                secagg_id,
                experiment_id,
                ..
            } => {
                let deleted = self.delete(request_id, researcher_id, secagg_id, experiment_id);
                Some(deleted.await)
            }
            ToNode::Other {
                class,
                request_id,
                researcher_id,
            } => {
                let extra_msg = format!(
                    "FB301: this node does not treat {class}: it takes part in node-to-node protocols only"
                );
                Some(self.error(request_id, researcher_id?, "FB301", extra_msg))
            }
            ToNode::Overlay(_) => None,
        }
    }

    /// Forgets a context of that researcher and experiment. What fails is told with an error: the reference's
    /// researcher takes any `SecaggDeleteReply` for a success. (Its nodes say nothing at all to a wrong experiment.)
    async fn delete(
        &self,
        request_id: Option<RequestId>,
        researcher_id: ResearcherId,
        secagg_id: SecaggId,
        experiment_id: Option<ExperimentId>,
    ) -> ToResearcher {
        let (store, id) = (self.store.clone(), secagg_id.clone());
        let researcher = researcher_id.to_string();
        let removed = tokio::task::spawn_blocking(move || match store.context(&id)? {
            Some(context)
                if context.researcher == researcher
                    && experiment_id.is_some_and(|id| id.as_str() == context.experiment) =>
            {
                store.remove_context(&id)
            }
            _ => Ok(false),
        });
        let why = match removed.await {
            Ok(Ok(true)) => {
                tracing::info!(%secagg_id, "deleted");
                return ToResearcher::SecaggDeleteReply(SecaggReply {
                    request_id,
                    researcher_id,
                    secagg_id,
                    success: true,
                    node_id: self.own.clone(),
                    node_name: self.name.clone(),
                    msg: Some("Secagg context is deleted.".to_owned()),
                });
            }
            Ok(Ok(false)) => {
                format!("this experiment has no secagg context {secagg_id} on this node")
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => SetupError::Stopping.to_string(),
        };
        tracing::warn!(%secagg_id, "FB321: not deleted: {why}");
        self.error(request_id, researcher_id, "FB321", format!("FB321: {why}"))
    }

    /// The answer to what came from the researcher and could not be read; `None` when it names no researcher.
    pub fn answer_malformed(&self, malformed: Malformed) -> Option<ToResearcher> {
        tracing::warn!("FB301: {}", malformed.error);
        let extra_msg = format!("FB301: {}", malformed.error);
        Some(self.error(
            malformed.request_id,
            malformed.researcher_id?,
            "FB301",
            extra_msg,
        ))
    }

    async fn set_up(&self, kind: &'static str, request: SetupRequest) -> ToResearcher {
        let started = Instant::now();
        let SetupRequest {
            request_id,
            researcher_id,
            secagg_id,
            experiment_id,
            parties,
        } = request;
        let setup = Setup {
            kind,
            researcher: researcher_id.clone(),
            run: secagg_id.clone(),
            experiment: experiment_id,
            own: self.own.clone(),
            parties,
        };
        let established = match self.run(&setup).await {
            Ok(established) => established,
            Err(error) => {
                tracing::error!(%secagg_id, kind, "FB318: {error}");
                let extra_msg = format!(
                    "FB318: cannot set up secure aggregation {secagg_id} on node {}: {error}",
                    self.own
                );
                return self.error(request_id, researcher_id, "FB318", extra_msg);
            }
        };
        tracing::info!(%secagg_id, kind, parties = setup.parties.len(), ms = started.elapsed().as_millis(), "set up");
        let reply = SecaggReply {
            request_id,
            researcher_id,
            secagg_id,
            success: true,
            node_id: self.own.clone(),
            node_name: self.name.clone(),
            msg: Some(String::new()),
        };
        match established {
            Established::PairSecrets => ToResearcher::SecaggReply(reply),
            Established::ServerKey { reply_share } => ToResearcher::AdditiveSSSetupReply {
                reply,
                share: reply_share,
            },
        }
    }

    /// One run, from the plugin's `begin` to its last step.
    async fn run(&self, setup: &Setup) -> Result<Established, SetupError> {
        check_parties(&self.own, &setup.parties)?;
        let plugin = self
            .plugins
            .for_request(setup.kind)
            .ok_or(SetupError::NoPlugin(setup.kind))?;
        let mut run = Run::begin(plugin, self.services.clone(), setup).await?;
        let mut established = None;
        let mut answers = Vec::new();
        for _ in 0..MOST_STEPS {
            let step = run.step(answers).await?;
            if let Some(result) = self.publish(plugin, setup, step.effects)? {
                established = Some(self.establish(&run, setup, result).await?);
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

    /// Publishes what a step asks to publish; hands back the result it asks to keep.
    fn publish(
        &self,
        plugin: &Arc<Plugin>,
        setup: &Setup,
        effects: Vec<Effect>,
    ) -> Result<Option<SecaggResult>, SetupError> {
        let mut data: Vec<Datum> = Vec::new();
        let mut result = None;
        for effect in effects {
            match effect {
                Effect::Publish(datum) => data.push(datum),
                Effect::Establish(found) => result = Some(found),
                Effect::Reply(_) | Effect::Deliver(_) | Effect::SetPeerKey(_) => {
                    return Err(SetupError::Plugin {
                        plugin: plugin.name().into(),
                        why: "an effect of a message in a run",
                    });
                }
            }
        }
        if !data.is_empty()
            && !self.services.materials.publish(
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
        Ok(result)
    }

    /// Sends a round's requests, all at once, and gathers the answers.
    async fn ask(
        &self,
        plugin: &Arc<Plugin>,
        researcher: &ResearcherId,
        ask: Vec<(NodeId, Outgoing)>,
    ) -> Result<Vec<(NodeId, Vec<u8>)>, SetupError> {
        let deadline = Instant::now() + REPLY_TIMEOUT;
        let mut tickets = Vec::with_capacity(ask.len());
        for (peer, outgoing) in ask {
            let ticket = self
                .requests
                .register(plugin.name(), &peer, &self.randomness);
            let (post, researcher, id) =
                (self.post.clone(), researcher.clone(), ticket.id().clone());
            // A channel that has to be set up first must not hold up the others; whoever stays silent is named below.
            tokio::spawn(async move {
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

    fn error(
        &self,
        request_id: Option<RequestId>,
        researcher_id: ResearcherId,
        errnum: &str,
        extra_msg: String,
    ) -> ToResearcher {
        ToResearcher::Error {
            request_id,
            researcher_id,
            node_id: self.own.clone(),
            node_name: self.name.clone(),
            extra_msg,
            errnum: Some(errnum.to_owned()),
        }
    }
}

fn check_parties(own: &NodeId, parties: &[NodeId]) -> Result<(), SetupError> {
    if parties.len() < 2 {
        return Err(SetupError::TooFewParties(parties.len()));
    }
    let mut seen = std::collections::BTreeSet::new();
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
