//! Server keys, split into shares that sum to them: plain integers, no modulus.
//!
//! Each party draws a secret of 2040 bits and gives every other party a share of it. A party tells the researcher the
//! sum of the share it kept and those it received. The researcher's key is minus the sum of what it is told, so all
//! keys sum to zero, and nobody knows another's.
//!
//! Without a modulus a share tells a little about its secret: of a secret s and a share r drawn from 0…2²⁰⁴⁰, the kept
//! s − r. That is the reference's scheme, kept to work with it.

use std::fmt;

use p256::elliptic_curve::bigint::{Uint, nlimbs};
use p256::elliptic_curve::group::GroupEncoding;
use p256::{ProjectivePoint, Scalar};
use rand_core::CryptoRng;
use zeroize::{Zeroize, Zeroizing};

use crate::message::Integer;
use crate::primitives::scalar_from_be_bytes;

/// Length of a secret, in bits (the reference's `_key_bit_length`).
pub const SECRET_BITS: usize = 2040;

/// Longest share or key taken from outside, in bytes of two's complement. An honest one is shorter among up to 2⁶⁴
/// parties, and 2⁶³ of this length can be summed without overflow.
pub const MAX_SHARE_BYTES: usize = 280;

/// Width of the arithmetic, in bytes.
const WIDTH_BYTES: usize = 288;

/// Two's complement of a fixed width: the time it takes to calculate tells nothing about the numbers.
type Wide = Uint<{ nlimbs(WIDTH_BYTES as u32 * 8) }>;

/// Why an integer is not a share or a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ShareError {
    /// It is longer than any that parties exchange.
    #[error("the integer has {0} bytes, a share or key has at most {MAX_SHARE_BYTES}")]
    TooLong(usize),
    /// A text is not a decimal number.
    #[error("not a decimal number")]
    NotANumber,
    /// Fewer than two parties: there is nobody to share with.
    #[error("a server key needs at least two parties")]
    TooFewParties,
    /// A commitment is no point of the curve.
    #[error("a commitment is not a point of P-256")]
    NotAPoint,
}

impl ShareError {
    /// Why we refuse what the reference may take; `None` where it has no such thing.
    pub fn stricter_than_reference(&self) -> Option<&'static str> {
        match self {
            Self::TooLong(_) => Some("the size of a share is bounded"),
            Self::TooFewParties => {
                Some("a key of one party would be told to the researcher as it is")
            }
            Self::NotAPoint | Self::NotANumber => None,
        }
    }
}

/// A party's key, or the researcher's. Cannot be printed; zeroized when dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct ServerKey(Zeroizing<Wide>);

/// A share of a key, or a sum of shares. Cannot be printed; zeroized when dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Share(Zeroizing<Wide>);

/// A key split for its parties.
pub struct Split {
    /// One share for each other party.
    pub given: Vec<Share>,
    /// The share kept: the key minus all given, negative as a rule.
    pub kept: Share,
}

impl ServerKey {
    /// Width of [`magnitude`](Self::magnitude), in limbs.
    pub(super) const LIMBS: usize = Wide::LIMBS;

    /// Draws a party's key: [`SECRET_BITS`] random bits.
    pub fn random(rng: &mut impl CryptoRng) -> Self {
        Self(Zeroizing::new(random_bits(SECRET_BITS, rng)))
    }

    /// The researcher's key: minus the sum of what all parties reported.
    pub fn of_researcher(reported: &[Share]) -> Self {
        let sum = Share::sum(reported);
        Self(Zeroizing::new(sum.0.wrapping_neg()))
    }

    /// Splits the key among `parties`, this one included. The shares given are drawn from 0…2²⁰⁴⁰ alike, both ends
    /// included, as the reference draws them.
    ///
    /// Errors: fewer than two parties.
    pub fn split(&self, parties: usize, rng: &mut impl CryptoRng) -> Result<Split, ShareError> {
        if parties < 2 {
            return Err(ShareError::TooFewParties);
        }
        let given: Vec<Share> = (1..parties)
            .map(|_| Share(Zeroizing::new(random_share(rng))))
            .collect();
        let sum = Share::sum(&given);
        Ok(Split {
            kept: Share(Zeroizing::new(self.0.wrapping_sub(&sum.0))),
            given,
        })
    }

    /// key · G, with which anybody can check that keys sum to zero ([`commitments_sum_to_identity`]) and learn nothing
    /// else. A compressed point (SEC 1, 2.3.3); 33 zero bytes for the point at infinity.
    pub fn commitment(&self) -> [u8; 33] {
        let scalar = Zeroizing::new(scalar(&self.0));
        (ProjectivePoint::GENERATOR * *scalar).to_bytes().into()
    }

    /// The absolute value, and whether the key is negative.
    pub(super) fn magnitude(&self) -> (Zeroizing<Wide>, bool) {
        let negative = self.0.bit_vartime(Wide::BITS - 1);
        let magnitude = if negative {
            self.0.wrapping_neg()
        } else {
            *self.0
        };
        (Zeroizing::new(magnitude), negative)
    }

