use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use super::values::{self, quoted};
use super::write::list;
use crate::inputs::InputName;
use crate::message::{NodeId, RunId, Value};
use crate::sandbox::times::shown;

/// A protocol of several parties that the researcher has run.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    /// From the beginning of the simulation.
    pub at: Duration,
    /// Which protocol, as a plugin's manifest names it.
    pub protocol: String,
    /// Under which name.
    pub run: RunId,
    /// Among whom: all nodes if it is not said.
    pub parties: Option<Vec<NodeId>>,
    /// The researcher's parameters: a map.
    pub params: Value,
    /// What must come of it.
    pub expect: Wanted,
}

/// What must come of a run. Nothing said: any end, but an end for each party that lives.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Wanted {
    /// How it ends for parties; for those that are not named, anyhow.
    pub outcome: Outcomes,
    /// Fields that results have, if they have one of this name: name and value.
    pub result: Vec<(String, Value)>,
    /// Fields that are the same in all results that have them.
    pub alike: Vec<String>,
    /// An input: whoever reports a `sum` and its `parties` reports that of their values.
    pub sum_of: Option<InputName>,
    /// Whom parties hold responsible, all told; anybody if it is not said.
    pub blames: Option<BTreeSet<NodeId>>,
}

/// How a run must end for its parties.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Outcomes {
    /// However it does.
    #[default]
    Any,
    /// For all alike.
    All(Outcome),
    /// For these.
    Of(BTreeMap<NodeId, Outcome>),
}

/// How a run ends for a party.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// With a result.
    Done,
    /// Without one, and the researcher hears why.
    Failed,
}

impl Outcome {
    /// Both.
    pub(super) const ALL: [Self; 2] = [Self::Done, Self::Failed];

    /// What it is written as.
    pub(in crate::sandbox) fn name(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
        }
    }
}

impl Outcomes {
    /// What is expected of `party`, if anything.
    pub(in crate::sandbox) fn of(&self, party: &NodeId) -> Option<Outcome> {
        match self {
            Self::Any => None,
            Self::All(outcome) => Some(*outcome),
            Self::Of(outcomes) => outcomes.get(party).copied(),
        }
    }

    /// Whether somebody must have a result.
    pub(in crate::sandbox) fn has_done(&self) -> bool {
        match self {
            Self::Any => false,
            Self::All(outcome) => *outcome == Outcome::Done,
            Self::Of(outcomes) => outcomes.values().any(|outcome| *outcome == Outcome::Done),
        }
    }
}

impl Run {
    pub(super) fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\n[[run]]")?;
        writeln!(f, "at = \"{}\"", shown(self.at))?;
        writeln!(f, "protocol = {}", quoted(&self.protocol))?;
        writeln!(f, "run = {}", quoted(self.run.as_str()))?;
        if let Some(parties) = &self.parties {
            writeln!(f, "parties = {}", list(parties.iter().map(NodeId::as_str)))?;
        }
        if let Some(params) = values::written(&self.params) {
            writeln!(f, "params = {params}")?;
        }
        self.expect.write(f)
    }
}

impl Wanted {
    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.outcome {
            Outcomes::Any => {}
            Outcomes::All(outcome) => writeln!(f, "outcome = \"{}\"", outcome.name())?,
            Outcomes::Of(outcomes) => {
                let outcomes = outcomes.iter().map(|(party, outcome)| {
                    format!("{} = \"{}\"", quoted(party.as_str()), outcome.name())
                });
                let outcomes: Vec<_> = outcomes.collect();
                writeln!(f, "outcome = {{ {} }}", outcomes.join(", "))?;
            }
        }
        if !self.result.is_empty() {
            let fields = self.result.iter().filter_map(|(name, value)| {
                Some(format!("{} = {}", quoted(name), values::written(value)?))
            });
            let fields: Vec<_> = fields.collect();
            writeln!(f, "result = {{ {} }}", fields.join(", "))?;
        }
        if !self.alike.is_empty() {
            writeln!(f, "alike = {}", list(self.alike.iter().map(String::as_str)))?;
        }
        if let Some(input) = &self.sum_of {
            writeln!(f, "sum-of = {}", quoted(input.as_str()))?;
        }
        match &self.blames {
            Some(blames) => writeln!(f, "blames = {}", list(blames.iter().map(NodeId::as_str))),
            None => Ok(()),
        }
    }
}
