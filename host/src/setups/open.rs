//! Requests that a node was killed over.
//!
//! A researcher of the reference waits 60 s for an answer, unless the node stays away for more than 10 s. So a request for a
//! set-up is on disk until the relay has taken its answer, and what is there at a start is answered with an error.

use std::sync::Arc;

use super::Setups;
use crate::key_store::records::OpenRequest;
use crate::key_store::{KeyStore, StoreError};
use crate::message::{RequestId, ResearcherId, ToResearcher};

impl Setups {
    /// The answers to what a killed node left open. To be asked for before the first request comes. Those of another
    /// researcher than `researcher`, who would be out of reach, are forgotten.
    pub fn left_open(
        &self,
        researcher: &ResearcherId,
    ) -> Result<Vec<(RequestId, ToResearcher)>, StoreError> {
        let mut answers = Vec::new();
        for (id, open) in self.store.open_requests()? {
            if open.researcher != researcher.as_str() {
                self.store.close_request(&id)?;
                continue;
            }
            let OpenRequest { secagg_id, .. } = open;
            tracing::warn!(request = %id, secagg_id, "FB318: this node ended before it had answered");
            let why = "it ended before the set-up was done, and was started again";
            let answer = self.failed_set_up(Some(id.clone()), researcher.clone(), &secagg_id, why);
            answers.push((id, answer));
        }
        Ok(answers)
    }

    /// To be told when an answer is out of this node's hands.
    pub async fn answered(&self, request: RequestId) {
        let closed = on_disk(&self.store, move |store| store.close_request(&request)).await;
        if let Err(error) = closed {
            tracing::warn!("an answered request is not forgotten: {error}");
        }
    }

    /// Has a request on disk before anything is done for it.
    pub(super) async fn open(
        &self,
        request: Option<&RequestId>,
        open: OpenRequest,
    ) -> Result<(), StoreError> {
        // An answer to a request without an id reaches nobody.
        let Some(id) = request.cloned() else {
            return Ok(());
        };
        on_disk(&self.store, move |store| store.put_open_request(&id, &open)).await
    }
}

/// Has a thread that may block wait for the disk.
async fn on_disk(
    store: &Arc<KeyStore>,
    work: impl FnOnce(&KeyStore) -> Result<(), StoreError> + Send + 'static,
) -> Result<(), StoreError> {
    let store = store.clone();
    let done = tokio::task::spawn_blocking(move || work(&store)).await;
    // Fails only when the whole program is about to end.
    done.unwrap_or(Ok(()))
}
