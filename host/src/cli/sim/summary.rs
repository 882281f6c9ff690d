use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::Named;
use crate::cli::output::{foreign, in_shell};
use crate::cli::written::{Kind, Target};
use crate::sandbox::{Shrunk, Verdict};

/// What came of all runs.
#[derive(Serialize)]
pub(super) struct Summary {
    pub(super) ok: bool,
    /// Their files, if they have some.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    scenarios: Vec<String>,
    nodes: usize,
    seeds: u64,
    pub(super) runs: usize,
    /// Runs that were run again, to see whether they are the same.
    twice: usize,
    set_ups: usize,
    set_ups_done: usize,
    asks: usize,
    asks_answered: usize,
    protocols: usize,
    protocols_done: usize,
    injected: BTreeMap<&'static str, u64>,
    pub(super) failed: Vec<Failed>,
    /// How many runs failed, those that are not shown among them.
    pub(super) failures: usize,
    /// SHA-256 of what happened, for a single run.
    #[serde(skip_serializing_if = "Option::is_none")]
    hash: Option<String>,
    /// What happened in a single run, line by line.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) trace: Vec<String>,
    /// And where its page is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) page: Option<PathBuf>,
}

/// A run that broke something.
#[derive(Serialize)]
pub(super) struct Failed {
    #[serde(skip_serializing_if = "Option::is_none")]
    scenario: Option<String>,
    seed: u64,
    pub(super) broken: Vec<String>,
    /// The shortest scenario that breaks it, as it is in the file.
    shortest: String,
    /// How many runs it took to find it.
    tried: usize,
    /// The file, or why there is none.
    file: Result<String, String>,
    /// The command that runs the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    again: Option<String>,
}

impl Failed {
    /// Writes the shortest scenario to a file in the current directory, of a name that the next run of this seed has too.
    pub(super) fn of(scenario: Option<&str>, verdict: &Verdict, shrunk: &Shrunk) -> Self {
        let seed = verdict.seed;
        let file = format!("{}-seed-{seed}.toml", scenario.unwrap_or("sim"));
        let mut shortest = format!("{}{seed}:\n", Kind::Scenario.start());
        let broken = shrunk.verdict.violations.iter();
        let broken: Vec<_> = broken.map(|broken| foreign(&broken.to_string())).collect();
        for broken in &broken {
            shortest.push_str(&format!("# {broken}\n"));
        }
        shortest.push_str(&shrunk.scenario.to_string());
        let path = Path::new(&file);
        let written = Target::of(path, Kind::Scenario)
            .and_then(|target| target.write(|out| out.write_all(shortest.as_bytes())));
        let again = |file: &str| {
            let file = in_shell(file);
            format!("backchannel sim --scenario {file} --seed {seed} --trace")
        };
        Self {
            scenario: scenario.map(str::to_owned),
            seed,
            broken,
            shortest,
            tried: shrunk.tried,
            again: written.is_ok().then(|| again(&file)),
            file: match written {
                Ok(()) => Ok(file),
                Err(problem) => Err(problem.in_a_line()),
            },
        }
    }

    /// How to see it happen.
    pub(super) fn advice(&self) -> String {
        match &self.again {
            Some(again) => format!("see it happen: {again}"),
            None => format!(
                "see it happen: save the shortest scenario, and run it with --seed {} --trace",
                self.seed
            ),
        }
    }
}

impl Summary {
    pub(super) fn of(simulations: &[Named], seeds: u64) -> Self {
        let nodes = simulations
            .iter()
            .map(|named| named.simulation.scenario().nodes.len());
        let names = simulations.iter().filter_map(|named| named.name.clone());
        Self {
            ok: true,
            scenarios: names.collect(),
            nodes: nodes.max().unwrap_or_default(),
            seeds,
            runs: 0,
            twice: 0,
            set_ups: 0,
            set_ups_done: 0,
            asks: 0,
            asks_answered: 0,
            protocols: 0,
            protocols_done: 0,
            injected: BTreeMap::new(),
            failed: Vec::new(),
            failures: 0,
            hash: None,
            trace: Vec::new(),
            page: None,
        }
    }

    pub(super) fn add(&mut self, verdict: &Verdict, twice: bool) {
        self.runs += 1;
        self.twice += usize::from(twice);
        self.set_ups_done += verdict.set_ups.0;
        self.set_ups += verdict.set_ups.1;
        self.asks_answered += verdict.asks.0;
        self.asks += verdict.asks.1;
        self.protocols_done += verdict.protocols.0;
        self.protocols += verdict.protocols.1;
        for (kind, count) in &verdict.injected {
            *self.injected.entry(kind).or_default() += count;
        }
        if self.seeds == 1 {
            self.hash = Some(hex::encode(verdict.hash));
        }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in &self.trace {
            writeln!(f, "{line}")?;
        }
        match self.scenarios.as_slice() {
            [] => writeln!(f, "{} nodes, {} seeds", self.nodes, self.seeds)?,
            names => writeln!(f, "{}, {} seeds", names.join(", "), self.seeds)?,
        }
        writeln!(
            f,
            "set-ups   {} of {} succeeded; those that faults hit may fail, and say so",
            self.set_ups_done, self.set_ups
        )?;
        if self.asks > 0 {
            writeln!(
                f,
                "requests  {} of {} answered",
                self.asks_answered, self.asks
            )?;
        }
        if self.protocols > 0 {
            writeln!(
                f,
                "protocols {} of {} had a result",
                self.protocols_done, self.protocols
            )?;
        }
        let injected: Vec<_> = self
            .injected
            .iter()
            .map(|(kind, count)| format!("{count} {kind}"))
            .collect();
        let injected = match injected.as_slice() {
            [] => "none".into(),
            injected => injected.join(", "),
        };
        writeln!(f, "faults    {injected}")?;
        if self.twice > 0 {
            writeln!(
                f,
                "twice     {} of {} runs, to compare",
                self.twice, self.runs
            )?;
        }
        if let Some(hash) = &self.hash {
            writeln!(f, "run       {hash}")?;
        }
        if let Some(page) = &self.page {
            writeln!(f, "page      {}", page.display())?;
        }
        for failed in &self.failed {
            write!(f, "{failed}")?;
        }
        match self.failures {
            0 => write!(f, "broken    nothing"),
            failures => write!(f, "broken    in {failures} of {} runs", self.runs),
        }
    }
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scenario = self.scenario.as_deref().map(|name| format!("{name}, "));
        writeln!(
            f,
            "\n{}seed {} broke",
            scenario.unwrap_or_default(),
            self.seed
        )?;
        for broken in &self.broken {
            writeln!(f, "  {broken}")?;
        }
        writeln!(
            f,
            "the shortest scenario that does, of {} tried:",
            self.tried
        )?;
        for line in self.shortest.lines() {
            writeln!(f, "  {line}")?;
        }
        match (&self.file, &self.again) {
            (Ok(file), Some(again)) => writeln!(f, "in {file}; again: {again}\n"),
            (Ok(why) | Err(why), _) => writeln!(f, "{why}\n"),
        }
    }
}

/// Scenarios as text.
#[derive(Serialize)]
pub(super) struct Shown {
    ok: bool,
    scenarios: Vec<String>,
}

impl Shown {
    pub(super) fn new(scenarios: Vec<String>) -> Self {
        let ok = true;
        Self { ok, scenarios }
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.scenarios.join("\n"))
    }
}
