//! Numbers as they leave the node: what Prometheus text and OTLP have in common.

use super::Histogram;

/// Numbers of one name.
#[derive(Debug, Clone, PartialEq)]
pub struct Family {
    /// Snake case, `backchannel_` first; a counter's without `_total`.
    pub name: &'static str,
    /// One sentence without a full stop.
    pub help: &'static str,
    /// What is counted. Prometheus: the name's end.
    pub unit: Unit,
    /// Whether it only goes up, goes up and down, or is a distribution.
    pub kind: FamilyKind,
    /// One for each set of labels.
    pub samples: Vec<Sample>,
}

/// A unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Just a number.
    None,
    /// Seconds.
    Seconds,
    /// Bytes.
    Bytes,
}

/// What a number does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FamilyKind {
    /// Only goes up while the process runs.
    Counter,
    /// Goes up and down.
    Gauge,
    /// A distribution.
    Histogram,
}

/// One number, or one distribution.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// Names and values. Values may be chosen by others, and are bounded in number.
    pub labels: Vec<(&'static str, String)>,
    /// The number.
    pub value: Value,
}

/// A number or a distribution.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A count, or a whole number that goes up and down.
    Whole(u64),
    /// Any other.
    Real(f64),
    /// Boxed: a sample of another kind should not be as large.
    Histogram(Box<Histogram>),
}

impl Family {
    /// A family without samples.
    pub fn new(kind: FamilyKind, name: &'static str, help: &'static str) -> Self {
        let unit = if name.ends_with("_seconds") {
            Unit::Seconds
        } else if name.ends_with("_bytes") {
            Unit::Bytes
        } else {
            Unit::None
        };
        Self {
            name,
            help,
            unit,
            kind,
            samples: Vec::new(),
        }
    }

    /// A gauge with one number.
    pub fn gauge(name: &'static str, help: &'static str, value: u64) -> Self {
        Self::new(FamilyKind::Gauge, name, help).with(Vec::new(), Value::Whole(value))
    }

    /// A counter with one number.
    pub fn counter(name: &'static str, help: &'static str, value: u64) -> Self {
        Self::new(FamilyKind::Counter, name, help).with(Vec::new(), Value::Whole(value))
    }

    /// A counter with a number for each value of a label.
    pub fn counts<'a>(
        name: &'static str,
        help: &'static str,
        label: &'static str,
        counts: impl IntoIterator<Item = (&'a String, &'a u64)>,
    ) -> Self {
        let mut family = Self::new(FamilyKind::Counter, name, help);
        for (value, count) in counts {
            family = family.with(vec![(label, value.clone())], Value::Whole(*count));
        }
        family
    }

    /// With one more sample.
    pub fn with(mut self, labels: Vec<(&'static str, String)>, value: Value) -> Self {
        self.samples.push(Sample { labels, value });
        self
    }
}
