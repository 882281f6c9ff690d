//! Suite 1, Fed-BioMed's own: sign, then encrypt.
//!
//! ```text
//! signature  = ECDSA-P256-SHA256(sender's channel key, M)          DER
//! plaintext  = msgpack { "message": M, "signature": signature }
//! key        = ConcatKDF-SHA256(ECDH, salt ‖ both node ids sorted)
//! ciphertext = ChaCha20(key, nonce, plaintext)
//! ```
//!
//! `M` is the inner message's map. The receiver checks the signature over what it writes after reading `M`, so only
//! canonical forms pass. There is no MAC, no replay protection and no forward secrecy, and the outer fields
//! `researcher_id` and `setup` are not authenticated: those are the suite's limits, kept to talk to Fed-BioMed.

use rand_core::Rng;
use rmp::encode::{self, ByteBuf};
use zeroize::Zeroizing;

use super::{ChannelKeys, OpenError, SealError};
use crate::message::{
    DecodeError, Extent, Inner, MAX_DEPTH, MAX_MESSAGE_BYTES, MAX_VALUES, NodeId, OverlayMessage,
    ResearcherId, Value,
};
use crate::primitives;
use crate::randomness::Randomness;

/// Length of a salt, in bytes.
pub const SALT_BYTES: usize = 32;

/// Length of a nonce, in bytes: block counter and nonce proper.
pub const NONCE_BYTES: usize = 16;

/// What an outer message has beside its plaintext, at most, in bytes: ids, names of fields, salt and nonce.
const OUTER_BYTES: usize = 4096;

/// The levels that a payload is deeper than its message, and the values that it has more: itself, two names, the signature.
const PAYLOAD_DEPTH: usize = 1;
const PAYLOAD_VALUES: usize = 4;

/// What is drawn anew for each message.
pub struct Drawn {
    /// Makes the message's key.
    pub salt: [u8; SALT_BYTES],
    /// Of the cipher.
    pub nonce: [u8; NONCE_BYTES],
    /// ECDSA is randomised, so the signature is drawn too: DER, over the message's canonical bytes.
    pub signature: Vec<u8>,
}

impl Drawn {
    /// Draws salt and nonce, and signs `message`: an inner message's canonical bytes.
    pub fn fresh(
        keys: &ChannelKeys,
        message: &[u8],
        randomness: &mut Randomness,
    ) -> Result<Self, SealError> {
        let signature = if randomness.is_from_seed() {
            keys.signing.sign_with(message, randomness)
        } else {
            keys.signing.sign(message)
        };
        let mut drawn = Self {
            salt: [0; SALT_BYTES],
            nonce: [0; NONCE_BYTES],
            signature: signature.map_err(|_| SealError::Signing)?,
        };
        randomness.fill_bytes(&mut drawn.salt);
        randomness.fill_bytes(&mut drawn.nonce);
        Ok(drawn)
    }
}

/// Signs and encrypts `inner`, to be relayed by `researcher`.
///
/// `setup` says that the message belongs to a channel set-up; `keys` must then be the published ones, and else must not.
/// Errors: that rule, a message too large, or one that could not be read once it is opened.
pub fn seal(
    keys: &ChannelKeys,
    researcher: &ResearcherId,
    inner: &Inner,
    setup: bool,
    randomness: &mut Randomness,
) -> Result<OverlayMessage, SealError> {
    let message = Zeroizing::new(inner.encode());
    let drawn = Drawn::fresh(keys, &message, randomness)?;
    sealed(keys, researcher, inner, &message, setup, drawn)
}

/// [`seal`] with what was drawn before. A salt and nonce must never serve two messages.
pub fn seal_with(
    keys: &ChannelKeys,
    researcher: &ResearcherId,
    inner: &Inner,
    setup: bool,
    drawn: Drawn,
) -> Result<OverlayMessage, SealError> {
    let message = Zeroizing::new(inner.encode());
    sealed(keys, researcher, inner, &message, setup, drawn)
}

