//! What plugins did with messages and runs, in words.

use serde::Serialize;

use super::lane;
use crate::message::{LONGEST_LINE, one_line};
use crate::trace::shown::{self, Field};
use crate::trace::{self, Entry, Work};

/// Of an effect with all that is in it, in bytes.
const LONGEST_EFFECT: usize = 1000;

/// An instance of a plugin, at work for a message or a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Session {
    /// The node it ran on.
    pub node: String,
    /// The plugin.
    pub plugin: String,
    /// SHA-256 of its component, hex.
    pub digest: String,
    /// What the sender's name rests on; nothing for runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub assurance: Option<String>,
    /// What it was given: the message's fields, or what the run is.
    pub input: Vec<Field>,
    /// Its calls, in order.
    pub calls: Vec<Call>,
}

/// A call of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Call {
    /// When it began, in microseconds.
    pub at: u64,
    /// Which function: `handle`, `finalize`, `begin`, `step`.
    pub entry: &'static str,
    /// A step's answers: who gave it, and what.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub answers: Vec<Field>,
    /// The imports that it called.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub host_calls: Vec<HostCall>,
    /// How it ended.
    pub ended: Ended,
    /// Why, if it failed or was stopped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// What it asked for, in words.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub effects: Vec<String>,
    /// Instructions, if they were counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fuel: Option<u64>,
    /// The most memory of the instance so far, in bytes.
    pub memory: u64,
}

/// A call of an import.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HostCall {
    /// Interface and function.
    pub import: String,
    /// What it was given.
    pub given: Vec<String>,
    /// What it gave back.
    pub result: String,
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ended {
    /// Nothing to be done.
    Nothing,
    /// The next call goes on.
    Found,
    /// With effects.
    Effects,
    /// By its own word.
    Failed,
    /// The host stopped it.
    Stopped,
    /// Whoever waited for it no longer did.
    Cancelled,
}

impl Session {
    pub(super) fn of(session: &trace::Session) -> Self {
        let (assurance, input) = match &session.work {
            Work::Message(incoming) => (
                Some(name(&incoming.assurance)),
                shown::fields(&incoming.fields),
            ),
            Work::Run(run) => {
                let parties: Vec<_> = run.parties.iter().map(|party| lane::node(party)).collect();
                let input = [
                    ("run", name(&run.run)),
                    ("experiment", name(&run.experiment)),
                    ("parties", one_line(&parties.join(", "), LONGEST_LINE)),
                ];
                (None, input.map(|(name, value)| field(name, value)).into())
            }
        };
        Self {
            node: lane::node(&session.node),
            plugin: name(&session.plugin),
            digest: name(&session.digest),
            assurance,
            input,
            calls: session.calls.iter().map(Call::of).collect(),
        }
    }

    /// The last call, if it ended so.
    pub(super) fn ended(&self, ended: Ended) -> Option<&Call> {
        self.calls.last().filter(|call| call.ended == ended)
    }
}

impl Call {
    fn of(call: &trace::Call) -> Self {
        let (entry, answers) = match &call.entry {
            Entry::Handle => ("handle", vec![]),
            Entry::Finalize => ("finalize", vec![]),
            Entry::Begin => ("begin", vec![]),
            Entry::Step(answers) => ("step", answers.iter().map(answer).collect()),
        };
        let (ended, why, effects) = match &call.ended {
            trace::Ended::Nothing => (Ended::Nothing, None, vec![]),
            trace::Ended::Found => (Ended::Found, None, vec![]),
            trace::Ended::Effects { .. } => {
                let lines = call.ended.lines();
                let lines = lines.iter().map(|line| one_line(line, LONGEST_EFFECT));
                (Ended::Effects, None, lines.collect())
            }
            trace::Ended::Failed { kind, text } => {
                let why = format!("{}: {}", name(kind), one_line(text, LONGEST_LINE));
                (Ended::Failed, Some(why), vec![])
            }
            trace::Ended::Stopped(why) => {
                (Ended::Stopped, Some(one_line(why, LONGEST_LINE)), vec![])
            }
            trace::Ended::Cancelled => (Ended::Cancelled, None, vec![]),
        };
        Self {
            at: call.at,
            entry,
            answers,
            host_calls: call.host_calls.iter().map(HostCall::of).collect(),
            ended,
            why,
            effects,
            fuel: call.cost.fuel,
            memory: call.cost.memory,
        }
    }
}

impl HostCall {
    fn of(call: &trace::HostCall) -> Self {
        Self {
            import: name(&call.import),
            given: call.given.iter().map(shown::value).collect(),
            result: shown::value(&call.result),
        }
    }
}

fn answer(answer: &trace::Answer) -> Field {
    field(&lane::node(&answer.from), shown::bytes(&answer.body))
}

fn field(name: &str, value: String) -> Field {
    Field {
        name: name.to_owned(),
        value,
    }
}

/// A name that others chose.
pub(super) fn name(text: &str) -> String {
    one_line(text, 256)
}
