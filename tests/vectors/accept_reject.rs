//! `accept_reject.json`: what the reference's node B made of messages to it, most of them hostile.

use backchannel::message::{Inner, Value, inner::KINDS};
use backchannel::overlay::{ChannelKeys, open};
use serde_json::Value as Json;

use crate::fixture::{Report, key_pair, known_value, list, load, outer, text, with_field};

pub const FILE: &str = "accept_reject.json";

/// Why node B would not act on a message.
struct Refusal {
    text: String,
    stricter: Option<&'static str>,
}

#[test]
fn vectors_accept_reject() {
    let file = load(FILE);
    let mut report = Report::new(FILE);
    let (_, a) = key_pair(&file["keys"]["channel_a"]);
    let (b, _) = key_pair(&file["keys"]["channel_b"]);
    let channel = ChannelKeys::new(&b, &a);
    for case in list(&file, "vectors") {
        let name = text(case, "name");
        match (text(case, "result"), verdict(case, &channel)) {
            ("accepted", Ok(inner)) => {
                // The reference keeps the sender's spelling of the version (`7.0`); we keep none.
                let sent = known_value(case, "got");
                let position = sent.as_map().expect("a message").iter();
                let expected = position.map(|(field, value)| match field.as_str() {
                    Some("protocol_version") => (field.clone(), "7".into()),
                    _ => (field.clone(), value.clone()),
                });
                assert_eq!(inner.to_value(), Value::Map(expected.collect()), "{name}");
            }
            ("accepted", Err(refusal)) => report.stricter(name, refusal.stricter, &refusal.text),
            ("rejected", Err(_)) => {}
            ("rejected", Ok(_)) => panic!("{name}: the reference refuses it, we accept it"),
            (other, _) => panic!("{name}: an unknown result: {other}"),
        }
        report.checked();
    }
    report.finish();
}

/// Whether node B would hand the message to a handler: it can be opened, and its kind has one.
fn verdict(case: &Json, channel: &ChannelKeys) -> Result<Inner, Refusal> {
    let published = ChannelKeys::published().expect("the published key");
    let message = outer(&known_value(case, "outer")).map_err(|error| Refusal {
        text: error.to_string(),
        stricter: error.stricter_than_reference(),
    })?;
    let keys = if message.setup { published } else { channel };
    let inner = open(keys, &message).map_err(|error| Refusal {
        text: error.to_string(),
        stricter: error.stricter_than_reference(),
    })?;
    if KINDS.contains(&inner.kind.as_str()) {
        Ok(inner)
    } else {
        Err(Refusal {
            text: "no handler for this kind".into(),
            stricter: None,
        })
    }
}

/// The cases are only worth something if one that is sound passes and the same one with a flaw does not.
#[test]
fn vectors_accept_reject_tell_sound_from_flawed() {
    let file = load(FILE);
    let results = list(&file, "vectors")
        .iter()
        .map(|case| text(case, "result"));
    let (accepted, rejected): (Vec<_>, Vec<_>) = results.partition(|result| *result == "accepted");
    assert!(!accepted.is_empty() && !rejected.is_empty());
    let fields = known_value(&list(&file, "vectors")[0], "outer");
    assert!(outer(&fields).is_ok());
    assert!(outer(&with_field(&fields, "nonce", None)).is_err());
}