    /// Reads a key that is written in decimal, as the reference keeps it. How long that takes depends on the key.
    ///
    /// Errors: not a number, longer than any key.
    pub fn from_decimal(text: &str) -> Result<Self, ShareError> {
        let (digits, negative) = match text.strip_prefix('-') {
            Some(digits) => (digits, true),
            None => (text, false),
        };
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(ShareError::NotANumber);
        }
        let too_long = ShareError::TooLong(digits.len() * 10 / 24);
        let number = Wide::from_str_radix_vartime(digits, 10).map_err(|_| too_long)?;
        let number = Zeroizing::new(number);
        if number.bits_vartime() >= MAX_SHARE_BYTES as u32 * 8 {
            return Err(ShareError::TooLong(
                number.bits_vartime().div_ceil(8) as usize
            ));
        }
        let signed = if negative {
            number.wrapping_neg()
        } else {
            *number
        };
        Ok(Self(Zeroizing::new(signed)))
    }

    /// Reads a key, as [`to_integer`](Self::to_integer) gave it. Errors: longer than any key.
    pub fn from_integer(integer: &Integer) -> Result<Self, ShareError> {
        from_integer(integer).map(Self)
    }

    /// The key as an integer.
    pub fn to_integer(&self) -> Integer {
        to_integer(&self.0)
    }
}

impl Share {
    /// The sum of shares; zero of none.
    pub fn sum<'a>(shares: impl IntoIterator<Item = &'a Share>) -> Self {
        let mut sum = Zeroizing::new(Wide::ZERO);
        for share in shares {
            *sum = sum.wrapping_add(&share.0);
        }
        Self(sum)
    }

    /// Reads a share that a peer gave. Errors: longer than any share.
    pub fn from_integer(integer: &Integer) -> Result<Self, ShareError> {
        from_integer(integer).map(Self)
    }

    /// The share as an integer.
    pub fn to_integer(&self) -> Integer {
        to_integer(&self.0)
    }
}

impl fmt::Debug for ServerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerKey").finish_non_exhaustive()
    }
}

impl fmt::Debug for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Share").finish_non_exhaustive()
    }
}

/// Whether the keys behind the commitments sum to zero. (Modulo the order of P-256, to be exact: keys drawn by chance that
/// sum to another multiple of it will not be met.) Errors: a commitment that is no point.
pub fn commitments_sum_to_identity(commitments: &[[u8; 33]]) -> Result<bool, ShareError> {
    let mut sum = ProjectivePoint::IDENTITY;
    for commitment in commitments {
        let point: Option<ProjectivePoint> =
            ProjectivePoint::from_bytes(&(*commitment).into()).into();
        sum += point.ok_or(ShareError::NotAPoint)?;
    }
    Ok(sum == ProjectivePoint::IDENTITY)
}

/// Uniform in 0…2²⁰⁴⁰: draws one bit more and starts again above the end, which happens every other time.
fn random_share(rng: &mut impl CryptoRng) -> Wide {
    let end = Wide::ONE.shl_vartime(SECRET_BITS as u32);
    loop {
        let candidate = Zeroizing::new(random_bits(SECRET_BITS + 1, rng));
        if *candidate <= end {
            return *candidate;
        }
    }
}

/// Uniform in 0…2ᵇⁱᵗˢ − 1.
fn random_bits(bits: usize, rng: &mut impl CryptoRng) -> Wide {
    let mut bytes = Zeroizing::new([0; WIDTH_BYTES]);
    let start = WIDTH_BYTES - bits.div_ceil(8);
    rng.fill_bytes(&mut bytes[start..]);
    if !bits.is_multiple_of(8) {
        bytes[start] &= (1 << (bits % 8)) - 1;
    }
    Wide::from_be_slice(bytes.as_slice())
}

fn from_integer(integer: &Integer) -> Result<Zeroizing<Wide>, ShareError> {
    let minimal = integer.to_signed_bytes_be();
    if minimal.len() > MAX_SHARE_BYTES {
        return Err(ShareError::TooLong(minimal.len()));
    }
    let sign = if integer.is_negative() { 0xff } else { 0 };
    let mut bytes = Zeroizing::new([sign; WIDTH_BYTES]);
    bytes[WIDTH_BYTES - minimal.len()..].copy_from_slice(&minimal);
    Ok(Zeroizing::new(Wide::from_be_slice(bytes.as_slice())))
}

fn to_integer(wide: &Wide) -> Integer {
    let mut bytes = wide.to_be_bytes();
    let integer = Integer::from_bounded_bytes_be(bytes.as_ref());
    bytes.zeroize();
    integer
}