/// `message` are the bytes of `inner`.
fn sealed(
    keys: &ChannelKeys,
    researcher: &ResearcherId,
    inner: &Inner,
    message: &[u8],
    setup: bool,
    drawn: Drawn,
) -> Result<OverlayMessage, SealError> {
    if setup != keys.published {
        return Err(SealError::WrongKeys);
    }
    if setup && !inner.is_channel_setup() {
        return Err(SealError::SetupKind(inner.kind.clone()));
    }
    // The limits of a message count what is around the inner one too: what passed them alone may not pass in here.
    let Extent { depth, values } = inner.extent();
    if depth + PAYLOAD_DEPTH > MAX_DEPTH {
        return Err(SealError::Unreadable(DecodeError::TooDeep));
    }
    if values + PAYLOAD_VALUES > MAX_VALUES {
        return Err(SealError::Unreadable(DecodeError::TooManyValues));
    }
    let mut overlay = payload(message, &drawn.signature);
    if overlay.len() > MAX_MESSAGE_BYTES - OUTER_BYTES {
        return Err(SealError::TooLarge(overlay.len()));
    }
    let key = message_key(keys, &drawn.salt, &inner.source, &inner.dest);
    primitives::chacha20_xor(&key, &drawn.nonce, &mut overlay);
    Ok(OverlayMessage {
        researcher_id: researcher.clone(),
        source: inner.source.clone(),
        dest: inner.dest.clone(),
        overlay,
        setup,
        salt: drawn.salt.to_vec(),
        nonce: drawn.nonce.to_vec(),
    })
}

/// `{"message": message, "signature": signature}`, of the bytes of a message.
fn payload(message: &[u8], signature: &[u8]) -> Vec<u8> {
    const NAMES_BYTES: usize = 32;
    let mut payload = ByteBuf::with_capacity(NAMES_BYTES + message.len() + signature.len());
    // Writing to memory cannot fail: the error type has no values.
    let Ok(_) = encode::write_map_len(&mut payload, 2);
    let Ok(()) = encode::write_str(&mut payload, "message");
    payload.as_mut_vec().extend_from_slice(message);
    let Ok(()) = encode::write_str(&mut payload, "signature");
    let Ok(()) = encode::write_bin(&mut payload, signature);
    payload.into_vec()
}

/// Decrypts an outer message and checks that the sender meant it, for this receiver.
///
/// `keys` must be the published ones if and only if the message is marked as set-up. The result's ids are those of the
/// outer message; whether its receiver is this node is the caller's to check.
pub fn open(keys: &ChannelKeys, message: &OverlayMessage) -> Result<Inner, OpenError> {
    if message.setup != keys.published {
        return Err(OpenError::WrongKeys);
    }
    let nonce = message.nonce.as_slice().try_into();
    let nonce: &[u8; NONCE_BYTES] = nonce.map_err(|_| OpenError::Nonce(message.nonce.len()))?;
    if message.salt.len() != SALT_BYTES {
        return Err(OpenError::Salt(message.salt.len()));
    }
    if message.overlay.len() > MAX_MESSAGE_BYTES {
        return Err(OpenError::TooLarge(message.overlay.len()));
    }
    let key = message_key(keys, &message.salt, &message.source, &message.dest);
    let mut plaintext = Zeroizing::new(message.overlay.clone());
    primitives::chacha20_xor(&key, nonce, &mut plaintext);

    let payload = Value::decode(&plaintext).map_err(OpenError::Payload)?;
    let inner = verified(keys, payload)?;
    if inner.source != message.source {
        return Err(OpenError::Source);
    }
    if inner.dest != message.dest {
        return Err(OpenError::Dest);
    }
    if message.setup && !inner.is_channel_setup() {
        return Err(OpenError::SetupKind(inner.kind));
    }
    Ok(inner)
}

/// The message of a payload, once its signature is found good. Keys other than the two are ignored, as in the reference.
fn verified(keys: &ChannelKeys, payload: Value) -> Result<Inner, OpenError> {
    let signature = payload.get("signature").ok_or(OpenError::PayloadForm)?;
    let signature = signature.as_bin().ok_or(OpenError::Signature)?.to_vec();
    let message = payload.take("message").ok_or(OpenError::PayloadForm)?;
    let signed = Zeroizing::new(message.encode());
    if !keys.verifying.accepts(&signed, &signature) {
        return Err(OpenError::Signature);
    }
    Ok(Inner::from_value(message)?)
}

