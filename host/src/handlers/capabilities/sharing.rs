use super::n2n::sharing;
use super::{Failure, refused};
use crate::handlers::Capability;
use crate::handlers::state::{CallState, SharedKey, Subject};
use crate::secure_sum::additive::ServerKey;
use crate::trace::Value;

impl sharing::Host for CallState {
    fn share_for(&mut self, peer: String) -> wasmtime::Result<Result<Vec<u8>, Failure>> {
        let given = || vec![Value::Text(peer.clone())];
        self.host_call(Capability::Sharing, "share-for", given, |state| {
            state.share_for(&peer)
        })
    }
}

impl CallState {
    fn share_for(&mut self, peer: &str) -> wasmtime::Result<Result<Vec<u8>, Failure>> {
        let Subject::Run(run) = &mut self.subject else {
            return refused("sharing is for initiators: a message has no run");
        };
        let (own, parties) = (&run.own, &run.parties);
        let mut randomness = self.services.sources.randomness.clone();
        let split = match &mut run.sharing {
            Some(split) => split,
            none => {
                let key = ServerKey::random(&mut randomness);
                let split = key.split(parties.len(), &mut randomness)?;
                let others = parties.iter().filter(|party| *party != own).cloned();
                none.insert(SharedKey {
                    given: others.zip(split.given).collect(),
                    kept: split.kept,
                    key,
                })
            }
        };
        match split.given.iter().find(|(party, _)| party.as_str() == peer) {
            Some((_, share)) => Ok(Ok(share.to_integer().to_signed_bytes_be().to_vec())),
            None => refused("shares are for the other parties of the run"),
        }
    }
}
