//! Every cap that an operator can set for a plugin, with its name, unit, starting value and range: all in one table.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

/// A cap on what a plugin may use. Its [name](Self::name) is its key under `[plugin.NAME.limits]` in `policy.toml`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Limit {
    /// Linear memory of one instance.
    MemoryMib,
    /// Elements of one table.
    TableElements,
    /// Tables of one instance.
    Tables,
    /// Core instances that a component is made of.
    Instances,
    /// Size of the component file.
    FileKib,
    /// Calls of imports.
    HostCalls,
    /// Lines in the log.
    LogLines,
    /// Bytes in the log.
    LogKib,
    /// Computing time of `handle`, or of one step of a run.
    HandleCpuMs,
    /// Time of `handle` from its begin to its end, waiting included.
    HandleWallMs,
    /// Computing time of `finalize`.
    FinalCpuMs,
    /// Time of `finalize` from its begin to its end.
    FinalWallMs,
    /// Effects of one message.
    Effects,
    /// Size of one message's effects together.
    EffectKib,
    /// Messages and runs of the plugin that are in work at a time.
    InFlight,
    /// Linear memory of all its instances together.
    AllMemoryMib,
    /// Size of what it has stored, keys included.
    StoreKib,
    /// Keys it has stored.
    StoreKeys,
}

/// What stands in one row of the table: the key, the starting value, the least and the most an operator may set, and what
/// it bounds.
struct Row(&'static str, u64, u64, u64, &'static str);

impl Limit {
    /// All there are, in the order in which they are shown.
    pub const ALL: [Self; 18] = [
        Self::MemoryMib,
        Self::TableElements,
        Self::Tables,
        Self::Instances,
        Self::FileKib,
        Self::HostCalls,
        Self::LogLines,
        Self::LogKib,
        Self::HandleCpuMs,
        Self::HandleWallMs,
        Self::FinalCpuMs,
        Self::FinalWallMs,
        Self::Effects,
        Self::EffectKib,
        Self::InFlight,
        Self::AllMemoryMib,
        Self::StoreKib,
        Self::StoreKeys,
    ];

    /// The upper ends are what the engine and its pool are made for (`runtime.rs`), and the node's own bounds.
    const fn row(self) -> Row {
        match self {
            Self::MemoryMib => Row("memory-mib", 32, 1, 128, "MiB of memory of one instance"),
            Self::TableElements => {
                Row("table-elements", 10_000, 0, 20_000, "elements of one table")
            }
            Self::Tables => Row("tables", 8, 1, 16, "tables of one instance"),
            Self::Instances => Row("instances", 20, 1, 200, "core instances in the component"),
            Self::FileKib => Row("file-kib", 4096, 1, 128 << 10, "KiB of the component file"),
            Self::HostCalls => Row(
                "host-calls",
                1000,
                0,
                1_000_000,
                "calls of imports per message",
            ),
            Self::LogLines => Row(
                "log-lines",
                100,
                0,
                10_000,
                "lines per message in the node's log",
            ),
            Self::LogKib => Row("log-kib", 16, 0, 1024, "KiB per message in the node's log"),
            Self::HandleCpuMs => Row(
                "handle-cpu-ms",
                1000,
                1,
                60_000,
                "ms of computing in `handle`, or in a step of a run",
            ),
            Self::HandleWallMs => Row(
                "handle-wall-ms",
                32_000,
                1,
                60_000,
                "ms from the begin of `handle` to its end, waiting included",
            ),
            Self::FinalCpuMs => Row(
                "final-cpu-ms",
                100,
                1,
                10_000,
                "ms of computing in `finalize`",
            ),
            Self::FinalWallMs => Row(
                "final-wall-ms",
                10_000,
                1,
                60_000,
                "ms from the begin of `finalize` to its end",
            ),
            Self::Effects => Row("effects", 2000, 1, 100_000, "effects per message"),
            Self::EffectKib => Row("effect-kib", 8192, 1, 8192, "KiB of effects per message"),
            Self::InFlight => Row(
                "in-flight",
                1000,
                1,
                1000,
                "messages and runs in work at a time",
            ),
            Self::AllMemoryMib => Row(
                "all-memory-mib",
                1024,
                1,
                64 << 10,
                "MiB of memory of all its instances together",
            ),
            Self::StoreKib => Row("store-kib", 1024, 0, 1 << 20, "KiB stored, keys included"),
            Self::StoreKeys => Row("store-keys", 1000, 0, 1_000_000, "keys stored"),
        }
    }

