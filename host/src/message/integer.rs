//! Integers of any size, as Python has them: shares of a server key have some 2040 bits.

use zeroize::Zeroizing;

use super::MAX_INTEGER_BYTES;

/// A signed integer of up to [`MAX_INTEGER_BYTES`] bytes.
///
/// Large ones are shares and keys as a rule, so they are zeroized when dropped, and `Debug` shows their size only.
#[derive(Clone, PartialEq, Eq)]
pub struct Integer(Repr);

/// What fits an `i64` is `Small`, so that equal integers have equal representations.
#[derive(Clone, PartialEq, Eq)]
enum Repr {
    Small(i64),
    /// Minimal two's complement, big-endian.
    Large(Zeroizing<Vec<u8>>),
}

/// An integer has more than [`MAX_INTEGER_BYTES`] bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an integer has at most {MAX_INTEGER_BYTES} bytes, this one has {0}")]
pub struct IntegerTooLong(pub usize);

impl Integer {
    /// Reads two's complement, big-endian; no bytes are zero, as in Python. Leading sign bytes are allowed.
    pub fn from_signed_bytes_be(bytes: &[u8]) -> Result<Self, IntegerTooLong> {
        let minimal = trim(bytes);
        if minimal.len() > MAX_INTEGER_BYTES {
            return Err(IntegerTooLong(minimal.len()));
        }
        Ok(Self::from_bounded_bytes_be(minimal))
    }

    /// The same for bytes whose length the caller bounds.
    pub(crate) fn from_bounded_bytes_be(bytes: &[u8]) -> Self {
        let minimal = trim(bytes);
        Self(if minimal.len() <= 8 {
            let mut wide = [sign_byte(minimal); 8];
            wide[8 - minimal.len()..].copy_from_slice(minimal);
            Repr::Small(i64::from_be_bytes(wide))
        } else {
            Repr::Large(Zeroizing::new(minimal.to_vec()))
        })
    }

    /// Minimal two's complement, big-endian: at least one byte.
    pub fn to_signed_bytes_be(&self) -> Zeroizing<Vec<u8>> {
        match &self.0 {
            Repr::Small(small) => {
                let wide = small.to_be_bytes();
                let minimal = trim(&wide);
                let shown = if minimal.is_empty() {
                    &wide[7..]
                } else {
                    minimal
                };
                Zeroizing::new(shown.to_vec())
            }
            Repr::Large(bytes) => bytes.clone(),
        }
    }

    /// The integer as an `i64`, if it fits.
    pub fn to_i64(&self) -> Option<i64> {
        match &self.0 {
            Repr::Small(small) => Some(*small),
            Repr::Large(_) => None,
        }
    }

    /// The integer as a `u64`, if it fits.
    pub fn to_u64(&self) -> Option<u64> {
        match &self.0 {
            Repr::Small(small) => u64::try_from(*small).ok(),
            Repr::Large(bytes) => {
                let [0, low @ ..] = bytes.as_slice() else {
                    return None;
                };
                Some(u64::from_be_bytes(low.try_into().ok()?))
            }
        }
    }

    /// Whether it is below zero.
    pub fn is_negative(&self) -> bool {
        match &self.0 {
            Repr::Small(small) => *small < 0,
            Repr::Large(bytes) => sign_byte(bytes) == 0xff,
        }
    }

    /// The number of bits of the absolute value: Python's `int.bit_length`.
    pub fn bits(&self) -> usize {
        let mut magnitude = self.to_signed_bytes_be();
        if self.is_negative() {
            // |v| = !v + 1
            let mut carry = true;
            for byte in magnitude.iter_mut().rev() {
                let (negated, overflowed) = (!*byte).overflowing_add(u8::from(carry));
                (*byte, carry) = (negated, overflowed);
            }
        }
        let leading = magnitude.iter().take_while(|byte| **byte == 0).count();
        match magnitude.get(leading) {
            Some(top) => (magnitude.len() - leading) * 8 - top.leading_zeros() as usize,
            None => 0,
        }
    }

