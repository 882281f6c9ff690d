//! The inner message: what one node says to another, end to end.

use super::record::{self, MessageError, Record};
use super::value::Extent;
use super::{NodeId, RequestId, Value, ids};

/// The kinds that Fed-BioMed knows. Plugins may bring others.
pub const KINDS: [&str; 6] = [
    "ChannelSetupRequest",
    "ChannelSetupReply",
    "KeyRequest",
    "KeyReply",
    "AdditiveSSharingRequest",
    "AdditiveSSharingReply",
];

/// An inner message.
#[derive(Debug, Clone, PartialEq)]
pub struct Inner {
    /// Who sends it.
    pub source: NodeId,
    /// Who is to receive it.
    pub dest: NodeId,
    /// What matches a reply to its request.
    pub request_id: Option<RequestId>,
    /// The kind: the class name on the wire.
    pub kind: String,
    /// The kind's own fields: a map in wire order, without ids, kind and version.
    pub fields: Value,
}

/// What a field of a known kind holds.
#[derive(Clone, Copy)]
enum Field {
    Text,
    Bytes,
    /// One integer or a list of them.
    Share,
}

/// The own fields of the kinds that the reference knows, in its order; `None` for other kinds.
fn own_fields(kind: &str) -> Option<&'static [(&'static str, Field)]> {
    Some(match kind {
        "ChannelSetupRequest" => &[],
        "ChannelSetupReply" => &[("public_key", Field::Bytes)],
        "KeyRequest" | "AdditiveSSharingRequest" => &[("secagg_id", Field::Text)],
        "KeyReply" => &[("public_key", Field::Bytes), ("secagg_id", Field::Text)],
        "AdditiveSSharingReply" => &[("secagg_id", Field::Text), ("share", Field::Share)],
        _ => return None,
    })
}

impl Inner {
    /// A message whose fields are checked as a receiver would check them. Errors: those of [`from_value`](Self::from_value).
    pub fn new(
        source: NodeId,
        dest: NodeId,
        request_id: Option<RequestId>,
        kind: impl Into<String>,
        fields: Value,
    ) -> Result<Self, MessageError> {
        let Value::Map(entries) = &fields else {
            return Err(MessageError::NotNamedFields);
        };
        let kind = kind.into();
        let reserved = entries
            .iter()
            .filter_map(|(name, _)| name.as_str())
            .find(|name| record::is_reserved(name));
        if let Some(field) = reserved {
            return Err(MessageError::Unknown {
                class: kind,
                field: field.to_owned(),
            });
        }
        Self::from_value(
            Self {
                source,
                dest,
                request_id,
                kind,
                fields,
            }
            .to_value(),
        )
    }

    /// The message's map in the reference's field order: what is signed.
    pub fn to_value(&self) -> Value {
        let fields = [
            ("node_id", self.source.as_str().into()),
            ("dest_node_id", self.dest.as_str().into()),
            (
                "request_id",
                self.request_id.as_ref().map(RequestId::as_str).into(),
            ),
        ];
        let own = self.fields.as_map().unwrap_or_default();
        record::write(&self.kind, fields, own.iter().cloned())
    }

    /// The bytes of that map.
    pub fn encode(&self) -> Vec<u8> {
        let request_id = self.request_id.as_ref().map(RequestId::as_str);
        let fields = [
            ("node_id", record::Field::Text(self.source.as_str())),
            ("dest_node_id", record::Field::Text(self.dest.as_str())),
            ("request_id", request_id.into()),
        ];
        let own = self.fields.as_map().unwrap_or_default();
        record::encode(&self.kind, &fields, own)
    }

    /// How deep that map is nested, and how many values it is made of.
    pub(crate) fn extent(&self) -> Extent {
        /// Version, ids and class, each with its name.
        const COMMON_VALUES: usize = 4 * 2 + 6;
        /// The class is a map in the map.
        const LEAST_DEPTH: usize = 2;
        let Extent { depth, values } = self.fields.extent();
        Extent {
            depth: depth.max(LEAST_DEPTH),
            values: values + COMMON_VALUES,
        }
    }

