//! A message, from who made it to what became of it.

use serde::Serialize;

use super::call::Session;
use super::measure;

/// One message. Times are microseconds since the trace began; other arrows are named by their place in the report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Arrow {
    /// Between whom.
    pub way: Way,
    /// The lane of who made it.
    pub from: String,
    /// Of whom it is for.
    pub to: String,
    /// Its kind, as its ends know it; of an answer to the researcher its first word. Nothing when neither end knew it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Its id on the wire, hex.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Its number at the relay.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub n: Option<u64>,
    /// Its size at the relay.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// What matches a reply to its request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request: Option<String>,
    /// The run it belongs to, as far as its ends say so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// Whether it belongs to a channel set-up.
    pub setup: bool,
    /// When it was made.
    pub at: u64,
    /// When the relay had it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub relayed: Option<u64>,
    /// When its receiver got it: more than once when somebody repeated it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub delivered: Vec<u64>,
    /// The faults that hit it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hits: Vec<Hit>,
    /// When and why the relay no longer had it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub lost: Vec<Lost>,
    /// How often its receiver was done with it, and how.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub treated: Vec<Treatment>,
    /// The arrow that answers it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answered_by: Option<usize>,
    /// The arrow that it answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answers: Option<usize>,
    /// The plugins that worked on it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sessions: Vec<Session>,
    /// What became of it, in a word.
    pub state: State,
    /// And in more words.
    pub outcome: String,
}

/// Between whom a message goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Way {
    /// The researcher asks a node.
    Asked,
    /// From node to node.
    Between,
    /// A node answers the researcher.
    Answered,
}

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// All was done that it asks for.
    Treated,
    /// Its receiver did nothing for it, and knows why.
    Refused,
    /// Its receiver tried, and could not.
    Failed,
    /// Its receiver was stopped in the midst of it.
    Cancelled,
    /// A fault made the relay forget it.
    Dropped,
    /// It was gone before anybody got it.
    Lost,
    /// None of that when the trace ends.
    UnderWay,
}

/// A fault of a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Hit {
    /// When.
    pub at: u64,
    /// Its name, as faults are asked for: drop, dup, corrupt, delay …
    pub fault: String,
    /// In words.
    pub how: String,
}

/// The end of a message that nobody got.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Lost {
    /// When.
    pub at: u64,
    /// Why.
    pub why: String,
}

/// A receiver that is done with a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Treatment {
    /// When.
    pub at: u64,
    /// By which plugin.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plugin: Option<String>,
    /// What was carried out, in words.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub effects: Vec<String>,
    /// Why nothing was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dropped: Option<String>,
    /// The id under which it was known to the receiver, when a fault had changed the message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub as_id: Option<String>,
}

impl State {
    /// In words.
    pub fn name(self) -> &'static str {
        match self {
            Self::Treated => "treated",
            Self::Refused => "refused",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Dropped => "dropped",
            Self::Lost => "lost",
            Self::UnderWay => "under way",
        }
    }
}

impl Arrow {
    /// One that was just made.
    pub(super) fn new(way: Way, from: String, to: String, at: u64) -> Self {
        Self {
            way,
            from,
            to,
            kind: None,
            id: None,
            n: None,
            bytes: None,
            request: None,
            run: None,
            setup: false,
            at,
            relayed: None,
            delivered: vec![],
            hits: vec![],
            lost: vec![],
            treated: vec![],
            answered_by: None,
            answers: None,
            sessions: vec![],
            state: State::UnderWay,
            outcome: String::new(),
        }
    }

    /// How others refer to it: by its number if it has one, else by its time.
    pub(super) fn reference(&self) -> String {
        match self.n {
            Some(n) => format!("#{n}"),
            None => format!("the one of {}", measure::time(self.at)),
        }
    }

    /// Whether a fault named so hit it.
    pub(super) fn was_hit_by(&self, fault: &str) -> bool {
        self.hits.iter().any(|hit| hit.fault == fault)
    }
}
