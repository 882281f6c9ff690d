//! What the plugins did, as a trace.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::Tested;
use crate::cli::Problem;
use crate::cli::written::Target;
use crate::trace::{Header, Made, Plugin, Writer};

/// What was recorded.
#[derive(Serialize)]
pub(super) struct Recorded {
    pub(super) file: PathBuf,
    pub(super) sessions: usize,
    /// Sessions of cases with limits or grants of their own: to a trace a plugin has one set of them.
    pub(super) left_out: usize,
}

/// Writes the file at `path`: the sessions of all cases, in their order.
pub(super) fn write(path: &Path, target: &Target, tested: &[Tested]) -> Result<Recorded, Problem> {
    let mut recorded = Recorded {
        file: path.to_owned(),
        sessions: 0,
        left_out: 0,
    };
    target.write(|out| sessions(out, tested, &mut recorded))?;
    Ok(recorded)
}

fn sessions(out: &mut dyn Write, tested: &[Tested], recorded: &mut Recorded) -> io::Result<()> {
    let cases = || {
        let files = tested.iter();
        files.flat_map(|tested| tested.file.cases().iter().zip(&tested.outcomes))
    };
    // By digest, the terms that cases have which say nothing of them.
    let mut usual: BTreeMap<&str, &Plugin> = BTreeMap::new();
    for own_limits in [false, true] {
        for (_, outcome) in cases().filter(|(case, _)| case.has_own_limits() == own_limits) {
            for (plugin, _) in &outcome.sessions {
                usual.entry(&plugin.digest).or_insert(plugin);
            }
        }
    }
    let mut writer = Writer::new(out, &Header::of_this_build(Made::Test))?;
    for plugin in usual.values() {
        writer.plugin((*plugin).clone())?;
    }
    for (plugin, session) in cases().flat_map(|(_, outcome)| &outcome.sessions) {
        if usual.get(plugin.digest.as_str()) == Some(&plugin) {
            writer.session(session.clone())?;
            recorded.sessions += 1;
        } else {
            recorded.left_out += 1;
        }
    }
    writer.end().map(drop)
}
