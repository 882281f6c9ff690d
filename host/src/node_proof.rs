//! How a node proves to a relay that it has its identity key. The key serves ECDH only, so it signs nothing: the relay draws a key pair
//! and a nonce, both ends compute the secret that the two keys share, and the proof is a code over all that was said.
//!
//! ```text
//! key   = HKDF-SHA256(salt = LABEL, ECDH(node's identity key, relay's key), "key")
//! proof = HMAC-SHA256(key, LABEL, node, researcher, nonce, node's key, relay's key, SHA-256 of the relay's certificate)
//! ```
//!
//! each field after its length. What a relay that means harm gets of it:
//!
//! - It cannot pass another relay's challenge on: researcher and certificate are those that the *node* has pinned.
//! - It may say a peer's identity key in place of its own. Then the secret is the one that the two nodes make their handshakes and
//!   the codes of these with; but nothing else is derived with this salt and label, so that the proof is as good as random to them.
//! - It may ask as often as it wants to, with any point of the curve. It sees codes under hashes of secrets, never a secret, and the curve
//!   has no small subgroups.

use std::fmt;

use p256::SecretKey;
use rand_core::Rng;
use zeroize::Zeroizing;

use crate::identity::{IdentityKey, IdentitySecret};
use crate::message::{NodeId, ResearcherId};
use crate::primitives::{HmacSha256, derive_secret_key, ecdh, hkdf_sha256, put};

/// What separates this from all else that is computed with an identity key.
const LABEL: &[u8] = b"backchannel node proof 1";

/// Length of a proof, in bytes.
pub const PROOF_BYTES: usize = 32;

/// Where a proof counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Whose relay it is.
    pub researcher: ResearcherId,
    /// SHA-256 of the certificate that the relay shows, DER.
    pub certificate: [u8; 32],
}

/// A node's half: who it is, and with which key it shows that. The key is wiped when dropped.
pub struct NodeHalf {
    node: NodeId,
    secret: SecretKey,
    public: IdentityKey,
}

impl NodeHalf {
    /// Of this node.
    pub fn new(node: NodeId, secret: IdentitySecret) -> Self {
        let public = secret.public();
        Self {
            node,
            secret: secret.into_key(),
            public,
        }
    }

    /// The proof for a relay of this place; `None` when `relay_key` is no compressed point of the curve.
    pub fn prove(
        &self,
        place: &Place,
        nonce: &[u8],
        relay_key: &[u8],
    ) -> Option<[u8; PROOF_BYTES]> {
        let relay = IdentityKey::try_from(relay_key).ok()?;
        let key = ProofKey::of(&ecdh(&self.secret, relay.point()));
        let said = Said {
            node: &self.node,
            place,
            nonce,
            node_key: &self.public,
            relay_key: &relay,
        };
        Some(key.over(&said).tag())
    }
}

impl fmt::Debug for NodeHalf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NodeHalf({}, …)", self.node)
    }
}

/// A relay's half: a key pair for some minutes. Wiped when dropped.
pub struct RelayHalf {
    secret: SecretKey,
    public: IdentityKey,
}

impl RelayHalf {
    /// Draws one. `rng` must be cryptographically secure.
    pub fn draw(rng: &mut impl Rng) -> Self {
        let mut seed = Zeroizing::new([0; 32]);
        rng.fill_bytes(&mut *seed);
        let secret = derive_secret_key(&seed, LABEL);
        let public = secret.public_key().into();
        Self { secret, public }
    }

    /// What nodes are told.
    pub fn public(&self) -> &IdentityKey {
        &self.public
    }

    /// With what the proofs of the node of this key are verified. Costs a multiplication on the curve.
    pub fn agree(&self, node_key: &IdentityKey) -> ProofKey {
        ProofKey::of(&ecdh(&self.secret, node_key.point()))
    }
}

impl fmt::Debug for RelayHalf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RelayHalf(…)")
    }
}

