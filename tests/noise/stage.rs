//! Two parties and what they draw.

use backchannel::noise::Statics;
use p256::SecretKey;
use p256::elliptic_curve::Generate;
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};

/// All that goes into a handshake.
pub struct Handshake {
    /// Static keys: the initiator's and the responder's.
    pub statics: [SecretKey; 2],
    /// Ephemeral keys.
    pub ephemerals: [SecretKey; 2],
    pub prologue: Vec<u8>,
    /// Of the first message and of the second.
    pub payloads: [Vec<u8>; 2],
}

impl Handshake {
    /// Drawn from a seed; texts have up to 200 bytes.
    pub fn draw(seed: u64) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let mut key = || SecretKey::generate_from_rng(&mut rng);
        let (statics, ephemerals) = ([key(), key()], [key(), key()]);
        let mut text = || {
            let mut text = vec![0; rng.next_u32() as usize % 200];
            rng.fill_bytes(&mut text);
            text
        };
        Self {
            statics,
            ephemerals,
            prologue: text(),
            payloads: [text(), text()],
        }
    }

    /// What either party knows of the other.
    pub fn parties(&self) -> [Statics; 2] {
        let [initiator, responder] = &self.statics;
        [(initiator, responder), (responder, initiator)]
            .map(|(own, peer)| Statics::new(own.clone(), peer.public_key()))
    }
}
