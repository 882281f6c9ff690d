//! `accept_reject.json`: what the reference's node B made of messages to it, most of them hostile.

use backchannel::message::{Inner, OverlayMessage, Value, inner::KINDS};
use backchannel::overlay::{ChannelKeys, OpenError, open};
use backchannel::primitives::{chacha20_xor, concat_kdf, ecdh, sorted_ids};
use p256::{PublicKey, SecretKey};
use serde_json::Value as Json;

use crate::fixture::{Report, bytes, key_pair, known_value, list, load, outer, text};

pub const FILE: &str = "accept_reject.json";

/// Why node B would not act on a message.
#[derive(Debug)]
enum Refusal {
    Unopened(OpenError),
    NoHandler,
}

#[test]
fn vectors_accept_reject() {
    let file = load(FILE);
    let mut report = Report::new(FILE);
    let (_, a) = key_pair(&file["keys"]["channel_a"]);
    let (b, _) = key_pair(&file["keys"]["channel_b"]);
    let (default, default_public) = key_pair(&load(crate::overlay::FILE)["keys"]["default_n2n"]);
    let channel = ChannelKeys::new(&b, &a);
    for case in list(&file, "vectors") {
        let name = text(case, "name");
        // The reference had a well-formed outer message in each case.
        let message = outer(&known_value(case, "outer")).expect(name);
        match message.setup {
            true => check_cipher(case, &message, &default, &default_public),
            false => check_cipher(case, &message, &b, &a),
        }
        match (text(case, "result"), verdict(&message, &channel)) {
            ("accepted", Ok(inner)) => assert_eq!(inner.to_value(), received(case), "{name}"),
            ("accepted", Err(Refusal::Unopened(error))) => {
                report.stricter(name, error.stricter_than_reference(), &error);
            }
            ("rejected", Err(refusal)) => check_reason(case, &refusal),
            (theirs, ours) => panic!("{name}: {theirs} by the reference, by us: {ours:?}"),
        }
        report.checked();
    }
    report.finish();
}

/// What the reference's handler would get. It keeps the sender's spelling of the version (`7.0`); we keep none.
fn received(case: &Json) -> Value {
    let got = known_value(case, "got");
    let fields = got.as_map().expect("a message").iter();
    let fields = fields.map(|(name, value)| match name.as_str() {
        Some("protocol_version") => (name.clone(), "7".into()),
        _ => (name.clone(), value.clone()),
    });
    Value::Map(fields.collect())
}

/// Whether node B would hand the message to a handler: it can be opened, and its kind has one.
fn verdict(message: &OverlayMessage, channel: &ChannelKeys) -> Result<Inner, Refusal> {
    let published = ChannelKeys::published().expect("the published key");
    let keys = if message.setup { published } else { channel };
    let inner = open(keys, message).map_err(Refusal::Unopened)?;
    if KINDS.contains(&inner.kind.as_str()) {
        Ok(inner)
    } else {
        Err(Refusal::NoHandler)
    }
}

/// What was encrypted is the recorded payload, or at least its message: some were signed once more for the recording. It
/// is encrypted under the message's own salt and nonce, or where one of them was made wrong on purpose, under zeros.
fn check_cipher(case: &Json, message: &OverlayMessage, own: &SecretKey, peer: &PublicKey) {
    let payload = bytes(case, "payload_msgpack");
    let signed = |bytes: &[u8]| Value::decode(bytes).ok()?.get("message").cloned();
    let ids = sorted_ids(message.source.as_str(), message.dest.as_str());
    let is_payload = |salt: &[u8], nonce: &[u8]| {
        let key = concat_kdf(ecdh(own, peer).as_slice(), &[salt, &ids]);
        let mut plaintext = message.overlay.clone();
        let nonce = nonce.try_into().unwrap_or(&[0; 16]);
        chacha20_xor(&key, nonce, &mut plaintext);
        let message = signed(&plaintext);
        plaintext == payload || (message.is_some() && message == signed(&payload))
    };
    let is_as_sent = is_payload(&message.salt, &message.nonce);
    let name = text(case, "name");
    assert!(is_as_sent || is_payload(&[0; 32], &[0; 16]), "{name}");
}

/// Refused for the same reason, as far as the reference's error tells it. Our own stricter rules may come first.
fn check_reason(case: &Json, refusal: &Refusal) {
    let (class, words) = (text(case, "error"), text(case, "text"));
    let Refusal::Unopened(error) = refusal else {
        assert_eq!(class, "FedbiomedMessageError", "{}", text(case, "name"));
        return;
    };
    let is_same = match class {
        "FedbiomedNodeToNodeError" if words.contains("integrity") => *error == OpenError::Signature,
        "FedbiomedNodeToNodeError" if words.contains("payload format") => {
            *error == OpenError::PayloadForm
        }
        "FedbiomedNodeToNodeError" if words.contains("ID mismatch") => {
            matches!(error, OpenError::Source | OpenError::Dest)
        }
        "FedbiomedNodeToNodeError" if words.contains("nonce") => {
            matches!(error, OpenError::Nonce(_))
        }
        "FedbiomedMessageError" | "FedbiomedVersionError" | "FedbiomedValueError" => {
            matches!(error, OpenError::Message(_))
        }
        // Whatever Python came across: a byte, a missing key, a type.
        _ => true,
    };
    let is_stricter = error.stricter_than_reference().is_some();
    assert!(is_same || is_stricter, "{}: {error}", text(case, "name"));
}
