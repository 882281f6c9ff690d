mod at_home;
mod each;
mod summary;

use std::path::{Path, PathBuf};

use clap::Args;

use self::each::each;
use self::summary::{Failed, Shown, Summary};
use super::output::with_progress;
use super::written::{Kind, Target};
use super::{Exit, Output, Problem, page, tried};
use crate::report::Report;
use crate::sandbox::{Faults, Role, Scenario, ScenarioError, Simulation, Stock, Suite};

/// Failing seeds that are shown, each with its shortest run.
const MOST_SHOWN: usize = 3;
/// Of many seeds, every so many-th is run twice, and must give the same run again.
const TWICE: u64 = 20;
/// Without a scenario that says how many.
const NODES: u64 = 3;
/// Some of everything.
const FAULTS: &str = "drop=0.05,dup=0.05,corrupt=0.02,delay=10ms..20s,delayed=0.2,kill=1,power=1,partition=1,relay=1,full=1";

/// Run whole networks in this process, with faults, and check what must hold.
#[derive(Debug, Args)]
#[command(after_help = examples())]
pub(super) struct Sim {
    /// How many nodes [default: 3].
    #[arg(long, value_parser = clap::value_parser!(u64).range(2..=1000), conflicts_with = "scenario")]
    nodes: Option<u64>,
    /// What is to happen; tests/README.md says how to write one. Without, nodes agree on secrets while faults last.
    #[arg(long, value_name = "FILE", num_args = 1..)]
    scenario: Vec<PathBuf>,
    /// In which suite the nodes talk; in 2 and 3 they know each other's identity keys [default: what the scenario says; without one, 1].
    #[arg(long, value_name = "N", value_parser = suite)]
    suite: Option<Suite>,
    /// Components or bundles, in the place of built-in plugins that treat their kinds; each is granted what it declares.
    #[arg(long, value_name = "FILE", num_args = 1..)]
    plugin: Vec<PathBuf>,
    /// The first seed, and the only one without --seeds. The same seed gives the same run.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many seeds, from the first on, of each scenario; up to 10,000,000.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    seeds: u64,
    /// What may go wrong [default: what the scenario says; without one, some of everything].
    #[arg(long, value_name = "LIST", value_parser = faults)]
    fault: Option<Faults>,
    /// Show what happened in a run, line by line.
    #[arg(long)]
    trace: bool,
    /// Write what happened in a run to a file, for `report` and `replay`.
    #[arg(long, value_name = "TRACE")]
    record: Option<PathBuf>,
    /// Write what happened in a run as a page to look at in a browser; -o html prints the page.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Show the scenario, and run nothing.
    #[arg(long, conflicts_with_all = ["trace", "record", "html"])]
    show_scenario: bool,
}

fn examples() -> String {
    format!(
        "Example:\n  backchannel sim --nodes 3 --seeds 100\n  backchannel sim --nodes 5 --seed 7 --fault drop=0.1,delay=50ms..2s,kill=2 --trace\n  backchannel sim --nodes 3 --seed 7 -o html > run.html\n  backchannel sim --scenario votes.toml --plugin counter.wasm --seeds 100\n\nFaults, {}",
        Faults::explained()
    )
}

fn suite(text: &str) -> Result<Suite, String> {
    let number = text.parse().ok();
    number
        .and_then(Suite::of_number)
        .ok_or_else(|| "write 1, 2 or 3".into())
}

fn faults(text: &str) -> Result<Faults, String> {
    text.parse::<Faults>().map_err(|error| error.to_string())
}

/// A scenario by the name of its file; without a file, by none.
struct Named {
    name: Option<String>,
    simulation: Simulation,
}

impl Sim {
    pub(super) async fn run(self, output: Output) -> Result<(), Problem> {
        let scenarios = self.scenarios()?;
        if self.show_scenario {
            return show_scenarios(&scenarios, output);
        }
        if self.record.is_some() || self.is_looked_at(output) {
            self.expect_one_run(scenarios.len())?;
        }
        let doing = format!("simulating {} seeds", self.seeds);
        // Simulations have runtimes of their own.
        let simulated = tokio::task::spawn_blocking(move || self.simulate(scenarios, output));
        let (summary, report) = match with_progress(&doing, simulated).await {
            Ok(simulated) => simulated?,
            Err(panic) => std::panic::resume_unwind(panic.into_panic()),
        };
        match output.format() {
            Some(format) => format.show(&summary),
            None => report.iter().for_each(page::show),
        }
        let Some(first) = summary.failed.first() else {
            return Ok(());
        };
        Err(Problem::new(
            Exit::Failed,
            format!(
                "{} of {} runs broke what must hold",
                summary.failures, summary.runs
            ),
            first.broken.join("; "),
            first.advice(),
        )
        .beside_result())
    }

    /// Whether a run is to be shown, and not only what came of it.
    fn is_looked_at(&self, output: Output) -> bool {
        self.trace || self.html.is_some() || output == Output::Html
    }

    fn expect_one_run(&self, scenarios: usize) -> Result<(), Problem> {
        let why = match (scenarios, self.seeds) {
            (1, 1) => return Ok(()),
            (1, seeds) => format!("there are {seeds} seeds"),
            (scenarios, 1) => format!("there are {scenarios} scenarios"),
            (scenarios, seeds) => format!("there are {scenarios} scenarios, of {seeds} seeds each"),
        };
        let what = "one run is shown or recorded at a time";
        let todo = "name one scenario, and one seed with --seed";
        Err(Problem::new(Exit::Input, what, why, todo))
    }

