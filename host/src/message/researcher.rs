//! What a researcher says to a node.

use super::record::{self, MessageError, Record, write_researcher as write};
use super::{
    ExperimentId, NodeId, OverlayMessage, ProtocolRun, RequestId, ResearcherId, SecaggId, Value,
    written,
};

/// A request to set keys up among parties.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetupRequest {
    /// To be repeated in the reply.
    pub request_id: Option<RequestId>,
    /// Who asks.
    pub researcher_id: ResearcherId,
    /// The run.
    pub secagg_id: SecaggId,
    /// The experiment that the run is for.
    pub experiment_id: ExperimentId,
    /// All parties, in the researcher's order. Not checked here: neither number nor uniqueness.
    pub parties: Vec<NodeId>,
}

/// A message from a researcher to a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ToNode {
    /// Are you there? Also tells a node who its researcher is.
    Ping {
        /// To be repeated in the reply.
        request_id: Option<RequestId>,
        /// Who asks.
        researcher_id: ResearcherId,
    },
    /// Which data sets have these tags?
    Search {
        /// To be repeated in the reply.
        request_id: Option<RequestId>,
        /// Who asks.
        researcher_id: ResearcherId,
        /// The tags.
        tags: Vec<String>,
    },
    /// Which data sets are there?
    List {
        /// To be repeated in the reply.
        request_id: Option<RequestId>,
        /// Who asks.
        researcher_id: ResearcherId,
    },
    /// Agree on pair secrets (`SecaggRequest`, element 1).
    SecaggSetup(SetupRequest),
    /// Agree on a server key (`AdditiveSSSetupRequest`, element 0).
    ServerKeySetup(SetupRequest),
    /// Forget a run.
    SecaggDelete {
        /// To be repeated in the reply.
        request_id: Option<RequestId>,
        /// Who asks.
        researcher_id: ResearcherId,
        /// The run.
        secagg_id: SecaggId,
        /// What of it: [`SERVER_KEY`] or [`PAIR_SECRETS`].
        element: i64,
        /// The experiment it was for.
        experiment_id: Option<ExperimentId>,
    },
    /// Run a plugin's protocol with other parties.
    ProtocolRun(ProtocolRun),
    /// An outer message of another node.
    Overlay(OverlayMessage),
    /// Anything else, such as a `TrainRequest`: to be answered with an error.
    Other {
        /// The message's class.
        class: String,
        /// To be repeated in the answer.
        request_id: Option<RequestId>,
        /// Who asks, if it says so.
        researcher_id: Option<ResearcherId>,
    },
}

/// `element` of what is about server keys.
pub const SERVER_KEY: i64 = 0;
/// `element` of what is about pair secrets (Diffie-Hellman).
pub const PAIR_SECRETS: i64 = 1;

impl ToNode {
    /// What is to be set up, if that is the request.
    pub fn set_up(&self) -> Option<&SetupRequest> {
        match self {
            Self::SecaggSetup(setup) | Self::ServerKeySetup(setup) => Some(setup),
            _ => None,
        }
    }

    /// The message as bytes, fields in the reference's order.
    ///
    /// Of an [`Other`](Self::Other) only what is kept of it.
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Ping {
                request_id,
                researcher_id,
            } => write("PingRequest", request_id, researcher_id, []),
            Self::Search {
                request_id,
                researcher_id,
                tags,
            } => {
                let tags = tags.iter().map(|tag| tag.as_str().into()).collect();
                let own = [("tags", Value::List(tags))];
                write("SearchRequest", request_id, researcher_id, own)
            }
            Self::List {
                request_id,
                researcher_id,
            } => write("ListRequest", request_id, researcher_id, []),
            Self::SecaggSetup(setup) => setup.write("SecaggRequest", PAIR_SECRETS),
            Self::ServerKeySetup(setup) => setup.write("AdditiveSSSetupRequest", SERVER_KEY),
            Self::SecaggDelete {
                request_id,
                researcher_id,
                secagg_id,
                element,
                experiment_id,
            } => {
                let experiment_id = experiment_id.as_ref().map(ExperimentId::as_str);
                let own = [
                    ("secagg_id", secagg_id.as_str().into()),
                    ("element", (*element).into()),
                    ("experiment_id", experiment_id.into()),
                ];
                write("SecaggDeleteRequest", request_id, researcher_id, own)
            }
            Self::ProtocolRun(run) => run.encode(),
            Self::Overlay(message) => message.encode(),
            Self::Other {
                class,
                request_id,
                researcher_id,
            } => {
                let request_id = request_id.as_ref().map(RequestId::as_str);
                let researcher_id = researcher_id.as_ref().map(ResearcherId::as_str);
                let fields = [
                    ("request_id", request_id.into()),
                    ("researcher_id", researcher_id.into()),
                ];
                record::write(class, fields, []).encode()
            }
        }
    }

    /// Reads a message. Errors: a known class with a field that is missing, unknown or of the wrong type; no class; an
    /// incompatible protocol version. [`reply_address`] says whom to tell.
    pub fn decode(bytes: &[u8]) -> Result<Self, MessageError> {
        if let Some(message) = written::read(bytes) {
            return Ok(Self::Overlay(message));
        }
        let mut record = Record::read(Value::decode(bytes)?)?;
        let message = match record.class() {
            "PingRequest" => Self::Ping {
                request_id: record.optional_id("request_id")?,
                researcher_id: record.id("researcher_id")?,
            },
            "SearchRequest" => Self::Search {
                request_id: record.optional_id("request_id")?,
                researcher_id: record.id("researcher_id")?,
                tags: tags(&mut record)?,
            },
            "ListRequest" => Self::List {
                request_id: record.optional_id("request_id")?,
                researcher_id: record.id("researcher_id")?,
            },
            "SecaggRequest" => Self::SecaggSetup(SetupRequest::read(&mut record, PAIR_SECRETS)?),
            "AdditiveSSSetupRequest" => {
                Self::ServerKeySetup(SetupRequest::read(&mut record, SERVER_KEY)?)
            }
            "SecaggDeleteRequest" => Self::SecaggDelete {
                request_id: record.optional_id("request_id")?,
                researcher_id: record.id("researcher_id")?,
                secagg_id: record.id("secagg_id")?,
                element: element(&mut record)?,
                experiment_id: {
                    // May be nil, may not be missing.
                    match record.required("experiment_id")? {
                        Value::Nil => None,
                        Value::Str(text) => Some(
                            ExperimentId::try_from(text)
                                .map_err(|error| record.bad_id("experiment_id", error))?,
                        ),
                        _ => return Err(record.wrong_type("experiment_id", "text or nil")),
                    }
                },
            },
            ProtocolRun::CLASS => Self::ProtocolRun(ProtocolRun::read(&mut record)?),
            OverlayMessage::CLASS => return OverlayMessage::from_record(record).map(Self::Overlay),
            class => {
                return Ok(Self::Other {
                    class: class.to_owned(),
                    request_id: record.optional_id("request_id").unwrap_or_default(),
                    researcher_id: record.optional_id("researcher_id").unwrap_or_default(),
                });
            }
        };
        record.finish()?;
        Ok(message)
    }
}

