//! Integers beyond TOML's 64 bits, as a case file has them: decimal, or `0x` and hex, with a sign.

use crypto_bigint::BoxedUint;

use crate::message::{Integer, MAX_INTEGER_BYTES};

/// No integer of a message has more digits; looked at before they are counted out.
const MOST_DIGITS: usize = MAX_INTEGER_BYTES * 3;

/// The integer of a text; `None` if it is none or too long.
pub(super) fn parse(text: &str) -> Option<Integer> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text),
    };
    let (radix, digits) = match digits.strip_prefix("0x") {
        Some(digits) => (16, digits),
        None => (10, digits),
    };
    if digits.len() > MOST_DIGITS || digits.starts_with('+') {
        return None;
    }
    let magnitude = BoxedUint::from_str_radix_vartime(digits, radix).ok()?;
    let magnitude = [&[0][..], &magnitude.to_be_bytes()].concat();
    let bytes = if negative {
        negated(&magnitude)
    } else {
        magnitude
    };
    Integer::from_signed_bytes_be(&bytes).ok()
}

/// The text of an integer, in hex.
pub(super) fn text(integer: &Integer) -> String {
    let bytes = integer.to_signed_bytes_be();
    let (sign, magnitude) = if integer.is_negative() {
        ("-", negated(&[&[0xff][..], &bytes].concat()))
    } else {
        ("", bytes.to_vec())
    };
    let digits = hex::encode(magnitude);
    let digits = digits.trim_start_matches('0');
    let digits = if digits.is_empty() { "0" } else { digits };
    format!("{sign}0x{digits}")
}

/// Two's complement, big-endian, negated in its width: the inverse and one.
fn negated(bytes: &[u8]) -> Vec<u8> {
    let mut negated: Vec<u8> = bytes.iter().map(|byte| !byte).collect();
    for byte in negated.iter_mut().rev() {
        let (sum, overflowed) = byte.overflowing_add(1);
        *byte = sum;
        if !overflowed {
            break;
        }
    }
    negated
}

#[cfg(test)]
mod tests {
    use num_bigint::BigInt;

    use super::*;

    #[test]
    fn refuses_what_is_no_integer_or_too_long() {
        let long = "9".repeat(MOST_DIGITS + 1);
        let too_large = format!("0x{}", "f".repeat(2 * MAX_INTEGER_BYTES + 2));
        for text in [
            "", "-", "0x", "--1", "+1", "-+1", "1.0", "0xg", " 1", &long, &too_large,
        ] {
            assert!(parse(text).is_none(), "{text:.20}");
        }
    }

    #[test]
    fn reads_decimal_and_hex_as_others_do_and_what_it_writes() {
        for exponent in [0, 1, 7, 8, 63, 64, 65, 256, 2040] {
            for offset in -2..=2 {
                for sign in [-1, 1] {
                    let value: BigInt = sign * (BigInt::from(2).pow(exponent) + offset);
                    let expected = Integer::from_signed_bytes_be(&value.to_signed_bytes_be());
                    let expected = expected.expect("short enough");
                    assert!(
                        parse(&value.to_string()) == Some(expected.clone()),
                        "{value}"
                    );
                    assert!(parse(&text(&expected)) == Some(expected), "{value}");
                }
            }
        }
    }
}
