//! Times and sizes, as people read them.

/// From this on, a delivery is shown as late: longer than a link takes, shorter than what people would wait for. In
/// microseconds.
pub(super) const LATE: u64 = 100_000;

/// A time, from microseconds since the trace began.
pub(super) fn time(us: u64) -> String {
    format!("{}.{:03} s", us / 1_000_000, us / 1000 % 1000)
}

/// How long something took, from microseconds: two digits that matter.
pub(super) fn span(us: u64) -> String {
    match us {
        0..1000 => format!("{us} µs"),
        1000..1_000_000 => format!("{} ms", us / 1000),
        1_000_000..100_000_000 => format!("{}.{} s", us / 1_000_000, us / 100_000 % 10),
        _ => format!("{} s", us / 1_000_000),
    }
}

/// A size, from bytes.
pub(super) fn size(bytes: u64) -> String {
    let tenths = |unit: u64| format!("{}.{}", bytes / unit, bytes % unit * 10 / unit);
    match bytes {
        0..1024 => format!("{bytes} B"),
        1024..1_048_576 => format!("{} KiB", tenths(1024)),
        _ => format!("{} MiB", tenths(1_048_576)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The page has its own; `tests/report/run` holds it to the same.
    #[test]
    fn shows_what_matters_of_times_and_sizes() {
        assert_eq!(time(12_345_678), "12.345 s");
        let spans = [999, 2_500, 2_160_000, 99_999_999, 123_456_789].map(span);
        assert_eq!(spans, ["999 µs", "2 ms", "2.1 s", "99.9 s", "123 s"]);
        let sizes = [1023, 1536, 2047, 1_048_575, 2_097_151].map(size);
        let shown = ["1023 B", "1.5 KiB", "1.9 KiB", "1023.9 KiB", "1.9 MiB"];
        assert_eq!(sizes, shown);
        assert_eq!(size(u64::MAX), "17592186044415.9 MiB");
    }
}
