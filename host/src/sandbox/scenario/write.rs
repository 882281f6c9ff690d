//! A [`Scenario`] as the text that [`Scenario::parse`] reads.

use std::fmt;
use std::path::Path;

use super::values::{self, quoted};
use super::{Ask, Component, Expected, Holding, Role, Scenario, SetUps, Start, Suite, numbered};
use crate::inputs::{Kind, Source};
use crate::message::{NodeId, SecaggId};
use crate::sandbox::faults::{Fate, Planned};
use crate::sandbox::hits::{Hit, Which};
use crate::sandbox::times::shown;

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.nodes == numbered(self.nodes.len()) {
            writeln!(f, "nodes = {}", self.nodes.len())?;
        } else {
            writeln!(f, "nodes = {}", list(self.nodes.iter().map(NodeId::as_str)))?;
        }
        if let Suite::Secure(suite) = self.suite {
            writeln!(f, "suite = {}", suite.number())?;
        }
        writeln!(f, "heal = \"{}\"", shown(self.heal))?;
        self.plugins.iter().try_for_each(|role| role.write(f))?;
        self.starts.iter().try_for_each(|start| start.write(f))?;
        self.runs.iter().try_for_each(|run| run.write(f))?;
        self.asks.iter().try_for_each(|ask| ask.write(f))?;
        self.write_faults(f)?;
        for planned in &self.accidents {
            self.write_accident(planned, f)?;
        }
        self.hits.iter().try_for_each(|hit| hit.write(f))?;
        self.expect.write(f)
    }
}

impl Scenario {
    fn write_faults(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let faults = self.faults.to_string();
        if faults.is_empty() {
            return Ok(());
        }
        writeln!(f, "\n[faults]")?;
        for fault in faults.split(',') {
            let (name, value) = fault.split_once('=').unwrap_or((fault, ""));
            // Spans of time are texts, the rest are numbers.
            match value.parse::<f64>() {
                Ok(_) => writeln!(f, "{name} = {value}")?,
                Err(_) => writeln!(f, "{name} = {}", quoted(value))?,
            }
        }
        Ok(())
    }

    fn write_accident(&self, planned: &Planned, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\n[[fault]]")?;
        writeln!(f, "at = \"{}\"", shown(planned.at))?;
        writeln!(f, "kind = \"{}\"", planned.accident.name())?;
        let node = self.nodes.get(planned.node % self.nodes.len().max(1));
        if let Some(node) = node.filter(|_| !planned.accident.is_of_relay()) {
            writeln!(f, "node = {}", quoted(node.as_str()))?;
        }
        writeln!(f, "for = \"{}\"", shown(planned.lasting))?;
        writeln!(f, "draw = \"{:x}\"", planned.draw)
    }
}

impl Role {
    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\n[[plugin]]")?;
        match &self.component {
            Component::BuiltIn(name) => writeln!(f, "built-in = {}", quoted(name))?,
            Component::File(path) => {
                writeln!(f, "file = {}", quoted(&path.display().to_string()))?;
            }
        }
        if let Some(nodes) = &self.nodes {
            writeln!(f, "nodes = {}", list(nodes.iter().map(NodeId::as_str)))?;
        }
        if let Some(grants) = &self.grants {
            writeln!(
                f,
                "grants = {}",
                list(grants.iter().map(|grant| grant.name()))
            )?;
        }
        if !self.limits.is_empty() {
            let limits = self.limits.iter();
            let limits = limits.map(|(limit, value)| format!("{} = {value}", limit.name()));
            let limits: Vec<_> = limits.collect();
            writeln!(f, "limits = {{ {} }}", limits.join(", "))?;
        }
        if !self.enabled {
            writeln!(f, "enabled = false")?;
        }
        self.inputs.iter().try_for_each(|holding| holding.write(f))
    }
}

impl Holding {
    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "[[plugin.inputs]]")?;
        writeln!(f, "name = {}", quoted(self.name.as_str()))?;
        if let Some(nodes) = &self.nodes {
            writeln!(f, "nodes = {}", list(nodes.iter().map(NodeId::as_str)))?;
        }
        let input = &self.input;
        writeln!(f, "kind = {}", quoted(input.kind.name()))?;
        let file = |f: &mut fmt::Formatter<'_>, path: &Path| {
            writeln!(f, "file = {}", quoted(&path.display().to_string()))
        };
        match &input.source {
            Source::Column { file: path, column } => {
                file(f, path)?;
                writeln!(f, "column = {}", quoted(column))?;
            }
            Source::Vector(path) => file(f, path)?,
            Source::Ramp { count, .. } => writeln!(f, "ramp = {count}")?,
            Source::Values(values) => {
                let values = values.iter().map(String::as_str);
                match input.kind {
                    Kind::Ids => writeln!(f, "values = {}", list(values))?,
                    Kind::Numbers => {
                        let values: Vec<_> = values.collect();
                        writeln!(f, "values = [{}]", values.join(", "))?;
                    }
                }
            }
        }
        writeln!(f, "min-rows = {}", input.least_rows())
    }
}

impl Start {
    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\n[[start]]")?;
        writeln!(f, "at = \"{}\"", shown(self.at))?;
        writeln!(f, "set-up = \"{}\"", self.scheme.name())?;
        writeln!(f, "run = {}", quoted(self.run.as_str()))?;
        match &self.parties {
            Some(parties) => {
                writeln!(f, "parties = {}", list(parties.iter().map(NodeId::as_str)))
            }
            None => Ok(()),
        }
    }
}

