//! Researchers' requests: those that have no answer yet, and the latest that had one.

use redb::{ReadableTable, TableDefinition, WriteTransaction};

use super::records::OpenRequest;
use super::{KeyStore, StoreError, records};
use crate::message::RequestId;

/// Stores of earlier versions have it from their first request on.
pub(super) const OPEN_REQUESTS: TableDefinition<&str, &[u8]> =
    TableDefinition::new("open_requests");
/// The answered ones, with their place among them.
pub(super) const ANSWERED: TableDefinition<&str, u64> = TableDefinition::new("answered_requests");
/// The same, by place.
pub(super) const IN_ORDER: TableDefinition<u64, &str> =
    TableDefinition::new("answered_requests_in_order");

/// How many answered requests are remembered. By number and not by time, as the clock of a machine may jump.
const MOST_ANSWERED: u64 = 4096;

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

    /// A request has its answer: it is no longer open, and [remembered](Self::was_answered).
    pub fn close_request(&self, id: &RequestId) -> Result<(), StoreError> {
        let transaction = self.database.begin_write()?;
        transaction.open_table(OPEN_REQUESTS)?.remove(id.as_ref())?;
        remember(&transaction, id)?;
        transaction.commit()?;
        Ok(())
    }

    /// Remembers a request as answered that may still be open.
    pub fn remember_answered(&self, id: &RequestId) -> Result<(), StoreError> {
        let transaction = self.database.begin_write()?;
        remember(&transaction, id)?;
        transaction.commit()?;
        Ok(())
    }

    /// Whether a request is among the latest 4096 that had an answer.
    pub fn was_answered(&self, id: &RequestId) -> Result<bool, StoreError> {
        match self.database.begin_read()?.open_table(ANSWERED) {
            Err(redb::TableError::TableDoesNotExist(_)) => Ok(false),
            table => Ok(table?.get(id.as_ref())?.is_some()),
        }
    }
}

fn remember(transaction: &WriteTransaction, id: &RequestId) -> Result<(), StoreError> {
    let mut answered = transaction.open_table(ANSWERED)?;
    let mut in_order = transaction.open_table(IN_ORDER)?;
    if answered.get(id.as_ref())?.is_some() {
        return Ok(());
    }
    let place = in_order.last()?.map_or(0, |(last, _)| last.value() + 1);
    answered.insert(id.as_ref(), place)?;
    in_order.insert(place, id.as_ref())?;
    if let Some(old) = place.checked_sub(MOST_ANSWERED)
        && let Some(forgotten) = in_order.remove(old)?
    {
        answered.remove(forgotten.value())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key_store::Lock;
    use crate::message::{NodeId, ResearcherId};
    use crate::randomness::Randomness;

    #[test]
    fn knows_after_a_restart_which_requests_are_open_and_no_other() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("node.redb");
        let node = NodeId::try_from("a").expect("a valid id");
        let open = || {
            KeyStore::open(&path, &node, &Lock::Off, &Randomness::from_seed(1)).expect("a store")
        };
        let [first, second, third] =
            ["1", "2", "3"].map(|id| RequestId::try_from(id).expect("a valid id"));
        let researcher: ResearcherId = "R".parse().expect("a valid id");
        let set_up = OpenRequest::SetUp {
            researcher: researcher.clone(),
            secagg_id: "s".parse().expect("a valid id"),
        };
        let protocol = OpenRequest::Protocol {
            researcher,
            protocol: "beacon".into(),
            run_id: "run".parse().expect("a valid id"),
            parties: vec![node.clone()],
        };

        let store = open();
        assert_eq!(store.open_requests().expect("read"), []);
        for (id, request) in [(&first, &set_up), (&second, &set_up), (&third, &protocol)] {
            store.put_open_request(id, request).expect("kept");
        }
        store.close_request(&first).expect("closed");
        drop(store);

        let store = open();
        let left = store.open_requests().expect("read");
        assert_eq!(left, [(second.clone(), set_up), (third.clone(), protocol)]);
        store.close_request(&second).expect("closed");
        store.close_request(&second).expect("no matter");
        store.close_request(&third).expect("closed");
        assert_eq!(store.open_requests().expect("read"), []);
    }

    #[test]
    fn remembers_the_latest_answered_requests_across_a_restart() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("node.redb");
        let node = NodeId::try_from("a").expect("a valid id");
        let open = || {
            KeyStore::open(&path, &node, &Lock::Off, &Randomness::from_seed(1)).expect("a store")
        };
        let id = |n: u64| RequestId::try_from(n.to_string().as_str()).expect("a valid id");

        let store = open();
        assert!(!store.was_answered(&id(0)).expect("read"));
        let transaction = store.database.begin_write().expect("begun");
        for n in 0..MOST_ANSWERED {
            remember(&transaction, &id(n)).expect("remembered");
        }
        transaction.commit().expect("kept");
        store.close_request(&id(MOST_ANSWERED)).expect("closed");
        store.close_request(&id(MOST_ANSWERED)).expect("no matter");
        drop(store);

        let store = open();
        let answered = |n| store.was_answered(&id(n)).expect("read");
        assert!(!answered(0), "the oldest made room");
        assert!(answered(1) && answered(MOST_ANSWERED));
    }
}
