//! Joye-Libert: each party encrypts under its own key, and the researcher's key, minus the sum of theirs, opens the
//! product of all ciphertexts to the sum of all values, and nothing else (M. Joye, B. Libert: "A scalable scheme for
//! privacy-preserving aggregation of time-series data", Financial Cryptography 2013).
//!
//! ```text
//! y  = (1 + x·N) · H(t)^key  mod N²        t = index of the plaintext · 2⁵¹² + round
//! Πy = (1 + Σx·N) · H(t)^(−researcher's key)
//! ```
//!
//! N is the biprime that Fed-BioMed ships (`biprime.hex`; in Fed-BioMed 6.4.1 the file
//! `envs/common/default_biprimes/biprime0.json`): whoever knew its factors could read everything. H is the reference's: one
//! block of SHA-256, not a hash onto the whole group.
//!
//! A round serves once: y₁/y₂ of two vectors shows the difference of the two.

mod packing;
mod residue;

use std::fmt;
use std::str::FromStr;

use crypto_bigint::{Odd, U256};
use rayon::prelude::*;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::additive::{SECRET_BITS, ServerKey};
pub use packing::Packing;
use residue::{Digit, Exponent, Modulus, Residue, Wide};

/// The shipped biprime, in a form fit for calculation.
static BIPRIME: Modulus = Modulus::new(N);

const N: Odd<Digit> = Odd::<Digit>::from_be_hex(include_str!("biprime.hex").trim_ascii_end());

/// Why values could not be protected or summed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JoyeLibertError {
    /// There is nothing to protect or to sum.
    #[error("there are no values")]
    Empty,
    /// A value that would run into its neighbour.
    #[error("the value {0} is larger than its slot in a plaintext")]
    TooLarge(u64),
    /// Vectors of different lengths, or of another length than the values have.
    #[error("the vectors to be summed differ in length")]
    Lengths,
    /// A sum of more than 64 bits.
    #[error("a sum has more than 64 bits")]
    Overflow,
    /// Keys, round, parties or vectors do not belong together.
    #[error(
        "the key does not open the sum: a party's vector is missing, or of another round or another set-up"
    )]
    NotOpened,
}

/// A text is not a ciphertext.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a decimal number from 0 to N² - 1")]
pub struct NotACiphertext;

/// One encrypted plaintext: a number below N², written in decimal.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Ciphertext(Wide);

/// Encrypts `values` for a sum with those of all parties.
///
/// Uses all processors: a plaintext takes some 2 ms of one.
///
/// Errors: no values, or one that does not fit its slot.
pub fn protect(
    key: &ServerKey,
    packing: Packing,
    round: u64,
    values: &[u64],
) -> Result<Vec<Ciphertext>, JoyeLibertError> {
    if values.is_empty() {
        return Err(JoyeLibertError::Empty);
    }
    if let Some(value) = packing.too_large(values) {
        return Err(JoyeLibertError::TooLarge(value));
    }
    let key = Key::new(key);
    let plaintexts = Zeroizing::new(packing.pack(values));
    let protected = plaintexts.par_iter().enumerate().map(|(index, plaintext)| {
        let mask = key.mask(index, round);
        let protected = BIPRIME.mul(&BIPRIME.enter_plaintext(plaintext), &mask);
        Ciphertext(BIPRIME.join(&BIPRIME.leave(&protected)))
    });
    Ok(protected.collect())
}

/// Sums what all parties encrypted: `values` sums, opened with the researcher's key.
///
/// Errors: vectors of other lengths than so many values have, a key that does not open the sum.
pub fn aggregate(
    key: &ServerKey,
    packing: Packing,
    round: u64,
    protected: &[Vec<Ciphertext>],
    values: usize,
) -> Result<Vec<u64>, JoyeLibertError> {
    if values == 0 || protected.is_empty() {
        return Err(JoyeLibertError::Empty);
    }
    let count = packing.plaintexts(values);
    if protected.iter().any(|vector| vector.len() != count) {
        return Err(JoyeLibertError::Lengths);
    }
    let key = Key::new(key);
    let opened = (0..count).into_par_iter().map(|index| {
        let product = protected
            .iter()
            .filter_map(|vector| vector.get(index))
            .fold(key.mask(index, round), |product, ciphertext| {
                Zeroizing::new(BIPRIME.mul(&product, &BIPRIME.enter(&ciphertext.0)))
            });
        let Residue { lower, upper } = BIPRIME.leave(&product);
        (lower == Digit::ONE).then_some(upper)
    });
    let opened: Option<Vec<Digit>> = opened.collect();
    packing
        .unpack(&opened.ok_or(JoyeLibertError::NotOpened)?, values)
        .ok_or(JoyeLibertError::Overflow)
}

/// The biprime N, in decimal.
pub fn biprime() -> String {
    N.to_string_radix_vartime(10)
}

/// H(t) of a plaintext's index and the round, in decimal.
pub fn hash_of(index: usize, round: u64) -> String {
    hash(index, round).to_string_radix_vartime(10)
}

/// A key as an exponent.
struct Key {
    exponent: Exponent<{ ServerKey::LIMBS }>,
    negative: bool,
}

impl Key {
    /// The sign is no secret: a party's key is positive, the researcher's is not.
    fn new(key: &ServerKey) -> Self {
        let (magnitude, negative) = key.magnitude();
        // All honest keys of parties look alike; of longer ones the time tells the length, to 64 bits.
        let bits = magnitude.bits().next_multiple_of(u64::BITS);
        let bits = bits.max(SECRET_BITS as u32);
        Self {
            exponent: Exponent::new(&magnitude, bits, &BIPRIME),
            negative,
        }
    }

