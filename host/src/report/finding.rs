//! What broke, and the lines that lead up to it.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use serde::Serialize;

use super::arrow::{Arrow, State, Way};
use super::fault::Fault;
use super::join::Joined;
use super::lane::{Lane, RELAY, Role};

/// Lines that are pointed at for one finding.
const MOST: usize = 12;
/// So many failed runs, and findings, are explained: for each all messages are looked at.
pub(super) const MOST_EXPLAINED: usize = 100;

/// What must hold and does not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// When it was found, in microseconds.
    pub at: u64,
    /// What must hold.
    pub invariant: String,
    /// What does not.
    pub how: String,
    /// What leads up to it, in order of time. Nothing where very many were found before.
    pub evidence: Vec<Evidence>,
    /// How many more such lines there are.
    pub more: usize,
}

/// Something broken, as the trace says it.
pub(super) struct Broken {
    pub(super) at: u64,
    pub(super) invariant: String,
    pub(super) how: String,
}

/// A line of the report that matters for a finding or a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Evidence {
    /// When.
    pub at: u64,
    /// What happened.
    pub text: String,
    /// The arrow that shows it, by its place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arrow: Option<usize>,
    /// Or the fault.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<usize>,
}

/// All that broke.
pub(super) fn findings(joined: &Joined, lanes: &[Lane]) -> Vec<Finding> {
    let numbered = joined.broken.iter().enumerate();
    let finding = |(place, broken): (usize, &Broken)| {
        let (evidence, more) = match place {
            0..MOST_EXPLAINED => evidence(&broken.how, 0..=broken.at, joined, lanes, |_| true),
            _ => (vec![], 0),
        };
        Finding {
            at: broken.at,
            invariant: broken.invariant.clone(),
            how: broken.how.clone(),
            evidence,
            more,
        }
    };
    numbered.map(finding).collect()
}

/// What a reader of `text` needs to see: what happened within a time to the nodes, runs and messages that it names, if it is
/// `wanted`. How many lines are left out comes with it.
pub(super) fn evidence(
    text: &str,
    within: RangeInclusive<u64>,
    joined: &Joined,
    lanes: &[Lane],
    wanted: impl Fn(&Arrow) -> bool,
) -> (Vec<Evidence>, usize) {
    let named = Named::of(text, joined, lanes);
    let (from, until) = within.into_inner();
    let from = named.began(joined).unwrap_or(from).max(from);
    let mut found: Vec<(u8, Evidence)> = Vec::new();
    let first = joined.arrows.partition_point(|arrow| arrow.at < from);
    let arrows = joined.arrows.iter().enumerate().skip(first);
    for (place, arrow) in arrows.take_while(|(_, arrow)| arrow.at <= until) {
        if let Some(weight) = named.weighs(arrow).filter(|_| wanted(arrow)) {
            found.push((weight, Evidence::of_arrow(place, arrow)));
        }
    }
    for (place, fault) in joined.faults.all.iter().enumerate() {
        if named.befalls(fault) && fault.overlaps(from, until) {
            found.push((1, Evidence::of_fault(place, fault)));
        }
    }
    found.sort_by_key(|(weight, one)| (*weight, one.at));
    let more = found.len().saturating_sub(MOST);
    found.truncate(MOST);
    let mut evidence: Vec<_> = found.into_iter().map(|(_, one)| one).collect();
    evidence.sort_by_key(|one| one.at);
    (evidence, more)
}

/// What a text names.
struct Named<'a> {
    nodes: BTreeSet<&'a str>,
    runs: BTreeSet<&'a str>,
    /// Its words: among them may be ids of messages and requests, and numbers with their `#`.
    words: BTreeSet<&'a str>,
}

impl<'a> Named<'a> {
    fn of(text: &'a str, joined: &'a Joined, lanes: &'a [Lane]) -> Self {
        let nodes = lanes.iter().filter(|lane| lane.role == Role::Node);
        let nodes = nodes.map(|lane| lane.name.as_str());
        let runs = joined.runs.iter().map(String::as_str);
        Self {
            nodes: nodes.filter(|name| mentions(text, name)).collect(),
            runs: runs.filter(|run| mentions(text, run)).collect(),
            words: text.split(|c| !of_names(c) && c != '#').collect(),
        }
    }

    fn has_run(&self, arrow: &Arrow) -> bool {
        let run = arrow.run.as_deref();
        run.is_some_and(|run| self.runs.contains(run))
    }

    fn has_node(&self, name: &str) -> bool {
        self.nodes.is_empty() || self.nodes.contains(name)
    }

    /// When the first of the runs was asked for.
    fn began(&self, joined: &Joined) -> Option<u64> {
        let of_runs = joined.arrows.iter().find(|arrow| self.has_run(arrow));
        of_runs.map(|arrow| arrow.at)
    }

    fn befalls(&self, fault: &Fault) -> bool {
        let any = !self.nodes.is_empty() || !self.runs.is_empty();
        any && (fault.lane == RELAY || self.has_node(&fault.lane))
    }

