use std::sync::LazyLock;

use p256::ecdsa::signature::Signer;
use p256::ecdsa::{Signature, SigningKey};
use zeroize::Zeroizing;

use super::change::Change;
use super::channel::CHANNEL;
use crate::message::{DecodeError, Inner, OverlayMessage, RequestId, Value};
use crate::overlay::{ChannelKeys, OpenError, open, seal};
use crate::primitives::{chacha20_xor, concat_kdf, ecdh, sorted_ids};
use crate::randomness::Randomness;

/// The opening of outer messages, suite 1.
///
/// The first byte of the input says what the rest is. 0: changes of a sealed message on its way, by a relay that cannot decrypt.
/// 1: changes of what is encrypted, by one that knows it. 2: what a sender signs, whatever it is. 3: the same with the published
/// key, which anyone has.
///
/// What must hold: a message with a change in anything but the researcher's id is refused (`setup` too, which the suite does not
/// authenticate, but then other keys are due); whatever is changed, nothing opens but what was sealed; and what a sender signed
/// opens exactly when it is an inner message between these two nodes, and under the published key one of a channel set-up.
/// `true` when a message opened.
pub fn overlay_open(input: &[u8]) -> bool {
    let Some((what, rest)) = input.split_first() else {
        return false;
    };
    match what % 4 {
        0 => changed_on_the_way(rest),
        1 => changed_within(rest),
        2 => signed_by_the_sender(rest),
        _ => signed_by_anyone(rest),
    }
}

struct Sealed {
    inner: Inner,
    frame: OverlayMessage,
}

static SEALED: LazyLock<Sealed> = LazyLock::new(|| {
    let mut rng = Randomness::from_seed(2);
    let fields = Value::Map(vec![("secagg_id".into(), "run".into())]);
    let (source, dest) = (CHANNEL.source.clone(), CHANNEL.dest.clone());
    let request_id = Some(RequestId::fresh(&mut rng));
    let inner = Inner::new(source, dest, request_id, "KeyRequest", fields).expect("a message");
    let frame = seal(
        &CHANNEL.sender,
        &CHANNEL.researcher,
        &inner,
        false,
        &mut rng,
    );
    Sealed {
        inner,
        frame: frame.expect("sealed"),
    }
});

fn changed_on_the_way(changes: &[u8]) -> bool {
    let sealed = &SEALED.frame;
    let mut frame = sealed.clone();
    let ids = [sealed.source.as_str(), sealed.dest.as_str()];
    let [mut source, mut dest] = ids.map(|id| id.as_bytes().to_vec());
    let mut researcher = sealed.researcher_id.as_str().as_bytes().to_vec();
    for change in Change::read(changes) {
        match change.part(7) {
            0 => change.apply(&mut frame.overlay),
            1 => change.apply(&mut frame.salt),
            2 => change.apply(&mut frame.nonce),
            3 => change.apply(&mut source),
            4 => change.apply(&mut dest),
            5 => change.apply(&mut researcher),
            _ => frame.setup = !frame.setup,
        }
    }
    let ids = [source, dest, researcher].map(|id| String::from_utf8(id).unwrap_or_default());
    let [source, dest, researcher] = ids;
    let (Ok(source), Ok(dest)) = (source.try_into(), dest.try_into()) else {
        return false;
    };
    let Ok(researcher_id) = researcher.try_into() else {
        return false;
    };
    (frame.source, frame.dest, frame.researcher_id) = (source, dest, researcher_id);
    let unchanged = OverlayMessage {
        researcher_id: frame.researcher_id.clone(),
        ..sealed.clone()
    };

    let opened = open(&CHANNEL.receiver, &frame);

    if frame == unchanged {
        assert_eq!(opened.as_ref(), Ok(&SEALED.inner));
    } else {
        assert!(opened.is_err(), "{frame:?} was never sealed");
    }
    opened.is_ok()
}

fn changed_within(changes: &[u8]) -> bool {
    let mut frame = SEALED.frame.clone();
    apply_cipher(&CHANNEL.secret, &mut frame);
    for change in Change::read(changes) {
        change.apply(&mut frame.overlay);
    }
    apply_cipher(&CHANNEL.secret, &mut frame);
    let opened = open(&CHANNEL.receiver, &frame);
    if let Ok(opened) = &opened {
        assert_eq!(*opened, SEALED.inner, "nobody sealed this");
    }
    opened.is_ok()
}

fn signed_by_the_sender(message: &[u8]) -> bool {
    let frame = signed(&CHANNEL.sender, &CHANNEL.secret, message);
    holds(&CHANNEL.receiver, &frame, message)
}

fn signed_by_anyone(message: &[u8]) -> bool {
    static SECRET: LazyLock<Zeroizing<[u8; 32]>> = LazyLock::new(|| {
        let keys = ChannelKeys::published().expect("the published key");
        ecdh(&keys.own_secret_key(), &keys.peer_public_key())
    });
    let keys = ChannelKeys::published().expect("the published key");
    let mut frame = signed(keys, &SECRET, message);
    frame.setup = true;
    holds(keys, &frame, message)
}

/// `message` with a signature over its one form, encrypted. Its bytes need not be in that form, nor be a value.
fn signed(keys: &ChannelKeys, secret: &[u8; 32], message: &[u8]) -> OverlayMessage {
    let canonical = Value::decode(message).map_or(message.to_vec(), |value| value.encode());
    let signature: Signature = SigningKey::from(&keys.own_secret_key()).sign(&canonical);
    let signature = Value::Bin(signature.to_der().as_bytes().to_vec());
    let mut frame = SEALED.frame.clone();
    // A map of two.
    frame.overlay = [
        &[0x82],
        Value::from("message").encode().as_slice(),
        message,
        &Value::from("signature").encode(),
        &signature.encode(),
    ]
    .concat();
    apply_cipher(secret, &mut frame);
    frame
}

/// Whether the signed `message` opens, which must be for its own sake.
fn holds(keys: &ChannelKeys, frame: &OverlayMessage, message: &[u8]) -> bool {
    let opened = open(keys, frame);
    let Ok(value) = Value::decode(message) else {
        assert!(opened.is_err(), "what was signed is no value");
        return false;
    };
    match (opened, Inner::from_value(value)) {
        (Ok(opened), Ok(inner)) => {
            assert_eq!(opened.to_value().encode(), inner.to_value().encode());
            assert_eq!((&opened.source, &opened.dest), (&frame.source, &frame.dest));
            assert!(!frame.setup || opened.is_channel_setup());
            return true;
        }
        (Err(OpenError::Message(ours)), Err(theirs)) => assert_eq!(ours, theirs),
        (Err(OpenError::Source), Ok(inner)) => assert_ne!(inner.source, frame.source),
        (Err(OpenError::Dest), Ok(inner)) => assert_ne!(inner.dest, frame.dest),
        (Err(OpenError::SetupKind(_)), Ok(inner)) => {
            assert!(frame.setup && !inner.is_channel_setup());
        }
        // What is around the message counts too.
        (Err(OpenError::Payload(DecodeError::TooDeep | DecodeError::TooManyValues)), _) => {}
        (opened, expected) => panic!("{opened:?} instead of {expected:?}"),
    }
    false
}

/// Encrypts or decrypts with the key of that message.
fn apply_cipher(secret: &[u8; 32], frame: &mut OverlayMessage) {
    let ids = sorted_ids(frame.source.as_str(), frame.dest.as_str());
    let key = concat_kdf(secret, &[&frame.salt, &ids]);
    let nonce = frame.nonce.as_slice().try_into().expect("16 bytes");
    chacha20_xor(&key, nonce, &mut frame.overlay);
}
