use std::collections::BTreeMap;
use std::fmt;

use crate::handlers::CallError;
use crate::trace::{self, Session};

/// What is wrong with what a plugin did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum What {
    /// It crashed.
    Trap,
    /// It came to a limit.
    OverLimit,
    /// It asked for an effect that it may not have.
    Effect,
    /// It did something else when it was run again.
    NotTheSameTwice,
}

impl What {
    /// What `error` says of the plugin; nothing, if it declined, or was not begun.
    pub(super) fn of(error: &CallError) -> Option<Self> {
        match error {
            CallError::Trap { .. } => Some(Self::Trap),
            CallError::Limit { .. } | CallError::FixedLimit { .. } => Some(Self::OverLimit),
            CallError::Effect { .. } => Some(Self::Effect),
            CallError::Failure { .. }
            | CallError::Quarantined { .. }
            | CallError::TooLarge { .. }
            | CallError::NoRoom { .. }
            | CallError::Lacks { .. } => None,
        }
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Trap => "trap",
            Self::OverLimit => "over a limit",
            Self::Effect => "an effect that it may not have",
            Self::NotTheSameTwice => "not the same twice",
        })
    }
}

/// Something that a plugin should not do, and the smallest input that was seen to bring it about.
#[derive(Clone, Debug)]
pub struct Finding {
    /// What.
    pub what: What,
    /// In words.
    pub why: String,
    /// How often it was found.
    pub times: u64,
    /// The plugin as it was loaded.
    pub plugin: trace::Plugin,
    /// What it was given, and did.
    pub session: Session,
}

/// All findings, each cause once.
#[derive(Default)]
pub struct Findings(BTreeMap<(What, String), Finding>);

impl Findings {
    /// Adds what was found `why`; of the same `cause` are all that are to be told of once.
    pub(super) fn add(
        &mut self,
        what: What,
        cause: String,
        why: String,
        plugin: trace::Plugin,
        session: Session,
    ) {
        let finding = Finding {
            what,
            why: why.clone(),
            times: 0,
            plugin,
            session: session.clone(),
        };
        let known = self.0.entry((what, cause)).or_insert(finding);
        known.times += 1;
        if session.input_len() < known.session.input_len() {
            (known.why, known.session) = (why, session);
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nothing was found.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Each.
    pub fn iter(&self) -> impl Iterator<Item = &Finding> {
        self.0.values()
    }
}