    /// How much an arrow matters for what the text says: the less, the more. Nothing: not at all.
    fn weighs(&self, arrow: &Arrow) -> Option<u8> {
        let number = arrow.n.map(|n| format!("#{n}"));
        let names = [&number, &arrow.request, &arrow.id];
        let mut names = names.into_iter().flatten();
        if names.any(|name| self.words.contains(name.as_str())) {
            return Some(0);
        }
        match arrow.way {
            Way::Answered if self.has_run(arrow) && self.has_node(&arrow.from) => Some(0),
            // Its answer says it better.
            Way::Asked if arrow.answered_by.is_some() => None,
            Way::Asked if self.has_run(arrow) && self.has_node(&arrow.to) => Some(0),
            Way::Between if arrow.state == State::Treated => None,
            Way::Between => {
                let among = self.has_node(&arrow.from) || self.has_node(&arrow.to);
                let set_up = arrow.setup && !self.runs.is_empty();
                (among && (self.has_run(arrow) || set_up)).then_some(2)
            }
            _ => None,
        }
    }
}

impl Evidence {
    fn of_arrow(place: usize, arrow: &Arrow) -> Self {
        let kind = arrow.kind.as_deref().unwrap_or("a message");
        let text = match arrow.way {
            Way::Answered => format!("{} answered the researcher: {}", arrow.from, arrow.outcome),
            Way::Asked => {
                let run = arrow.run.as_deref().unwrap_or("a run");
                format!("{} was asked for {run}: {}", arrow.to, arrow.outcome)
            }
            Way::Between => {
                let number = arrow.n.map(|n| format!(" #{n}")).unwrap_or_default();
                let (from, to) = (&arrow.from, &arrow.to);
                format!("{from} → {to} {kind}{number}: {}", arrow.outcome)
            }
        };
        Self {
            at: arrow.at,
            text,
            arrow: Some(place),
            fault: None,
        }
    }

    fn of_fault(place: usize, fault: &Fault) -> Self {
        Self {
            at: fault.at,
            text: fault.to_string(),
            arrow: None,
            fault: Some(place),
        }
    }
}

/// Whether a text has this name in it, and not only a longer one.
pub(super) fn mentions(text: &str, name: &str) -> bool {
    !name.is_empty()
        && text.match_indices(name).any(|(at, _)| {
            let before = text[..at].chars().next_back();
            let after = text[at + name.len()..].chars().next();
            !before.is_some_and(of_names) && !after.is_some_and(of_names)
        })
}

/// The words of a text that may be names: what is between them is in no name.
pub(super) fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c| !of_names(c))
}

fn of_names(c: char) -> bool {
    c.is_alphanumeric() || c == '-' || c == '_'
}

#[cfg(test)]
mod tests {
    use super::super::Report;
    use super::super::sample::{Fate, Sample};
    use super::*;

    #[test]
    fn a_name_is_not_found_in_a_longer_one() {
        for text in ["node-10", "my-node-1", "node-1_b", "node-1é", ""] {
            assert!(!mentions(text, "node-1"), "{text}");
        }
        for text in [
            "node-1",
            "node-10, node-1",
            "\"node-1\": failed",
            "on node-1.",
        ] {
            assert!(mentions(text, "node-1"), "{text}");
        }
        assert!(!mentions("text", ""));
    }

    fn told(how: &str) -> Vec<String> {
        let mut sample = Sample::faulty();
        sample.broken("a rule", how);
        let report = Report::of(&sample.trace);
        let finding = report.findings.last().expect("a finding");
        let texts = finding.evidence.iter();
        texts.map(|one| one.text.clone()).collect()
    }

    #[test]
    fn points_at_what_the_named_node_said_of_the_named_run_and_at_its_faults() {
        let expected = [
            "node-2 answered the researcher: done: key-1",
            "node-2 without power for 7.5 s",
        ];
        assert_eq!(told("node-2 reported key-1 and does not have it"), expected);
    }

    #[test]
    fn points_at_messages_that_are_named_by_number_or_request() {
        let report = Report::of(&Sample::faulty().trace);
        let dropped = report.arrows.iter().find(|arrow| arrow.n == Some(16));
        let request = dropped.and_then(|arrow| arrow.request.clone());

        for how in [
            "#16 of node-1",
            &format!("never answered {}", request.expect("an id")),
        ] {
            let told = told(how);
            assert!(
                told.iter()
                    .any(|text| text.contains("#16: dropped by a fault")),
                "{told:?}"
            );
        }
        assert!(!told("#1 is odd").iter().any(|text| text.contains("#16")));
    }

    #[test]
    fn says_nothing_where_nothing_is_named() {
        assert_eq!(told("overlay 5 shows 32 bytes"), [""; 0]);
    }

    #[test]
    fn counts_what_it_leaves_out() {
        let mut sample = Sample::new();
        sample.ask("run", &["a", "b"], true);
        sample.begin("run", &["a", "b"]);
        for _ in 0..MOST + 3 {
            sample.begin("run", &["a", "b"]);
            sample.share("a", "b", "run", Fate::Dropped, Fate::Fine);
        }
        sample.broken("a rule", "run is not done at a");
        let report = Report::of(&sample.trace);

        assert_eq!(report.findings[0].evidence.len(), MOST);
        assert!(report.findings[0].more > 0);
    }
}
