//! LOM, a lightweight obfuscation mechanism: each pair of parties shares a secret, from which both make the same mask;
//! one adds it, the other subtracts it, and in the sum of all vectors every mask is gone.
//!
//! ```text
//! seed(pair)   = ChaCha20(secret, nonce) over the round, 16 bytes big-endian ‖ 16 zero bytes
//! mask(pair)ᵢ  = ChaCha20(seed, nonce) over (i + round), 8 bytes big-endian, read as little-endian
//! protected    = input + Σ mask(p) for ids p before one's own − Σ mask(p) for ids after it   (mod 2⁶⁴)
//! ```
//!
//! A nonce must serve one run only and a round one vector only: two vectors under the same masks show their difference.

use std::collections::{BTreeMap, BTreeSet};

use rayon::prelude::*;
use zeroize::Zeroizing;

use crate::message::NodeId;
use crate::primitives::{advance_nonce, chacha20_xor};

/// Why a vector could not be protected or summed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LomError {
    /// There is nothing to protect.
    #[error("there are no values")]
    Empty,
    /// With one party there is no mask, and its values would be sent in clear.
    #[error("a secure sum needs at least two parties")]
    TooFewParties,
    /// A party is named twice.
    #[error("the party {0} is named twice")]
    DuplicateParty(NodeId),
    /// This node is not one of the parties.
    #[error("{0} is not one of the parties")]
    NotAParty(NodeId),
    /// There is no secret with a party.
    #[error("there is no secret with the party {0}")]
    NoSecret(NodeId),
    /// The sum could exceed 64 bits.
    #[error(
        "a value has {bits} bits; with {parties} parties at most {allowed} are allowed, or the sum could overflow"
    )]
    Overflow {
        /// Bits of the largest value.
        bits: u32,
        /// How many are allowed.
        allowed: u32,
        /// For so many parties.
        parties: usize,
    },
    /// Round and length together exceed 64 bits.
    #[error("the round is too large")]
    Round,
    /// Vectors of different lengths cannot be summed.
    #[error("the vectors to be summed differ in length")]
    Lengths,
}

/// Values masked at a time. In bytes a multiple of a ChaCha20 block, small enough for the first-level cache.
const CHUNK: usize = 1024;
const BLOCKS_PER_CHUNK: u64 = (CHUNK * 8 / 64) as u64;

/// Masks `input` with the secrets shared with the other `parties`, of which `own` is one. Uses all processors.
///
/// Errors: no values, fewer than two parties, a party twice, no secret for one, values so large that the sum of all
/// parties could overflow.
pub fn protect(
    own: &NodeId,
    pair_secrets: &BTreeMap<NodeId, Zeroizing<[u8; 32]>>,
    parties: &[NodeId],
    secagg_nonce: &[u8; 16],
    round: u64,
    input: &[u64],
) -> Result<Vec<u64>, LomError> {
    check_parties(own, parties)?;
    check_overflow(parties.len(), input)?;
    if round.checked_add(input.len() as u64).is_none() {
        return Err(LomError::Round);
    }
    let masks = parties
        .iter()
        .filter(|peer| *peer != own)
        .map(|peer| {
            let secret = pair_secrets
                .get(peer)
                .ok_or_else(|| LomError::NoSecret(peer.clone()))?;
            Ok(Mask {
                seed: pair_seed(secret, secagg_nonce, round),
                is_added: peer < own,
            })
        })
        .collect::<Result<Vec<_>, _>>()?;
    let mut protected = input.to_vec();
    protected.par_chunks_mut(CHUNK).enumerate().for_each_init(
        || Zeroizing::new([0; CHUNK * 8]),
        |keystream, (number, chunk)| {
            let number = number as u64;
            let index = round + number * CHUNK as u64;
            let nonce = advance_nonce(secagg_nonce, number * BLOCKS_PER_CHUNK);
            for mask in &masks {
                mask.apply(keystream, &nonce, index, chunk);
            }
        },
    );
    Ok(protected)
}

/// Sums the protected vectors of all parties, modulo 2⁶⁴; the masks cancel out. If a party's vector is missing, the
/// result is random. Uses all processors.
pub fn aggregate(protected: &[Vec<u64>]) -> Result<Vec<u64>, LomError> {
    let [first, others @ ..] = protected else {
        return Err(LomError::Empty);
    };
    if others.iter().any(|vector| vector.len() != first.len()) {
        return Err(LomError::Lengths);
    }
    let mut sums = first.clone();
    sums.par_chunks_mut(CHUNK)
        .enumerate()
        .for_each(|(number, sums)| {
            for vector in others {
                for (sum, value) in sums.iter_mut().zip(&vector[number * CHUNK..]) {
                    *sum = sum.wrapping_add(*value);
                }
            }
        });
    Ok(sums)
}