/// All that a proof is over.
#[derive(Clone, Copy, Debug)]
pub struct Said<'a> {
    /// Who proves itself.
    pub node: &'a NodeId,
    /// Where.
    pub place: &'a Place,
    /// What the relay wants to see again.
    pub nonce: &'a [u8],
    /// The node's identity key.
    pub node_key: &'a IdentityKey,
    /// The relay's key.
    pub relay_key: &'a IdentityKey,
}

/// Under what a node's proofs at a relay are. Wiped when dropped.
pub struct ProofKey(Zeroizing<[u8; 32]>);

impl ProofKey {
    fn of(shared: &[u8; 32]) -> Self {
        Self(hkdf_sha256(LABEL, shared, &[b"key"]))
    }

    /// Whether this is the proof of what was said. In constant time, but for its length.
    pub fn verifies(&self, said: &Said<'_>, proof: &[u8]) -> bool {
        proof.len() == PROOF_BYTES && self.over(said).begins_with(proof)
    }

    fn over(&self, said: &Said<'_>) -> HmacSha256 {
        let mut text = Vec::with_capacity(512);
        for field in [
            LABEL,
            said.node.as_str().as_bytes(),
            said.place.researcher.as_str().as_bytes(),
            said.nonce,
            &said.node_key.to_bytes(),
            &said.relay_key.to_bytes(),
            &said.place.certificate,
        ] {
            put(&mut text, field);
        }
        let mut code = HmacSha256::new(&self.0);
        code.update(&text);
        code
    }
}

