//! Amounts as people read them: three digits and a unit.

use std::time::Duration;

/// A time: `31.2 µs`.
pub fn of_time(time: Duration) -> String {
    in_units(time.as_nanos() as f64 / 1000.0, &["µs", "ms", "s"], 1000.0)
}

/// A number of bytes: `256 KiB`.
pub fn of_bytes(bytes: usize) -> String {
    in_units(bytes as f64, &["B", "KiB", "MiB", "GiB"], 1024.0)
}

/// A number of instructions: `3.51 k`.
pub fn of_instructions(number: u64) -> String {
    in_units(number as f64, &["", "k", "M", "G"], 1000.0)
}

fn in_units(amount: f64, units: &[&str], step: f64) -> String {
    let mut amount = amount;
    let mut unit = 0;
    while amount >= step && unit + 1 < units.len() {
        amount /= step;
        unit += 1;
    }
    let digits = match amount {
        _ if amount.fract() == 0.0 || amount >= 100.0 => 0,
        _ if amount >= 10.0 => 1,
        _ => 2,
    };
    let number = format!("{amount:.digits$} {}", units[unit]);
    number.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_amount_has_three_digits_and_the_unit_that_suits_it() {
        let times = [
            (Duration::from_nanos(31_234), "31.2 µs"),
            (Duration::from_micros(1_240), "1.24 ms"),
            (Duration::from_millis(120_000), "120 s"),
        ];
        for (time, shown) in times {
            assert_eq!(of_time(time), shown);
        }
        assert_eq!(of_bytes(0), "0 B");
        assert_eq!(of_bytes(256 << 10), "256 KiB");
        assert_eq!(of_bytes(13_316_915), "12.7 MiB");
        assert_eq!(of_instructions(999), "999");
        assert_eq!(of_instructions(3_512), "3.51 k");
    }
}
