use std::collections::HashSet;

use p256::elliptic_curve::point::DecompressPoint;
use p256::elliptic_curve::sec1::ToSec1Point;
use p256::elliptic_curve::subtle::Choice;
use p256::{AffinePoint, FieldBytes};
use rand_core::CryptoRng;

use super::work::{self, Stop, Stopped};

/// A compressed point (SEC 1, 2.3.3), in bytes.
pub const POINT_BYTES: usize = 33;

/// Points of the curve, no two alike. None is the point at infinity: that has no compressed form of this length.
pub struct Points(pub(super) Vec<AffinePoint>);

/// Why bytes are no [`Points`]. Whoever sent them is at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotPoints {
    /// Not so many times 33 bytes.
    #[error("its length is no multiple of 33 bytes")]
    Length,
    /// Not in compressed form.
    #[error("one does not begin as a compressed point")]
    NotCompressed,
    /// Its coordinate is that of no point.
    #[error("one is not on the curve")]
    OffCurve,
    /// One twice: who sends such points learns from what comes back which is which.
    #[error("two are alike")]
    Alike,
    /// It was not looked at to its end.
    #[error("{0}")]
    Stopped(#[from] Stopped),
}

impl Points {
    /// Reads points, one after the other.
    pub fn read(bytes: &[u8], stop: &Stop) -> Result<Self, NotPoints> {
        let (points, rest) = bytes.as_chunks::<POINT_BYTES>();
        if !rest.is_empty() {
            return Err(NotPoints::Length);
        }
        // What costs little first: a peer can send as many as it likes.
        if points.iter().any(|point| !matches!(point[0], 2 | 3)) {
            return Err(NotPoints::NotCompressed);
        }
        if points.iter().collect::<HashSet<_>>().len() < points.len() {
            return Err(NotPoints::Alike);
        }
        let read = work::on_all(points, stop, |points| points.iter().map(read).collect());
        read.map(Self)
    }

    /// The points, compressed, one after the other.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.0.len() * POINT_BYTES);
        for point in &self.0 {
            bytes.extend_from_slice(point.to_sec1_point(true).as_bytes());
        }
        bytes
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// In an order drawn anew: by a random number of 128 bits for each, of which no two are equal.
    pub fn shuffled(self, randomness: &mut impl CryptoRng) -> Self {
        let number = |randomness: &mut dyn CryptoRng| {
            let (high, low) = (randomness.next_u64(), randomness.next_u64());
            u128::from(high) << 64 | u128::from(low)
        };
        let drawn = self.0.into_iter().map(|point| (number(randomness), point));
        let mut drawn: Vec<_> = drawn.collect();
        drawn.sort_unstable_by_key(|(number, _)| *number);
        Self(drawn.into_iter().map(|(_, point)| point).collect())
    }
}

/// The coordinate x below the field's order, of a point that there is; the first byte says which of two.
fn read(point: &[u8; POINT_BYTES]) -> Result<AffinePoint, NotPoints> {
    let [sign, x @ ..] = point;
    let found = AffinePoint::decompress(&FieldBytes::from(*x), Choice::from(sign & 1));
    found.into_option().ok_or(NotPoints::OffCurve)
}

#[cfg(test)]
mod tests {
    use p256::{ProjectivePoint, Scalar};

    use super::*;
    use crate::randomness::Randomness;

    fn points(count: u64) -> Points {
        let multiple = |n| (ProjectivePoint::GENERATOR * Scalar::from(n)).to_affine();
        Points((1..=count).map(multiple).collect())
    }

    fn refused(bytes: &[u8]) -> NotPoints {
        match Points::read(bytes, &Stop::default()) {
            Ok(points) => panic!("{} points", points.len()),
            Err(why) => why,
        }
    }

    #[test]
    fn refuses_what_is_no_compressed_point() {
        let good = points(1).to_bytes();
        assert_eq!(refused(&good[1..]), NotPoints::Length);
        assert_eq!(refused(&[0]), NotPoints::Length, "the point at infinity");
        let begun = |first: u8| {
            let mut bytes = good.clone();
            bytes[0] = first;
            refused(&bytes)
        };
        // Infinity padded; uncompressed; hybrid; compact.
        for first in [0, 4, 6, 7, 5, 0xff] {
            assert_eq!(begun(first), NotPoints::NotCompressed);
        }
        // 33 uncompressed points are 65 times as long as one compressed.
        let uncompressed = points(33);
        let uncompressed = uncompressed.0.iter();
        let bytes: Vec<u8> = uncompressed
            .flat_map(|point| point.to_sec1_point(false).as_bytes().to_vec())
            .collect();
        assert_eq!(bytes.len() % POINT_BYTES, 0);
        assert_eq!(refused(&bytes), NotPoints::NotCompressed);
    }

    #[test]
    fn refuses_points_off_the_curve() {
        let off = |hex: &str| refused(&hex::decode(hex).expect("hex"));
        // y² = x³ - 3x + b has no solution for x = 1; p and p + 5 are x = 0 and x = 5 written a second time.
        for hex in [
            "020000000000000000000000000000000000000000000000000000000000000001",
            "02ffffffff00000001000000000000000000000000ffffffffffffffffffffffff",
            "02ffffffff00000001000000000000000000000001000000000000000000000004",
        ] {
            assert_eq!(off(hex), NotPoints::OffCurve, "{hex}");
        }
    }

    #[test]
    fn refuses_a_point_that_is_there_twice() {
        let mut bytes = points(3).to_bytes();
        bytes.extend_from_within(POINT_BYTES..2 * POINT_BYTES);
        assert_eq!(refused(&bytes), NotPoints::Alike);
        // The same x, the other y: another point.
        let mut both = points(1).to_bytes();
        both.extend_from_within(..);
        both[0] ^= 1;
        assert!(Points::read(&both, &Stop::default()).is_ok());
    }

    #[test]
    fn points_survive_their_bytes() {
        let bytes = points(200).to_bytes();
        let read = Points::read(&bytes, &Stop::default()).expect("points");
        assert_eq!((read.len(), read.to_bytes()), (200, bytes));
        assert!(
            Points::read(&[], &Stop::default())
                .expect("none")
                .is_empty()
        );
    }

    #[test]
    fn a_shuffle_keeps_every_point_and_comes_from_the_randomness_alone() {
        let order = |seed| {
            let shuffled = points(200).shuffled(&mut Randomness::from_seed(seed));
            shuffled.to_bytes()
        };
        let sorted = |bytes: Vec<u8>| {
            let mut points: Vec<_> = bytes.as_chunks::<POINT_BYTES>().0.to_vec();
            points.sort_unstable();
            points
        };
        assert_eq!(order(1), order(1));
        assert_ne!(order(1), order(2));
        assert_ne!(order(1), points(200).to_bytes());
        assert_eq!(sorted(order(1)), sorted(points(200).to_bytes()));
    }
}
