//! Messages that are not what a plugin hopes for.

use rand_core::Rng;

use crate::message::{Integer, Value};

/// Words that handlers know, and some that they should not trip over.
const TEXTS: [&str; 10] = [
    "",
    "a",
    "secagg_id",
    "__type__",
    "\u{202e}txt.exe",
    "\u{1f480}",
    "line\nbreak",
    "-----BEGIN PUBLIC KEY-----\n",
    "../../etc/passwd",
    "NaN",
];
const INTEGERS: [i64; 10] = [
    0,
    1,
    -1,
    127,
    128,
    -129,
    65_536,
    i64::MAX,
    i64::MIN,
    4_294_967_296,
];
const FLOATS: [f64; 6] = [0.0, -0.0, f64::NAN, f64::INFINITY, f64::MIN_POSITIVE, 1e308];
/// As deep as a message may nest, and a bit less.
const DEEPEST: usize = 30;

/// A choice from `0..of`; 0 of nothing.
pub(super) fn below(rng: &mut impl Rng, of: usize) -> usize {
    usize::try_from(rng.next_u64() % (of.max(1) as u64)).unwrap_or_default()
}

pub(super) fn one_of<'a, T>(rng: &mut impl Rng, from: &'a [T]) -> Option<&'a T> {
    from.get(below(rng, from.len()))
}

/// The fields of a message out of nothing: a map whose names are `known`, mostly.
pub(super) fn fields(rng: &mut impl Rng, known: &[String]) -> Vec<u8> {
    let count = below(rng, 5);
    let entries = (0..count).map(|_| (name(rng, known), value(rng, 0)));
    Value::Map(distinct(entries.collect())).encode()
}

/// A message changed a little: in its values, and sometimes in its bytes, so that it may be no message any more.
pub(super) fn changed(rng: &mut impl Rng, message: &[u8], known: &[String]) -> Vec<u8> {
    let mut bytes = match Value::decode(message) {
        Ok(mut value) => {
            for _ in 0..=below(rng, 3) {
                change(rng, &mut value, known);
            }
            value.encode()
        }
        Err(_) => message.to_vec(),
    };
    if below(rng, 4) == 0 {
        damage(rng, &mut bytes);
    }
    bytes
}

fn name(rng: &mut impl Rng, known: &[String]) -> Value {
    match one_of(rng, known) {
        Some(known) if below(rng, 8) > 0 => Value::Str(known.clone()),
        _ => value(rng, DEEPEST),
    }
}

fn value(rng: &mut impl Rng, depth: usize) -> Value {
    let kinds = if depth < DEEPEST { 9 } else { 6 };
    let items = |rng: &mut _| (0..below(rng, 4)).map(|_| value(rng, depth + 10)).collect();
    match below(rng, kinds) {
        0 => Value::Nil,
        1 => Value::Bool(below(rng, 2) == 0),
        2 => integer(rng),
        3 => Value::Float(one_of(rng, &FLOATS).copied().unwrap_or_default()),
        4 => {
            let text = one_of(rng, &TEXTS).copied().unwrap_or_default();
            let times = one_of(rng, &[1, 1, 1, 2, 1000]).copied().unwrap_or(1);
            Value::Str(text.repeat(times))
        }
        5 => {
            let length = one_of(rng, &[0, 1, 16, 31, 32, 33, 255, 256, 4096]);
            let mut bytes = vec![0; length.copied().unwrap_or_default()];
            rng.fill_bytes(&mut bytes);
            Value::Bin(bytes)
        }
        6 => Value::List(items(rng)),
        7 => Value::Tuple(items(rng)),
        _ => {
            let count = below(rng, 4);
            let entries = (0..count).map(|_| (name(rng, &[]), value(rng, depth + 10)));
            Value::Map(distinct(entries.collect()))
        }
    }
}

