//! A researcher's requests to this node, and the set-ups they begin.
//!
//! The host answers what every node of the network must answer (a silent node blocks the researcher); a set-up is
//! driven by the plugin that begins it, round by round, with all waiting done here.

mod drive;
mod error;
mod establish;

use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::audit::Event;
use crate::chronicle::Chronicle;
use crate::handlers::{Plugins, Services, Setup};
use crate::key_store::KeyStore;
use crate::key_store::records::OpenRequest;
use crate::message::{
    ExperimentId, Integer, NodeId, RequestId, ResearcherId, SecaggId, SecaggReply, SetupRequest,
    ToNode, ToResearcher,
};
use crate::open_requests::OpenRequests;
use crate::post::Post;
use crate::randomness::Randomness;
use crate::requests::Requests;
use crate::runs::{Entry, Names, Runs};
use crate::tasks::{Tasks, blocking};
use crate::transport::Malformed;
pub use error::SetupError;

/// Runs driven at a time; further ones wait, and count their waiting.
const IN_WORK: usize = 64;

/// How a set-up ended.
#[derive(Clone, Debug)]
enum Outcome {
    PairSecrets,
    ServerKey { reply_share: Integer },
    Failed(String),
}

/// Answers a researcher in a node's name.
pub struct Setups {
    own: NodeId,
    name: String,
    plugins: Plugins,
    services: Services,
    store: Arc<KeyStore>,
    open_requests: OpenRequests,
    requests: Requests,
    post: Arc<Post>,
    randomness: Randomness,
    chronicle: Chronicle,
    runs: Runs<Setup, Outcome>,
    work: Semaphore,
    tasks: Tasks,
    stopping: CancellationToken,
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
        plugins: Plugins,
        services: Services,
        store: Arc<KeyStore>,
        open_requests: OpenRequests,
        requests: Requests,
        post: Arc<Post>,
        randomness: Randomness,
        chronicle: Chronicle,
        tasks: Tasks,
    ) -> Self {
        Self {
            own,
            name,
            plugins,
            services,
            store,
            open_requests,
            requests,
            post,
            randomness,
            chronicle,
            runs: Runs::new(Names::Again),
            work: Semaphore::new(IN_WORK),
            tasks,
            stopping: CancellationToken::new(),
        }
    }

    /// Ends all runs; their researchers hear that the node is stopping.
    pub async fn stop(&self) {
        self.stopping.cancel();
        self.tasks.ended().await;
    }

    /// The answer to a researcher's request; `None` for overlays and protocols, which are not for this part of the node, and
    /// for what names no researcher.
    pub async fn answer(self: &Arc<Self>, request: ToNode) -> Option<ToResearcher> {
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
            ToNode::Overlay(_) | ToNode::ProtocolRun(_) => None,
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
        let experiment = experiment_id.map_or_else(String::new, |id| id.to_string());
        let asked_for = experiment.clone();
        let removed = blocking(move || match store.context(&id)? {
            Some(context) if context.is_of(&researcher) && experiment == context.experiment => {
                store.remove_context(&id)
            }
            _ => Ok(false),
        });
        let why = match removed.await {
            Some(Ok(true)) => {
                tracing::info!(%secagg_id, "deleted");
                self.chronicle.audit.record(Event::SecaggDeleted {
                    researcher_id: researcher_id.to_string(),
                    secagg_id: secagg_id.to_string(),
                    experiment_id: asked_for,
                });
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
            Some(Ok(false)) => {
                format!("this experiment has no secagg context {secagg_id} on this node")
            }
            Some(Err(error)) => error.to_string(),
            None => SetupError::Stopping.to_string(),
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

    async fn set_up(self: &Arc<Self>, kind: &'static str, request: SetupRequest) -> ToResearcher {
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
        let reply = SecaggReply {
            request_id: request_id.clone(),
            researcher_id: researcher_id.clone(),
            secagg_id: secagg_id.clone(),
            success: true,
            node_id: self.own.clone(),
            node_name: self.name.clone(),
            msg: Some(String::new()),
        };
        let open = OpenRequest::SetUp {
            researcher: researcher_id.clone(),
            secagg_id: secagg_id.clone(),
        };
        let outcome = match self.open_requests.open(request_id.as_ref(), open).await {
            Ok(()) => self.outcome(setup, request_id.as_ref()).await,
            Err(error) => Outcome::Failed(SetupError::from(error).to_string()),
        };
        match outcome {
            Outcome::PairSecrets => ToResearcher::SecaggReply(reply),
            Outcome::ServerKey { reply_share } => ToResearcher::AdditiveSSSetupReply {
                reply,
                share: reply_share,
            },
            Outcome::Failed(why) => self.failed_set_up(request_id, researcher_id, &secagg_id, &why),
        }
    }

    async fn outcome(self: &Arc<Self>, setup: Setup, request: Option<&RequestId>) -> Outcome {
        let ending = match self.runs.enter(setup.run.as_str(), &setup, request) {
            Entry::Begin(report) => {
                let ending = report.ending();
                let (setups, request) = (self.clone(), request.cloned());
                self.tasks.spawn(async move {
                    let outcome = match setups.check_new(request.as_ref()).await {
                        Ok(()) => setups.drive(&setup).await,
                        Err(error) => Outcome::Failed(error.to_string()),
                    };
                    report.send(outcome);
                });
                ending
            }
            Entry::Join(ending) => ending,
            Entry::Taken => return Outcome::Failed(SetupError::Busy(setup.run).to_string()),
            Entry::Full => return Outcome::Failed(SetupError::TooManyRuns.to_string()),
        };
        let outcome = ending.outcome().await;
        outcome.unwrap_or_else(|| Outcome::Failed(SetupError::Stopping.to_string()))
    }

    /// The answer to a request that this node was killed over.
    pub fn answer_left_open(
        &self,
        request_id: RequestId,
        researcher_id: ResearcherId,
        secagg_id: &SecaggId,
    ) -> ToResearcher {
        let why = "it ended before the set-up was done, and was started again";
        self.failed_set_up(Some(request_id), researcher_id, secagg_id, why)
    }

    /// Refuses a request that this node has answered and that it does not remember the run of.
    async fn check_new(&self, request: Option<&RequestId>) -> Result<(), SetupError> {
        match self.open_requests.was_answered(request).await? {
            true => Err(SetupError::AnsweredBefore),
            false => Ok(()),
        }
    }

    fn failed_set_up(
        &self,
        request_id: Option<RequestId>,
        researcher_id: ResearcherId,
        secagg_id: &SecaggId,
        why: &str,
    ) -> ToResearcher {
        let own = &self.own;
        let extra_msg =
            format!("FB318: cannot set up secure aggregation {secagg_id} on node {own}: {why}");
        self.error(request_id, researcher_id, "FB318", extra_msg)
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
