//! A plugin's protocol among several parties: a researcher's request, and what a node says it came to. Both classes are ours
//! alone; a node of the reference answers the request with an error.

use std::fmt;

use super::record::{MessageError, Record, write_researcher as write};
use super::{NodeId, RequestId, ResearcherId, RunId, Value};

/// A request to run a protocol. `Debug` shows the size of the parameters only.
#[derive(Clone, PartialEq, Eq)]
pub struct ProtocolRun {
    /// To be repeated in the reply.
    pub request_id: Option<RequestId>,
    /// Who asks.
    pub researcher_id: ResearcherId,
    /// The protocol, as a plugin's manifest names it.
    pub protocol: String,
    /// The run.
    pub run_id: RunId,
    /// All parties, in the researcher's order. Not checked here: neither number nor uniqueness.
    pub parties: Vec<NodeId>,
    /// One MessagePack map, for the plugin to read.
    pub params: Vec<u8>,
}

/// What a run came to on one node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProtocolRunReply {
    /// That of the request.
    pub request_id: Option<RequestId>,
    /// Who asked.
    pub researcher_id: ResearcherId,
    /// Who answers.
    pub node_id: NodeId,
    /// Its name for people.
    pub node_name: String,
    /// That of the request.
    pub protocol: String,
    /// The run.
    pub run_id: RunId,
    /// What it came to.
    pub outcome: ProtocolOutcome,
}

/// How a run ended for one party. `Debug` shows the size of a result only.
#[derive(Clone, PartialEq, Eq)]
pub enum ProtocolOutcome {
    /// The plugin's result: one MessagePack map.
    Done(Vec<u8>),
    /// It was given up.
    Failed {
        /// Whom the party holds responsible; nobody, if it cannot tell.
        blamed: Vec<NodeId>,
        /// Why, for people.
        why: String,
    },
}

impl ProtocolRun {
    /// Its class on the wire.
    pub const CLASS: &str = "ProtocolRunRequest";

    pub(super) fn encode(&self) -> Vec<u8> {
        let own = [
            ("protocol", self.protocol.as_str().into()),
            ("run_id", self.run_id.as_str().into()),
            ("parties", list(&self.parties)),
            ("params", Value::Bin(self.params.clone())),
        ];
        write(Self::CLASS, &self.request_id, &self.researcher_id, own)
    }

    pub(super) fn read(record: &mut Record) -> Result<Self, MessageError> {
        Ok(Self {
            request_id: record.optional_id("request_id")?,
            researcher_id: record.id("researcher_id")?,
            protocol: record.text("protocol")?,
            run_id: record.id("run_id")?,
            parties: record.node_ids("parties")?,
            params: record.bytes("params")?,
        })
    }
}

impl ProtocolRunReply {
    /// Its class on the wire.
    pub const CLASS: &str = "ProtocolRunReply";

    pub(super) fn encode(&self) -> Vec<u8> {
        let (success, result, blamed, msg) = match &self.outcome {
            ProtocolOutcome::Done(result) => (true, result.as_slice(), [].as_slice(), ""),
            ProtocolOutcome::Failed { blamed, why } => {
                (false, [].as_slice(), blamed.as_slice(), why.as_str())
            }
        };
        let own = [
            ("node_id", self.node_id.as_str().into()),
            ("node_name", self.node_name.as_str().into()),
            ("protocol", self.protocol.as_str().into()),
            ("run_id", self.run_id.as_str().into()),
            ("success", success.into()),
            ("result", Value::Bin(result.to_vec())),
            ("blamed", list(blamed)),
            ("msg", msg.into()),
        ];
        write(Self::CLASS, &self.request_id, &self.researcher_id, own)
    }

    pub(super) fn read(record: &mut Record) -> Result<Self, MessageError> {
        let (result, blamed) = (record.bytes("result")?, record.node_ids("blamed")?);
        let why = record.text("msg")?;
        let outcome = if record.flag("success")? {
            ProtocolOutcome::Done(result)
        } else {
            ProtocolOutcome::Failed { blamed, why }
        };
        Ok(Self {
            request_id: record.optional_id("request_id")?,
            researcher_id: record.id("researcher_id")?,
            node_id: record.id("node_id")?,
            node_name: record.text("node_name")?,
            protocol: record.text("protocol")?,
            run_id: record.id("run_id")?,
            outcome,
        })
    }
}

impl fmt::Debug for ProtocolRun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProtocolRun")
            .field("request_id", &self.request_id)
            .field("researcher_id", &self.researcher_id)
            .field("protocol", &self.protocol)
            .field("run_id", &self.run_id)
            .field("parties", &self.parties)
            .field("params", &format_args!("{} bytes", self.params.len()))
            .finish()
    }
}

impl fmt::Debug for ProtocolOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Done(result) => write!(f, "Done({} bytes)", result.len()),
            Self::Failed { blamed, why } => f
                .debug_struct("Failed")
                .field("blamed", blamed)
                .field("why", why)
                .finish(),
        }
    }
}

fn list(ids: &[NodeId]) -> Value {
    Value::List(ids.iter().map(|id| id.as_str().into()).collect())
}

#[cfg(test)]
mod tests {
    use super::super::{ToNode, ToResearcher};
    use super::*;

    fn request() -> ProtocolRun {
        ProtocolRun {
            request_id: Some("request_1".parse().unwrap()),
            researcher_id: "researcher".parse().unwrap(),
            protocol: "beacon".into(),
            run_id: "run_1".parse().unwrap(),
            parties: vec!["a".parse().unwrap(), "b".parse().unwrap()],
            params: vec![0x80],
        }
    }

    fn reply(outcome: ProtocolOutcome) -> ProtocolRunReply {
        ProtocolRunReply {
            request_id: None,
            researcher_id: "researcher".parse().unwrap(),
            node_id: "a".parse().unwrap(),
            node_name: "A".into(),
            protocol: "beacon".into(),
            run_id: "run_1".parse().unwrap(),
            outcome,
        }
    }

    #[test]
    fn parties_that_are_no_ids_are_refused() {
        let own = [
            ("protocol", "beacon".into()),
            ("run_id", "run_1".into()),
            ("parties", Value::List(vec![Value::Nil])),
            ("params", Value::Bin(vec![])),
        ];
        let bytes = write(
            ProtocolRun::CLASS,
            &None,
            &"researcher".parse().unwrap(),
            own,
        );
        let error = ToNode::decode(&bytes).unwrap_err();
        assert!(
            matches!(
                error,
                MessageError::WrongContent {
                    field: "parties",
                    ..
                }
            ),
            "{error}"
        );
    }

    #[test]
    fn both_are_read_as_they_were_written() {
        let message = ToNode::ProtocolRun(request());
        assert_eq!(ToNode::decode(&message.encode()), Ok(message));
        let failed = ProtocolOutcome::Failed {
            blamed: vec!["b".parse().unwrap()],
            why: "sent another share".into(),
        };
        for outcome in [ProtocolOutcome::Done(vec![0x81, 0xa1, b'n', 1]), failed] {
            let message = ToResearcher::ProtocolRunReply(reply(outcome));
            assert_eq!(ToResearcher::decode(&message.encode()), Ok(message));
        }
    }

    #[test]
    fn neither_parameters_nor_results_are_printed() {
        let shown = format!(
            "{:?}{:?}",
            request(),
            reply(ProtocolOutcome::Done(vec![7; 9]))
        );
        assert!(
            shown.contains("1 bytes") && shown.contains("Done(9 bytes)"),
            "{shown}"
        );
    }
}
