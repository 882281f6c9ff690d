//! The cryptographic functions that everything else is made of, each with its formula and source.
//!
//! Nothing here knows what it is used for. Elliptic-curve keys are on P-256 (FIPS 186-5) throughout.

mod ecdsa;
mod kem;

use chacha20::ChaCha20LegacyCore;
use chacha20::cipher::{KeyIvInit, StreamCipher, StreamCipherCoreWrapper};
use chacha20poly1305::aead::AeadInOut;
use chacha20poly1305::{ChaCha20Poly1305, KeyInit, XChaCha20Poly1305};
use hkdf::Hkdf;
use hmac::{Hmac, Mac};
use p256::pkcs8::{DecodePrivateKey, DecodePublicKey, EncodePublicKey, LineEnding};
use p256::{NonZeroScalar, PublicKey, Scalar, SecretKey};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

pub use ecdsa::{SignError, SigningKey, VerifyingKey};
pub use kem::{
    KEM_CIPHERTEXT_BYTES, KEM_PUBLIC_KEY_BYTES, KemKeyError, KemSecret, kem_encapsulate,
};

/// Longest PEM text of a key that is looked at, in bytes. A P-256 public key takes 178.
const MAX_PEM_BYTES: usize = 1024;

/// A key is not what it should be: not PEM, not P-256, or no point of the curve.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a P-256 key in PEM form")]
pub struct KeyFormatError;

/// The x coordinate of `secret · public`: ECDH as in SEC 1, 3.3.1. A public key is never the point at infinity.
pub fn ecdh(secret: &SecretKey, public: &PublicKey) -> Zeroizing<[u8; 32]> {
    let shared = secret.diffie_hellman(public);
    Zeroizing::new((*shared.raw_secret_bytes()).into())
}

/// SHA-256(00000001 ‖ secret ‖ otherinfo): the one-step key derivation of NIST SP 800-56A (now SP 800-56C, 4.1), of
/// which 32 bytes need a single block. The parts of `otherinfo` are concatenated as they are.
pub fn concat_kdf(secret: &[u8], otherinfo: &[&[u8]]) -> Zeroizing<[u8; 32]> {
    let mut hash = Sha256::new_with_prefix(1u32.to_be_bytes());
    hash.update(secret);
    for part in otherinfo {
        hash.update(part);
    }
    Zeroizing::new(hash.finalize().into())
}

/// HKDF-SHA256 (RFC 5869): as much as `OUTPUT` bytes of `secret`, for what `info` says. At most 255 · 32 bytes.
pub fn hkdf_sha256<const OUTPUT: usize>(
    salt: &[u8],
    secret: &[u8],
    info: &[&[u8]],
) -> Zeroizing<[u8; OUTPUT]> {
    const { assert!(OUTPUT <= 255 * 32) };
    let mut output = Zeroizing::new([0; OUTPUT]);
    // Fails only beyond what is asserted.
    let _ = Hkdf::<Sha256>::new(Some(salt), secret).expand_multi_info(info, output.as_mut_slice());
    output
}

/// The second half of [`hkdf_sha256`] alone: for a secret that is uniformly random already.
pub fn hkdf_sha256_expand<const OUTPUT: usize>(
    secret: &[u8; 32],
    info: &[&[u8]],
) -> Zeroizing<[u8; OUTPUT]> {
    const { assert!(OUTPUT <= 255 * 32) };
    let mut output = Zeroizing::new([0; OUTPUT]);
    // Fails only for a shorter secret, and beyond what is asserted.
    let _ = Hkdf::<Sha256>::from_prk(secret)
        .map(|hkdf| hkdf.expand_multi_info(info, output.as_mut_slice()));
    output
}

/// Two secrets of one that is twice as long.
pub fn halves(both: &[u8; 64]) -> [Zeroizing<[u8; 32]>; 2] {
    let mut outputs = [(); 2].map(|()| Zeroizing::new([0; 32]));
    for (output, half) in outputs.iter_mut().zip(both.chunks_exact(32)) {
        output.copy_from_slice(half);
    }
    outputs
}

/// HMAC-SHA256 (RFC 2104), over what it is fed with.
#[derive(Clone)]
pub struct HmacSha256(Hmac<Sha256>);

impl HmacSha256 {
    /// Under this key.
    pub fn new(key: &[u8; 32]) -> Self {
        let mut block = Zeroizing::new([0; 64]);
        // HMAC fills a short key up with zeros.
        block[..32].copy_from_slice(key);
        Self(KeyInit::new((&*block).into()))
    }

    /// The text's next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The tag.
    pub fn tag(self) -> [u8; 32] {
        self.0.finalize().into_bytes().into()
    }

    /// Whether `tag` is the first bytes of the tag, in constant time. Not of no bytes.
    pub fn begins_with(self, tag: &[u8]) -> bool {
        self.0.verify_truncated_left(tag).is_ok()
    }
}