/// The nonce of a run: the first 16 bytes of its id, filled up on the left with ASCII zeros. As Python's `bytes.zfill`
/// does it, the zeros go behind a leading sign.
pub fn nonce_from_id(id: &str) -> [u8; 16] {
    let mut nonce = [b'0'; 16];
    let bytes = id.as_bytes();
    let missing = nonce.len().saturating_sub(bytes.len());
    let (sign, rest) = match bytes {
        [sign @ (b'+' | b'-'), rest @ ..] if missing > 0 => (Some(*sign), rest),
        _ => (None, bytes),
    };
    if let Some(sign) = sign {
        nonce[0] = sign;
    }
    let start = missing + usize::from(sign.is_some());
    for (place, byte) in nonce[start..].iter_mut().zip(rest) {
        *place = *byte;
    }
    nonce
}

fn check_parties(own: &NodeId, parties: &[NodeId]) -> Result<(), LomError> {
    if parties.len() < 2 {
        return Err(LomError::TooFewParties);
    }
    let mut seen = BTreeSet::new();
    for party in parties {
        if !seen.insert(party) {
            return Err(LomError::DuplicateParty(party.clone()));
        }
    }
    if seen.contains(own) {
        Ok(())
    } else {
        Err(LomError::NotAParty(own.clone()))
    }
}

/// The reference's rule: the largest value has fewer bits than 64 − ⌈log₂ parties⌉.
fn check_overflow(parties: usize, input: &[u64]) -> Result<(), LomError> {
    let largest = input.iter().max().ok_or(LomError::Empty)?;
    let bits = u64::BITS - largest.leading_zeros();
    let party_bits = usize::BITS - (parties - 1).leading_zeros();
    let limit = u64::BITS - party_bits;
    if bits < limit {
        Ok(())
    } else {
        Err(LomError::Overflow {
            bits,
            allowed: limit.saturating_sub(1),
            parties,
        })
    }
}

fn pair_seed(secret: &[u8; 32], nonce: &[u8; 16], round: u64) -> Zeroizing<[u8; 32]> {
    let mut seed = Zeroizing::new([0; 32]);
    seed[8..16].copy_from_slice(&round.to_be_bytes());
    chacha20_xor(secret, nonce, &mut seed[..16]);
    seed
}

/// The mask of one pair.
struct Mask {
    seed: Zeroizing<[u8; 32]>,
    is_added: bool,
}