    /// The bytes of the long wire form, for integers that no MessagePack integer can hold: two's complement in
    /// ⌈bits/8⌉ + 1 bytes, which is often one more than needed. The reference writes it so, and signatures cover it.
    pub(super) fn to_wire_bytes(&self) -> Zeroizing<Vec<u8>> {
        let minimal = self.to_signed_bytes_be();
        let length = self.bits().div_ceil(8) + 1;
        let mut wire = Zeroizing::new(Vec::with_capacity(length));
        wire.resize(length.saturating_sub(minimal.len()), sign_byte(&minimal));
        wire.extend_from_slice(&minimal);
        wire
    }
}

impl From<i64> for Integer {
    fn from(value: i64) -> Self {
        Self(Repr::Small(value))
    }
}

impl From<u64> for Integer {
    fn from(value: u64) -> Self {
        Self(match i64::try_from(value) {
            Ok(small) => Repr::Small(small),
            Err(_) => {
                let mut bytes = vec![0];
                bytes.extend_from_slice(&value.to_be_bytes());
                Repr::Large(Zeroizing::new(bytes))
            }
        })
    }
}

impl std::fmt::Debug for Integer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.0 {
            Repr::Small(small) => write!(f, "{small}"),
            Repr::Large(_) => write!(f, "integer of {} bits", self.bits()),
        }
    }
}

/// What lies left of the first byte: zeros, or ones below zero.
fn sign_byte(bytes: &[u8]) -> u8 {
    match bytes.first() {
        Some(top) if top & 0x80 != 0 => 0xff,
        _ => 0,
    }
}

/// Without the leading bytes that only repeat the sign. Zero becomes no bytes at all.
fn trim(mut bytes: &[u8]) -> &[u8] {
    while let [first, rest @ ..] = bytes {
        let redundant = match rest.first() {
            Some(_) => *first == sign_byte(bytes) && sign_byte(rest) == *first,
            None => *first == 0,
        };
        if !redundant {
            break;
        }
        bytes = rest;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use num_bigint::{BigInt, Sign};

    use super::*;

    fn edges() -> Vec<BigInt> {
        let mut values = vec![BigInt::from(0)];
        for exponent in [1, 7, 8, 31, 62, 63, 64, 65, 71, 72, 127, 128, 2040] {
            for offset in -2..=2 {
                let value: BigInt = BigInt::from(2).pow(exponent) + offset;
                values.push(-value.clone());
                values.push(value);
            }
        }
        values
    }

    #[test]
    fn bytes_are_minimal_and_come_back_at_every_edge() {
        for value in edges() {
            let bytes = value.to_signed_bytes_be();
            let ours = Integer::from_signed_bytes_be(&bytes).unwrap();
            assert_eq!(*ours.to_signed_bytes_be(), bytes, "{value}");
            assert_eq!(ours.bits() as u64, value.bits(), "{value}");
            assert_eq!(ours.to_i64(), i64::try_from(&value).ok(), "{value}");
            assert_eq!(ours.to_u64(), u64::try_from(&value).ok(), "{value}");
            assert_eq!(ours.is_negative(), value.sign() == Sign::Minus, "{value}");
            assert_eq!(
                ours.to_wire_bytes().len() as u64,
                value.bits().div_ceil(8) + 1
            );
            assert_eq!(BigInt::from_signed_bytes_be(&ours.to_wire_bytes()), value);
        }
    }

    #[test]
    fn padding_does_not_make_a_different_integer() {
        let padded = Integer::from_signed_bytes_be(&[0xff; 20]).unwrap();
        assert_eq!(padded, Integer::from(-1i64));
        assert_eq!(
            Integer::from_signed_bytes_be(&[]).unwrap(),
            Integer::from(0i64)
        );
        assert_eq!(
            Integer::from(u64::MAX),
            Integer::from_signed_bytes_be(&[0, 0, 255, 255, 255, 255, 255, 255, 255, 255]).unwrap()
        );
    }

    #[test]
    fn refuses_integers_beyond_the_limit_and_not_their_padding() {
        let mut bytes = vec![1; MAX_INTEGER_BYTES + 1];
        assert_eq!(
            Integer::from_signed_bytes_be(&bytes),
            Err(IntegerTooLong(MAX_INTEGER_BYTES + 1))
        );
        bytes[0] = 0;
        assert!(Integer::from_signed_bytes_be(&bytes).is_ok());
    }

    #[test]
    fn large_integers_cannot_be_printed() {
        let share = Integer::from_signed_bytes_be(&[7; 255]).unwrap();
        assert_eq!(format!("{share:?}"), "integer of 2035 bits");
    }
}
