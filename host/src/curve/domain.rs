use p256::hash2curve::GroupDigest;
use p256::{NistP256, ProjectivePoint};
use sha2::{Digest, Sha256};

/// What the tag of every run begins with; it names the suite, as RFC 9380, 3.1 asks for.
const TAG: &[u8] = b"backchannel-n2n-0.1-blinding-with-P256_XMD:SHA-256_SSWU_RO_-";

/// Makes points of ids, in one run of one protocol: the same id is another point in any other.
#[derive(Clone)]
pub struct Domain(Vec<u8>);

/// An id became no point. The suite knows no such id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an id cannot be hashed to the curve")]
pub struct NotHashed;

impl Domain {
    /// The same for all parties of the run. The tag (RFC 9380, 3.1) is of one length: it ends with SHA-256(length of `protocol` in
    /// bytes, as 4 bytes ‖ `protocol` ‖ `run`).
    pub fn of_run(protocol: &str, run: &str) -> Self {
        let mut hash = Sha256::new();
        // Names are much shorter than 4 GiB; longer ones would share a length, and no tag by that.
        hash.update((protocol.len() as u32).to_be_bytes());
        hash.update(protocol);
        hash.update(run);
        Self([TAG, &hash.finalize()].concat())
    }

    /// `hash_to_curve` of RFC 9380 in the suite P256_XMD:SHA-256_SSWU_RO_.
    pub(super) fn hash(&self, id: &[u8]) -> Result<ProjectivePoint, NotHashed> {
        NistP256::hash_from_bytes(&[id], &[&self.0]).map_err(|_| NotHashed)
    }
}

#[cfg(test)]
mod tests {
    use p256::elliptic_curve::point::AffineCoordinates;
    use serde_json::Value;

    use super::*;

    const VECTORS: &str = include_str!("../../../tests/fixtures/rfc9380/p256-sha256-sswu-ro.json");

    #[test]
    fn hashes_as_rfc_9380_does() {
        let file: Value = serde_json::from_str(VECTORS).expect("JSON");
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        let domain = Domain(text(&file["dst"]).into_bytes());
        let vectors = file["vectors"].as_array().expect("a list");
        for vector in vectors {
            let point = domain.hash(text(&vector["msg"]).as_bytes());
            let point = point.expect("a point").to_affine();
            assert_eq!(hex::encode(point.x()), text(&vector["x"]));
            assert_eq!(hex::encode(point.y()), text(&vector["y"]));
        }
        assert_eq!(vectors.len(), 5);
    }

    #[test]
    fn an_id_is_another_point_in_another_run_or_protocol() {
        let hash = |protocol, run| Domain::of_run(protocol, run).hash(b"id").expect("a point");
        let here = hash("overlap", "run");
        assert_eq!(here, hash("overlap", "run"));
        for (protocol, run) in [
            ("overlap", "run2"),
            ("overlaprun", ""),
            ("", "overlaprun"),
            ("overla", "prun"),
        ] {
            assert_ne!(here, hash(protocol, run), "{protocol} {run}");
        }
    }
}
