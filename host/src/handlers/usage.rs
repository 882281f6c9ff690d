use std::collections::{BTreeMap, BTreeSet};
use std::ops::AddAssign;
use std::time::Duration;

use super::{CallError, Capability, LimitHit};

/// What a call into a plugin took, whether it went well or not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// From begin to end.
    pub wall: Duration,
    /// Of it, computing: in the guest, and in the host for it. Measured around each poll of the call; a metered engine's
    /// instructions are taken for time.
    pub computing: Duration,
    /// Instructions, as a metered engine counts them. (Beside the epochs, which interrupt elsewhere, counting them made a tight
    /// loop 3 to 5 % slower and told less.)
    pub fuel: Option<u64>,
    /// The most memory that the instance had, in bytes.
    pub peak_memory: usize,
    /// Calls of imports.
    pub host_calls: u64,
    /// Lines it wrote to the log, those that were cut among them.
    pub log_lines: u64,
    /// What of them is in the log, in bytes.
    pub log_bytes: usize,
    /// The most elements that one table of the instance had.
    pub table_elements: usize,
    /// Effects it asked for.
    pub effects: usize,
    /// Their size, in bytes.
    pub effect_bytes: usize,
    /// The grants it used: imports that it called, effects that it asked for.
    pub grants: BTreeSet<Capability>,
    /// The inputs that it was given, by name, and how many rows each had.
    pub inputs: BTreeMap<String, usize>,
    /// Limits it came to: the one that stopped it, and those that only cut something off, such as the log's.
    pub hits: BTreeSet<LimitHit>,
}

impl AddAssign<&Self> for Usage {
    /// Two calls of one message or run together.
    fn add_assign(&mut self, other: &Self) {
        self.wall += other.wall;
        self.computing += other.computing;
        self.fuel = match (self.fuel, other.fuel) {
            (Some(own), Some(other)) => Some(own.saturating_add(other)),
            (own, other) => own.or(other),
        };
        self.peak_memory = self.peak_memory.max(other.peak_memory);
        self.host_calls += other.host_calls;
        self.log_lines += other.log_lines;
        self.log_bytes += other.log_bytes;
        self.table_elements = self.table_elements.max(other.table_elements);
        self.effects += other.effects;
        self.effect_bytes += other.effect_bytes;
        self.grants.extend(&other.grants);
        self.inputs.extend(other.inputs.clone());
        self.hits.extend(&other.hits);
    }
}

/// A call that has ended: what came of it, and what it took.
#[derive(Debug)]
#[must_use]
pub struct Called<T> {
    /// What it took, in either case.
    pub usage: Usage,
    /// What came of it.
    pub result: Result<T, CallError>,
}

impl<T> Called<T> {
    /// A limit that stopped the call is among those it hit.
    pub(super) fn new(mut usage: Usage, result: Result<T, CallError>) -> Self {
        usage
            .hits
            .extend(result.as_ref().err().and_then(CallError::limit));
        Self { usage, result }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handlers::{Limit, Limits};

    #[test]
    fn two_calls_add_up_and_peaks_do_not() {
        let hit = LimitHit {
            limit: Limit::LogLines,
            value: Limits::default().get(Limit::LogLines),
        };
        let call = Usage {
            wall: Duration::from_millis(3),
            computing: Duration::from_millis(2),
            fuel: Some(5),
            peak_memory: 7,
            host_calls: 1,
            log_lines: 2,
            log_bytes: 30,
            table_elements: 9,
            effects: 1,
            effect_bytes: 10,
            grants: [Capability::Log].into(),
            inputs: [("ages".to_owned(), 20)].into(),
            hits: [hit].into(),
        };
        let mut both = call.clone();
        both += &call;
        assert_eq!((both.wall, both.peak_memory), (Duration::from_millis(6), 7));
        assert_eq!((both.host_calls, both.effect_bytes), (2, 20));
        assert_eq!((both.log_lines, both.log_bytes), (4, 60));
        assert_eq!(both.table_elements, 9);
        assert_eq!(both.fuel, Some(10));
        assert_eq!(both.hits.len(), 1);
    }
}
