//! Requests that a node was killed over, and those that come again after it was.
//!
//! A researcher of the reference waits 60 s for an answer, unless the node stays away for more than 10 s. So a request that a plugin works
//! for is on disk until the relay has taken its answer, and what is there at a start is answered with an error.
//!
//! A request that is delivered again after that must not begin a run: its peers may have the shares and keys of the first, and
//! every party would report success over keys that do not fit. (Simulation found it.) So answered requests are remembered.

use std::sync::Arc;

use crate::key_store::records::OpenRequest;
use crate::key_store::{KeyStore, StoreError};
use crate::message::RequestId;
use crate::tasks::blocking;

/// The requests of one node that have no answer yet. Clones are the same.
#[derive(Clone)]
pub struct OpenRequests(Arc<KeyStore>);

/// Why nothing is known or kept of a request.
#[derive(Debug, thiserror::Error)]
pub enum NotKept {
    /// Ours: the disk.
    #[error("{0}")]
    Store(#[from] StoreError),
    /// The whole program is about to end.
    #[error("the node is stopping")]
    Stopping,
}

impl OpenRequests {
    /// Those in `store`.
    pub fn new(store: Arc<KeyStore>) -> Self {
        Self(store)
    }

    /// What a killed node left open: to be answered, and never to be begun again. To be asked for before the first request comes.
    pub fn left(&self) -> Result<Vec<(RequestId, OpenRequest)>, StoreError> {
        let left = self.0.open_requests()?;
        for (id, open) in &left {
            self.0.remember_answered(id)?;
            tracing::warn!(request = %id, run = open.run(), "this node ended before it had answered");
        }
        Ok(left)
    }

    /// Has a request on disk before anything is done for it.
    pub async fn open(&self, id: Option<&RequestId>, open: OpenRequest) -> Result<(), NotKept> {
        // An answer to a request without an id reaches nobody.
        let Some(id) = id.cloned() else {
            return Ok(());
        };
        let store = self.0.clone();
        let kept = blocking(move || store.put_open_request(&id, &open)).await;
        kept.ok_or(NotKept::Stopping)?.map_err(Into::into)
    }

    /// Whether this node has answered a request, be it before it was started again.
    pub async fn was_answered(&self, id: Option<&RequestId>) -> Result<bool, NotKept> {
        let Some(id) = id.cloned() else {
            return Ok(false);
        };
        let store = self.0.clone();
        let answered = blocking(move || store.was_answered(&id)).await;
        answered.ok_or(NotKept::Stopping)?.map_err(Into::into)
    }

    /// To be told when an answer is out of this node's hands.
    pub async fn answered(&self, id: RequestId) {
        let store = self.0.clone();
        // `None` only when the whole program is about to end.
        if let Some(Err(error)) = blocking(move || store.close_request(&id)).await {
            tracing::warn!("an answered request is not forgotten: {error}");
        }
    }
}
