//! Requests that a node was killed over, and those that come again after it was.
//!
//! A researcher of the reference waits 60 s for an answer, unless the node stays away for more than 10 s. So a request for a
//! set-up is on disk until the relay has taken its answer, and what is there at a start is answered with an error.
//!
//! A request that is delivered again after that must not begin a run: its peers may have the shares and keys of the first, and
//! every party would report success over keys that do not fit. (Simulation found it.) So answered requests are remembered.

use super::{SetupError, Setups};
use crate::key_store::StoreError;
use crate::key_store::records::OpenRequest;
use crate::message::{RequestId, ToResearcher};
use crate::tasks::blocking;

impl Setups {
    /// The answers to what a killed node left open. To be asked for before the first request comes.
    pub fn left_open(&self) -> Result<Vec<(RequestId, ToResearcher)>, StoreError> {
        let left_open = self.store.open_requests()?;
        for (id, _) in &left_open {
            self.store.remember_answered(id)?;
        }
        let answers = left_open.into_iter().map(|(id, open)| {
            let OpenRequest {
                researcher,
                secagg_id,
            } = open;
            tracing::warn!(request = %id, %secagg_id, "FB318: this node ended before it had answered");
            let why = "it ended before the set-up was done, and was started again";
            let answer = self.failed_set_up(Some(id.clone()), researcher, &secagg_id, why);
            (id, answer)
        });
        Ok(answers.collect())
    }

    /// To be told when an answer is out of this node's hands.
    pub async fn answered(&self, request: RequestId) {
        let store = self.store.clone();
        // `None` only when the whole program is about to end.
        if let Some(Err(error)) = blocking(move || store.close_request(&request)).await {
            tracing::warn!("an answered request is not forgotten: {error}");
        }
    }

    /// Refuses a request that this node has answered and that it does not remember the run of.
    pub(super) async fn check_new(&self, request: Option<RequestId>) -> Result<(), SetupError> {
        let Some(id) = request else {
            return Ok(());
        };
        let store = self.store.clone();
        let answered = blocking(move || store.was_answered(&id)).await;
        match answered.ok_or(SetupError::Stopping)?? {
            true => Err(SetupError::AnsweredBefore),
            false => Ok(()),
        }
    }

    /// Has a request on disk before anything is done for it.
    pub(super) async fn open(
        &self,
        request: Option<&RequestId>,
        open: OpenRequest,
    ) -> Result<(), SetupError> {
        // An answer to a request without an id reaches nobody.
        let Some(id) = request.cloned() else {
            return Ok(());
        };
        let store = self.store.clone();
        let kept = blocking(move || store.put_open_request(&id, &open)).await;
        kept.ok_or(SetupError::Stopping)?.map_err(Into::into)
    }
}