    /// H(t)^key.
    fn mask(&self, index: usize, round: u64) -> Zeroizing<Residue> {
        let mut mask = Zeroizing::new(BIPRIME.power(&hash(index, round), &self.exponent));
        if self.negative {
            // A hash is not zero and shorter than N's factors, so it has an inverse.
            *mask = BIPRIME.invert(&mask).unwrap_or_default();
        }
        mask
    }
}

/// H(t): SHA-256 of t, 1024 bytes big-endian, and the byte 1.
///
/// The reference would append blocks until the number shares no factor with N. One block never does: it has 256 bits, and
/// N's factors have 512.
fn hash(index: usize, round: u64) -> Digit {
    const T_BYTES: usize = 1024;
    /// t = index · 2⁵¹² + round.
    const INDEX_END: usize = T_BYTES - 512 / 8;
    let mut t = [0; T_BYTES];
    t[INDEX_END - 8..INDEX_END].copy_from_slice(&(index as u64).to_be_bytes());
    t[T_BYTES - 8..].copy_from_slice(&round.to_be_bytes());
    let digest = Sha256::new().chain_update(t).chain_update([1]).finalize();
    U256::from_be_slice(&digest).resize()
}

impl fmt::Display for Ciphertext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.to_string_radix_vartime(10))
    }
}

impl fmt::Debug for Ciphertext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Ciphertext {
    type Err = NotACiphertext;

    fn from_str(text: &str) -> Result<Self, NotACiphertext> {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let number = digits
            .then(|| Wide::from_str_radix_vartime(text, 10).ok())
            .flatten();
        number
            .filter(|number| number < BIPRIME.square())
            .map(Self)
            .ok_or(NotACiphertext)
    }
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;

    use super::super::additive::Share;
    use super::*;

    /// Keys of parties, and the researcher's.
    fn keys(parties: usize) -> (Vec<ServerKey>, ServerKey) {
        let mut rng = ChaCha20Rng::seed_from_u64(5);
        let keys: Vec<_> = (0..parties).map(|_| ServerKey::random(&mut rng)).collect();
        let shares: Vec<_> = keys
            .iter()
            .map(|key| Share::from_integer(&key.to_integer()).expect("short"))
            .collect();
        (keys, ServerKey::of_researcher(&shares))
    }

    fn packing() -> Packing {
        Packing::new(30, 3).expect("fits")
    }

    fn protected(keys: &[ServerKey], values: &[u64]) -> Vec<Vec<Ciphertext>> {
        let protect = |key| protect(key, packing(), 7, values).expect("protected");
        keys.iter().map(protect).collect()
    }

    #[test]
    fn opens_nothing_but_the_sum_of_all() {
        let (keys, researcher) = keys(3);
        let vectors = protected(&keys, &[1, 2, 3]);
        let open = |vectors: &[Vec<_>], round| aggregate(&researcher, packing(), round, vectors, 3);

        assert_eq!(open(&vectors[..2], 7), Err(JoyeLibertError::NotOpened));
        assert_eq!(open(&vectors, 8), Err(JoyeLibertError::NotOpened));
        let twice = [&vectors[..2], &vectors[..1]].concat();
        assert_eq!(open(&twice, 7), Err(JoyeLibertError::NotOpened));
        assert_eq!(open(&vectors, 7), Ok(vec![3, 6, 9]));
    }

    #[test]
    fn refuses_vectors_of_other_lengths() {
        let (keys, researcher) = keys(3);
        let mut vectors = protected(&keys, &[1; 33]);
        let open =
            |vectors: &[Vec<_>], values| aggregate(&researcher, packing(), 7, vectors, values);

        assert_eq!(open(&vectors, 32), Err(JoyeLibertError::Lengths));
        assert_eq!(open(&vectors, 65), Err(JoyeLibertError::Lengths));
        assert_eq!(open(&vectors, 0), Err(JoyeLibertError::Empty));
        assert_eq!(open(&[], 33), Err(JoyeLibertError::Empty));
        vectors[1].pop();
        assert_eq!(open(&vectors, 33), Err(JoyeLibertError::Lengths));
    }

    #[test]
    fn refuses_what_would_run_into_its_neighbour() {
        let (keys, _) = keys(2);
        let protect = |values: &[u64]| protect(&keys[0], packing(), 1, values);
        assert_eq!(
            protect(&[1, 1 << 30]),
            Err(JoyeLibertError::TooLarge(1 << 30))
        );
        assert_eq!(protect(&[]), Err(JoyeLibertError::Empty));
    }

    #[test]
    fn full_slots_add_up_without_touching() {
        let (keys, researcher) = keys(3);
        let largest = [(1 << 30) - 1; 40];
        let sums = aggregate(&researcher, packing(), 7, &protected(&keys, &largest), 40);
        assert_eq!(sums, Ok(vec![3 * ((1 << 30) - 1); 40]));
    }

    #[test]
    fn reads_numbers_below_the_modulus_only() {
        let largest = Ciphertext(BIPRIME.square().wrapping_sub(&Wide::ONE));
        assert_eq!(largest.to_string().parse(), Ok(largest));
        let modulus = BIPRIME.square().to_string_radix_vartime(10);
        let endless = "9".repeat(5000);
        for bad in [
            "", "-1", "+1", "0x1", "1_0", " 1", "1e3", &modulus, &endless,
        ] {
            assert_eq!(bad.parse::<Ciphertext>(), Err(NotACiphertext), "{bad}");
        }
    }
}
