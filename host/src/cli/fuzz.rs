use std::fmt;
use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Args;
use serde::Serialize;

use super::output::{foreign, with_progress};
use super::{Exit, Format, Problem, replay, tried};
use crate::fuzz::{Findings, Fuzzer};
use crate::trace::{Header, Made, Writer};

/// Inputs between two looks at the clock.
const AT_A_TIME: u64 = 100;

/// Feed a plugin messages that nobody means well with, and report traps, limits and whatever is not the same twice.
#[derive(Debug, Args)]
#[command(
    after_help = "Each input is run twice, in a fresh instance, within the plugin's limits. Exits with 1 when something is found.\n\nExample:\n  backchannel fuzz my-handler.wasm --corpus run.trace --seconds 60\n  backchannel replay fuzz.trace --plugin my-handler.wasm"
)]
pub(super) struct Fuzz {
    /// A component, a bundle, or the name of a built-in plugin.
    plugin: String,
    /// Recorded sessions of the plugin, to be changed.
    #[arg(long, value_name = "TRACE", num_args = 1..)]
    corpus: Vec<PathBuf>,
    /// How many inputs.
    #[arg(long, default_value_t = 10_000, conflicts_with = "seconds")]
    inputs: u64,
    /// For how long, in place of a number.
    #[arg(long)]
    seconds: Option<u64>,
    /// The same seed makes the same inputs.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Where findings are written, to be replayed.
    #[arg(long, value_name = "TRACE", default_value = "fuzz.trace")]
    record: PathBuf,
}

#[derive(Serialize)]
struct Fuzzed {
    ok: bool,
    plugin: String,
    seed: u64,
    inputs: u64,
    treated: u64,
    findings: Vec<Found>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trace: Option<PathBuf>,
}

#[derive(Serialize)]
struct Found {
    what: String,
    why: String,
    times: u64,
    about: String,
}

impl Fuzz {
    pub(super) async fn run(self, format: Format) -> Result<(), Problem> {
        let plugin = self.plugin.clone();
        // Instances have a runtime of their own.
        let fuzzing = tokio::task::spawn_blocking(move || self.fuzz());
        let fuzzed = match with_progress("fuzzing", fuzzing).await {
            Ok(fuzzed) => fuzzed?,
            Err(panic) => std::panic::resume_unwind(panic.into_panic()),
        };
        format.show(&fuzzed);
        let (Some(first), Some(trace)) = (fuzzed.findings.first(), &fuzzed.trace) else {
            return Ok(());
        };
        Err(Problem::new(
            Exit::Failed,
            format!("{} things were found", fuzzed.findings.len()),
            format!("{}: {}", first.what, first.why),
            format!(
                "see it happen: backchannel replay {} --plugin {plugin}",
                trace.display()
            ),
        )
        .beside_result())
    }

    fn fuzz(self) -> Result<Fuzzed, Problem> {
        let runtime = tried::runtime()?;
        let plugin = tried::plugin(&runtime, &self.plugin)?;
        let mut corpus = Vec::new();
        for path in &self.corpus {
            corpus.extend(replay::read(path)?.sessions);
        }
        let name = plugin.name().to_owned();
        let mut fuzzer = Fuzzer::new(plugin, &corpus, self.seed);
        let until = self
            .seconds
            .map(|seconds| Instant::now() + Duration::from_secs(seconds));
        loop {
            let left = match until {
                Some(until) if Instant::now() < until => AT_A_TIME,
                Some(_) => 0,
                None => AT_A_TIME.min(self.inputs - fuzzer.inputs),
            };
            if left == 0 {
                break;
            }
            fuzzer.run(left).map_err(|error| {
                let todo = "report it: this is not the plugin's doing";
                Problem::new(Exit::Failed, "the fuzzer cannot go on", error, todo)
            })?;
        }
        let findings = fuzzer.findings.iter().map(|finding| Found {
            what: finding.what.to_string(),
            why: foreign(&finding.why),
            times: finding.times,
            about: foreign(&finding.session.work.to_string()),
        });
        let findings: Vec<_> = findings.collect();
        let trace = (!findings.is_empty()).then(|| self.record.clone());
        if let Some(path) = &trace {
            write(path, &fuzzer.findings).map_err(|error| {
                let what = format!("{} cannot be written", path.display());
                Problem::new(Exit::Input, what, error, "name another file with --record")
            })?;
        }
        Ok(Fuzzed {
            ok: findings.is_empty(),
            plugin: foreign(&name),
            seed: self.seed,
            inputs: fuzzer.inputs,
            treated: fuzzer.treated,
            findings,
            trace,
        })
    }
}

fn write(path: &Path, findings: &Findings) -> std::io::Result<()> {
    let file = BufWriter::new(File::create(path)?);
    let mut writer = Writer::new(file, &Header::of_this_build(Made::Fuzz))?;
    for (at, finding) in findings.iter().enumerate() {
        if at == 0 {
            writer.plugin(finding.plugin.clone())?;
        }
        writer.session(finding.session.clone())?;
    }
    writer.end().map(drop)
}

impl fmt::Display for Fuzzed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "plugin    {}", self.plugin)?;
        writeln!(
            f,
            "inputs    {}, seed {}, each run twice",
            self.inputs, self.seed
        )?;
        writeln!(f, "treated   {}; the others were declined", self.treated)?;
        for found in &self.findings {
            writeln!(f, "\n{}, {} times: {}", found.what, found.times, found.why)?;
            writeln!(f, "  at {}", found.about)?;
        }
        match &self.trace {
            None => write!(f, "found     nothing"),
            Some(trace) => write!(f, "\nrecorded  {}", trace.display()),
        }
    }
}