    /// Its key in `policy.toml`: kebab-case, the unit last.
    pub const fn name(self) -> &'static str {
        self.row().0
    }

    /// Its value where an operator sets none.
    pub const fn default(self) -> u64 {
        self.row().1
    }

    /// What an operator may set.
    pub const fn range(self) -> RangeInclusive<u64> {
        let row = self.row();
        row.2..=row.3
    }

    /// What it bounds, to be read after its value: "32 MiB of memory of one instance".
    pub const fn in_words(self) -> &'static str {
        self.row().4
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// There is no limit of this name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no limit {0:?}")]
pub struct NoSuchLimit(pub String);

impl FromStr for Limit {
    type Err = NoSuchLimit;

    fn from_str(name: &str) -> Result<Self, NoSuchLimit> {
        Self::ALL
            .into_iter()
            .find(|limit| limit.name() == name)
            .ok_or_else(|| NoSuchLimit(name.to_owned()))
    }
}

/// A value that a limit cannot have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{limit} can be {least} to {most}, not {value}", least = limit.range().start(), most = limit.range().end())]
pub struct OutOfRange {
    /// The limit.
    pub limit: Limit,
    /// The value.
    pub value: u64,
}

/// A limit that was hit, with the value it had for that plugin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
#[error("{limit} = {value} ({})", limit.in_words())]
pub struct LimitHit {
    /// The limit.
    pub limit: Limit,
    /// Its value.
    pub value: u64,
}

/// The value of each limit for one plugin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits([u64; Limit::ALL.len()]);

impl Default for Limits {
    /// The starting values.
    fn default() -> Self {
        Self(Limit::ALL.map(Limit::default))
    }
}

impl Limits {
    /// Under which a component can be looked at that nobody has set limits for yet: what can be seen of it without compiling it, its size and
    /// its instances, may be as much as any operator could allow.
    pub fn for_reading() -> Self {
        Self::default().with_most(Limit::Instances).of_any_size()
    }

    /// These, with files as large as any operator could allow.
    pub(super) fn of_any_size(self) -> Self {
        self.with_most(Limit::FileKib)
    }

    fn with_most(mut self, limit: Limit) -> Self {
        self.0[limit as usize] = *limit.range().end();
        self
    }

    /// The value of `limit`, in the unit of its name.
    pub fn get(&self, limit: Limit) -> u64 {
        self.0[limit as usize]
    }

    /// Sets a limit, if it can have that value.
    pub fn set(&mut self, limit: Limit, value: u64) -> Result<(), OutOfRange> {
        if !limit.range().contains(&value) {
            return Err(OutOfRange { limit, value });
        }
        self.0[limit as usize] = value;
        Ok(())
    }

    /// All limits with their values, in the order in which they are shown.
    pub fn iter(&self) -> impl Iterator<Item = (Limit, u64)> {
        Limit::ALL.map(|limit| (limit, self.get(limit))).into_iter()
    }

    pub(super) fn hit(&self, limit: Limit) -> LimitHit {
        LimitHit {
            limit,
            value: self.get(limit),
        }
    }

    /// A limit in KiB or MiB, in bytes.
    pub(super) fn bytes(&self, limit: Limit) -> usize {
        let unit = if limit.name().ends_with("-mib") {
            20
        } else {
            10
        };
        usize::try_from(self.get(limit) << unit).unwrap_or(usize::MAX)
    }

    /// The most that a guest is given to read at once, in bytes. A guest that reads makes copies: what would not fit then is not begun, or
    /// any peer could make any plugin trap.
    pub(super) fn most_to_read(&self) -> usize {
        self.bytes(Limit::MemoryMib) / 4
    }

    /// A limit that counts.
    pub(super) fn count(&self, limit: Limit) -> usize {
        usize::try_from(self.get(limit)).unwrap_or(usize::MAX)
    }

