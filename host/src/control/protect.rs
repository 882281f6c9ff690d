//! Protecting a vector with the keys of a context: they stay in the node, and a round serves once.

use tonic::Status;
use zeroize::Zeroizing;

use super::node::store_status;
use crate::key_store::records::{ContextRecord, ContextSecret};
use crate::key_store::{KeyStore, StoreError};
use crate::message::{Integer, NodeId, SecaggId};
use crate::secure_sum::additive::ServerKey;
use crate::secure_sum::joye_libert::{self, Ciphertext, Packing};
use crate::secure_sum::lom;

/// A context of the node, for one vector.
pub(super) struct ProtectionContext<'a> {
    store: &'a KeyStore,
    own: &'a NodeId,
    id: &'a SecaggId,
    record: ContextRecord,
}

impl<'a> ProtectionContext<'a> {
    pub(super) fn load(
        store: &'a KeyStore,
        own: &'a NodeId,
        id: &'a SecaggId,
    ) -> Result<Self, Status> {
        let record = store.context(id).map_err(|error| store_status(&error))?;
        let record = record.ok_or_else(|| store_status(&StoreError::NoContext(id.clone())))?;
        Ok(Self {
            store,
            own,
            id,
            record,
        })
    }

    /// Whether it is for masks, not for Joye-Libert.
    pub(super) fn is_pairs(&self) -> bool {
        matches!(self.record.secret, ContextSecret::Pairs(_))
    }

    pub(super) fn scheme(&self) -> &'static str {
        self.record.secret.scheme()
    }

    pub(super) fn parties(&self) -> Vec<String> {
        self.record.parties.clone()
    }

    /// LOM, with the pair secrets.
    pub(super) fn mask(&self, round: u64, values: &[u64]) -> Result<Vec<u64>, Status> {
        let id = self.id;
        let ContextSecret::Pairs(pairs) = &self.record.secret else {
            return Err(Status::failed_precondition(format!(
                "{id} is a server-key context: LOM masks with the pair secrets of a dh context"
            )));
        };
        let damaged = |_| damaged(id);
        let parties = self.record.parties.iter();
        let parties = parties
            .map(|party| NodeId::try_from(party.as_str()))
            .collect::<Result<Vec<_>, _>>()
            .map_err(damaged)?;
        let secrets = pairs
            .iter()
            .map(|(peer, secret)| {
                let peer = NodeId::try_from(peer.as_str())?;
                Ok((peer, Zeroizing::new(*secret.as_bytes())))
            })
            .collect::<Result<_, _>>()
            .map_err(damaged)?;
        let nonce = lom::nonce_from_id(id.as_str());
        // Before the round is claimed, so that a vector that is refused does not use it up.
        let masked = lom::protect(self.own, &secrets, &parties, &nonce, round, values)
            .map_err(|error| Status::invalid_argument(error.to_string()))?;
        self.claim(round)?;
        Ok(masked)
    }

    /// Joye-Libert, with the server key.
    pub(super) fn encrypt(
        &self,
        round: u64,
        value_bits: u32,
        values: &[u64],
    ) -> Result<Vec<Ciphertext>, Status> {
        let key = server_key(self.id, &self.record)?;
        let packing = Packing::new(value_bits, self.record.parties.len())
            .ok_or_else(|| Status::invalid_argument("no plaintext holds values of that range"))?;
        let encrypted = joye_libert::protect(&key, packing, round, values)
            .map_err(|error| Status::invalid_argument(error.to_string()))?;
        self.claim(round)?;
        Ok(encrypted)
    }

    /// On disk before anything protected leaves the node.
    fn claim(&self, round: u64) -> Result<(), Status> {
        let claimed = self.store.claim_round(self.id, round);
        let claimed = claimed.map_err(|error| store_status(&error))?;
        // A set-up may have replaced the context since it was read: then nothing says that the old one's round was free.
        if claimed.secret == self.record.secret {
            Ok(())
        } else {
            Err(Status::aborted(format!(
                "{} was set up again at this moment\nprotect the vector once more, in a higher round",
                self.id
            )))
        }
    }
}

/// The node's server key of a context.
pub(super) fn server_key(id: &SecaggId, record: &ContextRecord) -> Result<ServerKey, Status> {
    let ContextSecret::ServerKey(bytes) = &record.secret else {
        return Err(Status::failed_precondition(format!(
            "{id} is a dh context: it has no server key"
        )));
    };
    let key = Integer::from_signed_bytes_be(bytes).map_err(|_| damaged(id))?;
    ServerKey::from_integer(&key).map_err(|_| damaged(id))
}

fn damaged(id: &SecaggId) -> Status {
    Status::data_loss(format!("the record of {id} is damaged"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key_store::records::Secret32;
    use crate::randomness::Randomness;

    fn context(secret: u8) -> ContextRecord {
        ContextRecord {
            researcher: Some("R".into()),
            experiment: "exp".into(),
            parties: vec!["a".into(), "b".into()],
            secret: ContextSecret::Pairs([("b".to_owned(), Secret32::from([secret; 32]))].into()),
            last_round: None,
        }
    }

    #[test]
    fn refuses_to_mask_with_secrets_that_were_replaced_meanwhile() {
        let own = NodeId::try_from("a").expect("valid");
        let id = SecaggId::try_from("s").expect("valid");
        let store = KeyStore::in_memory(&own, &Randomness::from_seed(1)).expect("a store");
        store.put_context(&id, &context(1)).expect("kept");
        let read = ProtectionContext::load(&store, &own, &id).expect("there");
        store.put_context(&id, &context(2)).expect("replaced");

        let refused = read.mask(1, &[7]).expect_err("refused");
        assert_eq!(refused.code(), tonic::Code::Aborted);
        let again = ProtectionContext::load(&store, &own, &id).expect("there");
        assert!(again.mask(2, &[7]).is_ok());
    }
}
