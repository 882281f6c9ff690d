//! Shamir's secret sharing (1979), over the scalars of P-256.
//!
//! What is shared are scalars: the private key that pairs of parties agree with, and one that hides a party's own vector. So the
//! arithmetic is that of `p256`, which is here for the keys already and runs in constant time; what is left to write is a
//! polynomial and Lagrange's formula, less than the glue that a crate of its own would take.

use std::collections::BTreeMap;

use p256::Scalar;

use crate::keys::Drawn;
use crate::place::Place;

/// Splits a secret among holders, any `threshold` of whom have all of it, and fewer nothing.
pub fn split(
    secret: &Scalar,
    threshold: usize,
    holders: impl IntoIterator<Item = Place>,
    drawn: &mut Drawn,
) -> BTreeMap<Place, Scalar> {
    let mut coefficients = vec![*secret];
    coefficients.resize_with(threshold.max(1), || drawn.scalar());
    let share = |holder: Place| {
        let x = abscissa(holder);
        let terms = coefficients.iter().rev();
        let value = terms.fold(Scalar::ZERO, |value, coefficient| value * x + coefficient);
        (holder, value)
    };
    holders.into_iter().map(share).collect()
}

/// The secret that shares, `threshold` of them, are of. Of fewer or others it is some other scalar.
pub fn combine(shares: &BTreeMap<Place, Scalar>) -> Scalar {
    let mut secret = Scalar::ZERO;
    for (holder, share) in shares {
        let x = abscissa(*holder);
        let (mut above, mut below) = (Scalar::ONE, Scalar::ONE);
        for other in shares.keys().filter(|other| *other != holder) {
            let other = abscissa(*other);
            above *= other;
            below *= other - x;
        }
        // Differences of distinct places are never zero.
        let below = below.invert().unwrap_or(Scalar::ZERO);
        secret += *share * above * below;
    }
    secret
}

/// Where a holder's share is taken: never at 0, where the secret is.
fn abscissa(holder: Place) -> Scalar {
    Scalar::from(u64::from(holder.0) + 1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A scalar that is not small.
    fn secret(seed: u8) -> Scalar {
        Drawn::from_seed([seed; 32]).scalar()
    }

    #[test]
    fn one_more_than_none_is_a_copy() {
        let shares = split(&secret(1), 1, Place::all(3), &mut Drawn::from_seed([2; 32]));

        assert!(shares.values().all(|share| *share == secret(1)));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn any_threshold_of_the_shares_is_the_secret_and_one_fewer_is_not(
            seed: u8,
            holders in 2_usize..24,
            threshold in 2_usize..24,
            order in Just((0..24_u16).collect::<Vec<_>>()).prop_shuffle(),
        ) {
            prop_assume!(threshold <= holders);
            let mut drawn = Drawn::from_seed([seed.wrapping_add(1); 32]);
            let shares = split(&secret(seed), threshold, Place::all(holders), &mut drawn);
            let some = order.into_iter().map(Place).filter(|place| shares.contains_key(place));
            let mut some: BTreeMap<_, _> =
                some.take(threshold).map(|place| (place, shares[&place])).collect();

            prop_assert_eq!(combine(&some), secret(seed));
            some.pop_first();
            prop_assert_ne!(combine(&some), secret(seed));
        }

        #[test]
        fn a_changed_share_is_another_secret(at in 0_u16..5) {
            let mut drawn = Drawn::from_seed([3; 32]);
            let mut shares = split(&secret(4), 5, Place::all(5), &mut drawn);
            *shares.get_mut(&Place(at)).expect("a share") += Scalar::ONE;

            prop_assert_ne!(combine(&shares), secret(4));
        }
    }
}