/// Appends a field to what will be hashed, authenticated or mixed into a key: its length in 4 bytes, big-endian, then its bytes.
/// So no two lists of fields are the same text.
pub fn put(text: &mut Vec<u8>, field: &[u8]) {
    // No field is longer than a message, which stays below 2³² bytes.
    let length = u32::try_from(field.len()).unwrap_or(u32::MAX);
    text.extend_from_slice(&length.to_be_bytes());
    text.extend_from_slice(field);
}

/// Both ids as UTF-8, the smaller one (by code point) first, without a separator: what Fed-BioMed derives the keys of a
/// pair from.
pub fn sorted_ids(a: &str, b: &str) -> Vec<u8> {
    let (first, second) = if a < b { (a, b) } else { (b, a) };
    [first.as_bytes(), second.as_bytes()].concat()
}

/// Encrypts or decrypts `buffer` in place with ChaCha20, as OpenSSL takes a 16-byte nonce: a 64-bit little-endian block
/// counter and the 8 nonce bytes of Bernstein's original cipher. The counter wraps to zero and leaves the nonce alone.
/// (RFC 8439 has a 32-bit counter; the reference's random nonces do start near its end.)
pub fn chacha20_xor(key: &[u8; 32], nonce: &[u8; 16], buffer: &mut [u8]) {
    const BLOCK: u128 = 64;
    let (counter, nonce) = split_nonce(nonce);
    let until_wrap = ((1 << 64) - u128::from(counter)) * BLOCK;
    let first = usize::try_from(until_wrap).map_or(buffer.len(), |bytes| bytes.min(buffer.len()));
    let (before, after) = buffer.split_at_mut(first);
    for (start, part) in [(counter, before), (0, after)] {
        let mut core = ChaCha20LegacyCore::new(key.into(), &nonce.into());
        core.set_block_pos(start);
        // Unchecked is the check that the counter does not wrap, and `part` ends there at the latest.
        StreamCipherCoreWrapper::from_core(core).unchecked_apply_keystream(part);
    }
}

/// A text was not encrypted under this key, nonce and associated data; or is too long to be, beyond 256 GiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not encrypted under this key")]
pub struct AeadError;

/// Encrypts `buffer` in place with ChaCha20-Poly1305 (RFC 8439, 2.8); the tag. A key and nonce must never serve two texts.
pub fn chacha20_poly1305_seal(
    key: &[u8; 32],
    nonce: &[u8; 12],
    aad: &[u8],
    buffer: &mut [u8],
) -> Result<[u8; 16], AeadError> {
    let cipher = ChaCha20Poly1305::new(key.into());
    let tag = cipher.encrypt_inout_detached(nonce.into(), aad, buffer.into());
    tag.map(Into::into).map_err(|_| AeadError)
}

/// Decrypts `buffer` in place, if `tag` is that of key, nonce, associated data and text; else it stays as it is.
pub fn chacha20_poly1305_open(
    key: &[u8; 32],
    nonce: &[u8; 12],
    aad: &[u8],
    buffer: &mut [u8],
    tag: &[u8; 16],
) -> Result<(), AeadError> {
    let cipher = ChaCha20Poly1305::new(key.into());
    let opened = cipher.decrypt_inout_detached(nonce.into(), aad, buffer.into(), tag.into());
    opened.map_err(|_| AeadError)
}

/// Encrypts `buffer` in place with XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha-03), whose nonces are long enough to be drawn; the tag.
pub fn xchacha20_poly1305_seal(
    key: &[u8; 32],
    nonce: &[u8; 24],
    aad: &[u8],
    buffer: &mut [u8],
) -> Result<[u8; 16], AeadError> {
    let cipher = XChaCha20Poly1305::new(key.into());
    let tag = cipher.encrypt_inout_detached(nonce.into(), aad, buffer.into());
    tag.map(Into::into).map_err(|_| AeadError)
}

/// Decrypts `buffer` in place, if `tag` is that of key, nonce, associated data and text; else it stays as it is.
pub fn xchacha20_poly1305_open(
    key: &[u8; 32],
    nonce: &[u8; 24],
    aad: &[u8],
    buffer: &mut [u8],
    tag: &[u8; 16],
) -> Result<(), AeadError> {
    let cipher = XChaCha20Poly1305::new(key.into());
    let opened = cipher.decrypt_inout_detached(nonce.into(), aad, buffer.into(), tag.into());
    opened.map_err(|_| AeadError)
}

/// The same nonce with the block counter advanced: the keystream from `blocks` · 64 bytes on.
pub fn advance_nonce(nonce: &[u8; 16], blocks: u64) -> [u8; 16] {
    let (counter, _) = split_nonce(nonce);
    let mut advanced = *nonce;
    advanced[..8].copy_from_slice(&counter.wrapping_add(blocks).to_le_bytes());
    advanced
}

fn split_nonce(nonce: &[u8; 16]) -> (u64, [u8; 8]) {
    let joined = u128::from_le_bytes(*nonce);
    (joined as u64, ((joined >> 64) as u64).to_le_bytes())
}

/// A public key as PEM (SubjectPublicKeyInfo), lines ended by line feeds, as the reference writes it.
pub fn public_key_pem(key: &PublicKey) -> Result<String, KeyFormatError> {
    key.to_public_key_pem(LineEnding::LF)
        .map_err(|_| KeyFormatError)
}

