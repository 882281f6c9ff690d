//! What a relay asks nodes to prove themselves with.
//!
//! Nothing is kept of a challenge, so that a flood of requests for one costs a hash each and no memory, and pushes nobody else's out: the
//! nonce says its number, how long it counts, and carries a code under a key of this relay's start. That it serves once is the
//! [gate](super::gate)'s to see to, by the number.

use std::collections::BTreeMap;
use std::time::Duration;

use rand_core::Rng;
use tokio::time::Instant;
use zeroize::Zeroizing;

use crate::identity::IdentityKey;
use crate::message::NodeId;
use crate::node_proof::{Place, ProofKey, RelayHalf, Said};
use crate::primitives::{HmacSha256, put};

/// How long a challenge counts. A node answers it at once.
const LIFE: Duration = Duration::from_secs(30);

/// How long one key pair serves. It costs a multiplication on the curve to draw, and another for each node that proves itself with it.
const PAIR_LIFE: Duration = Duration::from_secs(300);

/// Number, end in ms, code.
const NONCE_BYTES: usize = 8 + 8 + 32;

/// What separates the codes of nonces from all others.
const LABEL: &[u8] = b"backchannel relay challenge 1";

/// The challenges of a running relay.
pub(super) struct Challenges {
    began: Instant,
    secret: Zeroizing<[u8; 32]>,
    number: u64,
    pair: Pair,
    /// What was asked with it may still be answered.
    before: Option<Pair>,
}

struct Pair {
    half: RelayHalf,
    since: Instant,
    /// Of nodes that answered. Without it, each wrong proof would cost a multiplication.
    agreed: BTreeMap<NodeId, (IdentityKey, ProofKey)>,
}

/// A challenge as a node hears it.
pub(super) struct Challenge {
    pub(super) nonce: Vec<u8>,
    pub(super) relay_key: [u8; IdentityKey::BYTES],
}

impl Challenges {
    pub(super) fn new(rng: &mut impl Rng) -> Self {
        let mut secret = Zeroizing::new([0; 32]);
        rng.fill_bytes(&mut *secret);
        let began = Instant::now();
        Self {
            began,
            secret,
            number: 0,
            pair: Pair::draw(rng, began),
            before: None,
        }
    }

    /// One more, for this node.
    pub(super) fn ask(&mut self, node: &NodeId, rng: &mut impl Rng) -> Challenge {
        let now = Instant::now();
        if now.saturating_duration_since(self.pair.since) >= PAIR_LIFE {
            let old = std::mem::replace(&mut self.pair, Pair::draw(rng, now));
            self.before = Some(old);
        }
        self.number += 1;
        let until = self.millis(now + LIFE);
        let code = self.code(node, self.number, until, &self.pair);
        let mut nonce = Vec::with_capacity(NONCE_BYTES);
        nonce.extend_from_slice(&self.number.to_be_bytes());
        nonce.extend_from_slice(&until.to_be_bytes());
        nonce.extend_from_slice(&code.tag());
        Challenge {
            nonce,
            relay_key: self.pair.half.public().to_bytes(),
        }
    }

    /// The number of the last one.
    pub(super) fn last(&self) -> u64 {
        self.number
    }

    /// Which challenge to this node a nonce was of; `None` if of none that still counts.
    pub(super) fn number(&self, node: &NodeId, nonce: &[u8]) -> Option<u64> {
        self.find(node, nonce).map(|(number, _)| number)
    }

    /// Whether a proof answers the challenge of this nonce, by the node of this key.
    pub(super) fn answers(
        &mut self,
        node: &NodeId,
        place: &Place,
        node_key: &IdentityKey,
        nonce: &[u8],
        proof: &[u8],
    ) -> bool {
        let Some((_, is_present)) = self.find(node, nonce) else {
            return false;
        };
        let pair = match (is_present, &mut self.before) {
            (false, Some(before)) => before,
            _ => &mut self.pair,
        };
        let Pair { half, agreed, .. } = pair;
        if agreed.get(node).is_none_or(|(key, _)| key != node_key) {
            agreed.insert(node.clone(), (*node_key, half.agree(node_key)));
        }
        let said = Said {
            node,
            place,
            nonce,
            node_key,
            relay_key: half.public(),
        };
        agreed
            .get(node)
            .is_some_and(|(_, key)| key.verifies(&said, proof))
    }

    /// The number, and whether it was asked with the present key pair.
    fn find(&self, node: &NodeId, nonce: &[u8]) -> Option<(u64, bool)> {
        let nonce: &[u8; NONCE_BYTES] = nonce.try_into().ok()?;
        let (number, rest) = nonce.split_first_chunk::<8>()?;
        let (until, code) = rest.split_first_chunk::<8>()?;
        let (number, until) = (u64::from_be_bytes(*number), u64::from_be_bytes(*until));
        let is_of = |pair: &Pair| self.code(node, number, until, pair).begins_with(code);
        let is_present = if is_of(&self.pair) {
            true
        } else if self.before.as_ref().is_some_and(is_of) {
            false
        } else {
            return None;
        };
        (self.millis(Instant::now()) < until).then_some((number, is_present))
    }

