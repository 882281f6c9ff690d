use rand_core::Rng;

use super::n2n::random;
use super::{Failure, refused};
use crate::handlers::Capability;
use crate::handlers::state::CallState;
use crate::trace::Value;

/// The most bytes of one call. The stream is the node's own; what a guest sees of it tells nothing of the rest.
const MOST: u32 = 4096;

impl random::Host for CallState {
    fn bytes(&mut self, count: u32) -> wasmtime::Result<Result<Vec<u8>, Failure>> {
        let given = || vec![Value::Number(count.into())];
        self.host_call(Capability::Random, "bytes", given, |state| {
            if count > MOST {
                return refused("at most 4096 bytes a call");
            }
            let mut bytes = vec![0; count as usize];
            let mut randomness = state.services.sources.randomness.clone();
            randomness.fill_bytes(&mut bytes);
            Ok(Ok(bytes))
        })
    }
}
