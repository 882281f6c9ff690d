//! What a node says to a researcher.

use super::record::{MessageError, Record, write_researcher as write};
use super::{
    Integer, NodeId, OverlayMessage, ProtocolRunReply, RequestId, ResearcherId, SecaggId, Value,
    written,
};

/// How a run's set-up or its deletion went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecaggReply {
    /// That of the request.
    pub request_id: Option<RequestId>,
    /// Who asked.
    pub researcher_id: ResearcherId,
    /// The run.
    pub secagg_id: SecaggId,
    /// The researcher of the reference does not look at it: failures are told with [`ToResearcher::Error`].
    pub success: bool,
    /// Who answers.
    pub node_id: NodeId,
    /// Its name for people.
    pub node_name: String,
    /// A text for people.
    pub msg: Option<String>,
}

/// A message from a node to a researcher.
#[derive(Debug, Clone, PartialEq)]
pub enum ToResearcher {
    /// Answers `Ping`.
    PingReply {
        /// That of the request.
        request_id: Option<RequestId>,
        /// Who asked.
        researcher_id: ResearcherId,
        /// Who answers.
        node_id: NodeId,
        /// Its name for people.
        node_name: String,
    },
    /// Answers `Search`.
    SearchReply {
        /// That of the request.
        request_id: Option<RequestId>,
        /// Who asked.
        researcher_id: ResearcherId,
        /// The data sets; this host has none.
        databases: Vec<Value>,
        /// Who answers.
        node_id: NodeId,
        /// Its name for people.
        node_name: String,
        /// How many data sets.
        count: i64,
    },
    /// Answers `List`.
    ListReply {
        /// That of the request.
        request_id: Option<RequestId>,
        /// Who asked.
        researcher_id: ResearcherId,
        /// Whether they could be listed.
        success: bool,
        /// The data sets; this host has none.
        databases: Vec<Value>,
        /// Who answers.
        node_id: NodeId,
        /// Its name for people.
        node_name: String,
        /// How many data sets.
        count: i64,
    },
    /// Answers `SecaggSetup`.
    SecaggReply(SecaggReply),
    /// Answers `ServerKeySetup`.
    AdditiveSSSetupReply {
        /// How it went.
        reply: SecaggReply,
        /// The sum of the share kept and the shares received.
        share: Integer,
    },
    /// Answers `SecaggDelete`.
    SecaggDeleteReply(SecaggReply),
    /// Answers what failed or was not understood.
    Error {
        /// That of the request.
        request_id: Option<RequestId>,
        /// Who asked.
        researcher_id: ResearcherId,
        /// Who answers.
        node_id: NodeId,
        /// Its name for people.
        node_name: String,
        /// What happened, for people.
        extra_msg: String,
        /// The error's code, such as `FB301`.
        errnum: Option<String>,
    },
    /// Answers `ProtocolRun`.
    ProtocolRunReply(ProtocolRunReply),
    /// An outer message to another node, to be passed on.
    Overlay(OverlayMessage),
}

