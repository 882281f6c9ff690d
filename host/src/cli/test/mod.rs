//! Running the cases of a plugin's author.

mod junit;
mod record;
mod report;

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Args;

use super::chosen::Chosen;
use super::output::{foreign, with_progress};
use super::written::{Kind, Target};
use super::{Format, Problem, cases, tried};
use crate::cases::{Bench, CaseFile, Outcome};
use report::Report;

/// Run the cases that a plugin's author wrote: messages and runs, and what is expected of each.
#[derive(Debug, Args)]
#[command(
    after_help = "How cases are written: guest-handlers/README.md.\n\nExample:\n  backchannel test\n  backchannel test my-handler.wasm\n  backchannel test my-handler.wasm --cases cases/echo.toml --name refuses\n  backchannel test my-handler.wasm --update\n  backchannel test key-request --cases guest-handlers/key-request/cases --junit report.xml"
)]
pub(super) struct Test {
    #[command(flatten)]
    chosen: Chosen,
    /// Draw from this seed, and not from that of the file. The same seed gives the same result.
    #[arg(long)]
    seed: Option<u64>,
    /// Write what came in the place of what was expected and did not. Look at what that changes before you keep it.
    #[arg(long, conflicts_with = "seed")]
    update: bool,
    /// Write the results as JUnit XML, for a machine that builds and tests.
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Write all that the plugin was given and did, for `backchannel replay`.
    #[arg(long, value_name = "TRACE")]
    record: Option<PathBuf>,
}

/// A file of cases and what came of it.
struct Tested {
    file: CaseFile,
    plugin: String,
    outcomes: Vec<Outcome>,
    /// What its file expects otherwise now.
    rewritten: Vec<String>,
}

impl Test {
    pub(super) async fn run(self, format: Format) -> Result<(), Problem> {
        // Cases have a runtime of their own.
        let testing = tokio::task::spawn_blocking(move || self.test());
        let report = match with_progress("running cases", testing).await {
            Ok(report) => report?,
            Err(panic) => std::panic::resume_unwind(panic.into_panic()),
        };
        format.show(&report);
        report.verdict()
    }

    fn test(self) -> Result<Report, Problem> {
        let target = |path: &Option<PathBuf>, kind| {
            let path = path.as_deref();
            path.map(|path| Target::of(path, kind)).transpose()
        };
        let junit = target(&self.junit, Kind::Results)?;
        let record = target(&self.record, Kind::Trace)?;
        let files = self.chosen.files()?;
        let runtime = tried::runtime()?;
        let mut benches = BTreeMap::new();
        let mut tested = Vec::new();
        for file in files {
            let plugin = self.chosen.plugin_of(&file)?;
            if !benches.contains_key(&plugin) {
                benches.insert(plugin.clone(), cases::bench(&runtime, &plugin)?);
            }
            if let Some(bench) = benches.get(&plugin) {
                tested.push(self.test_file(bench, plugin, file)?);
            }
        }
        if let Some(target) = &junit {
            target.write(|out| junit::write(out, &tested))?;
        }
        let recorded = match (&self.record, &record) {
            (Some(path), Some(target)) => Some(record::write(path, target, &tested)?),
            _ => None,
        };
        Ok(Report::of(&tested, recorded))
    }

    fn test_file(&self, bench: &Bench, plugin: String, file: CaseFile) -> Result<Tested, Problem> {
        let outcomes = bench
            .run(&file, self.seed)
            .map_err(|error| cases::problem(&error))?;
        let rewrite = if self.update {
            file.rewritten(&outcomes)
                .map_err(|error| cases::problem(&error))?
        } else {
            None
        };
        let Some(rewrite) = rewrite else {
            return Ok(Tested {
                file,
                plugin,
                outcomes,
                rewritten: Vec::new(),
            });
        };
        // As the file will be, its cases must pass.
        let outcomes = bench.run(&rewrite.file, self.seed);
        let outcomes = outcomes.map_err(|error| cases::problem(&error))?;
        rewrite.save().map_err(|error| cases::problem(&error))?;
        let changed = rewrite.changed.iter();
        Ok(Tested {
            rewritten: changed
                .map(|(case, place)| format!("{}: {place}", foreign(case)))
                .collect(),
            file: rewrite.file,
            plugin,
            outcomes,
        })
    }
}
