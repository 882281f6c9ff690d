//! The host's arithmetic of `blinding`, natively.

use std::collections::BTreeSet;

use hash2curve::GroupDigest;
use p256::elliptic_curve::PrimeField;
use p256::elliptic_curve::sec1::ToSec1Point;
use p256::{NistP256, ProjectivePoint, PublicKey, Scalar};

use crate::Failure;
use crate::blinding::POINT;

/// As the host has it: the protocol's name in it keeps these points apart from others of the same ids.
const SEPARATION: &[u8] = b"backchannel-testing-P256_XMD:SHA-256_SSWU_RO_";

/// A node's secret scalar, made of bytes that it drew.
pub(super) fn scalar(drawn: &[u8]) -> Scalar {
    let mut bytes = p256::FieldBytes::default();
    // One byte less than a scalar has: it is below the order, and not zero but for an unheard-of draw.
    bytes[1..].copy_from_slice(&drawn[..31]);
    Option::from(Scalar::from_repr(bytes)).unwrap_or(Scalar::ONE)
}

/// An id as a point, blinded.
pub(super) fn id(id: &str, scalar: &Scalar) -> Result<[u8; POINT], Failure> {
    let point = NistP256::hash_from_bytes(&[id.as_bytes()], &[SEPARATION]);
    let point = point.map_err(|_| Failure::unavailable("an id cannot be hashed to the curve"))?;
    Ok(compressed(point * scalar))
}

/// Points of another party, blinded.
pub(super) fn points(points: &[u8], scalar: &Scalar) -> Result<Vec<[u8; POINT]>, Failure> {
    if !points.len().is_multiple_of(POINT) {
        return Err(Failure::malformed("a point is cut off"));
    }
    let mut seen = BTreeSet::new();
    let blind = |point: &[u8]| {
        if !seen.insert(point.to_vec()) {
            return Err(Failure::malformed("two points are alike"));
        }
        let point = PublicKey::from_sec1_bytes(point)
            .map_err(|_| Failure::malformed("a point is not on the curve"))?;
        Ok(compressed(point.to_projective() * scalar))
    };
    points.chunks(POINT).map(blind).collect()
}

fn compressed(point: ProjectivePoint) -> [u8; POINT] {
    let mut bytes = [0; POINT];
    bytes.copy_from_slice(point.to_affine().to_sec1_point(true).as_bytes());
    bytes
}
