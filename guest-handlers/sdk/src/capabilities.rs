//! What the host offers, one module per WIT interface. In wasm each function is the import; natively it asks the
//! `testing::Node` that runs the handler.

/// What this node has prepared for a run.
pub mod material {
    #[cfg(target_arch = "wasm32")]
    use crate::bindings::message_handler::backchannel::n2n::material as host;
    #[cfg(not(target_arch = "wasm32"))]
    use crate::testing::material as host;

    /// What was published for `run`, as the sender of the message at hand may see it. Waits up to 30 s, as a peer
    /// may ask before the researcher's own request has reached this node. `None`: nothing came, or nothing for that
    /// sender.
    ///
    /// In [`Handler::handle`](crate::Handler::handle) only; elsewhere `None` at once.
    pub fn wait(run: &str) -> Option<Vec<u8>> {
        host::wait(run)
    }
}

/// The key pair of the channel with the sender of the message at hand.
pub mod channel_keys {
    use crate::Failure;
    #[cfg(target_arch = "wasm32")]
    use crate::bindings::message_handler::backchannel::n2n::channel_keys as host;
    #[cfg(not(target_arch = "wasm32"))]
    use crate::testing::channel_keys as host;

    /// This node's public key on its channel with the sender of the message at hand: P-256, PEM.
    ///
    /// # Errors
    ///
    /// [`Failure::Refused`] in an initiator, which has no message at hand.
    pub fn own_public_key() -> Result<Vec<u8>, Failure> {
        host::own_public_key()
    }
}

/// The key pair of the run at hand, held by the host.
pub mod agreement {
    use crate::Failure;
    #[cfg(target_arch = "wasm32")]
    use crate::bindings::initiator::backchannel::n2n::agreement as host;
    #[cfg(not(target_arch = "wasm32"))]
    use crate::testing::agreement as host;

    /// The public key of this run: P-256, PEM. Drawn at the first call.
    ///
    /// # Errors
    ///
    /// [`Failure::Refused`] in a handler, which has no run at hand.
    pub fn public_key() -> Result<Vec<u8>, Failure> {
        host::public_key()
    }
}

/// The secret of the run at hand, held by the host and split among the parties.
pub mod sharing {
    use crate::Failure;
    #[cfg(target_arch = "wasm32")]
    use crate::bindings::initiator::backchannel::n2n::sharing as host;
    #[cfg(not(target_arch = "wasm32"))]
    use crate::testing::sharing as host;

    /// The share meant for `peer`: an integer, big-endian two's complement. The same for the same peer throughout a
    /// run.
    ///
    /// # Errors
    ///
    /// [`Failure::Refused`] when `peer` is not another party of the run, and in a handler.
    pub fn share_for(peer: &str) -> Result<Vec<u8>, Failure> {
        host::share_for(peer)
    }
}

/// What this plugin has stored: entries of its own, which outlive messages, restarts and upgrades. They are changed with
/// [`Effect::Store`](crate::Effect::Store).
pub mod store {
    use crate::Failure;
    #[cfg(target_arch = "wasm32")]
    use crate::bindings::message_handler::backchannel::n2n::store as host;
    #[cfg(not(target_arch = "wasm32"))]
    use crate::testing::store as host;

    /// What is stored under `key`.
    ///
    /// # Errors
    ///
    /// [`Failure::Unavailable`] when the disk cannot be read.
    pub fn get(key: &str) -> Result<Option<Vec<u8>>, Failure> {
        host::get(key)
    }

    /// The keys that begin with `prefix`, sorted.
    ///
    /// # Errors
    ///
    /// [`Failure::Unavailable`] when the disk cannot be read.
    pub fn keys(prefix: &str) -> Result<Vec<String>, Failure> {
        host::keys(prefix)
    }
}

/// Randomness fit for keys and nonces.
pub mod random {
    use crate::Failure;
    #[cfg(target_arch = "wasm32")]
    use crate::bindings::message_handler::backchannel::n2n::random as host;
    #[cfg(not(target_arch = "wasm32"))]
    use crate::testing::random as host;

    /// `count` random bytes, at most 4096.
    ///
    /// # Errors
    ///
    /// [`Failure::Refused`] when `count` is more.
    pub fn bytes(count: u32) -> Result<Vec<u8>, Failure> {
        host::bytes(count)
    }
}

/// Numbers that the operator grants to runs, by name.
pub mod inputs {
    use crate::Failure;
    #[cfg(target_arch = "wasm32")]
    use crate::bindings::multi_party::backchannel::n2n::inputs as host;
    #[cfg(not(target_arch = "wasm32"))]
    use crate::testing::inputs as host;

    /// The numbers of an input, in the order of its file.
    ///
    /// # Errors
    ///
    /// [`Failure::Unavailable`] when there is no such input, or it cannot be read; [`Failure::Refused`] when it has too few
    /// rows, or holds ids and no numbers, and outside of a [`Part`](crate::Part).
    pub fn vector(name: &str) -> Result<Vec<f64>, Failure> {
        host::vector(name)
    }
}

/// Ids that can be compared with other parties' and not be seen: as points of the curve P-256, each multiplied with one
/// secret scalar per run, which the host draws and keeps.
pub mod blinding {
    use crate::Failure;
    #[cfg(target_arch = "wasm32")]
    use crate::bindings::multi_party::backchannel::n2n::blinding as host;
    #[cfg(not(target_arch = "wasm32"))]
    use crate::testing::blinding as host;

    /// The length of a point: compressed, as SEC1 has it.
    pub const POINT: usize = 33;

    /// The ids of an input, each once: hashed to the curve, blinded, in an order drawn anew; [`POINT`] bytes each.
    ///
    /// # Errors
    ///
    /// As [`inputs::vector`](crate::inputs::vector), with ids and numbers in each other's place.
    pub fn ids(input: &str) -> Result<Vec<u8>, Failure> {
        host::ids(input)
    }

    /// Points of another party, blinded too, in an order drawn anew.
    ///
    /// # Errors
    ///
    /// [`Failure::Malformed`] when one is not on the curve, or there are two alike.
    pub fn points(points: &[u8]) -> Result<Vec<u8>, Failure> {
        host::points(points)
    }
}

/// Lines for the node's log. The operator reads them, no peer does.
pub mod log {
    #[cfg(target_arch = "wasm32")]
    use crate::bindings::message_handler::backchannel::n2n::log as host;
    pub use crate::bindings::message_handler::backchannel::n2n::log::Level;
    #[cfg(not(target_arch = "wasm32"))]
    use crate::testing::log as host;

    /// Of use when looking for an error.
    pub fn debug(text: &str) {
        host::write(Level::Debug, text);
    }

    /// Worth knowing.
    pub fn info(text: &str) {
        host::write(Level::Info, text);
    }

    /// Something is odd, the work goes on.
    pub fn warn(text: &str) {
        host::write(Level::Warn, text);
    }

    /// The work failed.
    pub fn error(text: &str) {
        host::write(Level::Error, text);
    }
}
