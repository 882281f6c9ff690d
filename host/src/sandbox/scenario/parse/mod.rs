//! From the text to a [`Scenario`]: all that can be wrong in the file is found here, with its line.

mod expected;
mod faults;
mod inputs;
mod plugins;
mod runs;

use std::collections::BTreeSet;
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use toml::Spanned;

use super::spans::Source;
use super::tables::{AskTable, StartTable, Written};
use super::values;
use super::{Ask, Ended, HEAL, HEALED, Scenario, ScenarioError, Scheme, Start, Suite, numbered};
use crate::message::{NodeId, SecaggId};

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
        let runs = written.run.into_iter();
        let runs = runs.map(|run| reading.protocol_run(run));
        let asks = written.ask.into_iter().map(|ask| reading.ask(ask));
        let accidents = (0..)
            .zip(written.fault)
            .map(|(n, fault)| reading.accident(n, fault));
        let hits = written.hit.into_iter().map(|hit| reading.hit(hit));
        let mut scenario = Self {
            plugins: plugins.collect::<Result<_, _>>()?,
            starts: starts.collect::<Result<_, _>>()?,
            runs: runs.collect::<Result<_, _>>()?,
            asks: asks.collect::<Result<_, _>>()?,
            faults: reading.faults(written.faults)?,
            accidents: accidents.collect::<Result<_, _>>()?,
            hits: hits.collect::<Result<_, _>>()?,
            suite: suite(source, written.suite.as_ref())?,
            heal: match &written.heal {
                Some(heal) => source.time(heal)?,
                None => HEAL,
            },
            expect: reading.expected(written.expect)?,
            nodes,
        };
        scenario.starts.sort_by_key(|start| start.at);
        scenario.runs.sort_by_key(|run| run.at);
        scenario.accidents.sort_by_key(|planned| planned.at);
        Ok(scenario)
    }
}

fn suite(source: Source<'_>, written: Option<&Spanned<u64>>) -> Result<Suite, ScenarioError> {
    let Some(written) = written else {
        return Ok(Suite::default());
    };
    Suite::of_number(*written.as_ref()).ok_or_else(|| {
        let why = format!("there is no suite {}", written.as_ref());
        source.wrong(written, why, "write 1, 2 or 3".to_owned())
    })
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

    /// A node's place among them.
    fn place(&self, name: &Spanned<String>) -> Result<usize, ScenarioError> {
        let node = self.node(name)?;
        let place = self.nodes.iter().position(|other| *other == node);
        Ok(place.unwrap_or_default())
    }

    fn some_nodes(
        &self,
        names: Option<Vec<Spanned<String>>>,
    ) -> Result<Option<BTreeSet<NodeId>>, ScenarioError> {
        let nodes = names.map(|names| names.iter().map(|name| self.node(name)).collect());
        nodes.transpose()
    }

    fn start(&self, start: StartTable) -> Result<Start, ScenarioError> {
        let schemes = [Scheme::Dh, Scheme::ServerKey].map(|scheme| (scheme.name(), scheme));
        Ok(Start {
            at: self.source.time(&start.at)?,
            scheme: self.source.word(&start.set_up, "set-up", schemes)?,
            run: self.run(&start.run)?,
            parties: self.parties(start.parties)?,
        })
    }

    /// Two nodes or more, each once.
    fn parties(
        &self,
        written: Option<Spanned<Vec<Spanned<String>>>>,
    ) -> Result<Option<Vec<NodeId>>, ScenarioError> {
        let Some(written) = written else {
            return Ok(None);
        };
        let nodes = written.as_ref().iter().map(|name| self.node(name));
        let nodes: Vec<_> = nodes.collect::<Result<_, _>>()?;
        let different: BTreeSet<_> = nodes.iter().collect();
        if nodes.len() < 2 || different.len() < nodes.len() {
            let todo = "name two parties or more, each once";
            return Err(self.source.wrong(&written, "these are no parties", todo));
        }
        Ok(Some(nodes))
    }

    fn run(&self, name: &Spanned<String>) -> Result<SecaggId, ScenarioError> {
        let todo = "write another name";
        if HEALED.iter().any(|(_, own)| own == name.as_ref()) {
            let why = format!("{:?} is begun after healing anyway", name.as_ref());
            return Err(self.source.wrong(name, why, todo));
        }
        self.source.value(name, todo)
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
            until_answered: ask.until_answered,
            outcome: outcome.transpose()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::sandbox::scenario::Component;

    fn parse(text: &str) -> Result<Scenario, ScenarioError> {
        Scenario::parse(text, Path::new("/scenarios"))
    }

    #[test]
    fn names_the_line_that_is_wrong_and_what_to_write() {
        for (lines, line, todo) in [
            (&["nodes = 1"][..], 1, "from 2 to 1000"),
            (&["nodes = [\"a\", \"a\"]"], 1, "a list of names"),
            (&["nodes = 2", "suite = 4"], 2, "write 1, 2 or 3"),
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
                &[
                    "nodes = 2",
                    "[[fault]]",
                    "at = \"1s\"",
                    "kind = \"kill\"",
                    "for = \"1s\"",
                ],
                4,
                "node =",
            ),
            (
                &[
                    "nodes = 2",
                    "[[fault]]",
                    "at = \"1s\"",
                    "kind = \"relay\"",
                    "node = \"node-1\"",
                    "for = \"1s\"",
                ],
                5,
                "line away",
            ),
            (
                &[
                    "nodes = 2",
                    "[[start]]",
                    "at = \"1s\"",
                    "set-up = \"dh\"",
                    "run = \"dh-healed\"",
                ],
                5,
                "another name",
            ),
            (
                &[
                    "nodes = 2",
                    "[[hit]]",
                    "message = 1",
                    "to = \"node-0\"",
                    "fault = \"drop\"",
                ],
                2,
                "NUMBER alone",
            ),
            (
                &[
                    "nodes = 2",
                    "[[hit]]",
                    "kind = \"K\"",
                    "nth = 0",
                    "fault = \"drop\"",
                ],
                4,
                "from 1",
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
