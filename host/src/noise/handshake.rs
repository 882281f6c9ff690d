//! The two messages of a handshake: section 5.3 of the Noise text, as states that can only follow each other.

use std::fmt;
use std::sync::Arc;

use p256::elliptic_curve::Generate;
use p256::elliptic_curve::sec1::ToSec1Point;
use p256::{PublicKey, SecretKey};
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use super::symmetric_state::SymmetricState;
use super::{PUBLIC_KEY_BYTES, Protocol, Statics, TAG_BYTES};
use crate::primitives::{
    self, AeadError, KEM_CIPHERTEXT_BYTES, KEM_PUBLIC_KEY_BYTES, KemKeyError, KemSecret,
};

/// The tag of an uncompressed point (SEC 1, 2.3.3).
const UNCOMPRESSED: u8 = 4;

/// A message is not the one that is expected from the other party. Which of its parts is wrong is nobody's business.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the handshake message is not the other party's")]
pub struct NoiseError;

impl From<AeadError> for NoiseError {
    fn from(_: AeadError) -> Self {
        Self
    }
}

impl From<KemKeyError> for NoiseError {
    fn from(_: KemKeyError) -> Self {
        Self
    }
}

/// Who begins.
pub struct Initiator {
    protocol: Protocol,
    statics: Arc<Statics>,
    symmetric: SymmetricState,
}

/// Who begins, once it has sent its message.
pub struct AwaitingReply {
    statics: Arc<Statics>,
    symmetric: SymmetricState,
    ephemeral: SecretKey,
    /// `e1`, if the protocol has it.
    kem: Option<KemSecret>,
}

/// Who answers.
pub struct Responder {
    protocol: Protocol,
    statics: Arc<Statics>,
    symmetric: SymmetricState,
}

/// Who answers, once it has read the first message.
pub struct Answering {
    statics: Arc<Statics>,
    symmetric: SymmetricState,
    ephemeral: PublicKey,
    /// `e1` of who began, if the protocol has it.
    kem: Option<Box<[u8; KEM_PUBLIC_KEY_BYTES]>>,
}

/// What a handshake leaves both parties with. Cannot be printed; zeroized when dropped.
pub struct Transport {
    /// The key of what this party sends.
    pub sending: Zeroizing<[u8; 32]>,
    /// The key of what it receives.
    pub receiving: Zeroizing<[u8; 32]>,
    /// `h`: the same for both, and of no other handshake.
    pub hash: [u8; 32],
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transport").finish_non_exhaustive()
    }
}

impl Initiator {
    /// `prologue`: what both must have the same idea of.
    pub fn new(protocol: Protocol, statics: Arc<Statics>, prologue: &[u8]) -> Self {
        let keys = [statics.own_public, statics.peer];
        Self {
            symmetric: begin(protocol, prologue, &keys),
            protocol,
            statics,
        }
    }

    /// `-> e, es, [e1,] ss`: the first message, around `payload`. Draws a key on the curve, then the 64 bytes of one of ML-KEM.
    pub fn write(
        self,
        payload: &[u8],
        rng: &mut impl CryptoRng,
    ) -> Result<(Vec<u8>, AwaitingReply), NoiseError> {
        let Self {
            protocol,
            statics,
            mut symmetric,
        } = self;
        let ephemeral = SecretKey::generate_from_rng(rng);
        let mut message = point(&ephemeral.public_key());
        symmetric.mix_hash(&message);
        symmetric.mix_key(&primitives::ecdh(&ephemeral, &statics.peer));
        let kem = match protocol {
            Protocol::Kk => None,
            Protocol::KkHfs => {
                let mut seed = Zeroizing::new([0; 64]);
                rng.fill_bytes(&mut *seed);
                let kem = KemSecret::new(&seed);
                symmetric.encrypt_and_hash(&kem.public(), &mut message)?;
                Some(kem)
            }
        };
        symmetric.mix_key(&statics.shared);
        symmetric.encrypt_and_hash(payload, &mut message)?;
        let awaiting = AwaitingReply {
            statics,
            symmetric,
            ephemeral,
            kem,
        };
        Ok((message, awaiting))
    }
}

impl AwaitingReply {
    /// `h` so far: of no other handshake.
    pub fn hash(&self) -> &[u8; 32] {
        self.symmetric.hash()
    }

    /// `<- e, ee, [ekem1,] se`: the payload of the second message, and what both have now. After an error another message can be read.
    pub fn read(&self, message: &[u8]) -> Result<(Zeroizing<Vec<u8>>, Transport), NoiseError> {
        let mut symmetric = self.symmetric.clone();
        let (ephemeral, mut sealed) = ephemeral_of(message)?;
        symmetric.mix_hash(&point(&ephemeral));
        symmetric.mix_key(&primitives::ecdh(&self.ephemeral, &ephemeral));
        if let Some(kem) = &self.kem {
            let ciphertext: Box<[u8; KEM_CIPHERTEXT_BYTES]>;
            (ciphertext, sealed) = opened(&mut symmetric, sealed)?;
            symmetric.mix_key(&kem.decapsulate(&ciphertext));
        }
        symmetric.mix_key(&primitives::ecdh(&self.statics.own, &ephemeral));
        let payload = symmetric.decrypt_and_hash(sealed)?;
        let ([sending, receiving], hash) = symmetric.split();
        let transport = Transport {
            sending,
            receiving,
            hash,
        };
        Ok((payload, transport))
    }
}

