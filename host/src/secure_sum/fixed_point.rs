//! Decimal numbers as the unsigned 64-bit integers that LOM masks: sums of hospital data, exact to six decimals.
//!
//! A party's sum s is sent as s·10⁶ + B, where the bias B = 2^(62 − ⌈log₂ n⌉) makes it non-negative and small enough for LOM's
//! overflow rule with n parties; the n biases are taken off the aggregate.

/// Decimals kept.
pub const DECIMALS: u32 = 6;

const SCALE: f64 = 1e6;

/// The encoding for a number of parties.
#[derive(Clone, Copy, Debug)]
pub struct FixedPoint {
    parties: u64,
    bias: i128,
}

/// Why numbers cannot be summed.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum FixedPointError {
    /// Their sum could overflow the 64 bits that are masked.
    #[error(
        "the sum {sum} is not between -{limit} and {limit}, so the sum of {parties} parties could overflow 64 bits"
    )]
    Overflow {
        /// The sum.
        sum: f64,
        /// What its magnitude must stay below.
        limit: f64,
        /// How many parties there are.
        parties: u64,
    },
    /// Not a number, or infinite.
    #[error("{0} is not a finite number")]
    NotFinite(f64),
    /// No secure sum has fewer than two parties, nor more than 2⁶⁰.
    #[error("a secure sum takes 2 to 2^60 parties, not {0}")]
    Parties(u64),
    /// More than all parties together can have encoded: what was added up still holds masks.
    #[error("no sums of {parties} parties add up to {aggregate}")]
    NotASum {
        /// What the encoded sums added up to.
        aggregate: u64,
        /// How many parties there are.
        parties: u64,
    },
}

impl FixedPoint {
    /// The encoding among `parties`.
    pub fn new(parties: usize) -> Result<Self, FixedPointError> {
        let parties = parties as u64;
        if !(2..=1 << 60).contains(&parties) {
            return Err(FixedPointError::Parties(parties));
        }
        let party_bits = u64::BITS - (parties - 1).leading_zeros();
        Ok(Self {
            parties,
            bias: 1 << (62 - party_bits),
        })
    }

    /// The sum of `numbers`, to be masked. Each number is rounded to six decimals; the sum of those is exact.
    pub fn encode_sum(&self, numbers: &[f64]) -> Result<u64, FixedPointError> {
        let mut sum: i128 = 0;
        for &number in numbers {
            if !number.is_finite() {
                return Err(FixedPointError::NotFinite(number));
            }
            let scaled = (number * SCALE).round();
            // 2^100 · 2^26 numbers still fit: anything beyond is an overflow long before.
            if scaled.abs() >= 2_f64.powi(100) {
                return Err(self.overflow(scaled));
            }
            #[allow(clippy::cast_possible_truncation, reason = "bounded above")]
            let scaled = scaled as i128;
            sum = sum.saturating_add(scaled);
        }
        if sum < -self.bias || sum >= self.bias {
            #[allow(clippy::cast_precision_loss, reason = "shown to people")]
            return Err(self.overflow(sum as f64));
        }
        u64::try_from(sum + self.bias).map_err(|_| FixedPointError::Parties(self.parties))
    }

    /// The sum over all parties, from the aggregate of their encoded sums. Fails if it is more than they can have
    /// encoded, each less than twice the bias; so of random numbers, half or more are refused.
    #[allow(
        clippy::cast_precision_loss,
        reason = "15 digits are enough for a mean"
    )]
    pub fn decode_sum(&self, aggregate: u64) -> Result<f64, FixedPointError> {
        let biases = i128::from(self.parties) * self.bias;
        if i128::from(aggregate) >= 2 * biases {
            return Err(FixedPointError::NotASum {
                aggregate,
                parties: self.parties,
            });
        }
        Ok((i128::from(aggregate) - biases) as f64 / SCALE)
    }

    #[allow(clippy::cast_precision_loss, reason = "shown to people")]
    fn overflow(&self, scaled: f64) -> FixedPointError {
        FixedPointError::Overflow {
            sum: scaled / SCALE,
            limit: self.bias as f64 / SCALE,
            parties: self.parties,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_what_could_overflow_the_sum_of_all_parties() {
        for parties in [2, 3, 10, 1000] {
            let encoding = FixedPoint::new(parties).expect("enough parties");
            let limit = encoding.bias as f64 / SCALE;
            for bad in [limit, -limit * 1.01, 1e300, -1e30] {
                assert!(
                    matches!(
                        encoding.encode_sum(&[bad]),
                        Err(FixedPointError::Overflow { .. })
                    ),
                    "{bad}"
                );
            }
            let most = encoding.encode_sum(&[limit * 0.999]).expect("fits");
            let node_bits = (parties as f64).log2().ceil() as u32;
            assert!(
                u64::BITS - most.leading_zeros() < 64 - node_bits,
                "LOM's overflow rule"
            );
        }
    }

    #[test]
    fn refuses_what_is_no_number_and_too_few_parties() {
        let encoding = FixedPoint::new(2).expect("two");
        assert!(encoding.encode_sum(&[f64::NAN]).is_err());
        assert!(encoding.encode_sum(&[f64::INFINITY]).is_err());
        assert!(FixedPoint::new(1).is_err());
    }

    #[test]
    fn refuses_an_aggregate_that_the_parties_cannot_have_encoded() {
        for parties in [2, 3, 10] {
            let encoding = FixedPoint::new(parties).expect("enough parties");
            let beyond = u64::try_from(2 * encoding.bias).expect("fits") * parties as u64;
            for bad in [beyond, u64::MAX] {
                assert!(
                    matches!(
                        encoding.decode_sum(bad),
                        Err(FixedPointError::NotASum { aggregate, .. }) if aggregate == bad
                    ),
                    "{bad}"
                );
            }
            assert!(encoding.decode_sum(beyond - 1).is_ok());
        }
    }

    #[test]
    fn sums_are_exact_to_six_decimals() {
        let encoding = FixedPoint::new(3).expect("three");
        let parts = [
            vec![0.1; 10],
            vec![-2.5, 1e-6],
            vec![17.99, 1_000_000.123_456],
        ];
        let aggregate = parts
            .iter()
            .map(|part| encoding.encode_sum(part).expect("small"))
            .fold(0_u64, u64::wrapping_add);
        assert_eq!(
            encoding.decode_sum(aggregate).expect("a sum"),
            1.0 - 2.499_999 + 17.99 + 1_000_000.123_456
        );
    }
}
