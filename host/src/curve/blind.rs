use p256::elliptic_curve::{BatchNormalize, Generate};
use p256::{AffinePoint, NonZeroScalar, ProjectivePoint};
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use super::work::{self, Stop, Stopped};
use super::{Domain, NotHashed, Points};

/// A secret scalar, never zero. It cannot be printed, and nothing is left of it in memory when it is dropped.
pub struct Blind(Zeroizing<NonZeroScalar>);

/// Why nothing was blinded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BlindError {
    /// It was stopped.
    #[error("{0}")]
    Stopped(#[from] Stopped),
    /// Ours.
    #[error("{0}")]
    NotHashed(#[from] NotHashed),
}

impl Blind {
    /// A scalar drawn anew.
    pub fn random(randomness: &mut impl CryptoRng) -> Self {
        Self(Zeroizing::new(NonZeroScalar::generate_from_rng(randomness)))
    }

    /// The ids as points of the run, blinded, in their order. The ids must be different; then so are the points, but with a chance that will
    /// never be seen.
    pub fn ids(&self, ids: &[String], domain: &Domain, stop: &Stop) -> Result<Points, BlindError> {
        let blinded = work::on_all(ids, stop, |ids| {
            let hashed = ids.iter().map(|id| domain.hash(id.as_bytes()));
            let hashed: Vec<_> = hashed.collect::<Result<_, _>>()?;
            Ok::<_, BlindError>(self.times(hashed))
        });
        blinded.map(Points)
    }

    /// Points, blinded, in their order.
    pub fn points(&self, points: &Points, stop: &Stop) -> Result<Points, Stopped> {
        let blinded = work::on_all(&points.0, stop, |points| {
            let points = points.iter().copied().map(ProjectivePoint::from);
            Ok::<_, Stopped>(self.times(points.collect()))
        });
        blinded.map(Points)
    }

    /// In constant time for each point. One inversion serves them all.
    fn times(&self, mut points: Vec<ProjectivePoint>) -> Vec<AffinePoint> {
        for point in &mut points {
            *point *= **self.0;
        }
        ProjectivePoint::batch_normalize(points.as_slice())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::curve::POINT_BYTES;
    use crate::randomness::Randomness;

    fn blind(seed: u64) -> Blind {
        Blind::random(&mut Randomness::from_seed(seed))
    }

    fn blinded(by: &Blind, ids: &[&str], run: &str) -> Points {
        let ids: Vec<_> = ids.iter().map(ToString::to_string).collect();
        let domain = Domain::of_run("overlap", run);
        by.ids(&ids, &domain, &Stop::default()).expect("blinded")
    }

    fn set(points: &Points) -> BTreeSet<[u8; POINT_BYTES]> {
        let bytes = points.to_bytes();
        bytes.as_chunks().0.iter().copied().collect()
    }

    #[test]
    fn blinded_by_both_an_id_is_the_same_point_whoever_began() {
        let (a, b) = (blind(1), blind(2));
        let of_a = blinded(&a, &["x", "y", "z"], "run");
        let of_b = blinded(&b, &["y", "z", "w"], "run");
        assert_eq!(set(&of_a).intersection(&set(&of_b)).count(), 0);

        let stop = Stop::default();
        let of_a = b.points(&of_a, &stop).expect("blinded");
        let of_b = a.points(&of_b, &stop).expect("blinded");

        assert_eq!(set(&of_a).intersection(&set(&of_b)).count(), 2);
    }

    #[test]
    fn points_of_two_runs_have_nothing_in_common_even_under_one_scalar() {
        let blind = blind(1);
        let (one, other) = (blinded(&blind, &["x"], "1"), blinded(&blind, &["x"], "2"));
        assert_ne!(one.to_bytes(), other.to_bytes());
    }

    #[test]
    fn multiplies_each_point_with_the_scalar_across_chunks() {
        let blind = blind(3);
        let point = |n: u64| (ProjectivePoint::GENERATOR * p256::Scalar::from(n)).to_affine();
        let points = Points((1..=150).map(point).collect());

        let done = blind.points(&points, &Stop::default()).expect("blinded");

        for (before, after) in points.0.iter().zip(&done.0) {
            assert_eq!(ProjectivePoint::from(*before) * **blind.0, (*after).into());
        }
        assert_eq!(done.len(), 150);
    }

    #[test]
    fn what_is_stopped_hands_nothing_back() {
        let (blind, stop) = (blind(1), Stop::default());
        let points = blinded(&blind, &["x"], "run");
        stop.now();
        assert!(blind.points(&points, &stop).is_err());
        let domain = Domain::of_run("overlap", "run");
        let ids = blind.ids(&["x".to_owned()], &domain, &stop);
        assert_eq!(ids.err(), Some(BlindError::Stopped(Stopped)));
    }
}
