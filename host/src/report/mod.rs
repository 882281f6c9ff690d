//! A trace as people look at it: what was run, what broke, and each message from who made it to what became of it.
//!
//! [`Report::of`] puts a [`Trace`] together; the report is shown in a terminal ([`Display`](std::fmt::Display)),
//! as one page without a network ([`Report::to_html`]), or as JSON ([`serde::Serialize`]).
//!
//! In reading order: [`Lane`]; [`Arrow`], a message; [`Session`], what a plugin did with it; [`Fault`]; [`Run`] and [`Finding`], the
//! short answers with the lines that lead up to them; `join`, `event` and `exchange`, where events and sessions meet, and
//! `conclusion`, what became of each message; `text` and `html`, how it is shown.
//!
//! What peers and plugins wrote is in here as single lines without control characters, cut where it is too long.

mod arrow;
mod call;
mod conclusion;
mod event;
mod exchange;
mod fault;
mod finding;
mod html;
mod join;
mod lane;
mod measure;
mod run;
#[cfg(test)]
mod sample;
mod text;
mod waiting;

use std::collections::BTreeMap;

use serde::Serialize;

pub use arrow::{Arrow, Hit, Lost, State, Treatment, Way};
pub use call::{Call, Ended, HostCall, Session};
pub use fault::Fault;
pub use finding::{Evidence, Finding};
pub use lane::{Lane, Role};
pub use run::{Party, Run};

use crate::message::{LONGEST_LINE, one_line};
use crate::trace::{Made, Trace};
use join::Joined;

/// Faults that are told of in one line.
const MOST_FAULTS: usize = 8;

/// Lanes that are named in one line.
const MOST_NAMED: usize = 5;

/// A trace, put together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// What it is the trace of.
    pub about: About,
    /// Whether something broke, in a few words.
    pub verdict: String,
    /// How all of it went.
    pub facts: Vec<Fact>,
    /// Its columns.
    pub lanes: Vec<Lane>,
    /// What broke.
    pub findings: Vec<Finding>,
    /// What the researcher asked for.
    pub runs: Vec<Run>,
    /// Faults that lasted, in order of time; those of single messages are theirs.
    pub faults: Vec<Fault>,
    /// Starts of nodes and the like, in order of time.
    pub moments: Vec<Moment>,
    /// Each message, in order of time.
    pub arrows: Vec<Arrow>,
}

/// A line about the whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fact {
    /// What it is about.
    pub name: &'static str,
    /// What there is to say.
    pub value: String,
}

/// What a trace is of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct About {
    /// In a few words, such as `simulation of 3 nodes, seed 7`.
    pub title: String,
    /// Whether it was checked what must hold; then no findings means that it holds, if the trace is whole.
    pub checked: bool,
    /// The scenario, by lines.
    pub scenario: Vec<String>,
    /// The version of backchannel that made it.
    pub build: String,
    /// The plugins in it.
    pub plugins: Vec<Plugin>,
    /// Whether its end is there.
    pub whole: bool,
    /// Its last moment, in microseconds.
    pub until: u64,
}

/// A plugin of a trace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Plugin {
    /// Its name.
    pub name: String,
    /// By its manifest.
    pub version: String,
    /// SHA-256 of its component, hex.
    pub digest: String,
}

/// Something that happened at one lane, or the same at several at once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Moment {
    /// When, in microseconds.
    pub at: u64,
    /// Where.
    pub lanes: Vec<String>,
    /// Who did what.
    pub text: String,
    /// What alone.
    #[serde(skip)]
    what: String,
}

impl Moment {
    fn new(at: u64, lane: String, what: String) -> Self {
        Self {
            at,
            text: format!("{lane} {what}"),
            lanes: vec![lane],
            what,
        }
    }

    /// The same at another lane.
    fn also(&mut self, lane: String) {
        self.lanes.push(lane);
        let named = self.lanes.iter().take(MOST_NAMED).cloned();
        let mut names = named.collect::<Vec<_>>().join(", ");
        if self.lanes.len() > MOST_NAMED {
            names.push_str(&format!(" and {} more", self.lanes.len() - MOST_NAMED));
        }
        self.text = format!("{names} {}", self.what);
    }
}

impl Report {
    /// Puts a trace together.
    pub fn of(trace: &Trace) -> Self {
        let joined = Joined::of(trace);
        let lanes = lanes(&joined);
        let about = About::of(trace, &lanes);
        let mut report = Self {
            findings: finding::findings(&joined, &lanes),
            runs: run::runs(&joined, &lanes, about.until),
            verdict: String::new(),
            facts: vec![],
            about,
            lanes,
            faults: joined.faults.all,
            moments: joined.moments,
            arrows: joined.arrows,
        };
        report.verdict = report.judge();
        report.facts = report.sum_up();
        report
    }

