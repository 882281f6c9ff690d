use std::collections::{BTreeMap, BTreeSet};

use super::Difference;
use crate::trace::{Effect, Ended, Session};

/// Two versions of a plugin, over the same sessions.
#[derive(Clone, Debug, Default)]
pub struct Comparison {
    /// How many sessions both were run with.
    pub sessions: usize,
    /// Sessions in which the old version does not do what was recorded: made by yet another version, or in a node whose limits
    /// or grants were others.
    pub not_as_recorded: usize,
    /// What each session that is different is about, with the first difference.
    pub differences: Vec<(String, Difference)>,
    /// What the old version did and took.
    pub old: Totals,
    /// What the new one did and took.
    pub new: Totals,
}

/// What a version did and took in all sessions together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Instructions of a session.
    pub fuel: Span,
    /// Memory of a session, in bytes.
    pub memory: Span,
    /// Calls of imports, by import.
    pub host_calls: BTreeMap<String, u64>,
    /// Effects, by name.
    pub effects: BTreeMap<&'static str, u64>,
    /// Sessions that it ended with a failure of its own.
    pub failed: u64,
    /// Sessions in which the host stopped it, by why.
    pub stopped: BTreeMap<String, u64>,
}

/// How a number is spread over sessions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Span(Vec<u64>);

impl Span {
    fn add(&mut self, value: u64) {
        let at = self.0.partition_point(|other| *other < value);
        self.0.insert(at, value);
    }

    /// The one in the middle; 0 of none.
    pub fn median(&self) -> u64 {
        self.0.get(self.0.len() / 2).copied().unwrap_or_default()
    }

    /// The largest; 0 of none.
    pub fn most(&self) -> u64 {
        self.0.last().copied().unwrap_or_default()
    }
}

impl Comparison {
    /// Adds a session: as it was recorded, and what came of it with either version.
    pub fn add(&mut self, recorded: &Session, old: &Session, new: &Session) {
        self.sessions += 1;
        if Difference::first(recorded, old, false).is_some() {
            self.not_as_recorded += 1;
        }
        if let Some(difference) = Difference::first(old, new, false) {
            let about = format!("{} on {}", recorded.work, recorded.node);
            self.differences.push((about, difference));
        }
        self.old.add(old);
        self.new.add(new);
    }

    /// All imports that either called.
    pub fn imports(&self) -> BTreeSet<&str> {
        let all = self.old.host_calls.keys().chain(self.new.host_calls.keys());
        all.map(String::as_str).collect()
    }

    /// All effects that either asked for.
    pub fn effects(&self) -> BTreeSet<&'static str> {
        let all = self.old.effects.keys().chain(self.new.effects.keys());
        all.copied().collect()
    }
}

impl Totals {
    fn add(&mut self, session: &Session) {
        let calls = &session.calls;
        self.fuel
            .add(calls.iter().filter_map(|call| call.cost.fuel).sum());
        let memory = calls.iter().map(|call| call.cost.memory).max();
        self.memory.add(memory.unwrap_or_default());
        for call in calls {
            for host_call in &call.host_calls {
                *self.host_calls.entry(host_call.import.clone()).or_default() += 1;
            }
            match &call.ended {
                Ended::Effects { effects, .. } => {
                    for effect in effects {
                        *self.effects.entry(name(effect)).or_default() += 1;
                    }
                }
                Ended::Failed { .. } => self.failed += 1,
                Ended::Stopped(why) => *self.stopped.entry(why.clone()).or_default() += 1,
                Ended::Nothing | Ended::Found | Ended::Cancelled => {}
            }
        }
    }
}

/// As the contract names it.
fn name(effect: &Effect) -> &'static str {
    match effect {
        Effect::Reply { .. } => "reply",
        Effect::Deliver { .. } => "deliver",
        Effect::SetPeerKey { .. } => "set-peer-key",
        Effect::Publish { .. } => "publish",
        Effect::EstablishPairSecrets { .. } => "establish(pair-secrets)",
        Effect::EstablishServerKey { .. } => "establish(server-key)",
        Effect::Store { .. } => "store",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_knows_its_middle_and_its_end_whatever_the_order() {
        let mut span = Span::default();
        assert_eq!((span.median(), span.most()), (0, 0));
        for value in [9, 1, 5] {
            span.add(value);
        }
        assert_eq!((span.median(), span.most()), (5, 9));
    }
}