fn integer(rng: &mut impl Rng) -> Value {
    if below(rng, 3) > 0 {
        return one_of(rng, &INTEGERS).copied().unwrap_or_default().into();
    }
    let mut bytes = vec![0; 1 + below(rng, 300)];
    rng.fill_bytes(&mut bytes);
    // Longer ones than a message may have are none.
    Integer::from_signed_bytes_be(&bytes).map_or(Value::Nil, Value::Int)
}

/// No key twice: that would be no message.
fn distinct(entries: Vec<(Value, Value)>) -> Vec<(Value, Value)> {
    let mut kept: Vec<(Value, Value)> = Vec::with_capacity(entries.len());
    for (name, value) in entries {
        if !kept.iter().any(|(other, _)| *other == name) {
            kept.push((name, value));
        }
    }
    kept
}

/// Changes one thing at some depth.
fn change(rng: &mut impl Rng, at: &mut Value, known: &[String]) {
    match at {
        Value::Map(entries) if below(rng, 6) > 0 => {
            let place = below(rng, entries.len());
            match below(rng, 5) {
                0 if !entries.is_empty() => drop(entries.remove(place)),
                1 => {
                    entries.push((name(rng, known), value(rng, 0)));
                    *entries = distinct(std::mem::take(entries));
                }
                2 if !entries.is_empty() => {
                    entries[place].0 = name(rng, known);
                    *entries = distinct(std::mem::take(entries));
                }
                3 => entries.reverse(),
                _ => {
                    if let Some((_, value)) = entries.get_mut(place) {
                        change(rng, value, known);
                    }
                }
            }
        }
        Value::List(items) | Value::Tuple(items) if below(rng, 3) > 0 && !items.is_empty() => {
            let place = below(rng, items.len());
            change(rng, &mut items[place], known);
        }
        Value::Bin(bytes) if below(rng, 2) == 0 => damage(rng, bytes),
        Value::Str(text) if below(rng, 2) == 0 => {
            let cut = below(rng, text.chars().count() + 1);
            *text = text.chars().take(cut).chain("x".chars()).collect();
        }
        other => *other = value(rng, 0),
    }
}

/// Changes bytes as a bad link or an attacker does: one, some lost, some twice.
fn damage(rng: &mut impl Rng, bytes: &mut Vec<u8>) {
    if bytes.is_empty() {
        return bytes.push(below(rng, 256) as u8);
    }
    let at = below(rng, bytes.len());
    match below(rng, 4) {
        0 => bytes[at] ^= 1 << below(rng, 8),
        1 => bytes.truncate(at),
        2 => bytes.insert(at, below(rng, 256) as u8),
        _ => {
            let until = at + below(rng, bytes.len() - at);
            let again = bytes[at..until].to_vec();
            bytes.splice(at..at, again);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::randomness::Randomness;

    #[test]
    fn the_same_seed_makes_the_same_message() {
        let made = |seed| {
            let mut rng = Randomness::from_seed(seed);
            let known = ["secagg_id".to_owned()];
            let fields = fields(&mut rng, &known);
            (0..20).fold(fields, |message, _| changed(&mut rng, &message, &known))
        };

        assert_eq!(made(1), made(1));
        assert_ne!(made(1), made(2));
    }

    #[test]
    fn many_are_still_messages_and_some_are_not() {
        let message = Value::Map(vec![("secagg_id".into(), "run".into())]).encode();
        let mut rng = Randomness::from_seed(1);

        let known = ["secagg_id".to_owned()];
        let changed: Vec<_> = (0..500)
            .map(|_| changed(&mut rng, &message, &known))
            .collect();

        let whole = changed
            .iter()
            .filter(|bytes| Value::decode(bytes).is_ok())
            .count();
        assert!((150..450).contains(&whole), "{whole} of 500");
        let distinct: std::collections::BTreeSet<_> = changed.iter().collect();
        assert!(distinct.len() > 150, "{} of 500", distinct.len());
    }
}
