use super::n2n::sharing;
use super::{Failure, refused};
use crate::handlers::state::{CallState, Split, Subject};
use crate::secure_sum::additive::ServerKey;

impl sharing::Host for CallState {
    fn share_for(&mut self, peer: String) -> wasmtime::Result<Result<Vec<u8>, Failure>> {
        self.count_call()?;
        let Subject::Run(run) = &mut self.subject else {
            return refused("sharing is for initiators: a message has no run");
        };
        let (own, parties) = (&run.own, &run.parties);
        let randomness = &mut self.services.randomness;
        let split = run.sharing.get_or_insert_with(|| {
            let others: Vec<_> = parties.iter().filter(|party| *party != own).cloned().collect();
            let key = ServerKey::draw(randomness);
            let (given, kept) = key.split(others.len(), randomness);
            Split {
                key,
                kept,
                given: others.into_iter().zip(given).collect(),
            }
        });
        let share = split.given.iter().find(|(party, _)| party.as_ref() == peer);
        match share {
            Some((_, share)) => Ok(Ok(share.to_signed_bytes_be().to_vec())),
            None => refused("shares are for the other parties of the run"),
        }
    }
}