    /// Reads the message from its map. The fields of the six known kinds are checked as the reference checks them, and
    /// put in its order; other kinds may have any named fields.
    ///
    /// Errors: a field that is missing, unknown or of the wrong type, an incompatible protocol version, bad ids.
    pub fn from_value(value: Value) -> Result<Self, MessageError> {
        let mut record = Record::read(value)?;
        let source = record.id("node_id")?;
        let dest = record.id("dest_node_id")?;
        let request_id = record.optional_id("request_id")?;
        let kind = record.class().to_owned();
        let fields = match own_fields(&kind) {
            Some(known) => {
                let mut own = Vec::with_capacity(known.len());
                for (name, field) in known {
                    own.push(((*name).into(), take(&mut record, name, *field)?));
                }
                record.finish()?;
                own
            }
            None => record.into_rest(),
        };
        Ok(Self {
            source,
            dest,
            request_id,
            kind,
            fields: Value::Map(fields),
        })
    }

    /// The kind's own fields as one MessagePack map: what a handler gets.
    pub fn fields_msgpack(&self) -> Vec<u8> {
        self.fields.encode()
    }

    /// Whether it belongs to a channel set-up: the only kinds that the published key may protect.
    pub fn is_channel_setup(&self) -> bool {
        matches!(
            self.kind.as_str(),
            "ChannelSetupRequest" | "ChannelSetupReply"
        )
    }
}

fn take(record: &mut Record, name: &'static str, field: Field) -> Result<Value, MessageError> {
    match field {
        Field::Text => {
            // The only text is a run's id.
            let text = record.text(name)?;
            ids::check(&text).map_err(|error| record.bad_id(name, error))?;
            Ok(Value::Str(text))
        }
        Field::Bytes => record.bytes(name).map(Value::Bin),
        Field::Share => match record.required(name)? {
            // Python's Booleans are integers.
            share @ (Value::Int(_) | Value::Bool(_)) => Ok(share),
            Value::List(shares) => {
                let integers = |share: &Value| matches!(share, Value::Int(_) | Value::Bool(_));
                if shares.iter().all(integers) {
                    Ok(Value::List(shares))
                } else {
                    Err(record.wrong_content(name, "a list of integers"))
                }
            }
            _ => Err(record.wrong_type(name, "an integer or a list of integers")),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inner(kind: &str, fields: Vec<(Value, Value)>) -> Result<Inner, MessageError> {
        let [a, b] = ["a", "b"].map(|id| id.parse().unwrap());
        Inner::new(a, b, None, kind, Value::Map(fields))
    }

    #[test]
    fn refuses_fields_that_the_kind_does_not_have() {
        let extra = vec![
            ("secagg_id".into(), "run".into()),
            ("extra".into(), Value::Nil),
        ];
        assert!(matches!(
            inner("KeyRequest", extra),
            Err(MessageError::Unknown { .. })
        ));
        assert!(matches!(
            inner("KeyRequest", vec![]),
            Err(MessageError::Missing {
                field: "secagg_id",
                ..
            })
        ));
    }

    #[test]
    fn a_share_is_an_integer_or_a_list_of_integers() {
        let share = |share: Value| {
            let run = ("secagg_id".into(), "run".into());
            inner("AdditiveSSharingReply", vec![run, ("share".into(), share)])
        };
        assert!(share(5.into()).is_ok());
        assert!(share(true.into()).is_ok());
        assert!(share(Value::List(vec![5.into()])).is_ok());
        for bad in [Value::Nil, "5".into(), Value::Tuple(vec![])] {
            let error = share(bad).unwrap_err();
            assert_eq!(error.stricter_than_reference(), None);
        }
        let error = share(Value::List(vec!["5".into()])).unwrap_err();
        assert!(error.stricter_than_reference().is_some());
    }

    #[test]
    fn a_plugin_names_its_fields_freely_but_for_the_reserved_names() {
        let free = vec![("anything".into(), Value::List(vec![]))];
        let message = inner("SiteGreeting", free).unwrap();
        assert_eq!(message.encode(), message.to_value().encode());
        assert_eq!(message.extent(), message.to_value().extent());
        assert_eq!(Inner::from_value(message.to_value()), Ok(message));
        for reserved in [
            "node_id",
            "request_id",
            "protocol_version",
            "__type_message__",
        ] {
            assert!(inner("SiteGreeting", vec![(reserved.into(), "x".into())]).is_err());
        }
    }

    #[test]
    fn refuses_a_kind_that_could_not_be_logged() {
        assert!(inner("Site\nGreeting", vec![]).is_err());
        assert!(inner("", vec![]).is_err());
    }
}