/// Reads a public key from PEM. Errors: anything else, a key on another curve, a point that is not on the curve.
pub fn parse_public_key_pem(pem: &[u8]) -> Result<PublicKey, KeyFormatError> {
    PublicKey::from_public_key_pem(pem_text(pem)?).map_err(|_| KeyFormatError)
}

/// Reads a private key from PEM (PKCS#8). Errors: anything else, a key on another curve.
pub fn parse_secret_key_pem(pem: &[u8]) -> Result<SecretKey, KeyFormatError> {
    SecretKey::from_pkcs8_pem(pem_text(pem)?).map_err(|_| KeyFormatError)
}

fn pem_text(pem: &[u8]) -> Result<&str, KeyFormatError> {
    if pem.len() > MAX_PEM_BYTES {
        return Err(KeyFormatError);
    }
    std::str::from_utf8(pem).map_err(|_| KeyFormatError)
}

/// A private key made from a seed: HKDF-SHA256 (RFC 5869, no salt) of the seed, info = label ‖ attempt, 48 bytes, reduced
/// modulo the group order. The 16 extra bytes make the bias smaller than 2⁻¹²⁸ (RFC 9380, 5). Zero is no key; the next
/// attempt follows then, which will never be seen.
pub fn derive_secret_key(seed: &[u8; 32], label: &[u8]) -> SecretKey {
    let hkdf = hkdf::Hkdf::<Sha256>::new(None, seed);
    let mut attempt = 0u8;
    loop {
        let mut wide = Zeroizing::new([0; 48]);
        // Fails only beyond 255 blocks of output; the zeros it would leave are refused below.
        let expanded = hkdf.expand_multi_info(&[label, &[attempt]], wide.as_mut_slice());
        let scalar = Zeroizing::new(scalar_from_be_bytes(wide.as_slice()));
        let nonzero: Option<NonZeroScalar> = NonZeroScalar::new(*scalar).into();
        if let (Ok(()), Some(nonzero)) = (expanded, nonzero) {
            return SecretKey::from(nonzero);
        }
        attempt = attempt.wrapping_add(1);
    }
}

/// A big-endian number of any length, modulo the order of P-256: Horner's rule, byte by byte, in constant time.
pub fn scalar_from_be_bytes(bytes: &[u8]) -> Scalar {
    let base = Scalar::from(256u64);
    bytes.iter().fold(Scalar::ZERO, |value, byte| {
        value * base + Scalar::from(u64::from(*byte))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_keys_that_are_no_p256_keys() {
        for bad in ["", "-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----\n"] {
            assert_eq!(parse_public_key_pem(bad.as_bytes()), Err(KeyFormatError));
        }
        assert!(parse_public_key_pem(&[0xff; 10]).is_err());
        assert!(parse_public_key_pem(&vec![b'-'; 1 << 20]).is_err());
        // X25519
        let other = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VuAyEAqMifDxz1DGxACBzhHFzD0HcItsGWFCEF8l+ffWRhmE4=\n-----END PUBLIC KEY-----\n";
        assert!(parse_public_key_pem(other.as_bytes()).is_err());
    }

    #[test]
    fn a_public_key_survives_its_pem() {
        let public = derive_secret_key(&[7; 32], b"test").public_key();
        let pem = public_key_pem(&public).unwrap();
        assert!(pem.ends_with("-----END PUBLIC KEY-----\n"));
        assert_eq!(parse_public_key_pem(pem.as_bytes()), Ok(public));
    }

    #[test]
    fn derived_keys_depend_on_seed_and_label_only() {
        let key = |seed, label: &[u8]| derive_secret_key(&[seed; 32], label).to_bytes();
        assert_eq!(key(1, b"a"), key(1, b"a"));
        assert_ne!(key(1, b"a"), key(1, b"b"));
        assert_ne!(key(1, b"a"), key(2, b"a"));
    }

    #[test]
    fn reduces_modulo_the_group_order() {
        // n, the order of P-256 (SEC 2, 2.4.2)
        let order = hex::decode("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551")
            .unwrap();
        assert_eq!(scalar_from_be_bytes(&order), Scalar::ZERO);
        let mut shifted = order.clone();
        shifted.push(5);
        assert_eq!(scalar_from_be_bytes(&shifted), Scalar::from(5u64));
    }

    #[test]
    fn the_keystream_continues_where_a_nonce_was_advanced_to() {
        for start in [0u64, u64::from(u32::MAX), u64::MAX - 1] {
            let mut nonce = [9; 16];
            nonce[..8].copy_from_slice(&start.to_le_bytes());
            let mut whole = [0; 64 * 5];
            chacha20_xor(&[1; 32], &nonce, &mut whole);
            for block in 0..5 {
                let mut part = [0; 64];
                chacha20_xor(&[1; 32], &advance_nonce(&nonce, block as u64), &mut part);
                assert_eq!(whole[block * 64..][..64], part);
            }
        }
    }
}