/// The key of one message, the same in both directions.
fn message_key(
    keys: &ChannelKeys,
    salt: &[u8],
    source: &NodeId,
    dest: &NodeId,
) -> Zeroizing<[u8; 32]> {
    let ids = primitives::sorted_ids(source.as_str(), dest.as_str());
    primitives::concat_kdf(keys.shared.as_slice(), &[salt, &ids])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::RequestId;

    struct Pair {
        a: ChannelKeys,
        b: ChannelKeys,
        rng: Randomness,
    }

    fn pair() -> Pair {
        let [a, b] = [b"a", b"b"].map(|label| primitives::derive_secret_key(&[1; 32], label));
        Pair {
            a: ChannelKeys::new(&a, &b.public_key()),
            b: ChannelKeys::new(&b, &a.public_key()),
            rng: Randomness::from_seed(1),
        }
    }

    fn inner(kind: &str, rng: &mut Randomness) -> Inner {
        let fields = match kind {
            "KeyRequest" => vec![("secagg_id".into(), "run".into())],
            _ => vec![],
        };
        Inner::new(
            "node-a".parse().unwrap(),
            "node-b".parse().unwrap(),
            Some(RequestId::fresh(rng)),
            kind,
            Value::Map(fields),
        )
        .unwrap()
    }

    fn sealed(pair: &mut Pair) -> OverlayMessage {
        let inner = inner("KeyRequest", &mut pair.rng);
        let researcher = "researcher".parse().unwrap();
        seal(&pair.a, &researcher, &inner, false, &mut pair.rng).unwrap()
    }

    #[test]
    fn refuses_a_message_with_any_byte_of_the_overlay_changed() {
        let mut pair = pair();
        let message = sealed(&mut pair);
        for position in 0..message.overlay.len() {
            let mut altered = message.clone();
            altered.overlay[position] ^= 1;
            assert!(open(&pair.b, &altered).is_err(), "byte {position}");
        }
        for length in 0..message.overlay.len() {
            let mut cut = message.clone();
            cut.overlay.truncate(length);
            assert!(open(&pair.b, &cut).is_err(), "cut to {length}");
        }
    }

    #[test]
    fn refuses_a_message_under_other_ids_salt_or_nonce() {
        let mut pair = pair();
        let message = sealed(&mut pair);
        assert!(open(&pair.b, &message).is_ok());
        let mut changed = message.clone();
        changed.source = "node-c".parse().unwrap();
        assert!(open(&pair.b, &changed).is_err());
        // Swapped ids give the same key; the signed ids tell.
        let mut swapped = message.clone();
        (swapped.source, swapped.dest) = (message.dest.clone(), message.source.clone());
        assert_eq!(open(&pair.b, &swapped), Err(OpenError::Source));
        let mut salted = message.clone();
        salted.salt[0] ^= 1;
        assert!(open(&pair.b, &salted).is_err());
        let mut nonced = message.clone();
        nonced.nonce[15] ^= 1;
        assert!(open(&pair.b, &nonced).is_err());
        nonced.nonce.pop();
        assert_eq!(open(&pair.b, &nonced), Err(OpenError::Nonce(15)));
    }

    #[test]
    fn refuses_its_own_message_sent_back() {
        let mut pair = pair();
        let message = sealed(&mut pair);
        assert_eq!(open(&pair.a, &message), Err(OpenError::Signature));
    }

    #[test]
    fn the_published_key_protects_channel_set_up_only() {
        let mut pair = pair();
        let published = ChannelKeys::published().unwrap();
        let researcher: ResearcherId = "researcher".parse().unwrap();
        let request = inner("KeyRequest", &mut pair.rng);
        let setup = inner("ChannelSetupRequest", &mut pair.rng);
        let mut seal = |keys, inner, flag| seal(keys, &researcher, inner, flag, &mut pair.rng);
        assert_eq!(
            seal(published, &request, true),
            Err(SealError::SetupKind("KeyRequest".into()))
        );
        assert_eq!(seal(published, &setup, false), Err(SealError::WrongKeys));
        assert_eq!(seal(&pair.a, &setup, true), Err(SealError::WrongKeys));
        let message = seal(published, &setup, true).unwrap();
        assert_eq!(open(published, &message), Ok(setup));
        assert_eq!(open(&pair.b, &message), Err(OpenError::WrongKeys));
    }

    #[test]
    fn refuses_to_seal_what_its_receiver_could_not_open() {
        let mut pair = pair();
        let researcher: ResearcherId = "researcher".parse().unwrap();
        let mut seal_nested = |depth| {
            let nested = (0..depth).fold(Value::Nil, |within, _| Value::List(vec![within]));
            let fields = Value::Map(vec![("nested".into(), nested)]);
            let ids = ["node-a", "node-b"].map(|id| id.parse().unwrap());
            let [a, b] = ids;
            let inner = Inner::new(a, b, None, "SiteGreeting", fields).unwrap();
            seal(&pair.a, &researcher, &inner, false, &mut pair.rng)
        };
        // The payload's map and the message's are around the fields.
        let deepest = seal_nested(MAX_DEPTH - 2).unwrap();
        let too_deep = seal_nested(MAX_DEPTH - 1);
        assert_eq!(too_deep, Err(SealError::Unreadable(DecodeError::TooDeep)));
        assert!(open(&pair.b, &deepest).is_ok());
    }

    #[test]
    fn two_seals_of_one_message_share_nothing() {
        let mut pair = pair();
        let (one, two) = (sealed(&mut pair), sealed(&mut pair));
        assert_ne!(one.salt, two.salt);
        assert_ne!(one.nonce, two.nonce);
        assert_ne!(one.overlay, two.overlay);
    }
}
