//! Two parties and what they draw.

use std::sync::Arc;

use backchannel::noise::{Protocol, Statics};
use p256::SecretKey;
use p256::elliptic_curve::Generate;
use p256::elliptic_curve::sec1::ToSec1Point;
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};

/// Two nodes, and what either knows of the other.
#[derive(Clone)]
pub struct Nodes {
    /// Static keys: the initiator's and the responder's.
    pub statics: [SecretKey; 2],
    /// Their public keys, as on the wire.
    pub publics: [Vec<u8>; 2],
    pub parties: [Arc<Statics>; 2],
}

/// All that goes into a handshake.
pub struct Handshake {
    pub protocol: Protocol,
    pub nodes: Nodes,
    /// From which each party draws.
    pub rngs: [ChaCha20Rng; 2],
    pub prologue: Vec<u8>,
    /// Of the first message and of the second.
    pub payloads: [Vec<u8>; 2],
}

impl Nodes {
    /// Drawn from a seed.
    pub fn draw(seed: u64) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let statics = [(); 2].map(|()| SecretKey::generate_from_rng(&mut rng));
        let [initiator, responder] = &statics;
        let parties = [(initiator, responder), (responder, initiator)];
        let parties = parties.map(|(own, peer)| Statics::new(own.clone(), peer.public_key()));
        let public = |key: &SecretKey| key.public_key().to_sec1_point(false).as_bytes().to_vec();
        Self {
            publics: [public(initiator), public(responder)],
            parties: parties.map(Arc::new),
            statics,
        }
    }
}

impl Handshake {
    /// Of two nodes, drawn from a seed; texts have up to 200 bytes, and often none.
    pub fn draw(protocol: Protocol, nodes: &Nodes, seed: u64) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let rngs = [(); 2].map(|()| ChaCha20Rng::seed_from_u64(rng.next_u64()));
        let mut text = || {
            let length = rng.next_u32() as usize;
            let mut text = vec![
                0;
                if length.is_multiple_of(8) {
                    0
                } else {
                    length % 201
                }
            ];
            rng.fill_bytes(&mut text);
            text
        };
        Self {
            protocol,
            nodes: nodes.clone(),
            rngs,
            prologue: text(),
            payloads: [text(), text()],
        }
    }

    /// What either party knows of the other.
    pub fn parties(&self) -> [Arc<Statics>; 2] {
        self.nodes.parties.clone()
    }
}
