//! Integers of real numbers and back, so that they can be summed exactly: uniform quantisation as in Beguier et al.,
//! "Efficient sparse secure aggregation for federated learning" (doi:10.1145/3488659.3493776), in the reference's
//! floating-point operations and their order.

/// Largest absolute value that training parameters are clipped to (`SAParameters.CLIPPING_RANGE`).
pub const CLIPPING_RANGE: u64 = 3;

/// Number of steps for training parameters (`SAParameters.TARGET_RANGE`).
pub const TARGET_RANGE: u64 = 1 << 13;

/// Clipping range for statistics (`SAParameters.FA_CLIPPING_RANGE`).
pub const STATISTICS_CLIPPING_RANGE: u64 = 100_000_000_000_000;

/// Number of steps for statistics (`SAParameters.FA_TARGET_RANGE`).
pub const STATISTICS_TARGET_RANGE: u64 = 1 << 55;

/// A weight must be smaller (`SAParameters.WEIGHT_RANGE`).
pub const WEIGHT_RANGE: u64 = 1 << 17;

/// Why values could not be quantised, weighted or averaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum QuantizeError {
    /// A clipping range below one, or fewer than two steps.
    #[error("the clipping range is at least 1 and the target range at least 2")]
    Range,
    /// Not a number: it has no place between the bounds.
    #[error("a value is not a number")]
    NotANumber,
    /// The weight is too large.
    #[error("the weight {0} is too large, it must be smaller than {WEIGHT_RANGE}")]
    Weight(u64),
    /// A quantised value outside its range.
    #[error("a quantised value lies outside the target range")]
    OutOfRange,
    /// A weighted value that no 64 bits can hold.
    #[error("a weighted value does not fit 64 bits")]
    Overflow,
    /// An average over nothing.
    #[error("the total weight is zero")]
    NoWeight,
}

/// How real numbers become integers and back: the same at all parties and the researcher.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quantization {
    /// Largest absolute value kept; what is beyond is clipped to it.
    pub clipping_range: u64,
    /// Number of steps.
    pub target_range: u64,
}

impl Quantization {
    /// Of training parameters, unless a researcher says otherwise.
    pub const TRAINING: Self = Self {
        clipping_range: CLIPPING_RANGE,
        target_range: TARGET_RANGE,
    };

    /// Bits of a quantised value times the largest weight: what Joye-Libert makes room for.
    pub fn value_bits(&self) -> u32 {
        let bits = |range: u64| u64::BITS - range.saturating_sub(1).leading_zeros();
        bits(self.target_range) + bits(WEIGHT_RANGE)
    }

    /// Quantises a party's numbers and multiplies them with its weight, if it has one.
    pub fn encode(&self, values: &[f64], weight: Option<u64>) -> Result<Vec<u64>, QuantizeError> {
        let quantized = quantize(values, self.clipping_range, self.target_range)?;
        match weight {
            Some(weight) => apply_weight(&quantized, weight, self.target_range),
            None => Ok(quantized),
        }
    }

    /// The average that sums of encoded numbers stand for. The total weight is that of all parties; without weights, their
    /// number.
    pub fn decode(&self, sums: &[u64], total_weight: u64) -> Result<Vec<f64>, QuantizeError> {
        let averages = average(sums, total_weight)?;
        reverse(&averages, self.clipping_range, self.target_range)
    }
}

/// Clips each value to ±`clipping_range` and maps that interval to 0…`target_range` − 1, rounding down.
pub fn quantize(
    values: &[f64],
    clipping_range: u64,
    target_range: u64,
) -> Result<Vec<u64>, QuantizeError> {
    check_ranges(clipping_range, target_range)?;
    let clip = clipping_range as f64;
    let quantized = values.iter().map(|value| {
        if value.is_nan() {
            return Err(QuantizeError::NotANumber);
        }
        let scaled = (value.clamp(-clip, clip) + clip) * target_range as f64 / (2.0 * clip);
        // `as` rounds down: the number is not negative.
        Ok((scaled as u64).min(target_range - 1))
    });
    quantized.collect()
}

/// Multiplies quantised values with the weight of the party, such as its number of samples.
pub fn apply_weight(
    quantized: &[u64],
    weight: u64,
    target_range: u64,
) -> Result<Vec<u64>, QuantizeError> {
    if weight >= WEIGHT_RANGE {
        return Err(QuantizeError::Weight(weight));
    }
    let weighted = quantized.iter().map(|value| {
        if *value >= target_range {
            return Err(QuantizeError::OutOfRange);
        }
        value.checked_mul(weight).ok_or(QuantizeError::Overflow)
    });
    weighted.collect()
}

