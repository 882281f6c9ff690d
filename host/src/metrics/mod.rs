//! What this node counts and measures: messages by kind, what was dropped and why, what each plugin takes. Shown by `status`
//! and `plugin top`, and handed to monitoring by `telemetry`.
//!
//! No number tells one peer or run from another, and names that others choose are bounded: a monitoring system that is
//! shared learns how much goes on, not who talks to whom.

mod family;
mod histogram;
mod text;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

pub use family::{Family, FamilyKind, Sample, Unit, Value};
pub use histogram::Histogram;
pub use text::{CONTENT_TYPE, prometheus_text};

/// Kinds are named by peers, so their number is bounded; further ones are counted together.
const MOST_NAMES: usize = 64;
/// Further names together.
const OTHERS: &str = "(other)";

/// The numbers of one node. Clones are the same numbers.
#[derive(Clone, Default)]
pub struct Metrics(Arc<Mutex<Numbers>>);

#[derive(Default)]
struct Numbers {
    messages: Counted,
    plugins: BTreeMap<String, PluginNumbers>,
    set_ups: BTreeMap<(&'static str, bool), Histogram>,
}

/// A moment's counts of messages.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// Sealed and handed to the transport, by kind.
    pub sent: BTreeMap<String, u64>,
    /// Opened, by kind.
    pub received: BTreeMap<String, u64>,
    /// Dropped without a reply, by reason.
    pub dropped: BTreeMap<String, u64>,
}

/// A moment's numbers of one plugin, over all its versions since the node started.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PluginNumbers {
    /// Messages, and steps of runs, by how they ended.
    pub calls: BTreeMap<Ended, u64>,
    /// From the begin of a call to its end, waiting included.
    pub wall: Histogram,
    /// Computing, all calls together.
    pub computing: Duration,
    /// The most memory that one call had, in bytes.
    pub memory_peak: u64,
    /// Calls of imports.
    pub host_calls: u64,
    /// Effects carried out.
    pub effects: u64,
    /// Their size in bytes.
    pub effect_bytes: u64,
    /// How often each limit was reached.
    pub limits: BTreeMap<&'static str, u64>,
    /// Calls under way now.
    pub in_flight: u64,
}

/// How a call of a plugin ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ended {
    /// With effects, or with nothing to be done.
    Done,
    /// It says itself that it could not.
    Failed,
    /// It crashed.
    Trapped,
    /// It was stopped at a limit.
    Limited,
    /// It asked for what it may not have.
    Refused,
    /// It was not called: too much of it was in work, or it is out of service.
    NotBegun,
    /// The message's time was over, or the node stopped.
    Cancelled,
}

impl Ended {
    /// For labels and tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Trapped => "trapped",
            Self::Limited => "limited",
            Self::Refused => "refused",
            Self::NotBegun => "not begun",
            Self::Cancelled => "cancelled",
        }
    }
}

/// What one call took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Took {
    /// From begin to end, waiting included.
    pub wall: Duration,
    /// Computing.
    pub computing: Duration,
    /// The most memory it had, in bytes.
    pub memory: u64,
    /// Calls of imports.
    pub host_calls: u64,
    /// Effects it asked for.
    pub effects: u64,
    /// Their size in bytes.
    pub effect_bytes: u64,
}

/// A call under way; dropping it counts it.
pub struct Call {
    metrics: Metrics,
    plugin: String,
    ended: Ended,
    took: Took,
}

impl Call {
    /// Says how it ended, and what it took.
    pub fn end(mut self, ended: Ended, took: Took) {
        (self.ended, self.took) = (ended, took);
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        let mut numbers = self.metrics.numbers();
        let of = numbers.plugin(&self.plugin);
        of.in_flight = of.in_flight.saturating_sub(1);
        *of.calls.entry(self.ended).or_default() += 1;
        of.wall.add(self.took.wall);
        of.computing = of.computing.saturating_add(self.took.computing);
        of.memory_peak = of.memory_peak.max(self.took.memory);
        of.host_calls += self.took.host_calls;
        of.effects += self.took.effects;
        of.effect_bytes += self.took.effect_bytes;
    }
}

impl Metrics {
    /// Counts a message sent.
    pub fn sent(&self, kind: &str) {
        count(&mut self.numbers().messages.sent, kind);
    }

    /// Counts a message opened.
    pub fn received(&self, kind: &str) {
        count(&mut self.numbers().messages.received, kind);
    }

    /// Counts a message dropped.
    pub fn dropped(&self, reason: &'static str) {
        count(&mut self.numbers().messages.dropped, reason);
    }

