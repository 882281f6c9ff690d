use std::fmt;
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args;
use serde::Serialize;

use super::output::{foreign, in_shell, with_progress};
use super::written::{Kind, Target};
use super::{Exit, Format, Problem, cases, replay, tried};
use crate::fuzz::{Findings, Fuzzer};
use crate::handlers::Runtime;
use crate::trace::{Header, Made, Session, Writer};

/// Inputs between two looks at the clock.
const AT_A_TIME: u64 = 100;
/// In seconds.
const YEAR: u64 = 365 * 24 * 60 * 60;

/// Feed a plugin messages that nobody means well with, and report traps, limits and whatever is not the same twice.
#[derive(Debug, Args)]
#[command(
    after_help = "Each input is run twice, in a fresh instance, within the plugin's limits. Exits with 1 when something is found.\n\nExample:\n  backchannel fuzz my-handler.wasm --corpus run.trace --seconds 60\n  backchannel fuzz my-handler.wasm --cases my-handler/cases\n  backchannel replay fuzz.trace --plugin my-handler.wasm"
)]
pub(super) struct Fuzz {
    /// A component, a bundle, or the name of a built-in plugin.
    plugin: String,
    /// Recorded sessions of the plugin, to be changed.
    #[arg(long, value_name = "TRACE", num_args = 1..)]
    corpus: Vec<PathBuf>,
    /// A file of its author's cases, or a folder of them, whose messages and answers are changed too; may be given again.
    #[arg(long, value_name = "PATH")]
    cases: Vec<PathBuf>,
    /// How many inputs.
    #[arg(long, default_value_t = 10_000, conflicts_with = "seconds")]
    inputs: u64,
    /// For how long, in place of a number; up to a year.
    #[arg(long, value_parser = clap::value_parser!(u64).range(..=YEAR))]
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
    /// Sessions of the plugin, of traces and cases, that inputs were made from.
    known: usize,
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
                "see it happen: backchannel replay {} --plugin {}",
                in_shell(&trace.display().to_string()),
                in_shell(&plugin)
            ),
        )
        .beside_result())
    }

    fn fuzz(self) -> Result<Fuzzed, Problem> {
        let target = Target::of(&self.record, Kind::Trace)?;
        let runtime = tried::runtime()?;
        let plugin = tried::plugin(&runtime, &self.plugin, |_| {})?;
        let mut corpus = Vec::new();
        for path in &self.corpus {
            corpus.extend(replay::read(path)?.sessions);
        }
        let name = plugin.name().to_owned();
        if !self.corpus.is_empty() && corpus.iter().all(|session| session.plugin != name) {
            return Err(Problem::new(
                Exit::Input,
                "there is nothing to begin with",
                format!("the corpus has no session of {}", foreign(&name)),
                "record some: `backchannel sim --record`, or `record = true` for the plugin on a node; or leave --corpus out",
            ));
        }
        corpus.extend(self.sessions_of_cases(&runtime)?);
        let mut fuzzer = Fuzzer::new(plugin, &corpus, self.seed).map_err(|error| {
            let todo = "leave the trace out: no build of backchannel has recorded that";
            let why = foreign(&error.to_string());
            Problem::new(Exit::Input, "the corpus cannot be used", why, todo)
        })?;
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
        if trace.is_some() {
            target.write(|out| write(out, &fuzzer.findings))?;
        }
        Ok(Fuzzed {
            ok: findings.is_empty(),
            plugin: foreign(&name),
            seed: self.seed,
            known: fuzzer.known(),
            inputs: fuzzer.inputs,
            treated: fuzzer.treated,
            findings,
            trace,
        })
    }

    /// What the plugin is given in its author's cases, and finds there: they are run once. Whether they hold is of no account.
    fn sessions_of_cases(&self, runtime: &Runtime) -> Result<Vec<Session>, Problem> {
        let mut files = Vec::new();
        for path in &self.cases {
            files.extend(cases::read(path)?);
        }
        if files.is_empty() {
            return match self.cases.as_slice() {
                [] => Ok(Vec::new()),
                given => Err(cases::none(given)),
            };
        }
        let bench = cases::bench(runtime, &self.plugin)?;
        let mut sessions = Vec::new();
        for file in &files {
            let outcomes = bench.run(file, None);
            let outcomes = outcomes.map_err(|error| cases::problem(&error))?;
            let told = outcomes.into_iter().flat_map(|outcome| outcome.sessions);
            sessions.extend(told.map(|(_, session)| session));
        }
        Ok(sessions)
    }
}

fn write(out: &mut dyn Write, findings: &Findings) -> io::Result<()> {
    let mut writer = Writer::new(out, &Header::of_this_build(Made::Fuzz))?;
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
        if self.known > 0 {
            writeln!(
                f,
                "known     {} messages and runs, of traces and cases",
                self.known
            )?;
        }
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
