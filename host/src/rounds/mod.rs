//! Protocols that several parties run together: this node's part in them, from a researcher's request to the answer.
//!
//! A part is driven round by round. What it hands over lies in [`parcels`](crate::parcels), from where the others fetch it; what they
//! hand over is fetched here. Nothing of a run outlives its node but what its plugin stored: a node that dies in the middle is one
//! that is silent.

mod drive;
mod error;
mod gather;

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::chronicle::Chronicle;
use crate::handlers::{Plugins, Services, Start};
use crate::message::{
    NodeId, ProtocolOutcome, ProtocolRun, ProtocolRunReply, RequestId, ToResearcher,
};
use crate::parcels::Parcels;
use crate::post::Post;
use crate::randomness::Randomness;
use crate::requests::Requests;
use crate::runs::{Entry, Names, Runs};
use crate::tasks::{Tasks, blocking};
pub use drive::RUN_DEADLINE;
pub use error::RoundsError;

/// Takes part in protocols in a node's name.
pub struct Rounds {
    own: NodeId,
    name: String,
    plugins: Plugins,
    services: Services,
    parcels: Parcels,
    requests: Requests,
    post: Arc<Post>,
    randomness: Randomness,
    chronicle: Chronicle,
    runs: Runs<Start, ProtocolOutcome>,
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
        requests: Requests,
        post: Arc<Post>,
        chronicle: Chronicle,
        tasks: Tasks,
    ) -> Self {
        Self {
            own,
            name,
            plugins,
            randomness: services.randomness.clone(),
            services,
            parcels,
            requests,
            post,
            chronicle,
            runs: Runs::new(Names::Once),
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
        let outcome = self.outcome(start, request_id.clone()).await;
        ToResearcher::ProtocolRunReply(ProtocolRunReply {
            request_id,
            researcher_id,
            node_id: self.own.clone(),
            node_name: self.name.clone(),
            protocol,
            run_id,
            outcome: outcome.unwrap_or_else(|error| failed(&error)),
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
                    let ended = match rounds.check_new(request).await {
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
    async fn check_new(&self, request: Option<RequestId>) -> Result<(), RoundsError> {
        let Some(id) = request else {
            return Ok(());
        };
        let store = self.services.store.clone();
        let answered = blocking(move || store.was_answered(&id)).await;
        match answered.ok_or(RoundsError::Stopping)?? {
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
