//! `overlay.json`: each step from an inner message to the outer message's bytes, and back.

use backchannel::message::{Inner, NodeId, OverlayMessage, ResearcherId, Value};
use backchannel::overlay::suite1::{Drawn, seal_with};
use backchannel::overlay::{ChannelKeys, open, seal};
use backchannel::primitives::{chacha20_xor, concat_kdf, ecdh, parse_public_key_pem, sorted_ids};
use backchannel::randomness::Randomness;
use p256::ecdsa::signature::Verifier;
use p256::ecdsa::{Signature, VerifyingKey};
use p256::{PublicKey, SecretKey};
use serde_json::Value as Json;

use crate::fixture::{Report, array, bytes, key_pair, known_value, list, load, text};

pub const FILE: &str = "overlay.json";

/// Who seals and who opens a case, and with which keys.
struct Ends {
    sender: SecretKey,
    sender_public: PublicKey,
    receiver: SecretKey,
    receiver_public: PublicKey,
}

impl Ends {
    fn of(case: &Json, file: &Json) -> Self {
        let keys = &file["keys"];
        let key_of = |node: &str| match case["setup"].as_bool() {
            Some(true) => &keys["default_n2n"],
            _ if node == text(file, "node_a") => &keys["channel_a"],
            _ => &keys["channel_b"],
        };
        let (sender, sender_public) = key_pair(key_of(text(case, "from")));
        let (receiver, receiver_public) = key_pair(key_of(text(case, "to")));
        Self {
            sender,
            sender_public,
            receiver,
            receiver_public,
        }
    }
}

#[test]
fn vectors_overlay() {
    let file = load(FILE);
    let mut report = Report::new(FILE);
    for case in list(&file, "vectors") {
        let ends = Ends::of(case, &file);
        check_steps(case, &ends);
        check_both_directions(case, &ends, text(&file, "researcher_id"));
        report.checked();
    }
    report.finish();
}

/// Secret, key, plaintext and signature, each from what the reference had before it.
fn check_steps(case: &Json, ends: &Ends) {
    let name = text(case, "name");
    let shared: [u8; 32] = array(case, "ecdh_shared_secret");
    assert_eq!(*ecdh(&ends.sender, &ends.receiver_public), shared, "{name}");
    assert_eq!(*ecdh(&ends.receiver, &ends.sender_public), shared, "{name}");

    let salt = bytes(case, "salt");
    let ids = sorted_ids(text(case, "from"), text(case, "to"));
    let otherinfo = [salt.as_slice(), &ids].concat();
    assert_eq!(otherinfo, bytes(case, "kdf_otherinfo"), "{name}");
    let key = concat_kdf(&shared, &[&salt, &ids]);
    assert_eq!(*key, array::<32>(case, "derived_key"), "{name}");

    let message = known_value(case, "message");
    let signed = bytes(case, "message_msgpack");
    assert_eq!(message.encode(), signed, "{name}");
    assert_eq!(Value::decode(&signed).as_ref(), Ok(&message), "{name}");

    let der = bytes(case, "signature_der");
    let public = text(case, "signed_by_public_pem").as_bytes();
    let public = parse_public_key_pem(public).expect("the signer's key");
    assert_eq!(public, ends.sender_public, "{name}");
    let signature = Signature::from_der(&der).expect("a signature");
    assert!(
        VerifyingKey::from(&public)
            .verify(&signed, &signature)
            .is_ok()
    );

    let payload = Value::Map(vec![
        ("message".into(), message),
        ("signature".into(), Value::Bin(der)),
    ]);
    let mut buffer = payload.encode();
    assert_eq!(buffer, bytes(case, "payload_msgpack"), "{name}");
    chacha20_xor(&key, &array(case, "nonce"), &mut buffer);
    assert_eq!(buffer, bytes(case, "overlay_ciphertext"), "{name}");
}

/// Opens what the reference sealed; seals the same again, once with what it drew and once with our own.
fn check_both_directions(case: &Json, ends: &Ends, researcher: &str) {
    let name = text(case, "name");
    let setup = case["setup"].as_bool().expect("a Boolean");
    let sender = ChannelKeys::new(&ends.sender, &ends.receiver_public);
    let receiver = ChannelKeys::new(&ends.receiver, &ends.sender_public);
    let (sender, receiver) = if setup {
        let published = ChannelKeys::published().expect("the published key");
        (published, published)
    } else {
        (&sender, &receiver)
    };

    let sent = bytes(case, "overlay_message_msgpack");
    assert_eq!(
        known_value(case, "overlay_message").encode(),
        sent,
        "{name}"
    );
    let outer = OverlayMessage::decode(&sent).expect(name);
    assert_eq!(outer.encode(), sent, "{name}");
    assert_eq!(outer.overlay, bytes(case, "overlay_ciphertext"), "{name}");
    let [from, to] = ["from", "to"].map(|end| text(case, end).parse::<NodeId>().expect("an id"));
    assert_eq!((&outer.source, &outer.dest), (&from, &to), "{name}");

    let inner = open(receiver, &outer).expect(name);
    assert_eq!(inner.kind, text(case, "class"), "{name}");
    assert_eq!(inner.to_value(), known_value(case, "message"), "{name}");
    assert_eq!(
        inner.to_value().encode(),
        bytes(case, "message_msgpack"),
        "{name}"
    );

    let researcher: ResearcherId = researcher.parse().expect("an id");
    let drawn = Drawn {
        salt: array(case, "salt"),
        nonce: array(case, "nonce"),
        signature: bytes(case, "signature_der"),
    };
    let again = seal_with(sender, &researcher, &inner, setup, drawn).expect(name);
    assert_eq!(again.encode(), sent, "{name}");

    check_own_seal(case, sender, receiver, &researcher, &inner);
}

/// Our own signature holds for the key that the reference would check it with.
fn check_own_seal(
    case: &Json,
    sender: &ChannelKeys,
    receiver: &ChannelKeys,
    researcher: &ResearcherId,
    inner: &Inner,
) {
    let name = text(case, "name");
    let setup = case["setup"].as_bool().expect("a Boolean");
    let mut rng = Randomness::from_seed(1);
    let drawn = Drawn::fresh(sender, &inner.encode(), &mut rng).expect(name);
    let signature = Signature::from_der(&drawn.signature).expect("a signature");
    let public = text(case, "signed_by_public_pem").as_bytes();
    let public = parse_public_key_pem(public).expect("the signer's key");
    let signed = bytes(case, "message_msgpack");
    assert!(
        VerifyingKey::from(&public)
            .verify(&signed, &signature)
            .is_ok()
    );

    let own = seal(sender, researcher, inner, setup, &mut rng).expect(name);
    assert_eq!(open(receiver, &own).as_ref(), Ok(inner), "{name}");
}
