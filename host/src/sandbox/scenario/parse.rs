//! From the text to a [`Scenario`]: all that can be wrong in the file is found here, with its line.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use toml::Spanned;

use super::spans::Source;
use super::tables::{
    AskTable, ExpectTable, FaultTable, HitTable, PluginTable, StartTable, Written,
};
use super::values;
use super::{
    Ask, Component, Ended, Expected, HEAL, Role, Scenario, ScenarioError, Scheme, SetUps, Start,
    Stored, numbered,
};
use crate::handlers::{BUILT_IN, Capability, Limit, Limits};
use crate::message::NodeId;
use crate::sandbox::faults::{Accident, Fate, Faults, Planned};
use crate::sandbox::hits::{Hit, Which};

/// The most nodes: as many as a run can have parties.
const MOST_NODES: usize = 1000;
/// The most times that a node asks the same.
const MOST_TIMES: u32 = 100_000;

impl Scenario {
    /// Reads a scenario. Files that it names are taken from `folder`; they are not looked at here.
    pub fn parse(text: &str, folder: &Path) -> Result<Self, ScenarioError> {
        let source = Source(text);
        let written: Written = toml::from_str(text).map_err(|error| {
            let line = source.line(&error.span().unwrap_or_default());
            let why = error.message().replace('\n', " ");
            let todo = "correct that line; tests/README.md lists what a scenario says";
            ScenarioError::new(line, why, todo)
        })?;
        let nodes = nodes(source, &written.nodes)?;
        let reading = Reading {
            source,
            folder,
            nodes: &nodes,
        };
        let plugins = written.plugin.into_iter().map(|role| reading.role(role));
        let starts = written.start.into_iter().map(|start| reading.start(start));
        let asks = written.ask.into_iter().map(|ask| reading.ask(ask));
        let accidents = (0..)
            .zip(written.fault)
            .map(|(n, fault)| reading.accident(n, fault));
        let hits = written.hit.into_iter().map(|hit| reading.hit(hit));
        let mut scenario = Self {
            plugins: plugins.collect::<Result<_, _>>()?,
            starts: starts.collect::<Result<_, _>>()?,
            asks: asks.collect::<Result<_, _>>()?,
            faults: reading.faults(written.faults)?,
            accidents: accidents.collect::<Result<_, _>>()?,
            hits: hits.collect::<Result<_, _>>()?,
            heal: match &written.heal {
                Some(heal) => source.time(heal)?,
                None => HEAL,
            },
            expect: reading.expected(written.expect)?,
            nodes,
        };
        scenario.starts.sort_by_key(|start| start.at);
        scenario.accidents.sort_by_key(|planned| planned.at);
        Ok(scenario)
    }
}

fn nodes(source: Source<'_>, written: &Spanned<toml::Value>) -> Result<Vec<NodeId>, ScenarioError> {
    let wrong = |why: String| {
        let todo = format!("write a number from 2 to {MOST_NODES}, or a list of names");
        source.wrong(written, why, todo)
    };
    let nodes: Vec<NodeId> = match written.as_ref() {
        toml::Value::Integer(count) => numbered(usize::try_from(*count).unwrap_or_default()),
        toml::Value::Array(names) => {
            let names = names.iter().map(|name| {
                let name = name
                    .as_str()
                    .ok_or_else(|| wrong(format!("{name} is no name")))?;
                NodeId::from_str(name).map_err(|error| wrong(format!("{name:?}: {error}")))
            });
            names.collect::<Result<_, _>>()?
        }
        other => return Err(wrong(format!("{other} is neither a number nor a list"))),
    };
    if !(2..=MOST_NODES).contains(&nodes.len()) {
        return Err(wrong(format!("{} nodes", nodes.len())));
    }
    let mut seen = BTreeSet::new();
    match nodes.iter().find(|node| !seen.insert(*node)) {
        Some(twice) => Err(wrong(format!("{twice} is there twice"))),
        None => Ok(nodes),
    }
}

struct Reading<'a> {
    source: Source<'a>,
    folder: &'a Path,
    nodes: &'a [NodeId],
}