    /// Counts a call of a plugin as under way, until what this returns is dropped.
    pub fn call(&self, plugin: &str) -> Call {
        self.numbers().plugin(plugin).in_flight += 1;
        Call {
            metrics: self.clone(),
            plugin: plugin.to_owned(),
            ended: Ended::Cancelled,
            took: Took::default(),
        }
    }

    /// Counts that a plugin reached a limit.
    pub fn limit_hit(&self, plugin: &str, limit: &'static str) {
        let mut numbers = self.numbers();
        *numbers.plugin(plugin).limits.entry(limit).or_default() += 1;
    }

    /// Counts a set-up for secure aggregation.
    pub fn set_up(&self, kind: &'static str, succeeded: bool, took: Duration) {
        let mut numbers = self.numbers();
        let set_ups = numbers.set_ups.entry((kind, succeeded)).or_default();
        set_ups.add(took);
    }

    /// The counts of messages so far.
    pub fn messages(&self) -> Counted {
        self.numbers().messages.clone()
    }

    /// The plugins' numbers so far, by name.
    pub fn plugins(&self) -> BTreeMap<String, PluginNumbers> {
        self.numbers().plugins.clone()
    }

    /// All of it, for monitoring.
    pub fn families(&self) -> Vec<Family> {
        let numbers = self.numbers();
        let messages = &numbers.messages;
        let mut families = vec![
            Family::counts(
                "backchannel_messages_sent",
                "Messages sealed and handed to the transport",
                "kind",
                &messages.sent,
            ),
            Family::counts(
                "backchannel_messages_received",
                "Messages opened",
                "kind",
                &messages.received,
            ),
            Family::counts(
                "backchannel_messages_dropped",
                "Messages dropped without a reply",
                "reason",
                &messages.dropped,
            ),
            numbers.set_up_families(),
        ];
        families.extend(numbers.plugin_families());
        families
    }

    fn numbers(&self) -> MutexGuard<'_, Numbers> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Numbers {
    fn plugin(&mut self, name: &str) -> &mut PluginNumbers {
        let known = self.plugins.contains_key(name) || self.plugins.len() < MOST_NAMES;
        let name = if known { name } else { OTHERS };
        self.plugins.entry(name.to_owned()).or_default()
    }

    fn set_up_families(&self) -> Family {
        let mut family = Family::new(
            FamilyKind::Histogram,
            "backchannel_secagg_setup_seconds",
            "Set-ups for secure aggregation, from the request to the answer",
        );
        for ((kind, succeeded), histogram) in &self.set_ups {
            let outcome = if *succeeded { "success" } else { "failure" };
            let labels = vec![
                ("kind", (*kind).to_owned()),
                ("outcome", outcome.to_owned()),
            ];
            family = family.with(labels, Value::Histogram(Box::new(histogram.clone())));
        }
        family
    }

    fn plugin_families(&self) -> Vec<Family> {
        let mut calls = Family::new(
            FamilyKind::Counter,
            "backchannel_plugin_calls",
            "Messages and steps of runs that a plugin treated, by how they ended",
        );
        let mut limits = Family::new(
            FamilyKind::Counter,
            "backchannel_plugin_limit_hits",
            "How often a plugin reached one of its limits",
        );
        let mut wall = Family::new(
            FamilyKind::Histogram,
            "backchannel_plugin_call_seconds",
            "Time of a plugin's calls, waiting included",
        );
        for (name, numbers) in &self.plugins {
            let plugin = || ("plugin", name.clone());
            for (ended, count) in &numbers.calls {
                let labels = vec![plugin(), ("outcome", ended.name().to_owned())];
                calls = calls.with(labels, Value::Whole(*count));
            }
            for (limit, count) in &numbers.limits {
                let labels = vec![plugin(), ("limit", (*limit).to_owned())];
                limits = limits.with(labels, Value::Whole(*count));
            }
            let histogram = Value::Histogram(Box::new(numbers.wall.clone()));
            wall = wall.with(vec![plugin()], histogram);
        }
        let of_each = |kind, name, help, value: fn(&PluginNumbers) -> Value| {
            let family = Family::new(kind, name, help);
            self.plugins.iter().fold(family, |family, (name, numbers)| {
                family.with(vec![("plugin", name.clone())], value(numbers))
            })
        };
        let (counter, gauge) = (FamilyKind::Counter, FamilyKind::Gauge);
        vec![
            calls,
            limits,
            wall,
            of_each(
                counter,
                "backchannel_plugin_computing_seconds",
                "Computing time of a plugin's calls",
                |of| Value::Real(of.computing.as_secs_f64()),
            ),
            of_each(
                gauge,
                "backchannel_plugin_memory_peak_bytes",
                "The most memory that one call of a plugin had",
                |of| Value::Whole(of.memory_peak),
            ),
            of_each(
                counter,
                "backchannel_plugin_host_calls",
                "Imports that a plugin called",
                |of| Value::Whole(of.host_calls),
            ),
            of_each(
                counter,
                "backchannel_plugin_effects",
                "Effects that a plugin asked for",
                |of| Value::Whole(of.effects),
            ),
            of_each(
                counter,
                "backchannel_plugin_effect_bytes",
                "Size of the effects that a plugin asked for",
                |of| Value::Whole(of.effect_bytes),
            ),
            of_each(
                gauge,
                "backchannel_plugin_in_flight",
                "Calls of a plugin under way",
                |of| Value::Whole(of.in_flight),
            ),
        ]
    }
}

