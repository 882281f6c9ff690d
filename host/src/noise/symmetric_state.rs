//! The symmetric state of a handshake and its cipher: sections 5.1 and 5.2 of the Noise text.

use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::{Protocol, TAG_BYTES};
use crate::primitives::{self, AeadError};

/// `ck`, `h`, and the cipher's `k` and `n`.
#[derive(Clone)]
pub(super) struct SymmetricState {
    chaining_key: Zeroizing<[u8; 32]>,
    hash: [u8; 32],
    /// A handshake of KK encrypts nothing before it has a key.
    key: Zeroizing<[u8; 32]>,
    nonce: u64,
}

impl SymmetricState {
    /// `InitializeSymmetric`: a name that is longer than a hash is hashed, another is filled up with zeros.
    pub(super) fn new(protocol: Protocol) -> Self {
        let name = protocol.name().as_bytes();
        let mut hash = [0; 32];
        match hash.get_mut(..name.len()) {
            Some(begin) => begin.copy_from_slice(name),
            None => hash = Sha256::digest(name).into(),
        }
        Self {
            chaining_key: Zeroizing::new(hash),
            hash,
            key: Zeroizing::default(),
            nonce: 0,
        }
    }

    pub(super) fn hash(&self) -> &[u8; 32] {
        &self.hash
    }

    /// `MixHash`.
    pub(super) fn mix_hash(&mut self, bytes: &[u8]) {
        let mut hash = Sha256::new_with_prefix(self.hash);
        hash.update(bytes);
        self.hash = hash.finalize().into();
    }

    /// `MixKey`.
    pub(super) fn mix_key(&mut self, input: &[u8; 32]) {
        let [chaining_key, key] = hkdf(&self.chaining_key, input);
        (self.chaining_key, self.key, self.nonce) = (chaining_key, key, 0);
    }

    /// `EncryptAndHash`: appends the encrypted text to `message`.
    pub(super) fn encrypt_and_hash(
        &mut self,
        text: &[u8],
        message: &mut Vec<u8>,
    ) -> Result<(), AeadError> {
        let begin = message.len();
        message.extend_from_slice(text);
        let (nonce, aad) = (self.next_nonce(), self.hash);
        let sealed = message.get_mut(begin..).unwrap_or_default();
        let tag = primitives::chacha20_poly1305_seal(&self.key, &nonce, &aad, sealed)?;
        message.extend_from_slice(&tag);
        self.mix_hash(message.get(begin..).unwrap_or_default());
        Ok(())
    }

    /// `DecryptAndHash`.
    pub(super) fn decrypt_and_hash(
        &mut self,
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, AeadError> {
        let (text, tag) = sealed.split_last_chunk::<TAG_BYTES>().ok_or(AeadError)?;
        let mut payload = Zeroizing::new(text.to_vec());
        let (nonce, aad) = (self.next_nonce(), self.hash);
        primitives::chacha20_poly1305_open(&self.key, &nonce, &aad, &mut payload, tag)?;
        self.mix_hash(sealed);
        Ok(payload)
    }

    /// `Split`: the key of the initiator's messages, that of the responder's, and the hash of the handshake.
    pub(super) fn split(self) -> ([Zeroizing<[u8; 32]>; 2], [u8; 32]) {
        (hkdf(&self.chaining_key, &[]), self.hash)
    }

    /// 32 bits of zeros and the counter, little-endian (section 12.3). A handshake encrypts four texts: it never wraps.
    fn next_nonce(&mut self) -> [u8; 12] {
        let mut nonce = [0; 12];
        nonce[4..].copy_from_slice(&self.nonce.to_le_bytes());
        self.nonce += 1;
        nonce
    }
}

/// `HKDF` with two outputs: that of RFC 5869 without info.
fn hkdf(chaining_key: &[u8; 32], input: &[u8]) -> [Zeroizing<[u8; 32]>; 2] {
    primitives::halves(&primitives::hkdf_sha256(chaining_key, input, &[]))
}