impl ToResearcher {
    /// The message as bytes, fields in the reference's order.
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::PingReply {
                request_id,
                researcher_id,
                node_id,
                node_name,
            } => {
                let own = [
                    ("node_id", node_id.as_str().into()),
                    ("node_name", node_name.as_str().into()),
                ];
                write("PingReply", request_id, researcher_id, own)
            }
            Self::SearchReply {
                request_id,
                researcher_id,
                databases,
                node_id,
                node_name,
                count,
            } => {
                let own = [
                    ("databases", Value::List(databases.clone())),
                    ("node_id", node_id.as_str().into()),
                    ("node_name", node_name.as_str().into()),
                    ("count", (*count).into()),
                ];
                write("SearchReply", request_id, researcher_id, own)
            }
            Self::ListReply {
                request_id,
                researcher_id,
                success,
                databases,
                node_id,
                node_name,
                count,
            } => {
                let own = [
                    ("success", (*success).into()),
                    ("databases", Value::List(databases.clone())),
                    ("node_id", node_id.as_str().into()),
                    ("node_name", node_name.as_str().into()),
                    ("count", (*count).into()),
                ];
                write("ListReply", request_id, researcher_id, own)
            }
            Self::SecaggReply(reply) => reply.write("SecaggReply", None),
            Self::AdditiveSSSetupReply { reply, share } => {
                reply.write("AdditiveSSSetupReply", Some(share))
            }
            Self::SecaggDeleteReply(reply) => reply.write("SecaggDeleteReply", None),
            Self::Error {
                request_id,
                researcher_id,
                node_id,
                node_name,
                extra_msg,
                errnum,
            } => {
                let own = [
                    ("node_id", node_id.as_str().into()),
                    ("node_name", node_name.as_str().into()),
                    ("extra_msg", extra_msg.as_str().into()),
                    ("errnum", errnum.as_deref().into()),
                ];
                write("ErrorMessage", request_id, researcher_id, own)
            }
            Self::ProtocolRunReply(reply) => reply.encode(),
            Self::Overlay(message) => message.encode(),
        }
    }

    /// Reads a message. Errors: a class that is not listed here, a field that is missing, unknown or of the wrong type,
    /// an incompatible protocol version.
    pub fn decode(bytes: &[u8]) -> Result<Self, MessageError> {
        if let Some(message) = written::read(bytes) {
            return Ok(Self::Overlay(message));
        }
        let mut record = Record::read(Value::decode(bytes)?)?;
        let message = match record.class() {
            "PingReply" => Self::PingReply {
                request_id: record.optional_id("request_id")?,
                researcher_id: record.id("researcher_id")?,
                node_id: record.id("node_id")?,
                node_name: record.text("node_name")?,
            },
            "SearchReply" => Self::SearchReply {
                request_id: record.optional_id("request_id")?,
                researcher_id: record.id("researcher_id")?,
                databases: record.list("databases")?,
                node_id: record.id("node_id")?,
                node_name: record.text("node_name")?,
                count: count(&mut record)?,
            },
            "ListReply" => Self::ListReply {
                request_id: record.optional_id("request_id")?,
                researcher_id: record.id("researcher_id")?,
                success: record.flag("success")?,
                databases: record.list("databases")?,
                node_id: record.id("node_id")?,
                node_name: record.text("node_name")?,
                count: count(&mut record)?,
            },
            "SecaggReply" => Self::SecaggReply(SecaggReply::read(&mut record)?),
            "AdditiveSSSetupReply" => Self::AdditiveSSSetupReply {
                reply: SecaggReply::read(&mut record)?,
                share: share(&mut record)?,
            },
            "SecaggDeleteReply" => Self::SecaggDeleteReply(SecaggReply::read(&mut record)?),
            "ErrorMessage" => Self::Error {
                request_id: record.optional_id("request_id")?,
                researcher_id: record.id("researcher_id")?,
                node_id: record.id("node_id")?,
                node_name: record.text("node_name")?,
                extra_msg: record.text("extra_msg")?,
                errnum: record.optional_text("errnum")?,
            },
            ProtocolRunReply::CLASS => Self::ProtocolRunReply(ProtocolRunReply::read(&mut record)?),
            OverlayMessage::CLASS => return OverlayMessage::from_record(record).map(Self::Overlay),
            class => return Err(MessageError::UnexpectedClass(class.to_owned())),
        };
        record.finish()?;
        Ok(message)
    }
}

impl SecaggReply {
    fn write(&self, class: &str, share: Option<&Integer>) -> Vec<u8> {
        let own = [
            ("secagg_id", self.secagg_id.as_str().into()),
            ("success", self.success.into()),
            ("node_id", self.node_id.as_str().into()),
            ("node_name", self.node_name.as_str().into()),
            ("msg", self.msg.as_deref().into()),
        ];
        let share = share.map(|share| ("share", share.clone().into()));
        let own = own.into_iter().chain(share);
        write(class, &self.request_id, &self.researcher_id, own)
    }

    fn read(record: &mut Record) -> Result<Self, MessageError> {
        Ok(Self {
            request_id: record.optional_id("request_id")?,
            researcher_id: record.id("researcher_id")?,
            secagg_id: record.id("secagg_id")?,
            success: record.flag("success")?,
            node_id: record.id("node_id")?,
            node_name: record.text("node_name")?,
            msg: record.optional_text("msg")?,
        })
    }
}

fn count(record: &mut Record) -> Result<i64, MessageError> {
    let count = record.integer("count")?;
    count
        .to_i64()
        .ok_or_else(|| record.wrong_content("count", "a number of data sets"))
}

fn share(record: &mut Record) -> Result<Integer, MessageError> {
    match record.required("share")? {
        Value::Int(share) => Ok(share),
        // Python's type check passes both; no node sends them.
        Value::Bool(_) | Value::List(_) => Err(record.wrong_content("share", "one integer")),
        _ => Err(record.wrong_type("share", "an integer")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply() -> SecaggReply {
        SecaggReply {
            request_id: None,
            researcher_id: "researcher".parse().unwrap(),
            secagg_id: "run".parse().unwrap(),
            success: true,
            node_id: "a".parse().unwrap(),
            node_name: String::new(),
            msg: None,
        }
    }

    #[test]
    fn a_server_key_reply_without_a_share_is_refused() {
        let bytes = reply().write("AdditiveSSSetupReply", None);
        assert!(matches!(
            ToResearcher::decode(&bytes),
            Err(MessageError::Missing { field: "share", .. })
        ));
        let bytes = reply().write("SecaggReply", Some(&5i64.into()));
        assert!(matches!(
            ToResearcher::decode(&bytes),
            Err(MessageError::Unknown { .. })
        ));
    }

    #[test]
    fn a_request_is_not_a_reply() {
        let bytes = super::super::record::write("PingRequest", [], []).encode();
        assert_eq!(
            ToResearcher::decode(&bytes),
            Err(MessageError::UnexpectedClass("PingRequest".into()))
        );
    }
}