fn count(counts: &mut BTreeMap<String, u64>, name: &str) {
    let full = counts.len() >= MOST_NAMES;
    match counts.get_mut(name) {
        Some(counted) => *counted += 1,
        None => {
            *counts
                .entry(if full { OTHERS } else { name }.to_owned())
                .or_default() += 1
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stays_bounded_when_a_peer_invents_kinds() {
        let metrics = Metrics::default();
        for n in 0..1000 {
            metrics.received(&format!("Kind{n}"));
            drop(metrics.call(&format!("plugin{n}")));
        }
        let received = metrics.messages().received;
        assert_eq!(received.len(), MOST_NAMES + 1);
        assert_eq!(received.values().sum::<u64>(), 1000);
        assert_eq!(metrics.plugins().len(), MOST_NAMES + 1);
    }

    #[test]
    fn a_call_is_in_flight_until_it_ends_or_is_cancelled() {
        let metrics = Metrics::default();
        let (ended, cancelled) = (metrics.call("p"), metrics.call("p"));
        assert_eq!(metrics.plugins()["p"].in_flight, 2);

        ended.end(Ended::Trapped, Took::default());
        drop(cancelled);
        let numbers = &metrics.plugins()["p"];
        assert_eq!(numbers.in_flight, 0);
        assert_eq!(numbers.calls[&Ended::Trapped], 1);
        assert_eq!(numbers.calls[&Ended::Cancelled], 1);
    }

    #[test]
    fn the_text_says_what_a_parser_of_prometheus_reads_back() {
        let metrics = Metrics::default();
        metrics.received("Kind \"with\nbreak\"");
        let took = Took {
            wall: Duration::from_millis(3),
            computing: Duration::from_millis(2),
            memory: 1 << 20,
            ..Took::default()
        };
        metrics.call("p").end(Ended::Done, took);
        metrics.limit_hit("p", "log-lines");

        let text = prometheus_text(metrics.families()).expect("text");
        let lines = text.lines().map(|line| Ok(line.to_owned()));
        let read = prometheus_parse::Scrape::parse(lines).expect("well-formed");
        let value = |name: &str| {
            let found = read.samples.iter().find(|sample| sample.metric == name);
            found.unwrap_or_else(|| panic!("{name} is not in {text}"))
        };
        let hits = value("backchannel_plugin_limit_hits_total");
        assert_eq!(hits.labels.get("limit"), Some("log-lines"));
        assert_eq!(hits.labels.get("plugin"), Some("p"));
        let memory = value("backchannel_plugin_memory_peak_bytes");
        assert_eq!(
            memory.value,
            prometheus_parse::Value::Gauge(f64::from(1 << 20))
        );
        let computing = value("backchannel_plugin_computing_seconds_total");
        assert!(
            format!("{:?}", computing.value).contains("0.002"),
            "{computing:?}"
        );
        let prometheus_parse::Value::Histogram(wall) =
            &value("backchannel_plugin_call_seconds").value
        else {
            panic!("no histogram in {text}");
        };
        // Cumulative, and the last without end.
        assert_eq!(
            wall.last().map(|bucket| (bucket.less_than, bucket.count)),
            Some((f64::INFINITY, 1.0))
        );
        assert_eq!(wall.iter().filter(|bucket| bucket.count == 1.0).count(), 14);
        assert!(text.contains(r#"kind="Kind \"with\nbreak\"""#), "{text}");
        assert!(text.ends_with("# EOF\n"));
    }
}