/// Whom to tell that a message could not be [read](ToNode::decode), as far as it says so: request and researcher.
pub fn reply_address(bytes: &[u8]) -> (Option<RequestId>, Option<ResearcherId>) {
    let Ok(value) = Value::decode(bytes) else {
        return (None, None);
    };
    let text = |field| value.get(field).and_then(Value::as_str);
    (
        text("request_id").and_then(|id| id.parse().ok()),
        text("researcher_id").and_then(|id| id.parse().ok()),
    )
}

impl SetupRequest {
    fn write(&self, class: &str, element: i64) -> Vec<u8> {
        let parties = self.parties.iter().map(|id| id.as_str().into()).collect();
        let own = [
            ("secagg_id", self.secagg_id.as_str().into()),
            ("element", element.into()),
            ("experiment_id", self.experiment_id.as_str().into()),
            ("parties", Value::List(parties)),
        ];
        write(class, &self.request_id, &self.researcher_id, own)
    }

    fn read(record: &mut Record, expected: i64) -> Result<Self, MessageError> {
        let setup = Self {
            request_id: record.optional_id("request_id")?,
            researcher_id: record.id("researcher_id")?,
            secagg_id: record.id("secagg_id")?,
            experiment_id: record.id("experiment_id")?,
            parties: record.node_ids("parties")?,
        };
        if element(record)? == expected {
            Ok(setup)
        } else {
            // The reference goes by the element and answers with the wrong class; no researcher sends this.
            Err(record.wrong_content("element", "the element of this class"))
        }
    }
}

fn element(record: &mut Record) -> Result<i64, MessageError> {
    let element = record.integer("element")?;
    element
        .to_i64()
        .ok_or_else(|| record.wrong_content("element", "0 or 1"))
}

fn tags(record: &mut Record) -> Result<Vec<String>, MessageError> {
    let mut tags = Vec::new();
    for tag in record.list("tags")? {
        match tag {
            Value::Str(tag) => tags.push(tag),
            _ => return Err(record.wrong_content("tags", "a list of texts")),
        }
    }
    Ok(tags)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn setup() -> SetupRequest {
        SetupRequest {
            request_id: Some("request_1".parse().unwrap()),
            researcher_id: "researcher".parse().unwrap(),
            secagg_id: "run".parse().unwrap(),
            experiment_id: "experiment".parse().unwrap(),
            parties: vec!["a".parse().unwrap(), "b".parse().unwrap()],
        }
    }

    #[test]
    fn the_two_set_ups_keep_their_class_and_element() {
        for message in [
            ToNode::SecaggSetup(setup()),
            ToNode::ServerKeySetup(setup()),
        ] {
            assert_eq!(ToNode::decode(&message.encode()), Ok(message));
        }
    }

    #[test]
    fn refuses_a_set_up_of_the_other_element() {
        let bytes = setup().write("SecaggRequest", SERVER_KEY);
        assert!(matches!(
            ToNode::decode(&bytes),
            Err(MessageError::WrongContent {
                field: "element",
                ..
            })
        ));
    }

    #[test]
    fn an_unknown_class_keeps_what_an_error_reply_needs() {
        let fields = [
            ("request_id", "request_1".into()),
            ("researcher_id", "researcher".into()),
            ("params", Value::Map(vec![])),
        ];
        let bytes = record::write("TrainRequest", fields, []).encode();
        let expected = ToNode::Other {
            class: "TrainRequest".into(),
            request_id: Some("request_1".parse().unwrap()),
            researcher_id: Some("researcher".parse().unwrap()),
        };
        assert_eq!(ToNode::decode(&bytes), Ok(expected));
    }

    #[test]
    fn a_malformed_request_still_says_whom_to_tell() {
        let bytes = write(
            "SecaggRequest",
            &setup().request_id,
            &setup().researcher_id,
            [],
        );
        assert!(ToNode::decode(&bytes).is_err());
        let expected = (setup().request_id, Some(setup().researcher_id));
        assert_eq!(reply_address(&bytes), expected);
        assert_eq!(reply_address(b"\xc1"), (None, None));
    }
}