    fn judge(&self) -> String {
        match self.findings.len() {
            0 if self.about.checked && self.about.whole => "nothing broke that must hold".into(),
            0 if self.about.checked => "not whole: what broke may be missing".into(),
            0 => "not checked for what must hold".into(),
            1 => "one thing broke that must hold".into(),
            many => format!("{many} things broke that must hold"),
        }
    }

    fn sum_up(&self) -> Vec<Fact> {
        let mut facts = vec![
            ("time", measure::time(self.about.until)),
            ("messages", self.messages()),
        ];
        if !self.runs.is_empty() {
            let done = self.runs.iter().filter(|run| run.done).count();
            let of = self.runs.len();
            facts.push(("runs", format!("{done} of {of} done by all their nodes")));
        }
        let lasting = self.faults.iter().map(ToString::to_string);
        let mut faults: Vec<_> = lasting.take(MOST_FAULTS).collect();
        if self.faults.len() > MOST_FAULTS {
            faults.push(format!("{} more", self.faults.len() - MOST_FAULTS));
        }
        let hit = self.arrows.iter().filter(|arrow| !arrow.hits.is_empty());
        match hit.count() {
            0 => {}
            hit => faults.push(format!("{hit} messages hit")),
        }
        if !faults.is_empty() {
            facts.push(("faults", faults.join("; ")));
        }
        facts.push(("made by", format!("backchannel {}", self.about.build)));
        facts
            .into_iter()
            .map(|(name, value)| Fact { name, value })
            .collect()
    }

    /// How many there were between nodes, and how many of them came to which end.
    fn messages(&self) -> String {
        let between = self.arrows.iter().filter(|arrow| arrow.way == Way::Between);
        let mut counts = BTreeMap::new();
        for arrow in between {
            *counts.entry(arrow.state).or_insert(0_usize) += 1;
        }
        let all: usize = counts.values().sum();
        let ends: Vec<_> = counts
            .iter()
            .map(|(state, count)| format!("{count} {}", state.name()))
            .collect();
        match ends.as_slice() {
            [] => "none between nodes".into(),
            ends => format!("{all} between nodes: {}", ends.join(", ")),
        }
    }
}

fn lanes(joined: &Joined) -> Vec<Lane> {
    let ends = joined
        .arrows
        .iter()
        .flat_map(|arrow| [&arrow.from, &arrow.to]);
    let faults = joined.faults.all.iter().map(|fault| &fault.lane);
    let moments = joined.moments.iter().flat_map(|moment| &moment.lanes);
    let relay = joined.arrows.iter().any(|arrow| arrow.n.is_some());
    let names = ends.chain(faults).chain(moments).map(String::as_str);
    lane::lanes(names.chain(relay.then_some(lane::RELAY)))
}

impl About {
    fn of(trace: &Trace, lanes: &[Lane]) -> Self {
        let nodes = lanes.iter().filter(|lane| lane.role == Role::Node).count();
        let nodes = format!("{nodes} node{}", if nodes == 1 { "" } else { "s" });
        let (title, scenario) = match &trace.header.made {
            Made::Sim(sim) => (
                format!("simulation of {nodes}, seed {}", sim.seed),
                sim.scenario.lines().collect(),
            ),
            Made::Test => (format!("test of plugins, {nodes}"), vec![]),
            Made::Fuzz => (format!("fuzzing of plugins, {nodes}"), vec![]),
            Made::Node => ("node at work".to_owned(), vec![]),
        };
        let events = trace.events.iter().map(|event| event.at);
        let calls = trace.sessions.iter().flat_map(|session| &session.calls);
        let plugins = trace.plugins.iter().map(|plugin| Plugin {
            name: call::name(&plugin.name),
            version: call::name(&plugin.version),
            digest: call::name(&plugin.digest),
        });
        Self {
            title,
            checked: matches!(trace.header.made, Made::Sim(_)),
            scenario: scenario
                .into_iter()
                .map(|line| one_line(line, LONGEST_LINE))
                .collect(),
            build: call::name(&trace.header.build),
            plugins: plugins.collect(),
            whole: trace.whole,
            until: events.chain(calls.map(|call| call.at)).max().unwrap_or(0),
        }
    }
}
