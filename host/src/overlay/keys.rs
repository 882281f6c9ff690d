//! The keys of one channel.

use std::fmt;
use std::sync::LazyLock;

use p256::{PublicKey, SecretKey};
use zeroize::Zeroizing;

use crate::primitives::{self, KeyFormatError, SigningKey, VerifyingKey};

/// The key pair that is published with Fed-BioMed. It is a private key in a source tree on purpose: every node of every
/// installation has it, and channel set-up is encrypted and signed with it. It protects nothing from anyone who has
/// read this file; it is needed to talk to Fed-BioMed at all.
const PUBLISHED_KEY: &str = include_str!("published_key.pem");

/// What a node needs to seal messages to one peer and to open those of that peer.
///
/// The ECDH secret is computed once, here, and not per message. Cannot be printed; zeroized when dropped.
pub struct ChannelKeys {
    pub(super) signing: SigningKey,
    pub(super) verifying: VerifyingKey,
    pub(super) shared: Zeroizing<[u8; 32]>,
    pub(super) published: bool,
}

impl ChannelKeys {
    /// The channel between this node's key and the peer's.
    pub fn new(own: &SecretKey, peer: &PublicKey) -> Self {
        Self {
            signing: SigningKey::new(own),
            verifying: VerifyingKey::new(peer),
            shared: primitives::ecdh(own, peer),
            published: false,
        }
    }

    /// This node's private key on the channel, to be stored.
    pub fn own_secret_key(&self) -> SecretKey {
        self.signing.secret_key()
    }

    /// This node's public key on the channel.
    pub fn own_public_key(&self) -> PublicKey {
        self.signing.public_key()
    }

    /// The peer's public key on the channel.
    pub fn peer_public_key(&self) -> PublicKey {
        self.verifying.public_key()
    }

    /// The key pair published with Fed-BioMed, used against itself: for channel set-up only, and proof of nothing.
    ///
    /// Fails only if the file in the source tree is damaged.
    pub fn published() -> Result<&'static Self, KeyFormatError> {
        static KEYS: LazyLock<Result<ChannelKeys, KeyFormatError>> = LazyLock::new(|| {
            let own = primitives::parse_secret_key_pem(PUBLISHED_KEY.as_bytes())?;
            let keys = ChannelKeys::new(&own, &own.public_key());
            Ok(ChannelKeys {
                published: true,
                ..keys
            })
        });
        KEYS.as_ref().map_err(|error| *error)
    }
}

impl fmt::Debug for ChannelKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChannelKeys").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_key_is_in_order() {
        assert!(ChannelKeys::published().is_ok());
    }

    #[test]
    fn keys_cannot_be_printed() {
        let keys = ChannelKeys::published().unwrap();
        assert_eq!(format!("{keys:?}"), "ChannelKeys { .. }");
    }
}
