//! `messages.json`: what researcher and node say to each other.

use backchannel::message::{ToNode, ToResearcher, Value};
use backchannel::proto::researcher::{FeedbackMessage, feedback_message};
use prost::Message;
use serde_json::Value as Json;

use crate::fixture::{Report, bytes, known_value, list, load, text, with_field};

pub const FILE: &str = "messages.json";

#[test]
fn vectors_messages() {
    let file = load(FILE);
    let mut report = Report::new(FILE);
    for case in list(&file, "vectors") {
        let class = text(case, "class");
        let message = known_value(case, "message");
        let sent = bytes(case, "msgpack");
        assert_eq!(message.encode(), sent, "{class}");
        assert_eq!(again(class, &sent), Ok(sent), "{class}");
        check_fields(case, &message);
        report.checked();
    }
    check_feedback(&file["feedback_log"]);
    report.checked();
    report.finish();
}

/// Reads and writes a message of a class that we know.
fn again(class: &str, sent: &[u8]) -> Result<Vec<u8>, String> {
    if class.ends_with("Reply") || class == "ErrorMessage" {
        let read = ToResearcher::decode(sent).map_err(|error| error.to_string())?;
        return Ok(read.encode());
    }
    match ToNode::decode(sent).map_err(|error| error.to_string())? {
        ToNode::Other { class, .. } => Err(format!("{class} is not known")),
        read => Ok(read.encode()),
    }
}

/// A class has exactly the recorded fields: each is checked for its type, only optional ones may be missing, and no
/// other is taken.
fn check_fields(case: &Json, message: &Value) {
    let class = text(case, "class");
    let fields = list(case, "fields");
    // Beside its fields a message says its class.
    assert_eq!(message.as_map().map(<[_]>::len), Some(fields.len() + 1));
    let kind = message
        .get("__type_message__")
        .and_then(|kind| kind.get("class"));
    assert_eq!(kind.and_then(Value::as_str), Some(class));
    for field in fields {
        let [name, kind, presence] = [0, 1, 2].map(|index| field[index].as_str().expect("text"));
        assert!(message.get(name).is_some(), "{class}.{name}");
        let is_optional = match presence {
            "required" => false,
            "optional" => true,
            // Of `protocol_version`, which the reference's reader requires all the same.
            default if default.starts_with("default ") => false,
            other => panic!("{class}.{name}: an unknown presence: {other}"),
        };
        let missing = with_field(message, name, None).encode();
        assert_eq!(
            again(class, &missing).is_ok(),
            is_optional,
            "{class}.{name}"
        );
        for (python, value) in samples() {
            if !kind.contains(python) {
                let mistyped = with_field(message, name, Some(value)).encode();
                assert!(again(class, &mistyped).is_err(), "{class}.{name}: {python}");
            }
        }
    }
    let unknown = with_field(message, "unknown_field", Some(Value::Nil)).encode();
    assert!(again(class, &unknown).is_err(), "{class}");
}

/// A value of each type, with Python's word for it.
fn samples() -> [(&'static str, Value); 8] {
    [
        ("Optional", Value::Nil),
        ("bool", Value::Bool(true)),
        ("int", 1.into()),
        ("float", Value::Float(1.5)),
        ("str", "text".into()),
        ("bytes", Value::Bin(vec![1])),
        ("list", Value::List(vec![])),
        ("dict", Value::Map(vec![])),
    ]
}

fn check_feedback(case: &Json) {
    let log = feedback_message::Log {
        node_id: text(case, "node_id").into(),
        level: text(case, "level").into(),
        msg: text(case, "msg").into(),
    };
    let feedback = FeedbackMessage {
        protocol_version: "7".into(),
        researcher_id: Some(text(case, "researcher_id").into()),
        feedback_type: Some(feedback_message::FeedbackType::Log(log)),
    };
    let sent = bytes(case, "protobuf");
    assert_eq!(feedback.encode_to_vec(), sent);
    assert_eq!(FeedbackMessage::decode(sent.as_slice()), Ok(feedback));
}
