use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use clap::Args;
use serde::Serialize;

use super::output::with_progress;
use super::{Exit, Format, Problem};
use crate::handlers::{PluginSet, Runtime};
use crate::report::Report;
use crate::sandbox::{self, Faults, Simulation, Verdict};

/// Failing seeds that are shown, each with its shortest run.
const MOST_SHOWN: usize = 3;

/// Run whole networks in this process, with faults, and check what must hold.
#[derive(Debug, Args)]
#[command(after_help = examples())]
pub(super) struct Sim {
    /// How many nodes.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(2..=1000))]
    nodes: u64,
    /// The first seed, and the only one without --seeds. The same seed gives the same run.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many seeds, from the first on.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    seeds: u64,
    /// What may go wrong [default: some of everything].
    #[arg(long, value_name = "LIST", value_parser = faults, default_value = "drop=0.05,dup=0.05,corrupt=0.02,delay=10ms..20s,delayed=0.2,kill=1,power=1,partition=1,relay=1,full=1")]
    fault: Faults,
    /// Show what happened in a run, line by line.
    #[arg(long, conflicts_with = "seeds")]
    trace: bool,
}

fn examples() -> String {
    format!(
        "Example:\n  backchannel sim --nodes 3 --seeds 100\n  backchannel sim --nodes 5 --seed 7 --fault drop=0.1,delay=50ms..2s,kill=2 --trace\n\nFaults, {}",
        Faults::explained()
    )
}

fn faults(text: &str) -> Result<Faults, String> {
    text.parse::<Faults>().map_err(|error| error.to_string())
}

/// What came of all runs.
#[derive(Serialize)]
struct Summary {
    ok: bool,
    nodes: u64,
    seeds: u64,
    set_ups: usize,
    set_ups_done: usize,
    injected: BTreeMap<&'static str, u64>,
    failed: Vec<Failed>,
    /// How many seeds failed, those that are not shown among them.
    failures: usize,
    /// SHA-256 of what happened, for a single seed.
    #[serde(skip_serializing_if = "Option::is_none")]
    hash: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    trace: Vec<String>,
}

/// A run that broke something.
#[derive(Serialize)]
struct Failed {
    seed: u64,
    broken: Vec<String>,
    /// The faults that are needed to break it.
    needs: Vec<String>,
    again: String,
}

impl Sim {
    pub(super) async fn run(self, format: Format) -> Result<(), Problem> {
        let doing = format!("simulating {} seeds", self.seeds);
        // Simulations have runtimes of their own.
        let simulated = tokio::task::spawn_blocking(move || self.simulate());
        let summary = match with_progress(&doing, simulated).await {
            Ok(summary) => summary?,
            Err(panic) => std::panic::resume_unwind(panic.into_panic()),
        };
        format.show(&summary);
        let Some(first) = summary.failed.first() else {
            return Ok(());
        };
        Err(Problem::new(
            Exit::Failed,
            format!(
                "{} of {} seeds broke what must hold",
                summary.failures, summary.seeds
            ),
            first.broken.join("; "),
            format!("see it happen: {}", first.again),
        )
        .beside_result())
    }

    fn simulate(self) -> Result<Summary, Problem> {
        let engine = |error: wasmtime::Error| {
            let todo = "raise the limit of address space (ulimit -v)";
            Problem::new(Exit::Failed, "the wasm engine does not start", error, todo)
        };
        let runtime = Runtime::metered().map_err(engine)?;
        let plugins = PluginSet::built_in(&runtime, None).map_err(|error| {
            let todo = error.advice();
            Problem::new(
                Exit::Failed,
                "the built-in plugins do not load",
                error,
                todo,
            )
        })?;
        let simulation = Simulation {
            nodes: usize::try_from(self.nodes).unwrap_or(usize::MAX),
            faults: self.fault.clone(),
        };
        let seeds: Vec<u64> = (0..self.seeds).map(|n| self.seed.wrapping_add(n)).collect();
        let failed = |error: std::io::Error| {
            let todo = "raise the limits of threads and memory";
            Problem::new(Exit::Failed, "the simulation does not start", error, todo)
        };
        let mut summary = Summary::of(&self);
        let mut broken = Vec::new();
        each(
            &seeds,
            |seed| sandbox::simulate(&simulation, &plugins, seed),
            |verdict| {
                summary.add(&verdict, self.trace);
                if !verdict.violations.is_empty() {
                    broken.push(verdict);
                }
            },
        )
        .map_err(failed)?;
        broken.sort_by_key(|verdict| verdict.seed);
        summary.failures = broken.len();
        summary.ok = broken.is_empty();
        for verdict in broken.iter().take(MOST_SHOWN) {
            let shrunk = sandbox::shrink(&simulation, &plugins, verdict).map_err(failed)?;
            summary.failed.push(Failed {
                seed: verdict.seed,
                broken: verdict
                    .violations
                    .iter()
                    .map(|violation| format!("{}: {}", violation.invariant, violation.how))
                    .collect(),
                needs: shrunk.faults,
                again: self.again(verdict.seed),
            });
        }
        Ok(summary)
    }

