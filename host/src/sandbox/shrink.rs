//! The shortest failing run: the faults of a broken one, left away one after the other as long as it stays broken.

use std::collections::BTreeMap;
use std::io;

use super::Verdict;
use super::faults::{Fate, Plan, Planned};

/// The most runs that are tried.
const MOST_RUNS: usize = 300;

/// A broken run with fewer faults.
pub struct Shrunk {
    /// The run.
    pub verdict: Verdict,
    /// How many runs were tried.
    pub tried: usize,
    /// What is left of the faults, a line each.
    pub faults: Vec<String>,
}

#[derive(Clone)]
enum Fault {
    Message(u64, Fate),
    Accident(Planned),
}

pub(super) fn shrink(
    broken: &Verdict,
    mut run: impl FnMut(Plan) -> io::Result<Verdict>,
) -> io::Result<Shrunk> {
    let wanted = broken.violations.first().map(|first| first.invariant);
    let accidents = broken.accidents.iter().cloned().map(Fault::Accident);
    let messages = broken
        .hits
        .iter()
        .map(|(n, fate)| Fault::Message(*n, *fate));
    let mut faults: Vec<Fault> = accidents.chain(messages).collect();
    let mut tried = 1;
    // A run with all of them listed, which must break as the drawn one did.
    let mut shortest = run(plan(&faults))?;
    let breaks = |report: &Verdict| {
        report
            .violations
            .iter()
            .any(|violation| Some(violation.invariant) == wanted)
    };
    let mut piece = faults.len().div_ceil(2);
    while piece > 0 && breaks(&shortest) {
        let mut at = 0;
        while at < faults.len() && tried < MOST_RUNS {
            let mut fewer = faults.clone();
            fewer.drain(at..(at + piece).min(faults.len()));
            let report = run(plan(&fewer))?;
            tried += 1;
            if breaks(&report) {
                (faults, shortest) = (fewer, report);
            } else {
                at += piece;
            }
        }
        piece = if piece == 1 { 0 } else { piece.div_ceil(2) };
    }
    let faults = faults.iter().map(|fault| match fault {
        Fault::Accident(planned) => planned.to_string(),
        Fault::Message(n, fate) => format!("message #{n}: {}", fate.name()),
    });
    Ok(Shrunk {
        tried,
        faults: faults.collect(),
        verdict: shortest,
    })
}

fn plan(faults: &[Fault]) -> Plan {
    let mut fates = BTreeMap::new();
    let mut accidents = Vec::new();
    for fault in faults {
        match fault {
            Fault::Message(n, fate) => {
                fates.insert(*n, *fate);
            }
            Fault::Accident(planned) => accidents.push(planned.clone()),
        }
    }
    Plan::of(fates, accidents)
}