impl Reading<'_> {
    fn node(&self, name: &Spanned<String>) -> Result<NodeId, ScenarioError> {
        let found = self
            .nodes
            .iter()
            .find(|node| node.as_str() == name.as_ref());
        found.cloned().ok_or_else(|| {
            let shown: Vec<_> = self.nodes.iter().take(10).map(NodeId::as_str).collect();
            let more = if self.nodes.len() > 10 { ", …" } else { "" };
            let todo = format!("the nodes are {}{more}", shown.join(", "));
            self.source
                .wrong(name, format!("there is no node {:?}", name.as_ref()), todo)
        })
    }

    fn some_nodes(
        &self,
        names: Option<Vec<Spanned<String>>>,
    ) -> Result<Option<BTreeSet<NodeId>>, ScenarioError> {
        let nodes = names.map(|names| names.iter().map(|name| self.node(name)).collect());
        nodes.transpose()
    }

    fn role(&self, role: Spanned<PluginTable>) -> Result<Role, ScenarioError> {
        let component = match (&role.as_ref().built_in, &role.as_ref().file) {
            (Some(name), None) => {
                let known = BUILT_IN.map(|built_in| (built_in.name, built_in.name));
                let name = self.source.word(name, "a built-in plugin", known)?;
                Component::BuiltIn(name.to_owned())
            }
            (None, Some(file)) => Component::File(self.folder.join(PathBuf::from(file.as_ref()))),
            _ => {
                let why = "a plugin is built in or from a file";
                let todo = "write either built-in = \"NAME\" or file = \"PATH\"";
                return Err(self.source.wrong(&role, why, todo));
            }
        };
        let table = role.into_inner();
        let mut limits = Vec::new();
        for (name, value) in table.limits {
            let limit: Limit = self.source.value(&name, "see `backchannel plugin list`")?;
            let set = Limits::default().set(limit, *value.as_ref());
            let todo = "choose a value in that range";
            set.map_err(|error| self.source.wrong(&value, error, todo))?;
            limits.push((limit, value.into_inner()));
        }
        let grants = table.grants.map(|grants| {
            let known = Capability::ALL.map(|capability| (capability.name(), capability));
            let grant = |name| self.source.word(name, "a grant", known);
            grants.iter().map(grant).collect()
        });
        Ok(Role {
            component,
            nodes: self.some_nodes(table.nodes)?,
            grants: grants.transpose()?,
            limits,
            enabled: table.enabled.unwrap_or(true),
        })
    }

    fn start(&self, start: StartTable) -> Result<Start, ScenarioError> {
        let schemes = [Scheme::Dh, Scheme::ServerKey].map(|scheme| (scheme.name(), scheme));
        let parties = start.parties.map(|parties| {
            let at = parties.span();
            let parties = parties.into_inner();
            let nodes: Result<Vec<_>, _> = parties.iter().map(|name| self.node(name)).collect();
            (at, nodes)
        });
        let parties = match parties {
            Some((at, nodes)) => {
                let nodes = nodes?;
                let different: BTreeSet<_> = nodes.iter().collect();
                if nodes.len() < 2 || different.len() < nodes.len() {
                    let line = self.source.line(&at);
                    let todo = "name two parties or more, each once";
                    return Err(ScenarioError::new(line, "these are no parties", todo));
                }
                Some(nodes)
            }
            None => None,
        };
        Ok(Start {
            at: self.source.time(&start.at)?,
            scheme: self.source.word(&start.set_up, "set-up", schemes)?,
            run: self.source.value(&start.run, "write another name")?,
            parties,
        })
    }

    fn ask(&self, ask: AskTable) -> Result<Ask, ScenarioError> {
        let (from, to) = (self.node(&ask.from)?, self.node(&ask.to)?);
        if from == to {
            let why = format!("{to} does not ask itself");
            return Err(self.source.wrong(&ask.to, why, "name another node"));
        }
        let times = match &ask.times {
            Some(times) if !(1..=MOST_TIMES).contains(times.as_ref()) => {
                let why = format!("{} times", times.as_ref());
                let todo = format!("write a number from 1 to {MOST_TIMES}");
                return Err(self.source.wrong(times, why, todo));
            }
            Some(times) => *times.as_ref(),
            None => 1,
        };
        let every = ask
            .every
            .map(|every| self.source.time(&every))
            .transpose()?;
        let outcomes = [Ended::Answered, Ended::Expired, Ended::Failed];
        let outcomes = outcomes.map(|outcome| (outcome.name(), outcome));
        let outcome = ask
            .outcome
            .map(|it| self.source.word(&it, "the outcome", outcomes));
        let fields = match ask.fields {
            Some(fields) => values::map(fields.as_ref())
                .map_err(|why| self.source.wrong(&fields, why, values::EXPECTED))?,
            None => crate::message::Value::Map(Vec::new()),
        };
        Ok(Ask {
            at: self.source.time(&ask.at)?,
            from,
            to,
            kind: ask.kind,
            fields,
            times,
            every: every.unwrap_or(Duration::from_secs(1)),
            outcome: outcome.transpose()?,
        })
    }

    fn faults(
        &self,
        faults: BTreeMap<Spanned<String>, Spanned<toml::Value>>,
    ) -> Result<Faults, ScenarioError> {
        let mut parts = Vec::new();
        for (name, value) in faults {
            let shown = match value.as_ref() {
                toml::Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            let part = format!("{}={shown}", name.as_ref());
            let todo = "`backchannel sim --help` lists the faults";
            Faults::from_str(&part).map_err(|error| self.source.wrong(&name, error, todo))?;
            parts.push(part);
        }
        // Each part was read alone before.
        Faults::from_str(&parts.join(",")).map_err(|error| ScenarioError::new(1, error, ""))
    }

    fn accident(&self, n: u64, fault: FaultTable) -> Result<Planned, ScenarioError> {
        let known = Accident::ALL.map(|accident| (accident.name(), accident));
        let node = fault.node.map(|node| self.node(&node)).transpose()?;
        let draw = fault.draw.map(|draw| {
            u64::from_str_radix(draw.as_ref(), 16).map_err(|_| {
                let why = format!("{:?} is no hexadecimal number", draw.as_ref());
                self.source
                    .wrong(&draw, why, "write up to 16 of 0-9 and a-f")
            })
        });
        Ok(Planned {
            at: self.source.time(&fault.at)?,
            accident: self
                .source
                .word(&fault.kind, "the kind of a fault", known)?,
            node: node
                .and_then(|node| self.nodes.iter().position(|other| *other == node))
                .unwrap_or_default(),
            lasting: self.source.time(&fault.r#for)?,
            draw: draw.transpose()?.unwrap_or(n),
        })
    }

    fn hit(&self, hit: Spanned<HitTable>) -> Result<Hit, ScenarioError> {
        let table = hit.as_ref();
        let node = |name: &Option<Spanned<String>>| {
            let node = name.as_ref().map(|name| self.node(name));
            node.transpose()
        };
        let which = match (table.message, &table.kind) {
            (Some(n), None) => Which::Number(n),
            (None, Some(kind)) => Which::Like {
                kind: kind.clone(),
                from: node(&table.from)?,
                to: node(&table.to)?,
                nth: table.nth.unwrap_or(1).max(1),
            },
            _ => {
                let why = "it is not said which message is hit";
                let todo = "write either message = NUMBER or kind = \"KIND\", with from, to, nth";
                return Err(self.source.wrong(&hit, why, todo));
            }
        };
        let later = match &table.later {
            Some(later) => Some(self.source.time(later)?),
            None => None,
        };
        let kind = table.fault.as_ref().as_str();
        let fate = match (kind, later, table.byte, table.add, table.behind) {
            ("drop", None, None, None, None) => Fate::Dropped,
            ("dup", Some(later), None, None, None) => Fate::Duplicated(later),
            ("delay", Some(later), None, None, None) => Fate::Delayed(later),
            ("corrupt", None, Some(at), Some(by), None) if by > 0 => Fate::Corrupted { at, by },
            ("reorder", None, None, None, Some(by)) if by > 0 => Fate::Overtaken { by },
            _ => {
                let why = format!("{kind:?} with these keys is no fault of a message");
                let todo = "write drop; dup or delay with later = TIME; corrupt with byte = N, add = N; or reorder with behind = N";
                return Err(self.source.wrong(&table.fault, why, todo));
            }
        };
        Ok(Hit { which, fate })
    }

    fn expected(&self, expect: ExpectTable) -> Result<Expected, ScenarioError> {
        let set_ups = match &expect.set_ups {
            Some(set_ups) => self.set_ups(set_ups)?,
            None => SetUps::default(),
        };
        let run = |name| self.source.value(name, "write the name of a run");
        let store = expect.store.into_iter().map(|entry| {
            let value = entry.value.map(|value| {
                values::bytes(value.as_ref())
                    .map_err(|why| self.source.wrong(&value, why, values::EXPECTED_BYTES))
            });
            Ok(Stored {
                node: self.node(&entry.node)?,
                plugin: entry.plugin,
                key: entry.key,
                value: value.transpose()?,
            })
        });
        let refuse = expect.refuses_to_start.iter().map(|name| self.node(name));
        Ok(Expected {
            set_ups,
            failed: expect.failed.iter().map(run).collect::<Result<_, _>>()?,
            refuses_to_start: refuse.collect::<Result<_, _>>()?,
            store: store.collect::<Result<_, _>>()?,
        })
    }

    fn set_ups(&self, set_ups: &Spanned<toml::Value>) -> Result<SetUps, ScenarioError> {
        let wrong = |why: String| {
            let todo = "write \"all\", \"healed\" or a list of runs";
            self.source.wrong(set_ups, why, todo)
        };
        match set_ups.as_ref() {
            toml::Value::String(word) if word == "all" => Ok(SetUps::All),
            toml::Value::String(word) if word == "healed" => Ok(SetUps::Healed),
            toml::Value::Array(names) => {
                let names = names.iter().map(|name| {
                    let name = name
                        .as_str()
                        .ok_or_else(|| wrong(format!("{name} is no name")))?;
                    name.parse()
                        .map_err(|error| wrong(format!("{name:?}: {error}")))
                });
                Ok(SetUps::Named(names.collect::<Result<_, _>>()?))
            }
            other => Err(wrong(format!("{other} names no set-ups"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Scenario, ScenarioError> {
        Scenario::parse(text, Path::new("/scenarios"))
    }

    #[test]
    fn names_the_line_that_is_wrong_and_what_to_write() {
        for (lines, line, todo) in [
            (&["nodes = 1"][..], 1, "from 2 to 1000"),
            (&["nodes = [\"a\", \"a\"]"], 1, "a list of names"),
            (&["nodes = 2", "heals = \"1s\""], 2, "correct that line"),
            (&["nodes = 2", "heal = \"1.5s\""], 2, "500ms"),
            (&["nodes = 2", "[faults]", "dorp = 0.1"], 3, "--help"),
            (&["nodes = 2", "[faults]", "drop = 2"], 3, "--help"),
            (
                &[
                    "nodes = 2",
                    "[[start]]",
                    "at = \"1s\"",
                    "set-up = \"rsa\"",
                    "run = \"r\"",
                ],
                4,
                "dh",
            ),
            (
                &[
                    "nodes = 2",
                    "[[start]]",
                    "at = \"1s\"",
                    "set-up = \"dh\"",
                    "run = \"r\"",
                    "parties = [\"node-0\"]",
                ],
                6,
                "two parties",
            ),
            (
                &[
                    "nodes = 2",
                    "[[ask]]",
                    "at = \"1s\"",
                    "from = \"node-0\"",
                    "to = \"node-0\"",
                    "kind = \"K\"",
                ],
                5,
                "another node",
            ),
            (
                &[
                    "nodes = 2",
                    "[[ask]]",
                    "at = \"1s\"",
                    "from = \"node-0\"",
                    "to = \"node-7\"",
                    "kind = \"K\"",
                ],
                5,
                "the nodes are node-0, node-1",
            ),
            (
                &[
                    "nodes = 2",
                    "[[fault]]",
                    "at = \"1s\"",
                    "kind = \"fire\"",
                    "for = \"1s\"",
                ],
                4,
                "kill",
            ),
            (
                &["nodes = 2", "[[hit]]", "fault = \"drop\""],
                2,
                "message = NUMBER",
            ),
            (
                &["nodes = 2", "[[hit]]", "message = 1", "fault = \"dup\""],
                4,
                "later = TIME",
            ),
            (
                &["nodes = 2", "[[plugin]]", "enabled = false"],
                2,
                "built-in",
            ),
            (
                &["nodes = 2", "[[plugin]]", "built-in = \"votes\""],
                3,
                "key-request",
            ),
            (
                &[
                    "nodes = 2",
                    "[[plugin]]",
                    "file = \"p\"",
                    "grants = [\"all\"]",
                ],
                4,
                "store",
            ),
            (
                &[
                    "nodes = 2",
                    "[[plugin]]",
                    "file = \"p\"",
                    "limits = { memory-mib = 0 }",
                ],
                4,
                "range",
            ),
            (
                &["nodes = 2", "[expect]", "set-ups = \"most\""],
                3,
                "healed",
            ),
        ] {
            let text = lines.join("\n");
            let error = parse(&text).expect_err(&text);
            assert_eq!(error.line, line, "{text}: {error}");
            assert!(error.todo.contains(todo), "{text}: {}", error.todo);
        }
    }

    #[test]
    fn a_plugins_file_is_beside_its_scenario() {
        let scenario = parse("nodes = 2\n[[plugin]]\nfile = \"p.wasm\"").expect("read");

        let beside = PathBuf::from("/scenarios/p.wasm");
        assert_eq!(scenario.plugins[0].component, Component::File(beside));
    }
}