/// The number modulo the order of P-256. A negative one is its two's complement minus 2^width.
fn scalar(wide: &Wide) -> Scalar {
    let mut bytes = wide.to_be_bytes();
    let negative = bytes.as_ref().first().is_some_and(|top| top & 0x80 != 0);
    let unsigned = scalar_from_be_bytes(bytes.as_ref());
    bytes.zeroize();
    let mut end = [0; WIDTH_BYTES + 1];
    end[0] = u8::from(negative);
    unsigned - scalar_from_be_bytes(&end)
}

#[cfg(test)]
mod tests {
    use num_bigint::BigInt;
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;

    use super::*;

    fn rng() -> ChaCha20Rng {
        ChaCha20Rng::seed_from_u64(1)
    }

    fn big(integer: &Integer) -> BigInt {
        BigInt::from_signed_bytes_be(&integer.to_signed_bytes_be())
    }

    fn share(value: i64) -> Share {
        Share::from_integer(&value.into()).unwrap()
    }

    #[test]
    fn reads_decimal_keys_and_nothing_else() {
        let longest: BigInt = (BigInt::from(1) << (MAX_SHARE_BYTES * 8 - 1)) - 1;
        for number in [
            BigInt::from(0),
            BigInt::from(-5),
            longest.clone(),
            -longest.clone(),
        ] {
            let key = ServerKey::from_decimal(&number.to_string()).expect("a key");
            assert_eq!(big(&key.to_integer()), number);
        }
        for bad in ["", "-", "+1", "1.0", "1e9", "0x1", "١"] {
            assert_eq!(ServerKey::from_decimal(bad), Err(ShareError::NotANumber));
        }
        let longer: BigInt = longest + 1;
        for long in [longer.to_string(), "9".repeat(5000)] {
            let refused = ServerKey::from_decimal(&long);
            assert!(matches!(refused, Err(ShareError::TooLong(_))));
        }
    }

    #[test]
    fn refuses_integers_longer_than_any_share() {
        let integer = |length| Integer::from_signed_bytes_be(&vec![1; length]).unwrap();
        assert!(Share::from_integer(&integer(MAX_SHARE_BYTES)).is_ok());
        assert_eq!(
            Share::from_integer(&integer(MAX_SHARE_BYTES + 1)),
            Err(ShareError::TooLong(MAX_SHARE_BYTES + 1))
        );
    }

    #[test]
    fn refuses_to_split_for_nobody() {
        let key = ServerKey::random(&mut rng());
        for parties in [0, 1] {
            let error = key.split(parties, &mut rng()).err();
            assert_eq!(error, Some(ShareError::TooFewParties));
        }
    }

    #[test]
    fn shares_sum_to_the_key_and_keep_their_range() {
        let mut rng = rng();
        let end: BigInt = BigInt::from(2).pow(2040);
        for parties in [2, 3, 10] {
            let key = ServerKey::random(&mut rng);
            let split = key.split(parties, &mut rng).unwrap();
            assert_eq!(split.given.len(), parties - 1);
            let mut sum = big(&split.kept.to_integer());
            for given in &split.given {
                let given = big(&given.to_integer());
                assert!(BigInt::from(0) <= given && given <= end);
                sum += given;
            }
            assert_eq!(sum, big(&key.to_integer()));
            assert!(sum < end);
        }
    }

    #[test]
    fn all_keys_sum_to_zero_and_their_commitments_show_it() {
        let mut rng = rng();
        let keys: Vec<ServerKey> = (0..3).map(|_| ServerKey::random(&mut rng)).collect();
        let splits: Vec<Split> = keys
            .iter()
            .map(|key| key.split(3, &mut rng).unwrap())
            .collect();
        // Party i gives its shares to the parties after it, in a ring.
        let reported: Vec<Share> = (0..3)
            .map(|own| {
                let received = (0..2).map(|n| &splits[(own + 2 - n) % 3].given[n]);
                Share::sum(received.chain([&splits[own].kept]))
            })
            .collect();
        let researcher = ServerKey::of_researcher(&reported);
        let mut commitments: Vec<[u8; 33]> = keys.iter().map(ServerKey::commitment).collect();
        assert_eq!(commitments_sum_to_identity(&commitments), Ok(false));
        commitments.push(researcher.commitment());
        assert_eq!(commitments_sum_to_identity(&commitments), Ok(true));
        commitments[0][0] = 9;
        assert_eq!(
            commitments_sum_to_identity(&commitments),
            Err(ShareError::NotAPoint)
        );
    }

    #[test]
    fn negative_keys_commit_to_the_opposite_point() {
        let commitment = |value: i64| ServerKey(share(value).0).commitment();
        let pair = [commitment(5), commitment(-5)];
        assert_eq!(commitments_sum_to_identity(&pair), Ok(true));
        assert_eq!(commitment(0), [0; 33]);
        assert_eq!(commitments_sum_to_identity(&[]), Ok(true));
    }

    #[test]
    fn secrets_cannot_be_printed() {
        assert_eq!(format!("{:?}", share(5)), "Share { .. }");
        let key = ServerKey::random(&mut rng());
        assert_eq!(format!("{key:?}"), "ServerKey { .. }");
    }
}
