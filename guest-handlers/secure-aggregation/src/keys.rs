use backchannel_commit_reveal::{Digest, Transcript};
use backchannel_sdk::{ByteArray, Failure, random};
use chacha20::ChaCha20;
use chacha20::cipher::{KeyIvInit, StreamCipher};
use p256::ecdh::diffie_hellman;
use p256::elliptic_curve::PrimeField;
use p256::elliptic_curve::sec1::ToSec1Point;
use p256::{NonZeroScalar, PublicKey, Scalar};
use serde::{Deserialize, Serialize};

use crate::mask::Mask;

/// A party's private scalar, for one run. Cannot be printed.
pub struct Secret(NonZeroScalar);

/// Its public half: a point of P-256, checked to be one when it is read.
#[derive(Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "ByteArray<33>", into = "ByteArray<33>")]
pub struct Public(PublicKey);

/// One share of a secret: a scalar, checked to be one when it is read. Cannot be printed.
#[derive(Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "ByteArray<32>", into = "ByteArray<32>")]
pub struct Share(pub Scalar);

/// Scalars drawn at random: a stream of ChaCha20 under a key from the host, which one call of it is enough for.
pub struct Drawn(ChaCha20);

impl Drawn {
    /// A stream that the host's generator begins.
    ///
    /// # Errors
    ///
    /// When the host gives no randomness.
    pub fn from_host() -> Result<Self, Failure> {
        let seed = random::bytes(32)?.try_into();
        let seed = seed.map_err(|_| Failure::unavailable("the host gave too few random bytes"))?;
        Ok(Self::from_seed(seed))
    }

    pub(crate) fn from_seed(seed: [u8; 32]) -> Self {
        Self(ChaCha20::new(&seed.into(), &[0; 12].into()))
    }

    /// The next scalar: bytes of the stream until they are one, which the first are but for one time in 2^32.
    pub fn scalar(&mut self) -> Scalar {
        loop {
            let mut bytes = [0; 32];
            self.0.apply_keystream(&mut bytes);
            if let Some(scalar) = Option::from(Scalar::from_repr(bytes.into())) {
                return scalar;
            }
        }
    }
}

impl Secret {
    /// A new one.
    pub fn draw(drawn: &mut Drawn) -> Self {
        loop {
            if let Some(secret) = Self::new(drawn.scalar()) {
                return secret;
            }
        }
    }

    /// One that was put together from shares; zero is none.
    pub fn new(scalar: Scalar) -> Option<Self> {
        Option::from(NonZeroScalar::new(scalar)).map(Self)
    }

    /// What is shared.
    pub fn scalar(&self) -> &Scalar {
        &self.0
    }

    /// Its public half.
    pub fn public(&self) -> Public {
        Public(PublicKey::from_secret_scalar(&self.0))
    }

    /// The mask that two parties have in common: each makes the same of its secret and the other's public half. `run` is
    /// what both have seen alike.
    pub fn pair_mask(&self, other: &Public, run: &Digest) -> Mask {
        let agreed = diffie_hellman(self.0, other.0.as_affine());
        Mask::derive(agreed.raw_secret_bytes(), run, b"pair")
    }

    /// The mask that a party has alone.
    pub fn own_mask(&self, run: &Digest) -> Mask {
        Mask::derive(&self.0.to_repr(), run, b"own")
    }
}

impl Share {
    /// What a dealer tells of a share to whom it is not for, so that a false one is known when it is handed back. A share is a
    /// scalar drawn at random, so its hash tells nothing of it.
    pub fn receipt(&self, run: &Transcript) -> Digest {
        run.clone().with("share").with(self.0.to_repr()).digest()
    }
}

impl TryFrom<ByteArray<33>> for Public {
    type Error = &'static str;

    fn try_from(bytes: ByteArray<33>) -> Result<Self, Self::Error> {
        let point = PublicKey::from_sec1_bytes(&bytes.0);
        point.map(Self).map_err(|_| "not a point of the curve")
    }
}

impl From<Public> for ByteArray<33> {
    fn from(public: Public) -> Self {
        let mut bytes = [0; 33];
        bytes.copy_from_slice(public.0.to_sec1_point(true).as_bytes());
        Self(bytes)
    }
}

impl TryFrom<ByteArray<32>> for Share {
    type Error = &'static str;

    fn try_from(bytes: ByteArray<32>) -> Result<Self, Self::Error> {
        let scalar = Option::from(Scalar::from_repr(bytes.0.into()));
        scalar.map(Self).ok_or("not a scalar of the curve")
    }
}

impl From<Share> for ByteArray<32> {
    fn from(share: Share) -> Self {
        Self(share.0.to_repr().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read<T: for<'de> Deserialize<'de>>(bytes: &[u8]) -> Result<T, Failure> {
        let field = std::collections::BTreeMap::from([("x", backchannel_sdk::Bytes::from(bytes))]);
        let encoded = backchannel_sdk::fields::encode(&field)?;
        let mut map: std::collections::BTreeMap<String, T> =
            backchannel_sdk::fields::decode(&encoded)?;
        map.remove("x").ok_or(Failure::malformed("no x"))
    }

    #[test]
    fn refuses_points_that_are_none() {
        let own = ByteArray::from(Secret::new(Scalar::from(5_u64)).unwrap().public());
        assert!(read::<Public>(&own.0).is_ok());
        let off_the_curve = [&[2][..], &[0xff; 32]].concat();
        let identity = [0; 33];
        let uncompressed = [&[4][..], &own.0[1..]].concat();
        for bytes in [&off_the_curve[..], &identity, &uncompressed, &own.0[1..]] {
            assert!(read::<Public>(bytes).is_err());
        }
    }

    #[test]
    fn refuses_a_share_that_is_no_scalar() {
        assert!(read::<Share>(&[0xff; 32]).is_err());
        assert!(read::<Share>(&[1; 31]).is_err());
        assert!(read::<Share>(&[1; 32]).is_ok());
    }

    #[test]
    fn a_pair_has_one_mask_and_every_run_another() {
        let mut drawn = Drawn::from_seed([1; 32]);
        let (a, b) = (Secret::draw(&mut drawn), Secret::draw(&mut drawn));
        let (run, other) = (ByteArray([1; 32]), ByteArray([2; 32]));
        let first = |mask: Mask| {
            let mut values = [0];
            mask.add_to(&mut values);
            values[0]
        };

        let agreed = first(a.pair_mask(&b.public(), &run));

        assert_eq!(first(b.pair_mask(&a.public(), &run)), agreed);
        assert_ne!(first(b.pair_mask(&a.public(), &other)), agreed);
        assert_ne!(first(a.pair_mask(&a.public(), &run)), agreed);
        assert_ne!(first(a.own_mask(&run)), agreed);
    }
}
