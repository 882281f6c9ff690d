use std::fmt;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;

use super::{Exit, Format, Problem, replay};
use crate::report::{self, Report};

/// The beginning of every page that is written, and so of those that may be written anew.
const PAGE: &[u8] = b"<!doctype html>";

/// Show what happened in a recorded run: what broke, and each message from who made it to what became of it.
#[derive(Debug, Args)]
#[command(
    name = "report",
    after_help = "The page of --html is one file that asks for nothing else: open it in a browser, or pass it on.\n\nExample:\n  backchannel report run.trace\n  backchannel report run.trace --html run.html\n\nExit codes: 0 shown, also when something broke in the run; 3 the trace cannot be read, or the page not written."
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
    pub(super) fn run(self, format: Format) -> Result<(), Problem> {
        let report = Report::of(&replay::read(&self.trace)?);
        let Some(page) = &self.html else {
            format.show(&Shown { ok: true, report });
            return Ok(());
        };
        write_page(&report, page)?;
        format.show(&Written {
            ok: true,
            page,
            title: &report.about.title,
            verdict: &report.verdict,
            findings: &report.findings,
            head: report.head(),
        });
        Ok(())
    }
}

/// Writes a report as a page, in place of an earlier one.
pub(super) fn write_page(report: &Report, to: &Path) -> Result<(), Problem> {
    let what = || format!("the page {} cannot be written", to.display());
    if is_something_else(to) {
        let why = "there is a file of that name, and it is no page";
        let todo = "name another file: this one may be a trace";
        return Err(Problem::new(Exit::Input, what(), why, todo));
    }
    fs::write(to, report.to_html()).map_err(|error| {
        let todo = "check that its folder is there and writable, and that the disk has room";
        Problem::new(Exit::Input, what(), error, todo)
    })
}

/// Whether a file has a content that is not a page.
fn is_something_else(file: &Path) -> bool {
    let content = fs::metadata(file).is_ok_and(|there| there.is_file() && there.len() > 0);
    let start = || -> io::Result<Vec<u8>> {
        let mut start = Vec::new();
        let there = fs::File::open(file)?;
        there.take(PAGE.len() as u64).read_to_end(&mut start)?;
        Ok(start)
    };
    content && start().map_or(true, |start| start != PAGE)
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