impl Mask {
    /// Adds the mask to a chunk of values, or subtracts it. `index` is the place of the first in the vector, with the round added; `nonce`
    /// is advanced to there. What is in `keystream` before does not matter.
    fn apply(
        &self,
        keystream: &mut [u8; CHUNK * 8],
        nonce: &[u8; 16],
        index: u64,
        values: &mut [u64],
    ) {
        let mask = &mut keystream[..values.len() * 8];
        for (place, index) in mask.chunks_exact_mut(8).zip(index..) {
            place.copy_from_slice(&index.to_be_bytes());
        }
        chacha20_xor(&self.seed, nonce, mask);
        let masks = mask.as_chunks::<8>().0.iter().copied();
        let masked = values.iter_mut().zip(masks.map(u64::from_le_bytes));
        if self.is_added {
            masked.for_each(|(value, mask)| *value = value.wrapping_add(mask));
        } else {
            masked.for_each(|(value, mask)| *value = value.wrapping_sub(mask));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(names: &[&str]) -> Vec<NodeId> {
        names.iter().map(|name| name.parse().unwrap()).collect()
    }

    /// A secret that depends on the pair and not on the order of its two ids.
    fn secrets(own: &NodeId, parties: &[NodeId]) -> BTreeMap<NodeId, Zeroizing<[u8; 32]>> {
        let secret = |peer: &NodeId| {
            let ids = crate::primitives::sorted_ids(own.as_str(), peer.as_str());
            crate::primitives::concat_kdf(b"test", &[&ids])
        };
        let peers = parties.iter().filter(|peer| *peer != own);
        peers.map(|peer| (peer.clone(), secret(peer))).collect()
    }

    fn protect_as(own: &str, parties: &[&str], input: &[u64]) -> Result<Vec<u64>, LomError> {
        let (own, parties) = (own.parse().unwrap(), ids(parties));
        let secrets = secrets(&own, &parties);
        protect(&own, &secrets, &parties, &nonce_from_id("run"), 1, input)
    }

    #[test]
    fn refuses_what_would_be_sent_in_clear() {
        assert_eq!(protect_as("a", &["a"], &[1]), Err(LomError::TooFewParties));
        assert_eq!(protect_as("a", &[], &[1]), Err(LomError::TooFewParties));
        let twice = protect_as("a", &["a", "a"], &[1]);
        assert!(matches!(twice, Err(LomError::DuplicateParty(_))));
        let stranger = protect_as("x", &["a", "b"], &[1]);
        assert!(matches!(stranger, Err(LomError::NotAParty(_))));
    }

    #[test]
    fn refuses_values_whose_sum_could_overflow() {
        for (parties, allowed) in [(2, 62), (3, 61), (4, 61), (5, 60), (8, 60)] {
            let names: Vec<String> = (0..parties).map(|n| format!("n{n}")).collect();
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            let largest = (1u64 << allowed) - 1;
            assert!(protect_as("n0", &names, &[0, largest]).is_ok());
            assert!(matches!(
                protect_as("n0", &names, &[0, largest + 1]),
                Err(LomError::Overflow { .. })
            ));
        }
        assert_eq!(protect_as("a", &["a", "b"], &[]), Err(LomError::Empty));
    }

    #[test]
    fn refuses_to_go_on_without_a_secret() {
        let (own, parties) = ("a".parse().unwrap(), ids(&["a", "b"]));
        let result = protect(&own, &BTreeMap::new(), &parties, &[0; 16], 0, &[1]);
        assert_eq!(result, Err(LomError::NoSecret(parties[1].clone())));
    }

    #[test]
    fn masks_cancel_out_across_chunks() {
        let names = ["c", "a", "b"];
        let input: Vec<u64> = (0..3 * CHUNK as u64 + 5).collect();
        let protected: Vec<Vec<u64>> = names
            .iter()
            .map(|own| protect_as(own, &names, &input).unwrap())
            .collect();
        assert!(protected.iter().all(|vector| vector != &input));
        let sums: Vec<u64> = input.iter().map(|value| 3 * value).collect();
        assert_eq!(aggregate(&protected), Ok(sums));
    }

    #[test]
    fn chunks_do_not_show_in_the_mask() {
        let long = protect_as("a", &["a", "b"], &vec![0; 2 * CHUNK + 1]).unwrap();
        let short = protect_as("a", &["a", "b"], &[0; 3]).unwrap();
        assert_eq!(long[..3], short);
        // The whole mask from one keystream.
        let own: NodeId = "a".parse().unwrap();
        let secret = &secrets(&own, &ids(&["a", "b"]))[&"b".parse::<NodeId>().unwrap()];
        let nonce = nonce_from_id("run");
        let seed = pair_seed(secret, &nonce, 1);
        let mut mask: Vec<u8> = (1..2 * CHUNK as u64 + 2)
            .flat_map(u64::to_be_bytes)
            .collect();
        chacha20_xor(&seed, &nonce, &mut mask);
        let last = u64::from_le_bytes(mask[2 * CHUNK * 8..].try_into().unwrap());
        assert_eq!(long[2 * CHUNK], last.wrapping_neg());
    }

    #[test]
    fn refuses_vectors_of_different_lengths() {
        assert_eq!(aggregate(&[]), Err(LomError::Empty));
        assert_eq!(aggregate(&[vec![1], vec![1, 2]]), Err(LomError::Lengths));
    }

    #[test]
    fn a_short_id_is_filled_up_as_python_does() {
        assert_eq!(&nonce_from_id("secagg_abc"), b"000000secagg_abc");
        assert_eq!(&nonce_from_id("-5"), b"-000000000000005");
        assert_eq!(&nonce_from_id("+"), b"+000000000000000");
        assert_eq!(&nonce_from_id(""), b"0000000000000000");
        assert_eq!(&nonce_from_id("-123456789012345"), b"-123456789012345");
        assert_eq!(&nonce_from_id("-1234567890123456"), b"-123456789012345");
        assert_eq!(
            &nonce_from_id("é2345678901234567"),
            "é23456789012345".as_bytes()
        );
    }
}
