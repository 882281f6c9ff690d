use std::fmt;

use p256::{PublicKey, SecretKey};
use zeroize::Zeroizing;

use crate::primitives;

/// A party's static key and that of its peer. Their shared secret is computed once, for all handshakes.
pub struct Statics {
    pub(super) own: SecretKey,
    pub(super) own_public: PublicKey,
    pub(super) peer: PublicKey,
    pub(super) shared: Zeroizing<[u8; 32]>,
}

impl Statics {
    /// Of this party's private key and the peer's public one.
    pub fn new(own: SecretKey, peer: PublicKey) -> Self {
        let shared = primitives::ecdh(&own, &peer);
        Self {
            own_public: own.public_key(),
            own,
            peer,
            shared,
        }
    }

    /// The static–static secret, for keys that both have before any handshake.
    pub fn shared(&self) -> &Zeroizing<[u8; 32]> {
        &self.shared
    }
}

impl fmt::Debug for Statics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Statics").finish_non_exhaustive()
    }
}
