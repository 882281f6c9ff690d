use std::fmt;
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;

use super::{Output, Problem, page, replay};
use crate::report::{self, Report};

/// Show what happened in a recorded run: what broke, and each message from who made it to what became of it.
#[derive(Debug, Args)]
#[command(
    name = "report",
    after_help = "The page of --html and -o html is one file that asks for nothing else: open it in a browser, or pass it on.\n\nExample:\n  backchannel report run.trace\n  backchannel report run.trace --html run.html\n  backchannel report run.trace -o html > run.html\n\nExit codes: 0 shown, also when something broke in the run; 3 the trace cannot be read, or the page not written."
)]
pub(super) struct ReportCommand {
    /// What was recorded, by `sim`, `test`, a fuzzer or a node.
    trace: PathBuf,
    /// Write it as a page to look at in a browser; only the summary is printed.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

/// A report as programs get it.
#[derive(Serialize)]
struct Shown {
    ok: bool,
    #[serde(flatten)]
    report: Report,
}

/// A report that was written as a page.
#[derive(Serialize)]
struct Written<'a> {
    ok: bool,
    page: &'a Path,
    title: &'a str,
    verdict: &'a str,
    findings: &'a [report::Finding],
    #[serde(skip)]
    head: String,
}

impl ReportCommand {
    pub(super) fn run(self, output: Output) -> Result<(), Problem> {
        let report = Report::of(&replay::read(&self.trace)?);
        if let Some(file) = &self.html {
            page::write(&report, file)?;
        }
        match (output.format(), &self.html) {
            (None, _) => page::show(&report),
            (Some(format), None) => format.show(&Shown { ok: true, report }),
            (Some(format), Some(page)) => format.show(&Written {
                ok: true,
                page,
                title: &report.about.title,
                verdict: &report.verdict,
                findings: &report.findings,
                head: report.head(),
            }),
        }
        Ok(())
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.report.fmt(f)
    }
}

impl fmt::Display for Written<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.head)?;
        write!(f, "{:<10} {}", "page", self.page.display())
    }
}
