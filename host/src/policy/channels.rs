//! What the policy says of peers: whose rosters count (`[roster]`), and who may be talked to in which suite (`[channels]`).

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use serde::Deserialize;
use toml::{Spanned, Value};

use super::parse::Lines;
use super::{KeyName, PolicyError};
use crate::message::NodeId;
use crate::packages::{PublicKey, Trust};

/// With whom a node has channels that protect less than it could, or more than it must.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChannelRules {
    /// With whom suite 1, that of Fed-BioMed, is allowed: the relay can read and forge it. Anybody is whomever no identity key is known
    /// of: in a network of Fed-BioMed.
    pub suite_1: Chosen,
    /// The line of `policy.toml` that says so, counted from 1.
    pub suite_1_line: Option<usize>,
    /// To whom suite 3, that with ML-KEM-768, is offered.
    pub suite_3: Chosen,
    /// Whether a key that nobody confirmed is believed when a peer comes with it first.
    pub trust_on_first_use: bool,
}

/// Peers that a rule is for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Chosen {
    /// None.
    #[default]
    Nobody,
    /// These.
    These(BTreeSet<NodeId>),
    /// All.
    Anybody,
}

impl Chosen {
    /// Those that are named.
    pub fn named(&self) -> impl Iterator<Item = &NodeId> {
        let these = match self {
            Self::These(nodes) => Some(nodes),
            Self::Nobody | Self::Anybody => None,
        };
        these.into_iter().flatten()
    }

    /// Whether a peer is named.
    pub fn names(&self, peer: &NodeId) -> bool {
        matches!(self, Self::These(nodes) if nodes.contains(peer))
    }

