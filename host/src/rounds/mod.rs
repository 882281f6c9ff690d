//! Protocols that several parties run together: this node's part in them, from a researcher's request to the answer.
//!
//! A part is driven round by round. What it hands over lies in [`parcels`](crate::parcels), from where the others fetch it; what they
//! hand over is fetched here. Nothing of a run outlives its node but what its plugin stored: for the others a node that dies in the
//! middle is one that is silent, and its researcher hears of it when it is started again.

mod drive;
mod error;
mod gather;

use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::chronicle::Chronicle;
use crate::handlers::{Plugins, Services, Start};
use crate::key_store::records::OpenRequest;
use crate::message::{
    NodeId, ProtocolOutcome, ProtocolRun, ProtocolRunReply, RequestId, ResearcherId, ToResearcher,
};
use crate::open_requests::OpenRequests;
use crate::parcels::{Key, Parcels};
use crate::post::Post;
use crate::randomness::Randomness;
use crate::requests::Requests;
use crate::runs::{Entry, Names, Runs};
use crate::tasks::Tasks;
pub use drive::RUN_DEADLINE;
pub use error::RoundsError;

/// Parts at a time. Each has an instance for as long as its run lasts: with the messages in work (1100) and the set-ups (64), all that
/// the engine has.
const AT_A_TIME: usize = 32;

/// Takes part in protocols in a node's name.
pub struct Rounds {
    own: NodeId,
    name: String,
    plugins: Plugins,
    services: Services,
    parcels: Parcels,
    open_requests: OpenRequests,
    requests: Requests,
    post: Arc<Post>,
    randomness: Randomness,
    chronicle: Chronicle,
    runs: Runs<Start, ProtocolOutcome>,
    work: Semaphore,
    tasks: Tasks,
    stopping: CancellationToken,
}

impl Rounds {
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
        parcels: Parcels,
        open_requests: OpenRequests,
        requests: Requests,
        post: Arc<Post>,
        chronicle: Chronicle,
        tasks: Tasks,
    ) -> Self {
        Self {
            own,
            name,
            plugins,
            randomness: services.sources.randomness.clone(),
            services,
            parcels,
            open_requests,
            requests,
            post,
            chronicle,
            runs: Runs::new(Names::Once),
            work: Semaphore::new(AT_A_TIME),
            tasks,
            stopping: CancellationToken::new(),
        }
    }

    /// Ends all runs; their researchers hear that the node is stopping.
    pub async fn stop(&self) {
        self.stopping.cancel();
        self.tasks.ended().await;
    }

    /// The answer to a researcher's request, once the run has ended here.
    pub async fn answer(self: &Arc<Self>, request: ProtocolRun) -> ToResearcher {
        let ProtocolRun {
            request_id,
            researcher_id,
            protocol,
            run_id,
            parties,
            params,
        } = request;
        let start = Start {
            protocol: protocol.clone(),
            researcher: researcher_id.clone(),
            run: run_id.clone(),
            own: self.own.clone(),
            parties,
            params: params.into(),
        };
        let open = OpenRequest::Protocol {
            researcher: researcher_id.clone(),
            protocol: protocol.clone(),
            run_id: run_id.clone(),
            parties: start.parties.clone(),
        };
        let outcome = match self.open_requests.open(request_id.as_ref(), open).await {
            Ok(()) => self.outcome(start, request_id.clone()).await,
            Err(error) => Err(error.into()),
        };
        let outcome = outcome.unwrap_or_else(|error| failed(&error));
        self.reply(request_id, researcher_id, (protocol, run_id), outcome)
    }

    /// The answer to a request that this node was killed over. The others hear of it when they ask.
    pub fn answer_left_open(
        &self,
        request_id: RequestId,
        researcher_id: ResearcherId,
        run: Key,
        parties: Vec<NodeId>,
    ) -> ToResearcher {
        self.parcels
            .refuse(run.clone(), researcher_id.clone(), parties);
        let outcome = failed(&RoundsError::Killed);
        self.reply(Some(request_id), researcher_id, run, outcome)
    }

    fn reply(
        &self,
        request_id: Option<RequestId>,
        researcher_id: ResearcherId,
        (protocol, run_id): Key,
        outcome: ProtocolOutcome,
    ) -> ToResearcher {
        ToResearcher::ProtocolRunReply(ProtocolRunReply {
            request_id,
            researcher_id,
            node_id: self.own.clone(),
            node_name: self.name.clone(),
            protocol,
            run_id,
            outcome,
        })
    }

    async fn outcome(
        self: &Arc<Self>,
        start: Start,
        request: Option<RequestId>,
    ) -> Result<ProtocolOutcome, RoundsError> {
        let ending = match self
            .runs
            .enter(start.run.as_str(), &start, request.as_ref())
        {
            Entry::Begin(report) => {
                let ending = report.ending();
                let rounds = self.clone();
                self.tasks.spawn(async move {
                    let ended = match rounds.check_new(request.as_ref()).await {
                        Ok(()) => rounds.drive(&start).await,
                        Err(error) => Err(error),
                    };
                    report.send(match ended {
                        Ok(result) => ProtocolOutcome::Done(result.to_vec()),
                        Err(error) => failed(&error),
                    });
                });
                ending
            }
            Entry::Join(ending) => ending,
            Entry::Taken => return Err(RoundsError::NameTaken(start.run)),
            Entry::Full => return Err(RoundsError::TooManyRuns),
        };
        ending.outcome().await.ok_or(RoundsError::Stopping)
    }

    /// Refuses a request that this node had answered before it was started again.
    async fn check_new(&self, request: Option<&RequestId>) -> Result<(), RoundsError> {
        match self.open_requests.was_answered(request).await? {
            true => Err(RoundsError::AnsweredBefore),
            false => Ok(()),
        }
    }
}

fn failed(error: &RoundsError) -> ProtocolOutcome {
    ProtocolOutcome::Failed {
        blamed: error.blamed().to_vec(),
        why: error.to_string(),
    }
}
