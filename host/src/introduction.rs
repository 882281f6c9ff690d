//! How a node tells a peer its identity key where nobody else has: in the clear, and proof of nothing. Only where both policies trust on
//! first use, or one does and the other node knows its peer already.
//!
//! ```text
//! magic "n2n2" | 0 | type (5: and tell me yours, 6: as you asked) | 0 0 | key 33 (SEC 1, compressed)
//! ```

use rand_core::Rng;

use crate::identity::IdentityKey;
use crate::message::{NodeId, OverlayMessage, ResearcherId};
use crate::randomness::Randomness;

/// Of no suite.
const ASKS: [u8; 8] = *b"n2n2\x00\x05\x00\x00";
const ANSWERS: [u8; 8] = *b"n2n2\x00\x06\x00\x00";
/// As frames have them, which this is none of.
const SALT_BYTES: usize = 32;
const NONCE: [u8; 16] = [0; 16];

/// What a node says that introduces itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Introduction {
    /// Its identity key.
    pub key: IdentityKey,
    /// Whether it wants to hear the other's.
    pub asks: bool,
}

impl Introduction {
    /// What an outer message says, if it is one. Whoever made it.
    pub fn read(message: &OverlayMessage) -> Option<Self> {
        let (header, key) = message.overlay.split_first_chunk()?;
        let asks = match *header {
            ASKS => true,
            ANSWERS => false,
            _ => return None,
        };
        let key = IdentityKey::try_from(key).ok()?;
        message.setup.then_some(Self { key, asks })
    }

    /// The outer message.
    pub fn message(
        self,
        researcher: &ResearcherId,
        from: &NodeId,
        to: &NodeId,
        randomness: &Randomness,
    ) -> OverlayMessage {
        let header = if self.asks { ASKS } else { ANSWERS };
        let mut salt = vec![0; SALT_BYTES];
        randomness.clone().fill_bytes(&mut salt);
        OverlayMessage {
            researcher_id: researcher.clone(),
            source: from.clone(),
            dest: to.clone(),
            overlay: [&header[..], &self.key.to_bytes()].concat(),
            setup: true,
            salt,
            nonce: NONCE.to_vec(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::primitives::derive_secret_key;
    use crate::sessions::is_frame;

    fn said(asks: bool) -> (Introduction, OverlayMessage) {
        let [a, b] = ["a", "b"].map(|id| NodeId::try_from(id).expect("an id"));
        let researcher = ResearcherId::try_from("r").expect("an id");
        let key = derive_secret_key(&[1; 32], b"a").public_key().into();
        let said = Introduction { key, asks };
        let message = said.message(&researcher, &a, &b, &Randomness::from_seed(1));
        (said, message)
    }

    #[test]
    fn what_is_not_written_as_one_is_none() {
        let (_, good) = said(true);
        for at in 0..8 {
            let mut bad = good.clone();
            bad.overlay[at] ^= 0x80;
            assert_eq!(Introduction::read(&bad), None, "{at}");
        }
        for overlay in [
            &good.overlay[..7],
            &good.overlay[..40],
            &[],
            &[good.overlay.as_slice(), &[0]].concat(),
        ] {
            let overlay = overlay.to_vec();
            assert_eq!(
                Introduction::read(&OverlayMessage {
                    overlay,
                    ..good.clone()
                }),
                None
            );
        }
        let setup = false;
        assert_eq!(Introduction::read(&OverlayMessage { setup, ..good }), None);
    }

    #[test]
    fn says_the_key_and_whether_it_asks() {
        for asks in [true, false] {
            let (said, message) = said(asks);
            assert!(is_frame(&message));
            assert_eq!(Introduction::read(&message), Some(said));
        }
    }
}