    /// A limit in milliseconds.
    pub(super) fn time(&self, limit: Limit) -> Duration {
        Duration::from_millis(self.get(limit))
    }
}

/// A cap that is the same for every plugin, as it is built into the engine: shown beside the limits, not to be set.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name} = {value} ({in_words})")]
pub struct FixedLimit {
    /// Its name, kebab-case, the unit last.
    pub name: &'static str,
    /// Its value.
    pub value: u64,
    /// What it bounds.
    pub in_words: &'static str,
}

/// The caps that an operator cannot set.
pub static FIXED_LIMITS: [FixedLimit; 4] = [
    FixedLimit {
        name: "stack-kib",
        value: super::runtime::STACK as u64 >> 10,
        in_words: "KiB of stack of a call into the plugin",
    },
    FixedLimit {
        name: "lifted-mib",
        value: super::runtime::LIFTED as u64 >> 20,
        in_words: "MiB that one call into or out of the plugin may hand to the host",
    },
    FixedLimit {
        name: "memories",
        value: super::runtime::MEMORIES as u64,
        in_words: "memories of one instance",
    },
    FixedLimit {
        name: "handles",
        value: super::runtime::HANDLES as u64,
        in_words: "handles of resources in one instance",
    },
];

/// The limits that the engine keeps, by what it says when they are crossed. It has no types for most of them.
const KEPT_BY_THE_ENGINE: [(&str, &str); 6] = [
    ("call stack exhausted", "stack-kib"),
    ("fuel allocated for hostcalls", "lifted-mib"),
    ("memory count too high", "memories"),
    ("handle limit exceeded", "handles"),
    ("instance count too high", "instances"),
    ("table count too high", "tables"),
];

/// The limit that stopped a guest, if one did.
pub(super) enum Crossed {
    /// One that an operator can set.
    Own(LimitHit),
    /// One of the engine's.
    Fixed(&'static FixedLimit),
}

impl Crossed {
    /// What the engine's error tells of.
    pub(super) fn from_error(error: &wasmtime::Error, limits: &Limits) -> Option<Self> {
        if let Some(hit) = error.downcast_ref::<LimitHit>() {
            return Some(Self::Own(*hit));
        }
        let said = error.chain().last()?.to_string();
        let (_, name) = KEPT_BY_THE_ENGINE
            .iter()
            .find(|(words, _)| said.contains(words))?;
        let fixed = FIXED_LIMITS.iter().find(|limit| limit.name == *name);
        match (fixed, name.parse()) {
            (Some(limit), _) => Some(Self::Fixed(limit)),
            (None, Ok(limit)) => Some(Self::Own(limits.hit(limit))),
            (None, Err(_)) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_limit_starts_within_its_range_and_is_found_by_its_name() {
        for (at, limit) in Limit::ALL.into_iter().enumerate() {
            assert_eq!(limit as usize, at, "{limit}: the table is in order");
            assert!(limit.range().contains(&limit.default()), "{limit}");
            assert_eq!(limit.name().parse(), Ok(limit));
            assert_eq!(Limits::default().get(limit), limit.default());
        }
        assert!("memory".parse::<Limit>().is_err());
    }

    #[test]
    fn refuses_a_value_out_of_range_and_keeps_the_one_before() {
        let mut limits = Limits::default();
        for limit in Limit::ALL {
            let most = *limit.range().end();
            limits.set(limit, most).expect("the most");
            let refused = limits.set(limit, most + 1);
            assert_eq!(
                refused,
                Err(OutOfRange {
                    limit,
                    value: most + 1
                })
            );
            assert_eq!(limits.get(limit), most);
        }
    }

    #[test]
    fn a_hit_names_the_key_and_the_value() {
        let mut limits = Limits::default();
        limits.set(Limit::MemoryMib, 64).expect("in range");
        let said = limits.hit(Limit::MemoryMib).to_string();
        assert_eq!(said, "memory-mib = 64 (MiB of memory of one instance)");
        assert_eq!(limits.bytes(Limit::MemoryMib), 64 << 20);
    }
}
