use backchannel_sdk::Failure;

/// Numbers as integers modulo 2^64, in which sums wrap and masks hide perfectly: clipped, multiplied with a power of two, rounded.
#[derive(Clone, Copy)]
pub struct FixedPoint {
    clip: f64,
    unit: f64,
}

impl FixedPoint {
    /// For numbers of up to `clip` either way, with so many bits after the point, `parties` of which are summed, each
    /// multiplied with a weight of up to `weight`.
    ///
    /// # Errors
    ///
    /// [`Failure::Malformed`] when a bound is no number above 0, or the sum might not fit.
    pub fn new(clip: f64, bits: u32, weight: f64, parties: usize) -> Result<Self, Failure> {
        for bound in [clip, weight] {
            if !(bound.is_finite() && bound > 0.0) {
                return Err(Failure::malformed("a `clip` is a number above 0"));
            }
        }
        if bits > 52 {
            return Err(Failure::malformed("`fraction-bits` is 0 to 52"));
        }
        let unit = (1_u64 << bits) as f64;
        // Weights are summed too. Half of the range is for the negative ones, half of the rest for rounding.
        let largest = clip.max(1.0) * weight * unit * parties as f64;
        if largest >= (1_u64 << 62) as f64 {
            let why = "the sum might not fit: lower `clip` or `fraction-bits`";
            return Err(Failure::malformed(why));
        }
        Ok(Self { clip, unit })
    }

    /// A number, clipped.
    ///
    /// # Errors
    ///
    /// [`Failure::Refused`] when it is none.
    pub fn clipped(&self, number: f64) -> Result<f64, Failure> {
        if number.is_nan() {
            return Err(Failure::refused(
                "the input holds something that is no number",
            ));
        }
        Ok(number.clamp(-self.clip, self.clip))
    }

    /// A clipped number, with its weight in it if it has one.
    pub fn encode(&self, number: f64) -> u64 {
        // Negative ones wrap.
        (number * self.unit).round_ties_even() as i64 as u64
    }

    /// A sum of numbers.
    pub fn decode(&self, sum: u64) -> f64 {
        sum as i64 as f64 / self.unit
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn refuses_bounds_that_are_none_and_sums_that_do_not_fit() {
        for clip in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(FixedPoint::new(clip, 16, 1.0, 3).is_err());
            assert!(FixedPoint::new(1.0, 16, clip, 3).is_err());
        }
        assert!(FixedPoint::new(1.0, 53, 1.0, 3).is_err());
        assert!(FixedPoint::new(1e15, 16, 1.0, 3).is_err());
        assert!(FixedPoint::new(0.1, 16, 1e15, 3).is_err());
        assert!(FixedPoint::new(1e3, 16, 1e6, 1000).is_ok());
    }

    #[test]
    fn what_is_no_number_is_refused_and_what_is_beyond_is_clipped() {
        let fixed = FixedPoint::new(2.5, 16, 1.0, 3).unwrap();
        assert!(fixed.clipped(f64::NAN).is_err());
        assert_eq!(fixed.clipped(f64::INFINITY), Ok(2.5));
        assert_eq!(fixed.clipped(-1e300), Ok(-2.5));
    }

    proptest! {
        #[test]
        fn a_sum_is_that_of_the_numbers_but_for_rounding(
            numbers in proptest::collection::vec(-1e4..1e4_f64, 1..100),
            bits in 0_u32..30,
        ) {
            let fixed = FixedPoint::new(1e3, bits, 1.0, 100).unwrap();
            let clipped: Vec<f64> =
                numbers.iter().map(|number| fixed.clipped(*number).unwrap()).collect();
            let sum = clipped.iter().fold(0, |sum: u64, number| {
                sum.wrapping_add(fixed.encode(*number))
            });
            let exact: f64 = clipped.iter().sum();
            let rounding = clipped.len() as f64 / fixed.unit;

            prop_assert!((fixed.decode(sum) - exact).abs() <= rounding + 1e-6);
        }
    }
}
