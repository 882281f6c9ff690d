//! A message, from who made it to what became of it.

use serde::Serialize;

use super::call::{Ended, Session};
use super::fault::{self, Fault};
use super::measure::{self, LATE};

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

    /// What became of it, given the faults of its lanes and what answers it.
    pub(super) fn conclusion(&self, faults: &[Fault], answer: Option<&Arrow>) -> (State, String) {
        if self.way == Way::Answered {
            // The node's own words.
            return (self.state, self.outcome.clone());
        }
        let (state, words) = self.end(faults, answer);
        let mut parts = Vec::new();
        for hit in &self.hits {
            if state == State::Dropped && hit.fault == "drop" {
                continue;
            }
            let what = fault::of_message(&hit.fault);
            // By how much a message was late is seen when it has come.
            let seen = !self.delivered.is_empty() && hit.fault != "corrupt";
            parts.push(match hit.how.as_str() {
                how if how.is_empty() || seen => format!("{what} by a fault"),
                how => format!("{what} by a fault ({how})"),
            });
        }
        if let Some(first) = self.delivered.first() {
            let after = first.saturating_sub(self.at);
            if after >= LATE {
                parts.push(format!("delivered {} later", measure::span(after)));
            }
        }
        if self.delivered.len() > 1 {
            parts.push(format!("delivered {} times", self.delivered.len()));
        }
        parts.push(words);
        if let Some(answer) = answer.filter(|answer| answer.way == Way::Between) {
            parts.push(format!("answered by {}", answer.reference()));
        }
        (state, parts.join(", "))
    }

    fn end(&self, faults: &[Fault], answer: Option<&Arrow>) -> (State, String) {
        if let Some(answer) = answer.filter(|answer| answer.way == Way::Answered) {
            return (answer.state, format!("answered: {}", answer.outcome));
        }
        if let Some(treated) = self.treated.iter().find(|one| one.dropped.is_none()) {
            let by = treated.plugin.as_ref();
            let words = by.map_or("treated".into(), |plugin| format!("treated by {plugin}"));
            return (State::Treated, words);
        }
        let last = self.sessions.last();
        let cancelled = last.is_some_and(|session| session.ended(Ended::Cancelled).is_some());
        let refused = self.treated.last().and_then(|one| one.dropped.as_ref());
        match refused {
            Some(why) if cancelled => return (State::Cancelled, format!("cancelled: {why}")),
            Some(why) => return (State::Refused, format!("refused: {why}")),
            None => {}
        }
        let cut = |node: &str, after: u64| {
            let cut = faults
                .iter()
                .filter(|fault| fault.ends_lives() && fault.lane == node && fault.at >= after);
            let first = cut.min_by_key(|fault| fault.at)?;
            Some(format!("{node} was {}", first.words))
        };
        let came = self.delivered.last().copied().or_else(|| self.began());
        if let Some(cut) = came.and_then(|at| cut(&self.to, at)) {
            return (State::Cancelled, format!("{cut} before it was done"));
        }
        if let Some(end) = last.and_then(|session| self.end_of(session)) {
            return end;
        }
        if !self.delivered.is_empty() {
            return if self.was_hit_by("corrupt") {
                (State::Refused, "came changed, and was not read".into())
            } else {
                (
                    State::UnderWay,
                    "delivered, not done when the trace ends".into(),
                )
            };
        }
        if self.was_hit_by("drop") {
            return (State::Dropped, "dropped by a fault at the relay".into());
        }
        if let Some(lost) = self.lost.last() {
            return (State::Lost, format!("lost: {}", lost.why));
        }
        if self.way == Way::Between && self.relayed.is_none() && last.is_none() {
            return match cut(&self.from, self.at) {
                Some(cut) => (State::Lost, format!("lost: {cut} before it left")),
                None => (
                    State::UnderWay,
                    "not at the relay when the trace ends".into(),
                ),
            };
        }
        (State::UnderWay, "not done when the trace ends".into())
    }

    /// When the first plugin began to work on it.
    fn began(&self) -> Option<u64> {
        let calls = self.sessions.iter().flat_map(|session| &session.calls);
        calls.map(|call| call.at).min()
    }

    /// What the plugin says, where nothing else does.
    fn end_of(&self, session: &Session) -> Option<(State, String)> {
        let call = session.calls.last()?;
        let plugin = &session.plugin;
        let why = call.why.as_deref().unwrap_or_default();
        match call.ended {
            Ended::Cancelled => Some((State::Cancelled, format!("{plugin} was cancelled"))),
            Ended::Failed => Some((State::Failed, format!("{plugin} failed: {why}"))),
            Ended::Stopped => Some((State::Failed, format!("{plugin} was stopped: {why}"))),
            // A run goes on until its node has answered the researcher.
            Ended::Nothing | Ended::Effects if self.way == Way::Between => {
                Some((State::Treated, format!("treated by {plugin}")))
            }
            Ended::Nothing | Ended::Effects | Ended::Found => None,
        }
    }
}