    /// What is to be simulated, each with its file.
    fn scenarios(&self) -> Result<Vec<(Option<PathBuf>, Scenario)>, Problem> {
        let mut scenarios = Vec::new();
        for file in &self.scenario {
            scenarios.push((Some(file.clone()), read(file)?));
        }
        if scenarios.is_empty() {
            scenarios = self.at_home()?;
        }
        if scenarios.is_empty() {
            let nodes = usize::try_from(self.nodes.unwrap_or(NODES)).unwrap_or(usize::MAX);
            let faults = FAULTS.parse().unwrap_or_default();
            scenarios.push((None, Scenario::of(nodes, faults)));
        }
        for (_, scenario) in &mut scenarios {
            let plugins = self.plugin.iter().map(|file| Role::of_file(absolute(file)));
            scenario.plugins.extend(plugins);
            self.plugin_at_home(scenario)?;
            if let Some(faults) = &self.fault {
                scenario.faults = faults.clone();
            }
            if let Some(suite) = self.suite {
                scenario.suite = suite;
            }
        }
        Ok(scenarios)
    }

    /// What came of all runs; and what happened, if it is one that is looked at.
    fn simulate(
        self,
        scenarios: Vec<(Option<PathBuf>, Scenario)>,
        output: Output,
    ) -> Result<(Summary, Option<Report>), Problem> {
        // Before the run: what is not there yet cannot be written over.
        if let Some(page) = &self.html {
            Target::of(page, Kind::Page)?;
        }
        let record = self.record.as_deref();
        let record = record
            .map(|file| Target::of(file, Kind::Trace))
            .transpose()?;
        let mut stock = Stock::new(tried::runtime()?);
        let mut simulations = Vec::new();
        for (file, scenario) in scenarios {
            let name = file.as_deref().and_then(Path::file_stem);
            let name = name.map(|name| name.to_string_lossy().into_owned());
            let simulation = Simulation::new(scenario, &mut stock).map_err(|error| {
                let todo = error.advice();
                Problem::new(Exit::Input, "a plugin cannot be simulated", error, todo)
            })?;
            simulations.push(Named { name, simulation });
        }
        let failed = |error: std::io::Error| {
            let todo = "raise the limits of threads and memory";
            Problem::new(Exit::Failed, "the simulation does not start", error, todo)
        };
        // All seeds of the first scenario, then all of the next.
        let run = |job: u64| {
            let (at, n) = (job / self.seeds, job % self.seeds);
            let twice = self.seeds > 1 && n.is_multiple_of(TWICE);
            let at = usize::try_from(at).unwrap_or(usize::MAX);
            (at, self.seed.wrapping_add(n), twice)
        };
        let mut summary = Summary::of(&simulations, self.seeds);
        let (mut broken, mut report) = (Vec::new(), None);
        each(
            self.seeds * simulations.len() as u64,
            |job| {
                let (at, seed, twice) = run(job);
                let simulation = &simulations[at].simulation;
                let verdict = if twice {
                    simulation.run_twice(seed)
                } else {
                    simulation.run(seed)
                };
                verdict.map_err(failed)
            },
            |job, mut verdict| {
                let (at, _, twice) = run(job);
                summary.add(&verdict, twice);
                if self.is_looked_at(output) {
                    report = Some(Report::of(&verdict.trace));
                }
                let kept = record
                    .iter()
                    .try_for_each(|target| target.write(|out| verdict.trace.write(out).map(drop)));
                if !verdict.violations.is_empty() {
                    verdict.forget_trace();
                    broken.push((at, verdict));
                }
                kept
            },
        )?;
        if let Some(report) = &report {
            if self.trace {
                summary.trace = report.to_string().lines().map(str::to_owned).collect();
            }
            if let Some(file) = &self.html {
                page::write(report, file)?;
                summary.page = Some(file.clone());
            }
        }
        broken.sort_by_key(|(at, verdict)| (*at, verdict.seed));
        summary.failures = broken.len();
        summary.ok = broken.is_empty();
        for (at, verdict) in broken.iter().take(MOST_SHOWN) {
            let named = &simulations[*at];
            let shrunk = named.simulation.shrink(verdict).map_err(failed)?;
            summary
                .failed
                .push(Failed::of(named.name.as_deref(), verdict, &shrunk));
        }
        Ok((summary, report))
    }
}

fn show_scenarios(
    scenarios: &[(Option<PathBuf>, Scenario)],
    output: Output,
) -> Result<(), Problem> {
    let Some(format) = output.format() else {
        let what = "a scenario cannot be shown as HTML";
        let todo = "leave out -o html, or --show-scenario to run it";
        return Err(Problem::new(Exit::Input, what, "a run has a page", todo));
    };
    let texts = scenarios.iter().map(|(_, scenario)| scenario.to_string());
    format.show(&Shown::new(texts.collect()));
    Ok(())
}

fn read(file: &Path) -> Result<Scenario, Problem> {
    parse(file, &text(file)?)
}

fn text(file: &Path) -> Result<String, Problem> {
    std::fs::read_to_string(file).map_err(|error| {
        let what = format!("{} cannot be read", file.display());
        let todo = "check the name and the permissions";
        Problem::new(Exit::Input, what, error, todo)
    })
}

/// The scenario in `file`, which says `text`.
fn parse(file: &Path, text: &str) -> Result<Scenario, Problem> {
    let folder = absolute(file.parent().unwrap_or(Path::new("")));
    Scenario::parse(text, &folder).map_err(|error| {
        let ScenarioError { line, why, todo } = error;
        let what = format!("{}:{line} cannot be used", file.display());
        Problem::new(Exit::Input, what, why, todo)
    })
}

/// A path that holds wherever a scenario is written to.
fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}
