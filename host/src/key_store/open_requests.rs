//! Researchers' requests that have no answer yet.

use redb::TableDefinition;

use super::records::OpenRequest;
use super::{KeyStore, StoreError, records};
use crate::message::RequestId;

/// Stores of earlier versions have it from their first request on.
const OPEN_REQUESTS: TableDefinition<&str, &[u8]> = TableDefinition::new("open_requests");

impl KeyStore {
    /// All that were put in and not closed.
    pub fn open_requests(&self) -> Result<Vec<(RequestId, OpenRequest)>, StoreError> {
        self.scan(OPEN_REQUESTS)?
            .into_iter()
            .map(|(id, bytes)| {
                let what = || format!("request {id}");
                let request =
                    RequestId::try_from(id.as_str()).map_err(|_| StoreError::Damaged(what()))?;
                Ok((request, records::decode(&bytes, what)?))
            })
            .collect()
    }

    /// Remembers a request until it is [closed](Self::close_request).
    pub fn put_open_request(
        &self,
        id: &RequestId,
        request: &OpenRequest,
    ) -> Result<(), StoreError> {
        self.put(OPEN_REQUESTS, id.as_ref(), &records::encode(request)?)
    }

    /// Forgets a request that has its answer.
    pub fn close_request(&self, id: &RequestId) -> Result<(), StoreError> {
        self.remove(OPEN_REQUESTS, id.as_ref()).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::NodeId;
    use crate::randomness::Randomness;

    #[test]
    fn knows_after_a_restart_which_requests_are_open_and_no_other() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("node.redb");
        let node = NodeId::try_from("a").expect("a valid id");
        let open = || KeyStore::open(&path, &node, &Randomness::from_seed(1)).expect("a store");
        let [first, second] = ["1", "2"].map(|id| RequestId::try_from(id).expect("a valid id"));
        let request = OpenRequest {
            researcher: "R".parse().expect("a valid id"),
            secagg_id: "s".parse().expect("a valid id"),
        };

        let store = open();
        assert_eq!(store.open_requests().expect("read"), []);
        for id in [&first, &second] {
            store.put_open_request(id, &request).expect("kept");
        }
        store.close_request(&first).expect("closed");
        drop(store);

        let store = open();
        let left = store.open_requests().expect("read");
        assert_eq!(left, [(second.clone(), request)]);
        store.close_request(&second).expect("closed");
        store.close_request(&second).expect("no matter");
        assert_eq!(store.open_requests().expect("read"), []);
    }
}