impl fmt::Debug for ProofKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ProofKey(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::randomness::Randomness;

    fn secret(seed: u64) -> IdentitySecret {
        IdentitySecret::draw(&Randomness::from_seed(seed))
    }

    fn place(researcher: &str, certificate: u8) -> Place {
        Place {
            researcher: researcher.parse().expect("an id"),
            certificate: [certificate; 32],
        }
    }

    fn id(text: &str) -> NodeId {
        text.parse().expect("an id")
    }

    #[test]
    fn a_proof_is_over_each_thing_that_was_said() {
        let (relay, other_relay) = (
            RelayHalf::draw(&mut Randomness::from_seed(8)),
            RelayHalf::draw(&mut Randomness::from_seed(9)),
        );
        let (a, b) = (secret(1).public(), secret(2).public());
        let here = place("R", 1);
        let node = id("a");
        let said = Said {
            node: &node,
            place: &here,
            nonce: b"nonce",
            node_key: &a,
            relay_key: relay.public(),
        };
        let proof = NodeHalf::new(id("a"), secret(1))
            .prove(&here, b"nonce", &relay.public().to_bytes())
            .expect("a point");
        let key = relay.agree(&a);
        assert!(key.verifies(&said, &proof));

        let (other_node, other_researcher, other_certificate) =
            (id("b"), place("S", 1), place("R", 2));
        for wrong in [
            Said {
                node: &other_node,
                ..said
            },
            Said {
                place: &other_researcher,
                ..said
            },
            Said {
                place: &other_certificate,
                ..said
            },
            Said {
                nonce: b"nonce2",
                ..said
            },
            Said {
                node_key: &b,
                ..said
            },
            Said {
                relay_key: other_relay.public(),
                ..said
            },
        ] {
            assert!(!key.verifies(&wrong, &proof), "{wrong:?}");
        }
        assert!(!relay.agree(&b).verifies(&said, &proof));
        assert!(!other_relay.agree(&a).verifies(&said, &proof));
        for at in 0..PROOF_BYTES {
            let mut changed = proof;
            changed[at] ^= 1;
            assert!(!key.verifies(&said, &changed));
            assert!(!key.verifies(&said, &proof[..at]), "a part is no proof");
        }
        assert!(!key.verifies(&said, &[&proof[..], &[0]].concat()));
    }

    #[test]
    fn ids_that_read_the_same_side_by_side_are_not_the_same() {
        let relay = RelayHalf::draw(&mut Randomness::from_seed(8));
        let prove = |node, researcher| {
            NodeHalf::new(id(node), secret(1)).prove(
                &place(researcher, 1),
                b"nonce",
                &relay.public().to_bytes(),
            )
        };
        assert_ne!(prove("ab", "c"), prove("a", "bc"));
    }

    #[test]
    fn says_nothing_to_what_is_no_compressed_point() {
        let half = NodeHalf::new(id("a"), secret(1));
        let key = secret(2).public().to_bytes();
        let not_on_the_curve = [&[2][..], &[0; 31], &[1]].concat();
        for bad in [&b""[..], &[0], &key[..32], &[4; 65], &not_on_the_curve] {
            assert_eq!(half.prove(&place("R", 1), b"nonce", bad), None);
        }
        assert!(half.prove(&place("R", 1), b"nonce", &key).is_some());
    }

    #[test]
    fn a_peers_key_in_place_of_the_relays_gives_nothing_that_handshakes_are_made_with() {
        // What the two nodes share is hashed with nothing that sessions hash it with: no salt, and another label.
        let (a, b) = (secret(1), secret(2));
        let shared = ecdh(&a.clone().into_key(), b.public().point());
        let half = NodeHalf::new(id("a"), a.clone());
        let proof = half
            .prove(&place("R", 1), b"nonce", &b.public().to_bytes())
            .expect("a point");
        for label in [&b"HS1"[..], b"HS2"] {
            let mark = hkdf_sha256::<32>(&[], &*shared, &[b"backchannel suite 2 ", label]);
            let node = id("a");
            let said = Said {
                node: &node,
                place: &place("R", 1),
                nonce: b"nonce",
                node_key: &a.public(),
                relay_key: &b.public(),
            };
            assert_ne!(ProofKey(mark).over(&said).tag(), proof);
        }
        assert_ne!(ProofKey::of(&shared).0, shared);
    }

    #[test]
    fn anyone_can_compute_it_from_what_the_protocol_says() {
        // Written out with the libraries alone, from the text in proto/relay.proto.
        use hkdf::Hkdf;
        use hmac::{Hmac, KeyInit, Mac};
        use sha2::Sha256;

        let relay = RelayHalf::draw(&mut Randomness::from_seed(8));
        let own = secret(1);
        let shared = own
            .clone()
            .into_key()
            .diffie_hellman(relay.public().point());
        let mut key = [0; 32];
        Hkdf::<Sha256>::new(Some(b"backchannel node proof 1"), shared.raw_secret_bytes())
            .expand(b"key", &mut key)
            .expect("32 bytes");
        let text = [
            &[0, 0, 0, 24][..],
            b"backchannel node proof 1",
            &[0, 0, 0, 10],
            b"hospital-a",
            &[0, 0, 0, 1],
            b"R",
            &[0, 0, 0, 5],
            b"nonce",
            &[0, 0, 0, 33],
            &own.public().to_bytes(),
            &[0, 0, 0, 33],
            &relay.public().to_bytes(),
            &[0, 0, 0, 32],
            &[1; 32],
        ]
        .concat();
        let mut code = Hmac::<Sha256>::new_from_slice(&key).expect("any length");
        code.update(&text);
        let expected: [u8; 32] = code.finalize().into_bytes().into();

        let proof = NodeHalf::new(id("hospital-a"), own).prove(
            &place("R", 1),
            b"nonce",
            &relay.public().to_bytes(),
        );
        assert_eq!(proof, Some(expected));
    }

    #[test]
    fn no_half_is_printed() {
        let half = NodeHalf::new(id("a"), secret(1));
        let relay = RelayHalf::draw(&mut Randomness::from_seed(8));
        let printed = format!("{half:?} {relay:?} {:?}", relay.agree(&secret(1).public()));
        assert_eq!(printed, "NodeHalf(a, …) RelayHalf(…) ProofKey(…)");
    }
}
