//! Limits that follow from what was measured.

use std::fmt::Write;
use std::time::Duration;

use serde::{Serialize, Serializer};

use super::{Costs, Samples, of_bytes, of_time};
use crate::handlers::{FUEL_PER_MS, Limit};

/// Times the most that a message took.
const OF_MESSAGES: u64 = 4;
/// Times what the component is made of. The next version is not four times as large.
const OF_FILE: u64 = 2;
/// The least of computing, in ms. It is taken off in ticks of one, whoever used the processor meanwhile: less would measure how busy a
/// machine is.
const LEAST_CPU_MS: u64 = 10;

/// The rule, for people, in lines.
pub const RULE: &str = "\
Four times the most that a message or step of the cases took, twice what the file itself needs.
KiB and MiB are rounded up to a power of two, others to 1, 2 or 5 and zeros. Computing is the larger
of a millisecond for a million instructions and the p99 of the times (of fewer than 100 the p90);
10 ms at least. What the cases do not use has no limit here, and larger messages need more.";

/// A limit, its value, and where that comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Suggested {
    /// The limit.
    #[serde(serialize_with = "as_name")]
    pub limit: Limit,
    /// Its value, in the unit of its name.
    pub value: u64,
    /// The most that was measured, in words.
    pub measured: String,
}

fn as_name<S: Serializer>(limit: &Limit, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(limit.name())
}

impl Costs {
    /// A value for each limit that something was measured of. What was not used has none: an operator's own, or the one that limits start
    /// with, says more than a zero would.
    pub fn suggested(&self) -> Vec<Suggested> {
        let most = self.most();
        let longest = |of: fn(&super::Cost) -> Duration| {
            let times = self.cases.iter().map(of);
            times.max().unwrap_or_default()
        };
        // The larger of both: a machine that is quicker than its instructions say is not to decide for another.
        let computing = |instructions: u64, p99: Duration| {
            let counted = instructions.saturating_mul(1_000_000) / FUEL_PER_MS;
            p99.max(Duration::from_nanos(counted))
        };
        let handle = computing(
            most.handle_instructions,
            longest(|cost| usual(&cost.handle)),
        );
        let finalize = computing(
            most.final_instructions,
            longest(|cost| usual(&cost.finalize)),
        );
        let rows = [
            bytes(Limit::MemoryMib, most.memory_bytes, OF_MESSAGES),
            count(
                Limit::TableElements,
                most.table_elements as u64,
                OF_MESSAGES,
            ),
            count(Limit::Tables, self.tables.into(), OF_FILE),
            count(Limit::Instances, self.instances, OF_FILE),
            bytes(Limit::FileKib, self.file_bytes, OF_FILE),
            count(Limit::HostCalls, most.host_calls, OF_MESSAGES),
            count(Limit::LogLines, most.log_lines, OF_MESSAGES),
            bytes(Limit::LogKib, most.log_bytes, OF_MESSAGES),
            time(Limit::HandleCpuMs, handle),
            time(Limit::FinalCpuMs, finalize),
            count(Limit::Effects, most.effects as u64, OF_MESSAGES),
            bytes(Limit::EffectKib, most.effect_bytes, OF_MESSAGES),
        ];
        rows.into_iter().flatten().collect()
    }

    /// The suggested limits as they stand in `policy.toml`.
    pub fn policy_fragment(&self) -> String {
        let mut text = format!(
            "# {} {}, by `backchannel bench`; cases: {}.\n",
            self.plugin,
            self.version,
            self.cases.len()
        );
        for line in RULE.lines() {
            let _ = writeln!(text, "# {line}");
        }
        let _ = writeln!(text, "[plugin.{}.limits]", self.plugin);
        for suggested in self.suggested() {
            let setting = format!("{} = {}", suggested.limit, suggested.value);
            let _ = writeln!(text, "{setting:<24} # measured: {}", suggested.measured);
        }
        text
    }
}

/// As long as nearly all take: what happens once on a busy machine is not to count.
fn usual(times: &Samples) -> Duration {
    if times.len() < 100 {
        times.quantile(0.9)
    } else {
        times.p99()
    }
}

fn bytes(limit: Limit, measured: usize, headroom: u64) -> Option<Suggested> {
    let unit: u64 = if limit.name().ends_with("-mib") {
        1 << 20
    } else {
        1 << 10
    };
    let needed = (measured as u64).saturating_mul(headroom).div_ceil(unit);
    let round = needed.checked_next_power_of_two().unwrap_or(u64::MAX);
    of(limit, measured as u64, round, of_bytes(measured))
}

fn count(limit: Limit, measured: u64, headroom: u64) -> Option<Suggested> {
    let round = round_up(measured.saturating_mul(headroom));
    of(limit, measured, round, measured.to_string())
}

fn time(limit: Limit, measured: Duration) -> Option<Suggested> {
    let nanos = u64::try_from(measured.as_nanos()).unwrap_or(u64::MAX);
    let needed = nanos.saturating_mul(OF_MESSAGES).div_ceil(1_000_000);
    let round = round_up(needed).max(LEAST_CPU_MS);
    of(limit, nanos, round, of_time(measured))
}

