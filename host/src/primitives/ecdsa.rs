//! ECDSA on P-256 with SHA-256 (FIPS 186-5, 6), signatures in DER.
//!
//! `ring` does it, which TLS links anyway and which is three to four times as fast as `p256`; that is the reference, and tests hold both
//! to the same vectors. `ring` draws from the operating system only. So where other randomness is given, `p256` signs.

use std::fmt;
use std::sync::OnceLock;

use p256::ecdsa::signature::RandomizedSigner;
use p256::ecdsa::{DerSignature, Signature, SigningKey as ReferenceKey};
use p256::elliptic_curve::sec1::ToSec1Point;
use p256::{PublicKey, SecretKey};
use rand_core::CryptoRng;
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, UnparsedPublicKey,
};

/// A message could not be signed: the operating system gave no randomness.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no signature could be made")]
pub struct SignError;

/// A private key that signs. Cannot be printed. Its own scalar is zeroized when dropped; `ring`'s copy, which is made with the first
/// signature of [`sign`](Self::sign), is not: `ring` has no way to.
pub struct SigningKey {
    own: ReferenceKey,
    /// `None` inside if `ring` refuses the key, which it does for none that `p256` takes.
    fast: OnceLock<Option<EcdsaKeyPair>>,
}

impl SigningKey {
    /// That signs with `secret`.
    pub fn new(secret: &SecretKey) -> Self {
        Self {
            own: ReferenceKey::from(secret),
            fast: OnceLock::new(),
        }
    }

    /// The private key.
    pub fn secret_key(&self) -> SecretKey {
        SecretKey::from(self.own.as_nonzero_scalar())
    }

    /// What others check its signatures with.
    pub fn public_key(&self) -> PublicKey {
        PublicKey::from(self.own.verifying_key())
    }

    /// Signs with randomness of the operating system.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        let fast = self.fast.get_or_init(|| self.fast()).as_ref();
        let signature = fast.ok_or(SignError)?.sign(&SystemRandom::new(), message);
        signature
            .map(|signature| signature.as_ref().to_vec())
            .map_err(|_| SignError)
    }

    /// Signs with randomness of `rng`: the same makes the same signature. Its nonce is hedged: RFC 6979 with that added.
    pub fn sign_with(
        &self,
        message: &[u8],
        rng: &mut impl CryptoRng,
    ) -> Result<Vec<u8>, SignError> {
        let signature: Signature = self
            .own
            .try_sign_with_rng(rng, message)
            .map_err(|_| SignError)?;
        Ok(DerSignature::from(signature).as_bytes().to_vec())
    }

    fn fast(&self) -> Option<EcdsaKeyPair> {
        let secret = zeroize::Zeroizing::new(self.own.to_bytes());
        let public = self.public_key().to_sec1_point(false);
        EcdsaKeyPair::from_private_key_and_public_key(
            &ECDSA_P256_SHA256_ASN1_SIGNING,
            &secret,
            public.as_bytes(),
            &SystemRandom::new(),
        )
        .ok()
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey").finish_non_exhaustive()
    }
}

/// A public key that signatures are checked with.
#[derive(Debug, Clone)]
pub struct VerifyingKey {
    public: PublicKey,
    /// SEC 1, uncompressed.
    point: [u8; 65],
}

impl VerifyingKey {
    /// That checks with `public`.
    pub fn new(public: &PublicKey) -> Self {
        let mut point = [0; 65];
        point.copy_from_slice(public.to_sec1_point(false).as_bytes());
        Self {
            public: *public,
            point,
        }
    }

    /// The public key.
    pub fn public_key(&self) -> PublicKey {
        self.public
    }

    /// Whether `signature`, in DER, is one of the key over `message`.
    pub fn accepts(&self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, &self.point)
            .verify(message, signature)
            .is_ok()
    }
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;

    use super::super::derive_secret_key;
    use super::*;

    fn key() -> SigningKey {
        SigningKey::new(&derive_secret_key(&[1; 32], b"key"))
    }

    #[test]
    fn takes_no_signature_of_another_key_or_text() {
        let (key, other) = (key(), SigningKey::new(&derive_secret_key(&[2; 32], b"key")));
        let signature = key.sign(b"text").unwrap();
        let verifying = VerifyingKey::new(&key.public_key());
        assert!(verifying.accepts(b"text", &signature));
        assert!(!verifying.accepts(b"test", &signature));
        assert!(!verifying.accepts(b"text", &other.sign(b"text").unwrap()));
        assert!(!VerifyingKey::new(&other.public_key()).accepts(b"text", &signature));
    }

    #[test]
    fn either_way_to_sign_makes_what_both_libraries_take() {
        use p256::ecdsa::signature::Verifier;
        let key = key();
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        for signature in [key.sign(b"text"), key.sign_with(b"text", &mut rng)] {
            let signature = signature.unwrap();
            assert!(VerifyingKey::new(&key.public_key()).accepts(b"text", &signature));
            let parsed = Signature::from_der(&signature).unwrap();
            assert!(key.own.verifying_key().verify(b"text", &parsed).is_ok());
        }
    }

    #[test]
    fn given_randomness_decides_a_signature_and_the_systems_none() {
        let key = key();
        let signed = |seed| key.sign_with(b"text", &mut ChaCha20Rng::seed_from_u64(seed));
        assert_eq!(signed(1), signed(1));
        assert_ne!(signed(1), signed(2));
        assert_ne!(key.sign(b"text"), key.sign(b"text"));
    }

    #[test]
    fn a_signing_key_cannot_be_printed() {
        assert_eq!(format!("{:?}", key()), "SigningKey { .. }");
    }
}
