//! What the researcher asked for, and how it ended at each node.

use std::collections::HashMap;

use serde::Serialize;

use super::arrow::{Arrow, State, Way};
use super::finding::{Evidence, MOST_EXPLAINED, evidence};
use super::join::Joined;
use super::lane::Lane;

/// A run that the researcher asked nodes for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Run {
    /// Its name.
    pub name: String,
    /// The request's kind.
    pub kind: String,
    /// When the first node was asked, in microseconds.
    pub at: u64,
    /// Whether every node reported success.
    pub done: bool,
    /// Who was asked, in that order.
    pub parties: Vec<Party>,
    /// What led up to a failure, in order of time. Nothing where very many failed before.
    pub evidence: Vec<Evidence>,
    /// How many more such lines there are.
    pub more: usize,
}

/// A node that was asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Party {
    /// Who.
    pub node: String,
    /// The arrow that asks it.
    pub asked: usize,
    /// The arrow that answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answered: Option<usize>,
    /// How it ended there.
    pub state: State,
    /// In words.
    pub outcome: String,
}

/// All runs, in order of time.
pub(super) fn runs(joined: &Joined, lanes: &[Lane], until: u64) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    let mut by_name: HashMap<(String, String), usize> = HashMap::new();
    for (place, arrow) in joined.arrows.iter().enumerate() {
        let (Way::Asked, Some(name)) = (arrow.way, &arrow.run) else {
            continue;
        };
        let kind = arrow.kind.clone().unwrap_or_default();
        let answer = arrow.answered_by.map(|answer| &joined.arrows[answer]);
        let party = Party {
            node: arrow.to.clone(),
            asked: place,
            answered: arrow.answered_by,
            state: arrow.state,
            outcome: answer
                .map_or(&arrow.outcome, |answer| &answer.outcome)
                .clone(),
        };
        let known = by_name.get(&(name.clone(), kind.clone()));
        match known.copied() {
            Some(place) => runs[place].parties.push(party),
            None => {
                by_name.insert((name.clone(), kind.clone()), runs.len());
                runs.push(Run {
                    name: name.clone(),
                    kind,
                    at: arrow.at,
                    done: false,
                    parties: vec![party],
                    evidence: vec![],
                    more: 0,
                });
            }
        }
    }
    for run in &mut runs {
        run.done = run.parties.iter().all(Party::is_done);
    }
    let failed = runs.iter_mut().filter(|run| !run.done);
    for run in failed.take(MOST_EXPLAINED) {
        (run.evidence, run.more) = run.why(joined, lanes, until);
    }
    runs
}

impl Party {
    /// Whether the node reported success.
    fn is_done(&self) -> bool {
        self.answered.is_some() && self.state == State::Treated
    }
}

impl Run {
    fn why(&self, joined: &Joined, lanes: &[Lane], until: u64) -> (Vec<Evidence>, usize) {
        let mut text = self.name.clone();
        for party in self.parties.iter().filter(|party| !party.is_done()) {
            text.push_str(&format!(" {} {}", party.node, party.outcome));
        }
        let answers = self.parties.iter().map(|party| party.answered);
        let ends: Option<Vec<_>> = answers.collect();
        let ends = ends.unwrap_or_default();
        let end = ends.iter().map(|answer| joined.arrows[*answer].at).max();
        let within = self.at..=end.unwrap_or(until);
        // How it ended is said beside each party.
        let wanted = |arrow: &Arrow| arrow.way == Way::Between;
        evidence(&text, within, joined, lanes, wanted)
    }
}
