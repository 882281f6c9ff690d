//! Reports as pages for a browser: one file that asks for nothing else.

use std::path::Path;

use super::Problem;
use super::output::print;
use super::written::{Kind, Target};
use crate::report::Report;

/// Writes a report as a page, in place of an earlier one.
pub(super) fn write(report: &Report, to: &Path) -> Result<(), Problem> {
    Target::of(to, Kind::Page)?.write(|out| out.write_all(report.to_html().as_bytes()))
}

/// Shows a report as a page, on standard output.
pub(super) fn show(report: &Report) {
    print(&report.to_html());
}
