//! What the plugins did, as a trace.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufWriter};
use std::path::Path;

use super::Tested;
use crate::trace::{Header, Made, Writer};

/// Writes the file: the sessions of all cases, in their order.
pub(super) fn write(path: &Path, tested: &[Tested]) -> io::Result<()> {
    let header = Header::of_this_build(Made::Test);
    let mut writer = Writer::new(BufWriter::new(File::create(path)?), &header)?;
    let mut told = BTreeSet::new();
    let outcomes = tested.iter().flat_map(|tested| &tested.outcomes);
    for (plugin, session) in outcomes.flat_map(|outcome| &outcome.sessions) {
        if told.insert(plugin.digest.clone()) {
            writer.plugin(plugin.clone())?;
        }
        writer.session(session.clone())?;
    }
    writer.end().map(|_| ())
}
