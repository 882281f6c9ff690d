//! The demo's data: the user's files, or the built-in one dealt out to the nodes.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use crate::cli::{Exit, Problem};

/// See README.md beside this file for source and licence.
const BREAST_CANCER: &str = include_str!("breast_cancer.csv");

/// The column of the built-in data that is averaged.
pub(super) const DEFAULT_COLUMN: &str = "radius_mean";

/// One file per node: the given ones, or the rows of the built-in data dealt out into `folder`.
pub(super) fn deal_out(
    given: &[PathBuf],
    nodes: usize,
    folder: &Path,
) -> Result<Vec<PathBuf>, Problem> {
    if !given.is_empty() {
        return Ok(given.to_vec());
    }
    let mut rows = BREAST_CANCER.lines();
    let names = rows.next().unwrap_or_default();
    let mut files = vec![format!("{names}\n"); nodes];
    for (at, row) in rows.enumerate() {
        // Writing to a String cannot fail.
        let _ = writeln!(files[at % nodes], "{row}");
    }
    files
        .into_iter()
        .enumerate()
        .map(|(at, text)| {
            let path = folder.join(format!("hospital-{}.csv", at + 1));
            std::fs::write(&path, text).map_err(|error| {
                let what = format!("{} cannot be written", path.display());
                Problem::new(Exit::Input, what, error, "check free space and permissions")
            })?;
            Ok(path)
        })
        .collect()
}
