//! Scenarios: who is in a network, what its nodes are asked, what goes wrong, and what must have come of it.
//!
//! A scenario is a TOML file that a person can read ([`Scenario::parse`]), and can be written as one (its
//! [`Display`](std::fmt::Display)): what a command line asks for and the shortest run that fails are scenarios too.

mod error;
mod parse;
mod run;
mod spans;
mod tables;
mod values;
mod write;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

pub use error::ScenarioError;
pub use run::{Outcome, Outcomes, Run, Wanted};

use super::faults::{Faults, Planned};
use super::hits::Hit;
use crate::handlers::{Capability, Limit};
use crate::inputs::{Input, InputName, Inputs};
use crate::message::{NodeId, SecaggId, Value};
use crate::sessions;

/// When all faults end, if a scenario does not say.
const HEAL: Duration = Duration::from_secs(120);
/// The first set-ups of a scenario without any, and how long after each the next one begins.
const SET_UPS: [(Scheme, &str); 4] = [
    (Scheme::Dh, "dh-0"),
    (Scheme::ServerKey, "key-0"),
    (Scheme::Dh, "dh-1"),
    (Scheme::ServerKey, "key-1"),
];
const APART: Duration = Duration::from_secs(15);
/// The set-ups that every run begins after healing, by which it is seen that it works again: their names are theirs alone.
pub(super) const HEALED: [(Scheme, &str); 2] =
    [(Scheme::Dh, "dh-healed"), (Scheme::ServerKey, "key-healed")];

/// What is simulated.
#[derive(Clone, Debug, PartialEq)]
pub struct Scenario {
    /// The nodes, at least two.
    pub nodes: Vec<NodeId>,
    /// How they talk.
    pub suite: Suite,
    /// Plugins beside or in the place of the built-in ones, among them those of protocols that come with the host; and built-in ones on
    /// other terms.
    pub plugins: Vec<Role>,
    /// What the researcher has set up, in order of time.
    pub starts: Vec<Start>,
    /// Protocols of several parties that the researcher has run, in order of time.
    pub runs: Vec<Run>,
    /// What nodes ask each other without a researcher.
    pub asks: Vec<Ask>,
    /// Faults that the seed draws.
    pub faults: Faults,
    /// Accidents beside those that are drawn.
    pub(super) accidents: Vec<Planned>,
    /// Messages that meet a fault beside those that are drawn.
    pub(super) hits: Vec<Hit>,
    /// When all faults end: what is cut off is mended, and what is dead is started again.
    pub heal: Duration,
    /// What must have come of it, beside what must always hold.
    pub expect: Expected,
}

/// How nodes talk to each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Suite {
    /// As nodes of Fed-BioMed do.
    #[default]
    One,
    /// They know each other's identity keys, and talk in suite 2 or 3.
    Secure(sessions::Suite),
}

impl Suite {
    /// The suite of that number, if there is one.
    pub fn of_number(number: u64) -> Option<Self> {
        match u8::try_from(number).ok()? {
            1 => Some(Self::One),
            number => sessions::Suite::of_number(number).map(Self::Secure),
        }
    }
}

/// A plugin's part.
#[derive(Clone, Debug, PartialEq)]
pub struct Role {
    /// Which.
    pub component: Component,
    /// Where; at all nodes if it is not said.
    pub nodes: Option<BTreeSet<NodeId>>,
    /// What it is granted; what it declares if it is not said.
    pub grants: Option<BTreeSet<Capability>>,
    /// Limits other than those that plugins begin with.
    pub limits: Vec<(Limit, u64)>,
    /// Data that its nodes grant it.
    pub inputs: Vec<Holding>,
    /// Without it, nobody treats its kinds.
    pub enabled: bool,
}

/// Data that nodes grant a plugin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holding {
    /// What it asks for them by.
    pub name: InputName,
    /// Where; at all nodes that have the plugin if it is not said.
    pub nodes: Option<BTreeSet<NodeId>>,
    /// Which.
    pub input: Input,
}

/// Where a plugin comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Component {
    /// It comes with the host, under this name.
    BuiltIn(String),
    /// This file: a component or a bundle. It takes the place of built-in plugins that treat one of its kinds.
    File(PathBuf),
}

/// How secrets are set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// A secret with each other party.
    Dh,
    /// A key for each party and one for the researcher, which sum to zero.
    ServerKey,
}

/// A set-up that the researcher asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Start {
    /// From the beginning of the run.
    pub at: Duration,
    /// What is set up.
    pub scheme: Scheme,
    /// Under which name.
    pub run: SecaggId,
    /// Among whom: all nodes if it is not said.
    pub parties: Option<Vec<NodeId>>,
}

