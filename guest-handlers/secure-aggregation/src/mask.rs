use backchannel_commit_reveal::Digest;
use chacha20::ChaCha20;
use chacha20::cipher::{KeyIvInit, StreamCipher};
use hkdf::Hkdf;
use sha2::Sha256;

/// Bytes of the stream that are made at a time: little enough for the 64 KiB of stack.
const STRETCH: usize = 2048;

/// What hides a vector: as many words of a ChaCha20 stream as it has, added modulo 2^64. Cannot be printed. Used once.
pub struct Mask(ChaCha20);

impl Mask {
    /// That of a secret, for one run and one purpose.
    pub fn derive(secret: &[u8], run: &Digest, purpose: &[u8]) -> Self {
        let derived = Hkdf::<Sha256>::new(Some(&run.0), secret);
        let mut key = [0; 32];
        // HKDF has up to 8,160 bytes to give.
        if derived.expand(purpose, &mut key).is_err() {
            unreachable!("32 bytes are fewer");
        }
        // The key is used for this stream alone, so the nonce can be the same for all.
        Self(ChaCha20::new(&key.into(), &[0; 12].into()))
    }

    /// Puts it on.
    pub fn add_to(self, values: &mut [u64]) {
        self.each_word(values, |value, word| *value = value.wrapping_add(word));
    }

    /// Takes it off.
    pub fn take_from(self, values: &mut [u64]) {
        self.each_word(values, |value, word| *value = value.wrapping_sub(word));
    }

    fn each_word(mut self, values: &mut [u64], change: impl Fn(&mut u64, u64)) {
        for values in values.chunks_mut(STRETCH / 8) {
            let mut stretch = [0; STRETCH];
            self.0.apply_keystream(&mut stretch[..values.len() * 8]);
            for (value, word) in values.iter_mut().zip(stretch.as_chunks().0) {
                change(value, u64::from_le_bytes(*word));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use backchannel_sdk::ByteArray;

    use super::*;

    fn mask(secret: u8, purpose: &[u8]) -> Mask {
        Mask::derive(&[secret; 32], &ByteArray([3; 32]), purpose)
    }

    fn put_on(mask: Mask, length: usize) -> Vec<u64> {
        let mut values = vec![0; length];
        mask.add_to(&mut values);
        values
    }

    #[test]
    fn what_is_put_on_comes_off_whatever_the_length() {
        for length in [0, 1, 255, 256, 257, 1000] {
            let plain: Vec<u64> = (0..length as u64)
                .map(|at| at.wrapping_mul(at << 50))
                .collect();
            let mut values = plain.clone();

            mask(1, b"own").add_to(&mut values);
            assert!(length == 0 || values != plain);
            mask(1, b"own").take_from(&mut values);

            assert_eq!(values, plain);
        }
    }

    #[test]
    fn no_word_comes_twice() {
        let mut words = put_on(mask(1, b"own"), 5000);
        words.extend(put_on(mask(2, b"own"), 5000));
        words.extend(put_on(mask(1, b"pair"), 5000));
        words.sort_unstable();
        words.dedup();

        assert_eq!(words.len(), 15_000);
    }

    #[test]
    fn a_longer_vector_has_the_same_mask_at_its_begin() {
        assert_eq!(
            put_on(mask(1, b"own"), 1000)[..300],
            put_on(mask(1, b"own"), 300)
        );
    }
}
