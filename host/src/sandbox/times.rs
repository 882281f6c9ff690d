//! Times as scenarios and faults write them: `1500ms`, `30s`, `2min`, `1h`.

use std::time::Duration;

/// The longest time that a scenario can mean.
const LONGEST: Duration = Duration::from_secs(7 * 24 * 3600);

/// In microseconds, the smallest last: a time is written with the largest of which it is a multiple.
const UNITS: [(&str, u64); 5] = [
    ("h", 3_600_000_000),
    ("min", 60_000_000),
    ("s", 1_000_000),
    ("ms", 1000),
    ("us", 1),
];

/// What is expected where no time is.
pub(super) const EXPECTED: &str =
    "write a number with us, ms, s, min or h, such as \"500ms\" or \"2min\", up to a week";

/// Reads a time.
pub(super) fn read(text: &str) -> Option<Duration> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(digits);
    let (_, us) = UNITS.into_iter().find(|(name, _)| *name == unit)?;
    let time = Duration::from_micros(number.parse::<u64>().ok()?.checked_mul(us)?);
    (time <= LONGEST).then_some(time)
}

/// Writes it, exact to the microsecond.
pub(super) fn shown(time: Duration) -> String {
    let us = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
    if us == 0 {
        return "0s".into();
    }
    let fitting = UNITS.into_iter().find(|(_, unit)| us.is_multiple_of(*unit));
    let (name, unit) = fitting.unwrap_or(("us", 1));
    format!("{}{name}", us / unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_what_is_no_time() {
        for text in [
            "",
            "5",
            "s",
            "-1s",
            "1.5s",
            "1 s",
            "1d",
            "99999999h",
            "8000000000h",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn writes_what_it_reads() {
        for text in ["0s", "1us", "1500ms", "30s", "2min", "90min", "1h", "168h"] {
            assert_eq!(read(text).map(shown).as_deref(), Some(text));
        }
    }
}