/// A request that one node makes to another, as its plugin for that kind would.
#[derive(Clone, Debug, PartialEq)]
pub struct Ask {
    /// From the beginning of the run.
    pub at: Duration,
    /// Who asks.
    pub from: NodeId,
    /// Whom.
    pub to: NodeId,
    /// The request's kind.
    pub kind: String,
    /// Its own fields: a map.
    pub fields: Value,
    /// How often.
    pub times: u32,
    /// How long after one the next.
    pub every: Duration,
    /// Whether it asks no more once it was answered.
    pub until_answered: bool,
    /// What must come of each of them, if that is sure.
    pub outcome: Option<Ended>,
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ended {
    /// With an answer.
    Answered,
    /// Without one in its time.
    Expired,
    /// It could not be made, or its node ended.
    Failed,
}

/// What must have come of a scenario.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Expected {
    /// Set-ups that must have succeeded at all parties; of those of one name, the last.
    pub set_ups: SetUps,
    /// Set-ups that must have failed at some party; of those of one name, one.
    pub failed: Vec<SecaggId>,
    /// Nodes that must have refused to start, at least once, and be dead at the end.
    pub refuses_to_start: BTreeSet<NodeId>,
    /// What plugins must have stored at the end.
    pub store: Vec<Stored>,
}

/// Set-ups that must have succeeded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum SetUps {
    /// Those after healing: always.
    #[default]
    Healed,
    /// All.
    All,
    /// These, and those after healing.
    Named(Vec<SecaggId>),
}

/// An entry of a plugin's store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// At which node.
    pub node: NodeId,
    /// Whose.
    pub plugin: String,
    /// Under which key.
    pub key: String,
    /// What; nothing if there must be no such entry.
    pub value: Option<Vec<u8>>,
}

impl Scenario {
    /// The scenario that a command line with so many nodes and these faults asks for: four set-ups while the faults last.
    pub fn of(nodes: usize, faults: Faults) -> Self {
        let starts = (0..).zip(SET_UPS).filter_map(|(n, (scheme, run))| {
            Some(Start {
                at: Duration::from_secs(1) + n * APART,
                scheme,
                run: SecaggId::try_from(run).ok()?,
                parties: None,
            })
        });
        Self {
            nodes: numbered(nodes),
            suite: Suite::default(),
            plugins: Vec::new(),
            starts: starts.collect(),
            runs: Vec::new(),
            asks: Vec::new(),
            faults,
            accidents: Vec::new(),
            hits: Vec::new(),
            heal: HEAL,
            expect: Expected::default(),
        }
    }

    /// What a node grants a plugin. A ramp begins at the node's place among all, so that no two have the same.
    pub(super) fn inputs_at(&self, role: &Role, node: &NodeId) -> Inputs {
        let place = self.nodes.iter().position(|other| other == node);
        let here = role.inputs.iter().filter(|holding| holding.is_at(node));
        let of = |holding: &Holding| {
            let input = holding.input.rising_from(place.unwrap_or_default());
            (holding.name.clone(), input)
        };
        here.map(of).collect()
    }
}

impl Role {
    /// A component from a file, at all nodes, with what it declares.
    pub fn of_file(file: PathBuf) -> Self {
        Self {
            component: Component::File(file),
            nodes: None,
            grants: None,
            limits: Vec::new(),
            inputs: Vec::new(),
            enabled: true,
        }
    }

    /// Whether it is at that node.
    pub(super) fn is_at(&self, node: &NodeId) -> bool {
        self.nodes.as_ref().is_none_or(|nodes| nodes.contains(node))
    }
}

impl Holding {
    /// Whether that node has it.
    fn is_at(&self, node: &NodeId) -> bool {
        self.nodes.as_ref().is_none_or(|nodes| nodes.contains(node))
    }
}

impl Scheme {
    /// What it is written as, here and at `secagg setup`.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Dh => "dh",
            Self::ServerKey => "server-key",
        }
    }

    /// The kind of its request.
    pub(super) fn kind(self) -> &'static str {
        match self {
            Self::Dh => "SecaggRequest",
            Self::ServerKey => "AdditiveSSSetupRequest",
        }
    }
}

impl Ended {
    /// What it is written as.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::Expired => "expired",
            Self::Failed => "failed",
        }
    }
}

/// Nodes that have numbers for names.
fn numbered(nodes: usize) -> Vec<NodeId> {
    let named = (0..nodes).map(|n| NodeId::try_from(format!("node-{n}").as_str()));
    named.filter_map(Result::ok).collect()
}
