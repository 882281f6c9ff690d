//! What was agreed with others: channels of suite 1, secagg contexts, and the researcher's certificate.

use super::records::{self, ChannelRecord, ContextRecord};
use super::{ABOUT, CHANNELS, CONTEXTS, KeyStore, PluginChanges, StoreError, plugins};
use crate::message::{NodeId, SecaggId};

impl KeyStore {
    /// All channels, by peer.
    pub fn channels(&self) -> Result<Vec<(NodeId, ChannelRecord)>, StoreError> {
        self.scan(CHANNELS)?
            .into_iter()
            .map(|(peer, bytes)| {
                let node = NodeId::try_from(peer.as_str())
                    .map_err(|_| StoreError::Damaged(format!("channel {peer}")))?;
                Ok((node, records::decode(&bytes, || format!("channel {peer}"))?))
            })
            .collect()
    }

    /// Keeps a channel, in place of an earlier one with that peer.
    pub fn put_channel(&self, peer: &NodeId, channel: &ChannelRecord) -> Result<(), StoreError> {
        self.put(CHANNELS, peer.as_ref(), &records::encode(channel)?)
    }

    /// A secagg context.
    pub fn context(&self, id: &SecaggId) -> Result<Option<ContextRecord>, StoreError> {
        match self.get(CONTEXTS, id.as_ref())? {
            Some(bytes) => Ok(Some(records::decode(&bytes, || format!("context {id}"))?)),
            None => Ok(None),
        }
    }

    /// All secagg contexts.
    pub fn contexts(&self) -> Result<Vec<(SecaggId, ContextRecord)>, StoreError> {
        self.scan(CONTEXTS)?
            .into_iter()
            .map(|(id, bytes)| {
                let secagg = SecaggId::try_from(id.as_str())
                    .map_err(|_| StoreError::Damaged(format!("context {id}")))?;
                Ok((secagg, records::decode(&bytes, || format!("context {id}"))?))
            })
            .collect()
    }

    /// Keeps a secagg context, in place of an earlier one of that id.
    pub fn put_context(&self, id: &SecaggId, context: &ContextRecord) -> Result<(), StoreError> {
        self.put(CONTEXTS, id.as_ref(), &records::encode(context)?)
    }

    /// Keeps a secagg context as [`Self::put_context`] does, and makes a plugin's changes of its entries: both or neither.
    pub fn put_context_and_entries(
        &self,
        id: &SecaggId,
        context: &ContextRecord,
        changes: &PluginChanges,
    ) -> Result<(), StoreError> {
        let transaction = self.database.begin_write()?;
        self.put_in(
            &transaction,
            CONTEXTS,
            id.as_ref(),
            &records::encode(context)?,
        )?;
        plugins::change(&transaction, changes, &self.sealing)?;
        transaction.commit()?;
        Ok(())
    }

    /// Forgets a secagg context; `false` when there is none.
    pub fn remove_context(&self, id: &SecaggId) -> Result<bool, StoreError> {
        self.remove(CONTEXTS, id.as_ref())
    }

    /// The certificate (DER) that the researcher at `address` showed when this node first met it.
    pub fn researcher_certificate(&self, address: &str) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self
            .get(ABOUT, &certificate_key(address))?
            .map(|der| der.to_vec()))
    }

    /// Remembers the researcher's certificate (DER).
    pub fn put_researcher_certificate(&self, address: &str, der: &[u8]) -> Result<(), StoreError> {
        self.put(ABOUT, &certificate_key(address), der)
    }
}

fn certificate_key(address: &str) -> String {
    format!("researcher_certificate {address}")
}