    /// The command that runs a seed again.
    fn again(&self, seed: u64) -> String {
        format!(
            "backchannel sim --nodes {} --seed {seed} --fault {} --trace",
            self.nodes, self.fault
        )
    }
}

/// Runs all seeds on as many threads as the machine has, and takes the verdicts as they come.
fn each(
    seeds: &[u64],
    run: impl Fn(u64) -> std::io::Result<Verdict> + Sync,
    take: impl FnMut(Verdict) + Send,
) -> std::io::Result<()> {
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let (next, take) = (AtomicU64::new(0), Mutex::new(take));
    std::thread::scope(|scope| {
        let work = || -> std::io::Result<()> {
            loop {
                let n = next.fetch_add(1, Ordering::Relaxed);
                let Some(seed) = usize::try_from(n).ok().and_then(|n| seeds.get(n)) else {
                    return Ok(());
                };
                let verdict = run(*seed)?;
                let mut take = take.lock().unwrap_or_else(PoisonError::into_inner);
                take(verdict);
            }
        };
        let workers: Vec<_> = (0..threads.min(seeds.len()))
            .map(|_| scope.spawn(work))
            .collect();
        workers.into_iter().try_for_each(|worker| {
            worker
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    })
}

impl Summary {
    fn of(sim: &Sim) -> Self {
        Self {
            ok: true,
            nodes: sim.nodes,
            seeds: sim.seeds,
            set_ups: 0,
            set_ups_done: 0,
            injected: BTreeMap::new(),
            failed: Vec::new(),
            failures: 0,
            hash: None,
            trace: Vec::new(),
        }
    }

    fn add(&mut self, verdict: &Verdict, trace: bool) {
        self.set_ups_done += verdict.set_ups.0;
        self.set_ups += verdict.set_ups.1;
        for (kind, count) in &verdict.injected {
            *self.injected.entry(kind).or_default() += count;
        }
        if self.seeds == 1 {
            self.hash = Some(hex::encode(verdict.hash));
        }
        if trace {
            let report = Report::of(&verdict.trace).to_string();
            self.trace = report.lines().map(str::to_owned).collect();
        }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in &self.trace {
            writeln!(f, "{line}")?;
        }
        let injected: Vec<_> = self
            .injected
            .iter()
            .map(|(kind, count)| format!("{count} {kind}"))
            .collect();
        writeln!(f, "{} nodes, {} seeds", self.nodes, self.seeds)?;
        writeln!(
            f,
            "set-ups   {} of {} succeeded; those that faults hit may fail, and say so",
            self.set_ups_done, self.set_ups
        )?;
        writeln!(
            f,
            "faults    {}",
            if injected.is_empty() {
                "none".into()
            } else {
                injected.join(", ")
            }
        )?;
        if let Some(hash) = &self.hash {
            writeln!(f, "run       {hash}")?;
        }
        for failed in &self.failed {
            writeln!(f, "\nseed {} broke", failed.seed)?;
            for broken in &failed.broken {
                writeln!(f, "  {broken}")?;
            }
            writeln!(f, "with these faults alone:")?;
            for needs in &failed.needs {
                writeln!(f, "  {needs}")?;
            }
            writeln!(f, "again: {}", failed.again)?;
        }
        match self.failures {
            0 => write!(f, "broken    nothing"),
            failures => write!(f, "broken    in {failures} seeds"),
        }
    }
}
