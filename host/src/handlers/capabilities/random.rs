use rand_core::Rng;

use super::n2n::random;
use super::{Failure, refused};
use crate::handlers::Capability;
use crate::handlers::state::CallState;

/// The most bytes of one call. The stream is the node's own; what a guest sees of it tells nothing of the rest.
const MOST: u32 = 4096;

impl random::Host for CallState {
    fn bytes(&mut self, count: u32) -> wasmtime::Result<Result<Vec<u8>, Failure>> {
        self.count_call(Capability::Random)?;
        if count > MOST {
            return refused("at most 4096 bytes a call");
        }
        let mut bytes = vec![0; count as usize];
        self.services.randomness.fill_bytes(&mut bytes);
        Ok(Ok(bytes))
    }
}
