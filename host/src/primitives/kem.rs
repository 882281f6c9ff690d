use std::fmt;

use ml_kem::kem::{Decapsulate, KeyExport};
use ml_kem::ml_kem_768::{Ciphertext, DecapsulationKey, EncapsulationKey};
use ml_kem::{B32, Seed, SharedKey};
use zeroize::{Zeroize, Zeroizing};

/// Length of a public key of ML-KEM-768, in bytes.
pub const KEM_PUBLIC_KEY_BYTES: usize = 1184;
/// Length of what a shared secret is sent in, in bytes.
pub const KEM_CIPHERTEXT_BYTES: usize = 1088;

/// Bytes are no public key of ML-KEM-768: a coefficient is not reduced (FIPS 203, 7.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a public key of ML-KEM-768")]
pub struct KemKeyError;

/// A private key of ML-KEM-768 (FIPS 203), kept as the seed `d ‖ z` that it is made of. Cannot be printed; zeroized when dropped.
///
/// In a place of its own, so that no copy of it is left where its owner was moved from.
pub struct KemSecret(Box<Zeroizing<[u8; 64]>>);

impl KemSecret {
    /// The key of this seed, which is drawn.
    pub fn new(seed: &[u8; 64]) -> Self {
        Self(Box::new(Zeroizing::new(*seed)))
    }

    /// What others encapsulate for.
    pub fn public(&self) -> [u8; KEM_PUBLIC_KEY_BYTES] {
        self.expanded().encapsulation_key().to_bytes().into()
    }

    /// The secret in `ciphertext`. One that was not made for this key has a secret too, which nobody knows: an error would tell (FIPS 203, 6.3).
    pub fn decapsulate(&self, ciphertext: &[u8; KEM_CIPHERTEXT_BYTES]) -> Zeroizing<[u8; 32]> {
        let ciphertext: &Ciphertext = ciphertext.into();
        taken(self.expanded().decapsulate(ciphertext))
    }

    fn expanded(&self) -> DecapsulationKey {
        let mut seed = Seed::from(**self.0);
        let key = DecapsulationKey::from_seed(seed);
        seed.zeroize();
        key
    }
}

impl fmt::Debug for KemSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KemSecret").finish_non_exhaustive()
    }
}

/// A secret for who has the private key, made of `drawn` bytes that serve once; and what it is sent in.
pub fn kem_encapsulate(
    public: &[u8; KEM_PUBLIC_KEY_BYTES],
    drawn: &[u8; 32],
) -> Result<([u8; KEM_CIPHERTEXT_BYTES], Zeroizing<[u8; 32]>), KemKeyError> {
    let key = EncapsulationKey::new(public.into()).map_err(|_| KemKeyError)?;
    let mut drawn = B32::from(*drawn);
    let (ciphertext, shared) = key.encapsulate_deterministic(&drawn);
    drawn.zeroize();
    Ok((ciphertext.into(), taken(shared)))
}

fn taken(mut shared: SharedKey) -> Zeroizing<[u8; 32]> {
    let secret = Zeroizing::new(shared.into());
    shared.zeroize();
    secret
}