/// Divides sums by the total weight of all parties.
pub fn average(sums: &[u64], total_weight: u64) -> Result<Vec<f64>, QuantizeError> {
    if total_weight == 0 {
        return Err(QuantizeError::NoWeight);
    }
    Ok(sums.iter().map(|sum| divide(*sum, total_weight)).collect())
}

/// The real numbers that quantised values, or averages of such, stand for. The part after the point is dropped first, as
/// the reference does: an average is exact to one step, not better.
pub fn reverse(
    quantized: &[f64],
    clipping_range: u64,
    target_range: u64,
) -> Result<Vec<f64>, QuantizeError> {
    check_ranges(clipping_range, target_range)?;
    let clip = clipping_range as f64;
    let step = divide(2 * clipping_range, target_range - 1);
    let reversed = quantized.iter().map(|value| {
        // 2⁶⁴ is the smallest number too large.
        if (0.0..18_446_744_073_709_551_616.0).contains(value) {
            Ok(-clip + step * value.trunc())
        } else {
            Err(QuantizeError::OutOfRange)
        }
    });
    reversed.collect()
}

fn check_ranges(clipping_range: u64, target_range: u64) -> Result<(), QuantizeError> {
    if (1..=u64::MAX / 2).contains(&clipping_range) && target_range >= 2 {
        Ok(())
    } else {
        Err(QuantizeError::Range)
    }
}

/// The quotient rounded once, as Python divides integers. Dividing two `f64` would round three times beyond 2⁵³.
/// `denominator` is not zero.
fn divide(numerator: u64, denominator: u64) -> f64 {
    let wide = u128::from(numerator);
    let shift = wide.leading_zeros().min(127);
    let (wide, denominator) = (wide << shift, u128::from(denominator));
    // At least 64 bits, of which the last also stands for all that follow: enough to round 53 correctly.
    let quotient = (wide / denominator) | u128::from(wide % denominator != 0);
    quotient as f64 * 2f64.powi(-(shift as i32))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_what_is_not_a_number_and_clips_what_is_infinite() {
        let quantize = |value| quantize(&[value], CLIPPING_RANGE, TARGET_RANGE);
        assert_eq!(quantize(f64::NAN), Err(QuantizeError::NotANumber));
        assert_eq!(quantize(f64::INFINITY), Ok(vec![TARGET_RANGE - 1]));
        assert_eq!(quantize(f64::NEG_INFINITY), Ok(vec![0]));
    }

    #[test]
    fn refuses_ranges_that_hold_nothing() {
        assert_eq!(quantize(&[0.0], 0, 8), Err(QuantizeError::Range));
        assert_eq!(quantize(&[0.0], 1, 1), Err(QuantizeError::Range));
        assert_eq!(reverse(&[0.0], u64::MAX, 8), Err(QuantizeError::Range));
    }

    #[test]
    fn refuses_weights_and_values_out_of_range() {
        assert!(apply_weight(&[1], WEIGHT_RANGE - 1, 8).is_ok());
        let heavy = apply_weight(&[1], WEIGHT_RANGE, 8);
        assert_eq!(heavy, Err(QuantizeError::Weight(WEIGHT_RANGE)));
        assert_eq!(apply_weight(&[8], 1, 8), Err(QuantizeError::OutOfRange));
        let large = apply_weight(&[1 << 50], 1 << 16, 1 << 55);
        assert_eq!(large, Err(QuantizeError::Overflow));
        assert_eq!(average(&[1], 0), Err(QuantizeError::NoWeight));
        for bad in [-1.0, f64::NAN, 1e20] {
            assert_eq!(reverse(&[bad], 3, 8), Err(QuantizeError::OutOfRange));
        }
    }

    #[test]
    fn makes_room_for_the_largest_weight() {
        assert_eq!(Quantization::TRAINING.value_bits(), 30);
        let statistics = Quantization {
            clipping_range: STATISTICS_CLIPPING_RANGE,
            target_range: STATISTICS_TARGET_RANGE,
        };
        assert_eq!(statistics.value_bits(), 72);
        let odd = Quantization {
            target_range: 5,
            ..statistics
        };
        assert_eq!(odd.value_bits(), 20);
    }

    #[test]
    fn divides_with_one_rounding() {
        assert_eq!(divide(0, 3), 0.0);
        assert_eq!(divide(1, 3), 1.0 / 3.0);
        assert_eq!(divide(6, 8191), 6.0 / 8191.0);
        assert_eq!(divide(u64::MAX, 1), 18_446_744_073_709_551_616.0);
        assert_eq!(divide(1, u64::MAX), 2f64.powi(-64));
        // Python: 9007199254740993 / 3 == 3002399751580331.0; rounding the numerator first gives …330.666.
        assert_eq!(divide(9_007_199_254_740_993, 3), 3_002_399_751_580_331.0);
    }
}
