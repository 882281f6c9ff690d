//! A file of cases, as it was read: what goes in, and what is expected of it.

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::CasesError;
use super::form::Form;
use crate::handlers::{Capability, Envelope, Limit, Message, Setup};
use crate::inputs::Inputs;
use crate::message::NodeId;

/// A file of cases.
#[derive(Debug)]
pub struct CaseFile {
    pub(super) path: PathBuf,
    pub(super) text: String,
    pub(super) plugin: Option<String>,
    pub(super) seed: u64,
    pub(super) grants: Option<BTreeSet<Capability>>,
    pub(super) cases: Vec<Case>,
}

impl CaseFile {
    /// Reads a file. Errors name the line and what to write instead.
    pub fn read(path: &Path) -> Result<Self, CasesError> {
        let text = std::fs::read_to_string(path).map_err(|source| CasesError::Io {
            path: path.to_owned(),
            source,
        })?;
        Self::parse(path, text)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The plugin that it is for, as it says: a name, or a path from the file's folder.
    pub fn plugin(&self) -> Option<&str> {
        self.plugin.as_deref()
    }

    /// Its cases, in order.
    pub fn cases(&self) -> &[Case] {
        &self.cases
    }

    /// Leaves only the cases for which `stays` holds.
    pub fn only(&mut self, stays: impl Fn(&Case) -> bool) {
        self.cases.retain(stays);
    }
}

/// One message or run, and what is expected of a plugin that treats it.
#[derive(Debug)]
pub struct Case {
    pub(super) name: String,
    /// Counted from 0, in its file.
    pub(super) number: usize,
    pub(super) line: usize,
    pub(super) limits: Vec<(Limit, u64)>,
    pub(super) store: Vec<(String, Vec<u8>)>,
    pub(super) inputs: Inputs,
    pub(super) material: Vec<Material>,
    pub(super) work: Work,
}

impl Case {
    /// Its name, of which there is one in a file.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether the plugin has other limits in it than usual.
    pub fn has_own_limits(&self) -> bool {
        !self.limits.is_empty()
    }

    /// The node that treats it.
    pub(super) fn node(&self) -> &NodeId {
        match &self.work {
            Work::Message(incoming) => &incoming.to,
            Work::Run(asked) => &asked.setup.own,
        }
    }

    /// The line that it begins at.
    pub fn line(&self) -> usize {
        self.line
    }
}

/// What this node has published for a run.
#[derive(Debug)]
pub(super) struct Material {
    pub(super) run: String,
    pub(super) audience: Option<NodeId>,
    pub(super) body: Vec<u8>,
    /// How long after the message came.
    pub(super) after: Duration,
}

#[derive(Debug)]
pub(super) enum Work {
    Message(Incoming),
    Run(Asked),
}

/// A message that comes.
#[derive(Debug)]
pub(super) struct Incoming {
    pub(super) to: NodeId,
    pub(super) from: NodeId,
    pub(super) envelope: Envelope,
    pub(super) message: Message,
    /// Nothing yet: the case is new.
    pub(super) expect: Option<Form>,
}

/// A run that is asked for.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) setup: Setup,
    pub(super) rounds: Vec<Round>,
}

/// A round: what the plugin does, and what its requests are answered with.
#[derive(Debug)]
pub(super) struct Round {
    pub(super) expect: Option<Form>,
    pub(super) asks: Form,
    pub(super) answers: Vec<Reply>,
}

/// What a peer does when it is asked.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) from: NodeId,
    pub(super) with: With,
    /// How the plugin treats it, where that is not to hand it on.
    pub(super) expect: Option<Form>,
}

#[derive(Debug)]
pub(super) enum With {
    /// This message, which goes through the plugin's handler.
    Message { kind: String, fields: Vec<u8> },
    /// These bytes, as if a handler had handed them on.
    Body(Vec<u8>),
    /// Silence.
    Nothing,
}

/// What of a case an expectation is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The message.
    Message,
    /// A round of the run, counted from 0.
    Round(usize),
    /// The requests of a round.
    Asks(usize),
    /// An answer, by its round and its place in there.
    Answer(usize, usize),
}

impl fmt::Display for Place {
    /// As people count.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Message => f.write_str("the message"),
            Self::Round(round) => write!(f, "round {}", round + 1),
            Self::Asks(round) => write!(f, "round {}, its requests", round + 1),
            Self::Answer(round, n) => write!(f, "round {}, answer {}", round + 1, n + 1),
        }
    }
}
