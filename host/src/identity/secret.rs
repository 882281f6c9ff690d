use std::fmt;

use p256::SecretKey;
use rand_core::Rng;
use zeroize::Zeroizing;

use super::IdentityKey;
use crate::primitives::derive_secret_key;
use crate::randomness::Randomness;

/// A node's private identity key. Cannot be printed; wiped when dropped.
#[derive(Clone)]
pub struct IdentitySecret(SecretKey);

impl IdentitySecret {
    /// Draws one.
    pub fn draw(randomness: &Randomness) -> Self {
        let mut seed = Zeroizing::new([0; 32]);
        randomness.clone().fill_bytes(&mut *seed);
        Self(derive_secret_key(&seed, b"backchannel identity"))
    }

    /// That of this scalar, big-endian; `None` for zero, and beyond the group's order.
    pub fn from_bytes(scalar: &[u8; 32]) -> Option<Self> {
        SecretKey::from_slice(scalar).ok().map(Self)
    }

    /// The scalar, big-endian: for the key store.
    pub fn to_bytes(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.0.to_bytes().into())
    }

    /// The public half.
    pub fn public(&self) -> IdentityKey {
        self.0.public_key().into()
    }

    /// The key as [`Sessions`](crate::sessions::Sessions) take it.
    pub fn into_key(self) -> SecretKey {
        self.0
    }
}

impl fmt::Debug for IdentitySecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IdentitySecret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_what_is_no_scalar_of_the_group() {
        assert!(IdentitySecret::from_bytes(&[0; 32]).is_none());
        assert!(IdentitySecret::from_bytes(&[0xff; 32]).is_none());
    }

    #[test]
    fn is_not_printed() {
        let secret = IdentitySecret::draw(&Randomness::from_seed(1));
        let printed = format!("{secret:?} {:?}", Some(&secret));
        assert_eq!(printed, "IdentitySecret(…) Some(IdentitySecret(…))");
    }

    #[test]
    fn two_draws_are_two_keys_and_each_comes_back_from_its_bytes() {
        let randomness = Randomness::from_seed(1);
        let [one, other] = [(); 2].map(|()| IdentitySecret::draw(&randomness));
        assert_ne!(one.public(), other.public());
        let again = IdentitySecret::from_bytes(&one.to_bytes()).expect("a scalar");
        assert_eq!(again.public(), one.public());
    }
}