fn of(limit: Limit, measured: u64, round: u64, in_words: String) -> Option<Suggested> {
    let range = limit.range();
    (measured > 0).then(|| Suggested {
        limit,
        value: round.clamp(*range.start(), *range.end()),
        measured: in_words,
    })
}

/// The next of 1, 2, 5, 10, 20, 50 …
fn round_up(number: u64) -> u64 {
    let mut unit: u64 = 1;
    loop {
        for digit in [1, 2, 5] {
            let round = unit.saturating_mul(digit);
            if round >= number {
                return round;
            }
        }
        unit = unit.saturating_mul(10);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::PathBuf;

    use super::super::{Cost, Most};
    use super::*;
    use crate::policy::Policy;

    fn costs(most: Most, handle: Duration) -> Costs {
        let handle: Samples = [handle].into_iter().collect();
        Costs {
            plugin: "key-request".into(),
            version: "1.0.0".into(),
            file_bytes: 80_000,
            instances: 3,
            tables: 2,
            cases: vec![Cost {
                file: PathBuf::new(),
                case: "a".into(),
                instances: 1,
                time: handle.clone(),
                finalize: Samples::default(),
                handle,
                most,
            }],
            left_out: Vec::new(),
            sandbox: Samples::default(),
        }
    }

    fn values(costs: &Costs) -> BTreeMap<&'static str, u64> {
        let suggested = costs.suggested().into_iter();
        suggested.map(|it| (it.limit.name(), it.value)).collect()
    }

    #[test]
    fn rounds_up_to_one_two_or_five_and_zeros() {
        for (number, round) in [(0, 1), (1, 1), (3, 5), (5, 5), (6, 10), (101, 200)] {
            assert_eq!(round_up(number), round, "{number}");
        }
        assert_eq!(round_up(u64::MAX), u64::MAX);
    }

    #[test]
    fn a_limit_has_headroom_and_what_was_not_measured_has_none() {
        let most = Most {
            memory_bytes: 320 << 10,
            host_calls: 3,
            effects: 1,
            effect_bytes: 100,
            ..Most::default()
        };

        let values = values(&costs(most, Duration::from_micros(40)));

        let expected = [
            ("memory-mib", 2),
            ("tables", 5),
            ("instances", 10),
            ("file-kib", 256),
            ("host-calls", 20),
            ("handle-cpu-ms", 10),
            ("effects", 5),
            ("effect-kib", 1),
        ];
        assert_eq!(values, expected.into());
    }

    #[test]
    fn computing_is_the_larger_of_what_was_counted_and_what_was_timed() {
        let counted = |instructions| Most {
            handle_instructions: instructions,
            ..Most::default()
        };
        // 30 million instructions are taken for 30 ms.
        for (instructions, timed_ms, suggested) in [
            (30_000_000, 1, 200),
            (30_000_000, 100, 500),
            (1000, 100, 500),
            (1000, 0, 10),
        ] {
            let costs = costs(counted(instructions), Duration::from_millis(timed_ms));
            assert_eq!(values(&costs)["handle-cpu-ms"], suggested);
        }
    }

    #[test]
    fn what_took_long_once_is_no_reason_for_a_limit() {
        let mut costs = costs(Most::default(), Duration::ZERO);
        for count in [10, 200] {
            let often = std::iter::repeat_n(Duration::from_millis(1), count);
            let once = [Duration::from_secs(5)];
            costs.cases[0].handle = often.chain(once).collect();
            assert_eq!(values(&costs)["handle-cpu-ms"], 10);
        }
    }

    #[test]
    fn no_limit_is_suggested_that_it_cannot_have() {
        let most = Most {
            handle_instructions: u64::MAX,
            final_instructions: u64::MAX,
            memory_bytes: usize::MAX,
            table_elements: usize::MAX,
            host_calls: u64::MAX,
            effects: usize::MAX,
            effect_bytes: usize::MAX,
            log_lines: u64::MAX,
            log_bytes: usize::MAX,
        };
        let mut costs = costs(most, Duration::MAX);
        (costs.instances, costs.tables) = (u64::MAX, u32::MAX);
        costs.file_bytes = usize::MAX;

        let suggested = costs.suggested();

        assert_eq!(suggested.len(), 12);
        for Suggested { limit, value, .. } in suggested {
            assert_eq!(value, *limit.range().end(), "{limit}");
        }
    }

    #[test]
    fn the_fragment_is_what_policy_toml_takes() {
        let most = Most {
            memory_bytes: 1 << 20,
            log_lines: 2,
            ..Most::default()
        };
        let costs = costs(most, Duration::from_millis(3));

        let text = format!("version = 1\n\n{}", costs.policy_fragment());

        let policy = Policy::parse(&text).expect("a policy");
        let entry = policy.entry("key-request").expect("its entry");
        for Suggested { limit, value, .. } in costs.suggested() {
            assert_eq!(entry.limits.get(limit), value, "{limit}: {text}");
        }
        assert!(text.contains("memory-mib = 4"), "{text}");
    }
}