impl Ask {
    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\n[[ask]]")?;
        writeln!(f, "at = \"{}\"", shown(self.at))?;
        writeln!(f, "from = {}", quoted(self.from.as_str()))?;
        writeln!(f, "to = {}", quoted(self.to.as_str()))?;
        writeln!(f, "kind = {}", quoted(&self.kind))?;
        if let Some(fields) = values::written(&self.fields) {
            writeln!(f, "fields = {fields}")?;
        }
        if self.times != 1 {
            writeln!(f, "times = {}", self.times)?;
            writeln!(f, "every = \"{}\"", shown(self.every))?;
        }
        if self.until_answered {
            writeln!(f, "until-answered = true")?;
        }
        match self.outcome {
            Some(outcome) => writeln!(f, "outcome = \"{}\"", outcome.name()),
            None => Ok(()),
        }
    }
}

impl Hit {
    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\n[[hit]]")?;
        match &self.which {
            Which::Number(n) => writeln!(f, "message = {n}")?,
            Which::Like {
                kind,
                from,
                to,
                nth,
            } => {
                writeln!(f, "kind = {}", quoted(kind))?;
                for (name, node) in [("from", from), ("to", to)] {
                    if let Some(node) = node {
                        writeln!(f, "{name} = {}", quoted(node.as_str()))?;
                    }
                }
                writeln!(f, "nth = {nth}")?;
            }
        }
        writeln!(f, "fault = \"{}\"", self.fate.name())?;
        match self.fate {
            Fate::Dropped => Ok(()),
            Fate::Duplicated(later) | Fate::Delayed(later) => {
                writeln!(f, "later = \"{}\"", shown(later))
            }
            Fate::Corrupted { at, by } => writeln!(f, "byte = {at}\nadd = {by}"),
            Fate::Overtaken { by } => writeln!(f, "behind = {by}"),
        }
    }
}

impl Expected {
    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::default() {
            return Ok(());
        }
        writeln!(f, "\n[expect]")?;
        match &self.set_ups {
            SetUps::Healed => {}
            SetUps::All => writeln!(f, "set-ups = \"all\"")?,
            SetUps::Named(runs) => {
                writeln!(f, "set-ups = {}", list(runs.iter().map(SecaggId::as_str)))?;
            }
        }
        if !self.failed.is_empty() {
            writeln!(
                f,
                "failed = {}",
                list(self.failed.iter().map(SecaggId::as_str))
            )?;
        }
        if !self.refuses_to_start.is_empty() {
            let nodes = self.refuses_to_start.iter().map(NodeId::as_str);
            writeln!(f, "refuses-to-start = {}", list(nodes))?;
        }
        for stored in &self.store {
            writeln!(f, "\n[[expect.store]]")?;
            writeln!(f, "node = {}", quoted(stored.node.as_str()))?;
            writeln!(f, "plugin = {}", quoted(&stored.plugin))?;
            writeln!(f, "key = {}", quoted(&stored.key))?;
            if let Some(value) = &stored.value {
                writeln!(f, "value = {}", values::written_bytes(value))?;
            }
        }
        Ok(())
    }
}

/// Texts in a list.
pub(super) fn list<'a>(texts: impl Iterator<Item = &'a str>) -> String {
    let texts: Vec<_> = texts.map(quoted).collect();
    format!("[{}]", texts.join(", "))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// Says everything that can be said.
    const FULL: &str = r#"nodes = ["a", "b", "c"]
suite = 2
heal = "90s"

[[plugin]]
file = "/plugins/votes.wasm"
nodes = ["a", "b"]
grants = ["log", "store"]
limits = { host-calls = 7 }

[[plugin]]
built-in = "key-request"
enabled = false

[[start]]
at = "1s"
set-up = "server-key"
run = "key-1"
parties = ["a", "b"]

[[run]]
at = "2s"
protocol = "sums"
run = "sum-1"
parties = ["a", "b"]
params = { "input" = "values" }
outcome = { "a" = "done", "b" = "failed" }
result = { "sum" = [1.0, 2.5], "of" = 2 }
alike = ["random"]
sum-of = "values"
blames = ["c"]

[[run]]
at = "3s"
protocol = "sums"
run = "sum-2"
params = {  }
outcome = "done"
blames = []

[[ask]]
at = "2s"
from = "a"
to = "b"
kind = "VoteRequest"
fields = { "vote" = "x" }
times = 3
every = "250ms"
until-answered = true
outcome = "answered"

[faults]
drop = 0.1
delayed = 0.2
delay = "50ms..2s"
kill = 2

[[fault]]
at = "10s"
kind = "partition"
node = "b"
for = "30s"
draw = "ff00000000000001"

[[fault]]
at = "20s"
kind = "slow-relay"
for = "1s"
draw = "0"

[[hit]]
message = 12
fault = "dup"
later = "1500001us"

[[hit]]
kind = "KeyReply"
from = "a"
nth = 2
fault = "corrupt"
byte = 7
add = 3

[expect]
set-ups = ["key-1"]
failed = ["dh-1"]
refuses-to-start = ["c"]

[[expect.store]]
node = "a"
plugin = "votes"
key = "count"
value = { hex = "01" }

[[expect.store]]
node = "a"
plugin = "votes"
key = "none"
"#;

    #[test]
    fn writes_what_it_reads() {
        let scenario = Scenario::parse(FULL, Path::new("")).expect("read");
        assert_eq!(scenario.to_string(), FULL);

        let least = Scenario::parse("nodes = 2", Path::new("")).expect("read");
        assert_eq!(least.to_string(), "nodes = 2\nheal = \"2min\"\n");
    }

    #[test]
    fn what_a_command_line_asks_for_is_a_scenario_too() {
        let faults = "drop=0.1,delay=1s..2s,kill=1,full=2".parse().expect("read");
        let scenario = Scenario::of(5, faults);

        let again = Scenario::parse(&scenario.to_string(), Path::new(""));
        assert_eq!(again, Ok(scenario));
    }
}
