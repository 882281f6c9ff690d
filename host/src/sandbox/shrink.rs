//! The shortest scenario that fails: the parts of one that does, left away one after the other as long as it still fails.

use std::io;

use super::faults::{Fate, Faults, Planned};
use super::hits::{Hit, Which};
use super::scenario::{Ask, Run, Scenario, Start};
use super::{Invariant, Simulation, Verdict, Violation};

/// The most runs that are tried.
const MOST_RUNS: usize = 300;

/// A broken run with less in it.
pub struct Shrunk {
    /// The run.
    pub verdict: Verdict,
    /// How many runs were tried.
    pub tried: usize,
    /// What is left.
    pub scenario: Scenario,
}

/// What can be left away.
#[derive(Clone)]
enum Part {
    Message(u64, Fate),
    Hit(Hit),
    Accident(Planned),
    Ask(Ask),
    Start(Start),
    Run(Run),
}

/// What must be broken still. A scenario expects many things, and with its faults left away another of them would be missed.
fn what(violation: &Violation) -> (Invariant, &str) {
    let expected = violation.invariant == Invariant::Expected;
    let begins = violation.how.split(':').next().filter(|_| expected);
    (violation.invariant, begins.unwrap_or_default())
}

pub(super) fn shrink(simulation: &Simulation, broken: &Verdict) -> io::Result<Shrunk> {
    let wanted = broken.violations.first().map(what);
    let whole = simulation.scenario();
    let keeps = wanted.is_some_and(|(invariant, _)| invariant == Invariant::Expected);
    let mut tried = 0;
    let mut breaks = |parts: &[Part]| -> io::Result<Option<(Scenario, Verdict)>> {
        tried += 1;
        let scenario = with(whole, parts, keeps);
        let verdict = simulation.with(scenario.clone()).run(broken.seed)?;
        let mut found = verdict.violations.iter();
        let same = found.any(|violation| Some(what(violation)) == wanted);
        Ok(same.then_some((scenario, verdict)))
    };
    let mut parts = parts(whole, broken, keeps);
    // All of them listed, which must break as what was drawn did.
    let Some(mut shortest) = breaks(&parts)? else {
        return Ok(Shrunk {
            verdict: simulation.run(broken.seed)?,
            tried: tried + 1,
            scenario: whole.clone(),
        });
    };
    let mut piece = parts.len().div_ceil(2);
    let mut left = MOST_RUNS;
    while piece > 0 {
        let mut at = 0;
        while at < parts.len() && left > 0 {
            left -= 1;
            let mut fewer = parts.clone();
            fewer.drain(at..(at + piece).min(parts.len()));
            match breaks(&fewer)? {
                Some(shorter) => (parts, shortest) = (fewer, shorter),
                None => at += piece,
            }
        }
        piece = if piece == 1 { 0 } else { piece.div_ceil(2) };
    }
    let (scenario, verdict) = shortest;
    Ok(Shrunk {
        verdict,
        tried,
        scenario,
    })
}

/// What happened in a run beside what must.
fn parts(scenario: &Scenario, broken: &Verdict, keeps: bool) -> Vec<Part> {
    let accidents = broken.accidents.iter().cloned().map(Part::Accident);
    let hits = scenario.hits.iter().cloned().map(Part::Hit);
    let drawn = broken.hits.iter().map(|(n, fate)| Part::Message(*n, *fate));
    let faults = accidents.chain(drawn).chain(hits);
    // Without what it is about, an expectation fails too, and shows nothing.
    if keeps {
        return faults.collect();
    }
    let asks = scenario.asks.iter().cloned().map(Part::Ask);
    let starts = scenario.starts.iter().cloned().map(Part::Start);
    let runs = scenario.runs.iter().cloned().map(Part::Run);
    faults.chain(asks).chain(starts).chain(runs).collect()
}

/// The scenario with these parts and no others; it `keeps` what is asked for, unless that is among the parts.
fn with(scenario: &Scenario, parts: &[Part], keeps: bool) -> Scenario {
    let mut with = Scenario {
        faults: Faults::default(),
        accidents: Vec::new(),
        hits: Vec::new(),
        ..scenario.clone()
    };
    if !keeps {
        with.starts.clear();
        with.runs.clear();
        with.asks.clear();
    }
    for part in parts {
        match part {
            Part::Message(n, fate) => with.hits.push(Hit {
                which: Which::Number(*n),
                fate: *fate,
            }),
            Part::Hit(hit) => with.hits.push(hit.clone()),
            Part::Accident(planned) => with.accidents.push(planned.clone()),
            Part::Ask(ask) => with.asks.push(ask.clone()),
            Part::Start(start) => with.starts.push(start.clone()),
            Part::Run(run) => with.runs.push(run.clone()),
        }
    }
    with
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::faults::Plan;
    use crate::trace::{Header, Made, Trace};
    use std::path::Path;
    use std::time::Duration;

    #[test]
    fn what_was_drawn_stays_although_the_scenario_lists_its_like() {
        let text = "nodes = 2\n[[hit]]\nmessage = 1\nfault = \"drop\"";
        let scenario = Scenario::parse(text, Path::new("")).expect("a scenario");
        let plan = Plan::draw(&Faults::default(), 2, Duration::ZERO, &[], 1);
        let broken = Verdict {
            seed: 1,
            violations: Vec::new(),
            injected: Default::default(),
            set_ups: (0, 0),
            asks: (0, 0),
            protocols: (0, 0),
            entries: Default::default(),
            set_back: false,
            trace: Trace {
                header: Header::of_this_build(Made::Test),
                plugins: Vec::new(),
                events: Vec::new(),
                sessions: Vec::new(),
                whole: true,
            },
            hash: [0; 32],
            hits: [(2, Fate::Dropped)].into(),
            accidents: plan.accidents,
        };

        let listed = with(&scenario, &parts(&scenario, &broken, true), true).hits;

        let which: Vec<_> = listed.into_iter().map(|hit| hit.which).collect();
        assert_eq!(which, [Which::Number(2), Which::Number(1)]);
    }
}