    fn code(&self, node: &NodeId, number: u64, until: u64, pair: &Pair) -> HmacSha256 {
        let mut text = Vec::with_capacity(128);
        put(&mut text, LABEL);
        put(&mut text, node.as_str().as_bytes());
        put(&mut text, &number.to_be_bytes());
        put(&mut text, &until.to_be_bytes());
        put(&mut text, &pair.half.public().to_bytes());
        let mut code = HmacSha256::new(&self.secret);
        code.update(&text);
        code
    }

    fn millis(&self, at: Instant) -> u64 {
        let since = at.saturating_duration_since(self.began);
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    }
}

impl Pair {
    fn draw(rng: &mut impl Rng, now: Instant) -> Self {
        Self {
            half: RelayHalf::draw(rng),
            since: now,
            agreed: BTreeMap::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::IdentitySecret;
    use crate::node_proof::NodeHalf;
    use crate::randomness::Randomness;

    fn id(text: &str) -> NodeId {
        text.parse().expect("an id")
    }

    fn place() -> Place {
        Place {
            researcher: "R".parse().expect("an id"),
            certificate: [1; 32],
        }
    }

    struct Stage {
        challenges: Challenges,
        randomness: Randomness,
        secret: IdentitySecret,
    }

    impl Stage {
        fn new() -> Self {
            let mut randomness = Randomness::from_seed(1);
            Self {
                challenges: Challenges::new(&mut randomness),
                secret: IdentitySecret::draw(&randomness),
                randomness,
            }
        }

        fn ask(&mut self, node: &str) -> Challenge {
            self.challenges.ask(&id(node), &mut self.randomness)
        }

        fn is_answered(&mut self, node: &str, challenge: &Challenge, proof: &[u8]) -> bool {
            let key = self.secret.public();
            self.challenges
                .answers(&id(node), &place(), &key, &challenge.nonce, proof)
        }

        fn prove(&self, node: &str, challenge: &Challenge) -> [u8; 32] {
            let half = NodeHalf::new(id(node), self.secret.clone());
            half.prove(&place(), &challenge.nonce, &challenge.relay_key)
                .expect("a point")
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_challenge_is_one_nodes_and_every_bit_of_it_counts() {
        let mut stage = Stage::new();
        let challenge = stage.ask("a");
        let proof = stage.prove("a", &challenge);
        assert!(stage.is_answered("a", &challenge, &proof));

        assert_eq!(stage.challenges.number(&id("b"), &challenge.nonce), None);
        let for_b = stage.prove("b", &challenge);
        assert!(!stage.is_answered("b", &challenge, &for_b));
        for bit in 0..NONCE_BYTES * 8 {
            let mut nonce = challenge.nonce.clone();
            nonce[bit / 8] ^= 1 << (bit % 8);
            let changed = Challenge { nonce, ..challenge };
            // Made for the changed one: it is the challenge that is not the relay's.
            let proof = stage.prove("a", &changed);
            assert!(!stage.is_answered("a", &changed, &proof), "bit {bit}");
        }
        for length in [0, 16, NONCE_BYTES - 1] {
            let nonce = &challenge.nonce[..length];
            assert_eq!(stage.challenges.number(&id("a"), nonce), None);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_challenge_counts_for_30_s_also_when_the_key_pair_has_changed() {
        let mut stage = Stage::new();
        tokio::time::advance(PAIR_LIFE - Duration::from_secs(1)).await;
        let old = stage.ask("a");
        let proof = stage.prove("a", &old);
        tokio::time::advance(Duration::from_secs(1)).await;
        let new = stage.ask("a");
        assert_ne!(old.relay_key, new.relay_key);

        assert!(stage.is_answered("a", &old, &proof));
        let wrong_pair = Challenge {
            nonce: old.nonce.clone(),
            relay_key: new.relay_key,
        };
        let crossed = stage.prove("a", &wrong_pair);
        assert!(!stage.is_answered("a", &old, &crossed));

        tokio::time::advance(LIFE - Duration::from_secs(1)).await;
        assert!(!stage.is_answered("a", &old, &proof));
        let proof = stage.prove("a", &new);
        assert!(stage.is_answered("a", &new, &proof));
    }

    #[tokio::test(start_paused = true)]
    async fn a_challenge_of_a_relay_that_was_started_anew_is_another() {
        let mut stage = Stage::new();
        let challenge = stage.ask("a");
        let proof = stage.prove("a", &challenge);
        stage.challenges = Challenges::new(&mut Randomness::from_seed(2));
        assert!(!stage.is_answered("a", &challenge, &proof));
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_of_challenges_pushes_none_out_and_leaves_nothing() {
        let mut stage = Stage::new();
        let challenge = stage.ask("a");
        for n in 0..10_000 {
            stage.ask(&format!("node-{}", n % 100));
        }
        assert!(stage.challenges.pair.agreed.is_empty());
        let proof = stage.prove("a", &challenge);
        assert!(stage.is_answered("a", &challenge, &proof));
        assert_eq!(stage.challenges.pair.agreed.len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_node_with_a_new_key_is_not_known_by_its_old_one() {
        let mut stage = Stage::new();
        let challenge = stage.ask("a");
        let with_the_old = stage.prove("a", &challenge);
        assert!(stage.is_answered("a", &challenge, &with_the_old));
        stage.secret = IdentitySecret::draw(&stage.randomness);
        assert!(!stage.is_answered("a", &challenge, &with_the_old));
        let with_the_new = stage.prove("a", &challenge);
        assert!(stage.is_answered("a", &challenge, &with_the_new));
    }
}
