//! The outer message: what the relay sees and passes on.

use super::record::{self, Field, MessageError, Record};
use super::{NodeId, ResearcherId, Value, written};

/// An outer message. Whatever it says, the relay could have written: only [opening](crate::overlay::open) it shows
/// what its sender meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OverlayMessage {
    /// Through whose server it goes.
    pub researcher_id: ResearcherId,
    /// Who says to have sent it (`node_id` on the wire).
    pub source: NodeId,
    /// Who is to receive it (`dest_node_id` on the wire).
    pub dest: NodeId,
    /// The encrypted inner message.
    pub overlay: Vec<u8>,
    /// Whether it belongs to a channel set-up, and so is encrypted with the published key.
    pub setup: bool,
    /// Makes the key of this message differ from all others. Any length here; 32 bytes to be opened.
    pub salt: Vec<u8>,
    /// Of the cipher. Any length here; 16 bytes to be opened.
    pub nonce: Vec<u8>,
}

impl OverlayMessage {
    pub(super) const CLASS: &str = "OverlayMessage";

    /// The message as bytes, fields in the reference's order.
    pub fn encode(&self) -> Vec<u8> {
        let fields = [
            ("researcher_id", Field::Text(self.researcher_id.as_str())),
            ("node_id", Field::Text(self.source.as_str())),
            ("dest_node_id", Field::Text(self.dest.as_str())),
            ("overlay", Field::Bytes(&self.overlay)),
            ("setup", Field::Flag(self.setup)),
            ("salt", Field::Bytes(&self.salt)),
            ("nonce", Field::Bytes(&self.nonce)),
        ];
        record::encode(Self::CLASS, &fields, &[])
    }

    /// Reads the message. Errors: not an overlay message, a field that is missing, unknown or of the wrong type, an
    /// incompatible protocol version.
    pub fn decode(bytes: &[u8]) -> Result<Self, MessageError> {
        if let Some(message) = written::read(bytes) {
            return Ok(message);
        }
        let record = Record::read(Value::decode(bytes)?)?;
        if record.class() != Self::CLASS {
            return Err(MessageError::UnexpectedClass(record.class().to_owned()));
        }
        Self::from_record(record)
    }

    pub(super) fn from_record(mut record: Record) -> Result<Self, MessageError> {
        let message = Self {
            researcher_id: record.id("researcher_id")?,
            source: record.id("node_id")?,
            dest: record.id("dest_node_id")?,
            overlay: record.bytes("overlay")?,
            setup: record.flag("setup")?,
            salt: record.bytes("salt")?,
            nonce: record.bytes("nonce")?,
        };
        record.finish()?;
        Ok(message)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::message) fn message() -> OverlayMessage {
        OverlayMessage {
            researcher_id: "researcher".parse().unwrap(),
            source: "a".parse().unwrap(),
            dest: "b".parse().unwrap(),
            overlay: vec![1, 2, 3],
            setup: false,
            salt: vec![0; 32],
            nonce: vec![0; 16],
        }
    }

    fn changed(field: &str, value: Option<Value>) -> Vec<u8> {
        let Value::Map(mut entries) = Value::decode(&message().encode()).unwrap() else {
            panic!("a message is a map");
        };
        entries.retain(|(name, _)| name.as_str() != Some(field));
        entries.extend(value.map(|value| (field.into(), value)));
        Value::Map(entries).encode()
    }

    #[test]
    fn comes_back_from_its_bytes_in_any_field_order() {
        assert_eq!(OverlayMessage::decode(&message().encode()), Ok(message()));
        let reordered = changed("researcher_id", Some("researcher".into()));
        assert_eq!(OverlayMessage::decode(&reordered), Ok(message()));
    }

    #[test]
    fn refuses_missing_unknown_and_mistyped_fields() {
        assert!(matches!(
            OverlayMessage::decode(&changed("salt", None)),
            Err(MessageError::Missing { field: "salt", .. })
        ));
        assert!(matches!(
            OverlayMessage::decode(&changed("extra", Some(Value::Nil))),
            Err(MessageError::Unknown { .. })
        ));
        assert!(matches!(
            OverlayMessage::decode(&changed("setup", Some(1.into()))),
            Err(MessageError::WrongType { field: "setup", .. })
        ));
        assert!(matches!(
            OverlayMessage::decode(&changed("overlay", Some("text".into()))),
            Err(MessageError::WrongType {
                field: "overlay",
                ..
            })
        ));
    }

    #[test]
    fn refuses_an_incompatible_protocol_version() {
        let other = changed("protocol_version", Some("8".into()));
        assert_eq!(OverlayMessage::decode(&other), Err(MessageError::Version));
        let none = changed("protocol_version", None);
        assert_eq!(OverlayMessage::decode(&none), Err(MessageError::Version));
    }
}
