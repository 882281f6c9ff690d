//! Reports as pages for a browser: one file that asks for nothing else.

use std::fs;
use std::io::{self, Read};
use std::path::Path;

use super::output::print;
use super::{Exit, Problem};
use crate::report::Report;

/// The beginning of every page that is written, and so of those that may be written anew.
const PAGE: &[u8] = b"<!doctype html>";

/// Writes a report as a page, in place of an earlier one.
pub(super) fn write(report: &Report, to: &Path) -> Result<(), Problem> {
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

/// Shows a report as a page, on standard output.
pub(super) fn show(report: &Report) {
    print(&report.to_html());
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
