//! One instance of a plugin, from its message or run to its last call.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::Bytes;

/// One instance of a plugin, with all that went in and came out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Session {
    /// The node it ran on.
    pub node: String,
    /// The plugin's name.
    pub plugin: String,
    /// SHA-256 of its component, hex.
    pub digest: String,
    /// What it was made for.
    pub work: Work,
    /// Its calls, in order.
    pub calls: Vec<Call>,
}

/// What an instance was made for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Work {
    /// A message that came.
    Message(Incoming),
    /// A run that a researcher asked for.
    Run(RunOf),
}

/// A message as the plugin got it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Incoming {
    /// Its id on the wire, hex; none for one that was never sealed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Through whose server it came.
    pub researcher: String,
    /// Who sent it, as verified.
    pub source: String,
    /// Whether it belongs to a channel set-up.
    pub setup: bool,
    /// What the sender's name rests on, as in the contract: `published-key`, `channel-key`, `identity-key`.
    pub assurance: String,
    /// Its kind.
    pub kind: String,
    /// What a reply carries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<String>,
    /// Its own fields, MessagePack.
    pub fields: Bytes,
}

/// A run as the plugin began it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunOf {
    /// The request's kind.
    pub kind: String,
    /// Who asked.
    pub researcher: String,
    /// Its name.
    pub run: String,
    /// What it is for.
    pub experiment: String,
    /// The parties, in the researcher's order.
    pub parties: Vec<String>,
}

/// One call into the instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Call {
    /// When it began: microseconds since the trace did.
    pub at: u64,
    /// Which.
    pub entry: Entry,
    /// The imports that it called, in order, with what they gave back.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub host_calls: Vec<HostCall>,
    /// How it ended.
    pub ended: Ended,
    /// What it took.
    pub cost: Cost,
}

/// A function that a plugin exports.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Entry {
    /// The first half of treating a message.
    Handle,
    /// The second.
    Finalize,
    /// The beginning of a run.
    Begin,
    /// A round of it, with what the parties answered to the one before.
    Step(Vec<Answer>),
}

/// What a party answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answer {
    /// The party.
    pub from: String,
    /// The bytes that its reply was delivered as.
    pub body: Bytes,
}

/// A call of an import.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HostCall {
    /// Which: interface and function, such as `store.get`.
    pub import: String,
    /// What it was given.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub given: Vec<Value>,
    /// What it gave back.
    #[serde(default, skip_serializing_if = "Value::is_none")]
    pub result: Value,
}

/// A value of the contract.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Value {
    /// Nothing.
    #[default]
    None,
    /// The call never came back: it waited when its guest was cancelled.
    Unanswered,
    /// A text.
    Text(String),
    /// Bytes.
    Bytes(Bytes),
    /// A number.
    Number(u64),
    /// Several.
    List(Vec<Value>),
    /// A failure that the guest was told of.
    Failed {
        /// `malformed`, `unavailable` or `refused`.
        kind: String,
        /// In words.
        text: String,
    },
}

impl Value {
    /// Whether it is nothing.
    pub fn is_none(&self) -> bool {
        *self == Self::None
    }
}

/// How a call ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ended {
    /// There is nothing to be done.
    Nothing,
    /// It found something: `finalize`, or the run's steps, come next.
    Found,
    /// It asks for effects, and in a run for requests to parties.
    Effects {
        /// In its order.
        effects: Vec<Effect>,
        /// Requests of a run's step.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        ask: Vec<Request>,
    },
    /// It says itself that it could not.
    Failed {
        /// `malformed`, `unavailable` or `refused`.
        kind: String,
        /// In its words, escaped and cut.
        text: String,
    },
    /// The host stopped it: a trap, a limit, an effect that it may not have.
    Stopped(String),
    /// Whoever waited for it no longer did: its message's deadline, a node that ended, a plugin that was taken back.
    Cancelled,
}

/// What a plugin asks the host to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(
    missing_docs,
    reason = "the fields are those of the contract, wit/0.1/types.wit"
)]
pub enum Effect {
    /// Answer the sender.
    Reply { kind: String, fields: Bytes },
    /// Complete the request that the message answers.
    Deliver { body: Bytes },
    /// Use this public key on the channel with the sender.
    SetPeerKey { pem: Bytes },
    /// Prepare something for the parties of the run.
    Publish {
        run: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        audience: Option<String>,
        body: Bytes,
    },
    /// Keep pair secrets, by the parties' public keys.
    EstablishPairSecrets { keys: Vec<Answer> },
    /// Keep a server key, by the parties' shares.
    EstablishServerKey { shares: Vec<Answer> },
    /// Change an entry of its own.
    Store {
        key: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        value: Option<Bytes>,
    },
}

/// A request of a run to a party.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// The party.
    pub to: String,
    /// The request's kind.
    pub kind: String,
    /// Its own fields, MessagePack.
    pub fields: Bytes,
}

/// What a call took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cost {
    /// Instructions, as the engine counts them; only where it does, in the sandbox.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fuel: Option<u64>,
    /// The most memory that the instance had so far, in bytes.
    pub memory: u64,
}

impl Session {
    /// How much the plugin is given to read, in bytes.
    pub fn input_len(&self) -> usize {
        let message = match &self.work {
            Work::Message(incoming) => incoming.fields.len(),
            Work::Run(_) => 0,
        };
        let answers = self.calls.iter().map(|call| match &call.entry {
            Entry::Step(answers) => answers.iter().map(|answer| answer.body.len()).sum(),
            _ => 0,
        });
        message + answers.sum::<usize>()
    }

    /// The secrets among what the plugin is given: from these it can make others, and what it hands on of them it must hand on
    /// unchanged.
    pub fn secrets_given(&self) -> BTreeSet<u32> {
        let mut given = BTreeSet::new();
        if let Work::Message(incoming) = &self.work {
            given.extend(incoming.fields.secrets());
        }
        for call in &self.calls {
            if let Entry::Step(answers) = &call.entry {
                given.extend(answers.iter().flat_map(|answer| answer.body.secrets()));
            }
            for host_call in &call.host_calls {
                host_call.result.add_secrets(&mut given);
            }
        }
        given
    }
}

impl Value {
    fn add_secrets(&self, to: &mut BTreeSet<u32>) {
        match self {
            Self::Bytes(bytes) => to.extend(bytes.secrets()),
            Self::List(values) => values.iter().for_each(|value| value.add_secrets(to)),
            _ => {}
        }
    }

    /// Whether a guest may have meant this by `other`: what is secret and not among `known` may be anything of its length.
    pub fn may_be(&self, other: &Self, known: &BTreeSet<u32>) -> bool {
        match (self, other) {
            (Self::Bytes(own), Self::Bytes(other)) => {
                own.may_be(&other.stand_in(), |id| known.contains(&id))
            }
            // A line of the log that was left out.
            (Self::Bytes(own), Self::Text(other)) => {
                own.may_be(other.as_bytes(), |id| known.contains(&id))
            }
            (Self::List(own), Self::List(other)) => {
                own.len() == other.len()
                    && own
                        .iter()
                        .zip(other)
                        .all(|(own, other)| own.may_be(other, known))
            }
            _ => self == other,
        }
    }
}

impl HostCall {
    /// Whether `other` is the same call, whatever it gave back; see [`Value::may_be`].
    pub fn asks_for_the_same(&self, other: &Self, known: &BTreeSet<u32>) -> bool {
        let given = self.given.iter().zip(&other.given);
        self.import == other.import
            && self.given.len() == other.given.len()
            && given
                .into_iter()
                .all(|(own, other)| own.may_be(other, known))
    }
}
