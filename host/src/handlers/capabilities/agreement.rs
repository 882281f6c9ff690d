use p256::SecretKey;
use p256::elliptic_curve::Generate;

use super::n2n::agreement;
use super::{Failure, refused};
use crate::handlers::Capability;
use crate::handlers::state::{CallState, Subject};
use crate::primitives;

impl agreement::Host for CallState {
    fn public_key(&mut self) -> wasmtime::Result<Result<Vec<u8>, Failure>> {
        self.host_call(Capability::Agreement, "public-key", Vec::new, |state| {
            let Subject::Run(run) = &mut state.subject else {
                return refused("agreement is for initiators: a message has no run");
            };
            let mut randomness = state.services.sources.randomness.clone();
            let key = run
                .agreement
                .get_or_insert_with(|| SecretKey::generate_from_rng(&mut randomness));
            Ok(Ok(
                primitives::public_key_pem(&key.public_key())?.into_bytes()
            ))
        })
    }
}