    /// Whether a peer is among them.
    pub fn has(&self, peer: &NodeId) -> bool {
        *self == Self::Anybody || self.names(peer)
    }
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct ChannelsTable {
    suite_1: Option<Spanned<Value>>,
    suite_3: Option<Spanned<Value>>,
    trust_on_first_use: Option<bool>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RosterTable {
    threshold: Option<Spanned<usize>>,
    #[serde(default)]
    keys: BTreeMap<Spanned<String>, Spanned<String>>,
}

impl Lines<'_> {
    pub(super) fn channels(&self, table: ChannelsTable) -> Result<ChannelRules, PolicyError> {
        let line = table
            .suite_1
            .as_ref()
            .map(|suite_1| self.of(&suite_1.span()));
        let chosen = |key, value: Option<Spanned<Value>>| {
            let chosen = value.map(|value| self.chosen(key, &value));
            chosen.transpose().map(Option::unwrap_or_default)
        };
        Ok(ChannelRules {
            suite_1: chosen("suite-1", table.suite_1)?,
            suite_1_line: line,
            suite_3: chosen("suite-3", table.suite_3)?,
            trust_on_first_use: table.trust_on_first_use.unwrap_or_default(),
        })
    }

    fn chosen(&self, key: &str, value: &Spanned<Value>) -> Result<Chosen, PolicyError> {
        let todo = format!("write {key} = [\"NODE\", …], or {key} = \"any\"");
        let wrong = |why: String| self.wrong(&value.span(), why, &todo);
        match value.as_ref() {
            Value::String(any) if any == "any" => Ok(Chosen::Anybody),
            Value::Array(nodes) if nodes.is_empty() => Ok(Chosen::Nobody),
            Value::Array(nodes) => {
                let node = |node: &Value| {
                    let text = node
                        .as_str()
                        .ok_or_else(|| wrong(format!("{node} is no node's id")))?;
                    NodeId::try_from(text).map_err(|error| wrong(error.to_string()))
                };
                nodes
                    .iter()
                    .map(node)
                    .collect::<Result<_, _>>()
                    .map(Chosen::These)
            }
            _ => Err(wrong(format!(
                "{key} is neither a list of node ids nor \"any\""
            ))),
        }
    }

    /// Whose signatures on a roster count, and how many it takes.
    pub(super) fn roster(&self, table: RosterTable) -> Result<Trust, PolicyError> {
        let first = table.keys.keys().next().map(Spanned::span);
        let (threshold, rule) = match (&table.threshold, first) {
            (None, None) => return Ok(Trust::default()),
            (None, Some(keys)) => {
                let why = "keys for rosters are named, and not how many of them must have signed";
                return Err(self.wrong(&keys, why, "write `threshold = …` under [roster]"));
            }
            (Some(threshold), _) if *threshold.as_ref() == 0 => {
                let why = "threshold = 0 would take anybody's roster";
                return Err(self.wrong(
                    &threshold.span(),
                    why,
                    "write how many of the keys must have signed",
                ));
            }
            (Some(threshold), _) => (*threshold.as_ref(), threshold.span()),
        };
        self.trusted_keys(threshold, table.keys, &rule)
    }

    /// `require` of these keys; `rule` is where it stands.
    pub(super) fn trusted_keys(
        &self,
        require: usize,
        table: BTreeMap<Spanned<String>, Spanned<String>>,
        rule: &Range<usize>,
    ) -> Result<Trust, PolicyError> {
        let mut keys = BTreeMap::new();
        for (name, key) in table {
            let name: KeyName = self.name(&name)?;
            let key: PublicKey = self.value(&key, "copy the key again, from its owner")?;
            keys.insert(name.into(), key);
        }
        Trust::new(require, keys)
            .map_err(|error| self.wrong(rule, error.to_string(), error.advice()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packages::SigningKey;
    use crate::policy::Policy;

    fn wrong(text: &str) -> (usize, String) {
        match Policy::parse(&format!("version = 1\n{text}")) {
            Err(PolicyError::Line { line, why, todo }) => {
                assert!(!todo.is_empty(), "{why}");
                (line, why)
            }
            other => panic!("{other:?}: {text}"),
        }
    }

    fn rules(text: &str) -> ChannelRules {
        let policy = Policy::parse(&format!("version = 1\n{text}"));
        policy.expect("a policy").channels
    }

    #[test]
    fn suites_1_and_3_are_for_nobody_unless_it_is_said_for_whom() {
        for nothing in ["", "[channels]\n", "[channels]\nsuite-1 = []\n"] {
            assert_eq!(
                rules(nothing),
                ChannelRules {
                    suite_1_line: nothing.contains("suite").then_some(3),
                    ..ChannelRules::default()
                }
            );
        }
        let these = rules("[channels]\nsuite-1 = [\"b\", \"c\"]\ntrust-on-first-use = true\n");
        let nodes = ["b", "c"].map(|node| node.parse().expect("an id"));
        assert_eq!(these.suite_1, Chosen::These(nodes.into()));
        assert_eq!(
            (these.suite_1_line, these.trust_on_first_use),
            (Some(3), true)
        );
        assert_eq!(
            rules("[channels]\nsuite-1 = \"any\"\n").suite_1,
            Chosen::Anybody
        );
        let offered = rules("[channels]\nsuite-3 = [\"b\"]\n");
        let b: NodeId = "b".parse().expect("an id");
        assert!(offered.suite_3.has(&b) && !offered.suite_1.has(&b));
    }

    #[test]
    fn names_the_line_of_what_is_no_rule_for_channels() {
        for bad in [
            "\"all\"",
            "true",
            "1",
            "[1]",
            "[\"\"]",
            "[\"a\\n\"]",
            "{ b = 1 }",
            "\"\"",
        ] {
            for key in ["suite-1", "suite-3"] {
                let (line, why) = wrong(&format!("[channels]\n{key} = {bad}\n"));
                assert_eq!(line, 3, "{bad}: {why}");
            }
        }
        assert_eq!(wrong("[channels]\ntrust-on-first-use = 1\n").0, 3);
        let (line, why) = wrong("[channels]\nsuite_1 = \"any\"\n");
        assert!(line == 3 && why.contains("suite_1"), "{why}");
    }

    #[test]
    fn a_threshold_that_nothing_or_anything_meets_is_refused() {
        let key = SigningKey::create("x").expect("a key").1;
        let keys = format!("[roster.keys]\nkim = \"{key}\"\n");
        assert_eq!(wrong(&keys).0, 3, "no threshold");
        assert_eq!(wrong(&format!("[roster]\nthreshold = 0\n{keys}")).0, 3);
        assert_eq!(wrong(&format!("[roster]\nthreshold = 2\n{keys}")).0, 3);
        assert_eq!(wrong("[roster]\nthreshold = 1\n").0, 3);
        assert_eq!(
            wrong(&format!("[roster]\nthreshold = 2\n{keys}lee = \"{key}\"\n")).0,
            3,
            "one key twice"
        );
        assert_eq!(
            wrong("[roster]\nthreshold = 1\n[roster.keys]\nkim = \"RWQ\"\n").0,
            5
        );

        let policy =
            Policy::parse(&format!("version = 1\n[roster]\nthreshold = 1\n{keys}")).expect("read");
        assert_eq!(
            (policy.consortium.require(), policy.consortium.keys().len()),
            (1, 1)
        );
    }
}