impl Responder {
    /// `prologue`: what both must have the same idea of.
    pub fn new(protocol: Protocol, statics: Arc<Statics>, prologue: &[u8]) -> Self {
        let keys = [statics.peer, statics.own_public];
        Self {
            symmetric: begin(protocol, prologue, &keys),
            protocol,
            statics,
        }
    }

    /// `-> e, es, [e1,] ss`: the payload of the first message. After an error another message can be read.
    ///
    /// It proves that the initiator made this message once. It may be an old one, sent again by anybody.
    pub fn read(&self, message: &[u8]) -> Result<(Zeroizing<Vec<u8>>, Answering), NoiseError> {
        let mut symmetric = self.symmetric.clone();
        let (ephemeral, mut sealed) = ephemeral_of(message)?;
        symmetric.mix_hash(&point(&ephemeral));
        symmetric.mix_key(&primitives::ecdh(&self.statics.own, &ephemeral));
        let kem = match self.protocol {
            Protocol::Kk => None,
            Protocol::KkHfs => {
                let public;
                (public, sealed) = opened(&mut symmetric, sealed)?;
                Some(public)
            }
        };
        symmetric.mix_key(&self.statics.shared);
        let payload = symmetric.decrypt_and_hash(sealed)?;
        let answering = Answering {
            statics: self.statics.clone(),
            symmetric,
            ephemeral,
            kem,
        };
        Ok((payload, answering))
    }
}

impl Answering {
    /// `<- e, ee, [ekem1,] se`: the second message, around `payload`, and what both have once it is read. Draws a key on the curve,
    /// then the 32 bytes that a secret is made of.
    pub fn write(
        self,
        payload: &[u8],
        rng: &mut impl CryptoRng,
    ) -> Result<(Vec<u8>, Transport), NoiseError> {
        let mut symmetric = self.symmetric;
        let ephemeral = SecretKey::generate_from_rng(rng);
        let mut message = point(&ephemeral.public_key());
        symmetric.mix_hash(&message);
        symmetric.mix_key(&primitives::ecdh(&ephemeral, &self.ephemeral));
        if let Some(public) = self.kem {
            let mut drawn = Zeroizing::new([0; 32]);
            rng.fill_bytes(&mut *drawn);
            let (ciphertext, shared) = primitives::kem_encapsulate(&public, &drawn)?;
            symmetric.encrypt_and_hash(&ciphertext, &mut message)?;
            symmetric.mix_key(&shared);
        }
        symmetric.mix_key(&primitives::ecdh(&ephemeral, &self.statics.peer));
        symmetric.encrypt_and_hash(payload, &mut message)?;
        let ([receiving, sending], hash) = symmetric.split();
        let transport = Transport {
            sending,
            receiving,
            hash,
        };
        Ok((message, transport))
    }
}

/// The state before the first message: the prologue, then the static keys, the initiator's first.
fn begin(protocol: Protocol, prologue: &[u8], keys: &[PublicKey; 2]) -> SymmetricState {
    let mut symmetric = SymmetricState::new(protocol);
    symmetric.mix_hash(prologue);
    for key in keys {
        symmetric.mix_hash(&point(key));
    }
    symmetric
}

fn point(key: &PublicKey) -> Vec<u8> {
    key.to_sec1_point(false).as_bytes().to_vec()
}

/// A message's public key, which must be a point of the curve, and what follows.
fn ephemeral_of(message: &[u8]) -> Result<(PublicKey, &[u8]), NoiseError> {
    let (key, sealed) = message
        .split_first_chunk::<PUBLIC_KEY_BYTES>()
        .ok_or(NoiseError)?;
    if key[0] != UNCOMPRESSED {
        return Err(NoiseError);
    }
    let key = PublicKey::from_sec1_bytes(key).map_err(|_| NoiseError)?;
    Ok((key, sealed))
}

/// An encrypted text of so many bytes at the beginning, and what follows.
fn opened<'a, const BYTES: usize>(
    symmetric: &mut SymmetricState,
    sealed: &'a [u8],
) -> Result<(Box<[u8; BYTES]>, &'a [u8]), NoiseError> {
    let (text, rest) = sealed
        .split_at_checked(BYTES + TAG_BYTES)
        .ok_or(NoiseError)?;
    let text = symmetric.decrypt_and_hash(text)?;
    let text: [u8; BYTES] = text.as_slice().try_into().map_err(|_| NoiseError)?;
    Ok((Box::new(text), rest))
}
