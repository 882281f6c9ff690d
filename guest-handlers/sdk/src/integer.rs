use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, Unexpected, Visitor};
use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::Bytes;

/// An integer of any size, as it travels between nodes.
///
/// From −2⁶³ to 2⁶⁴−1 it is a MessagePack integer. Beyond, it is the map `{"__type__": "int", "value": bin}` in that
/// order, the value big-endian two's complement in ⌈bits/8⌉+1 bytes, `bits` being the length of the magnitude: at
/// least one byte of sign, as Fed-BioMed writes it. Signatures cover these bytes, so no other form is read.
///
/// A share of a secret is one of these, so `Debug` tells its size and not its value.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Integer {
    /// Big-endian two's complement, as short as the sign allows, at least one byte.
    bytes: Vec<u8>,
}

impl Integer {
    /// The integer that `bytes` hold in big-endian two's complement, whatever their number. No bytes are zero.
    pub fn from_be_bytes(bytes: &[u8]) -> Self {
        let mut rest = bytes;
        while let [first, second, ..] = rest
            && *first == sign_byte(*second)
        {
            rest = &rest[1..];
        }
        let bytes = if rest.is_empty() {
            vec![0]
        } else {
            rest.into()
        };
        Self { bytes }
    }

    /// Big-endian two's complement in as few bytes as the sign allows, at least one.
    pub fn to_be_bytes(&self) -> Vec<u8> {
        self.bytes.clone()
    }

    fn first(&self) -> u8 {
        self.bytes.first().copied().unwrap_or(0)
    }

    /// Big-endian two's complement in exactly `width` bytes, or `None` when it takes more.
    fn widened(&self, width: usize) -> Option<Vec<u8>> {
        let missing = width.checked_sub(self.bytes.len())?;
        let mut wide = vec![sign_byte(self.first()); missing];
        wide.extend_from_slice(&self.bytes);
        Some(wide)
    }

    fn as_i64(&self) -> Option<i64> {
        let wide = self.widened(8)?;
        Some(i64::from_be_bytes(wide.try_into().ok()?))
    }

    fn as_u64(&self) -> Option<u64> {
        let wide = self.widened(9)?;
        let (sign, magnitude) = wide.split_first()?;
        let magnitude = u64::from_be_bytes(magnitude.try_into().ok()?);
        (*sign == 0).then_some(magnitude)
    }

    /// ⌈bits/8⌉+1, `bits` being the length of the magnitude.
    fn wire_width(&self) -> usize {
        let sign = sign_byte(self.first());
        // Without the sign these are the bits of n, or of −n−1 for a negative n.
        let bits_of = |byte: u8| byte ^ sign;
        let leading_zeros = bits_of(self.first()).leading_zeros() as usize;
        let bits = self.bytes.len() * 8 - leading_zeros;
        let ones = self.bytes.iter().map(|byte| bits_of(*byte).count_ones());
        // −n−1 is all ones when −n is a power of two: then the magnitude is one bit longer.
        let carries = sign != 0 && ones.sum::<u32>() as usize == bits;
        (bits + usize::from(carries)).div_ceil(8) + 1
    }
}

/// What repeats to the left of a number whose first byte is `byte`.
fn sign_byte(byte: u8) -> u8 {
    if byte & 0x80 == 0 { 0x00 } else { 0xff }
}

impl From<i64> for Integer {
    fn from(value: i64) -> Self {
        Self::from_be_bytes(&value.to_be_bytes())
    }
}

impl From<u64> for Integer {
    fn from(value: u64) -> Self {
        Self::from_be_bytes(&i128::from(value).to_be_bytes())
    }
}

impl fmt::Debug for Integer {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "Integer({} bytes)", self.bytes.len())
    }
}

impl Serialize for Integer {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if let Some(value) = self.as_i64() {
            return serializer.serialize_i64(value);
        }
        if let Some(value) = self.as_u64() {
            return serializer.serialize_u64(value);
        }
        let value = self.widened(self.wire_width()).unwrap_or_default();
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("__type__", "int")?;
        map.serialize_entry("value", &Bytes(value))?;
        map.end()
    }
}

impl<'de> Deserialize<'de> for Integer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(IntegerVisitor)
    }
}

struct IntegerVisitor;

impl<'de> Visitor<'de> for IntegerVisitor {
    type Value = Integer;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("an integer in canonical form")
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Integer, E> {
        Ok(value.into())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Integer, E> {
        Ok(value.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Integer, A::Error> {
        let refusal = || A::Error::invalid_value(Unexpected::Map, &self);
        let tag = map.next_entry::<String, String>()?;
        if tag.is_none_or(|(key, value)| key != "__type__" || value != "int") {
            return Err(refusal());
        }
        let value = match map.next_key::<String>()? {
            Some(key) if key == "value" => map.next_value::<Bytes>()?.0,
            _ => return Err(refusal()),
        };
        let integer = Integer::from_be_bytes(&value);
        let fits_64_bits = integer.as_i64().is_some() || integer.as_u64().is_some();
        let more = map.next_key::<String>()?.is_some();
        if fits_64_bits || value.len() != integer.wire_width() || more {
            return Err(refusal());
        }
        Ok(integer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2^`power`, or minus that, plus `offset`.
    fn near_power(power: u32, negative: bool, offset: i128) -> Integer {
        let value = (1i128 << power) * if negative { -1 } else { 1 } + offset;
        Integer::from_be_bytes(&value.to_be_bytes())
    }

    fn wire(integer: &Integer) -> Vec<u8> {
        rmp_serde::to_vec(integer).unwrap()
    }

    fn big(value: &[u8]) -> Vec<u8> {
        let head: &[u8] = b"\x82\xa8__type__\xa3int\xa5value\xc4";
        [head, &[value.len() as u8], value].concat()
    }

    fn refuses(bytes: &[u8]) -> bool {
        rmp_serde::from_slice::<Integer>(bytes).is_err()
    }

    #[test]
    fn refuses_a_small_integer_written_as_a_map() {
        assert!(refuses(&big(&[5])));
        assert!(refuses(&big(&[0, 5])));
        assert!(refuses(&big(&[])));
        assert!(refuses(&big(b"\x00\xff\xff\xff\xff\xff\xff\xff\xff")));
    }

    #[test]
    fn refuses_a_width_other_than_the_canonical() {
        assert!(refuses(&big(b"\x01\0\0\0\0\0\0\0\0")));
        assert!(refuses(&big(b"\0\0\x01\0\0\0\0\0\0\0\0")));
        assert!(!refuses(&big(b"\0\x01\0\0\0\0\0\0\0\0")));
    }

    #[test]
    fn refuses_another_order_another_type_and_further_entries() {
        let value = b"\xa5value\xc4\x0a\0\x01\0\0\0\0\0\0\0\0".as_slice();
        let tag = b"\xa8__type__\xa3int".as_slice();
        assert!(!refuses(&[b"\x82", tag, value].concat()));

        assert!(refuses(&[b"\x82", value, tag].concat()));
        assert!(refuses(&[b"\x81", tag].concat()));
        assert!(refuses(&[b"\x83", tag, value, b"\xa1x\x01"].concat()));
        assert!(refuses(&[b"\x82\xa8__type__\xa3set", value].concat()));
        assert!(refuses(&[b"\x82", tag, b"\xa5value\xa15"].concat()));
    }

    #[test]
    fn refuses_what_is_no_integer() {
        let others: [&[u8]; 6] = [
            b"\xc3",
            b"\xc0",
            b"\xa15",
            b"\x91\x05",
            b"\xc4\x01\x05",
            b"\xcb\x3f\xf0\0\0\0\0\0\0",
        ];
        for other in others {
            assert!(refuses(other), "{other:x?}");
        }
    }

    #[test]
    fn equals_the_peers_bytes_at_every_edge() {
        let edges: [(Integer, &[u8]); 12] = [
            (0i64.into(), b"\x00"),
            ((-33i64).into(), b"\xd0\xdf"),
            (255i64.into(), b"\xcc\xff"),
            ((-2147483648i64).into(), b"\xd2\x80\0\0\0"),
            (i64::MIN.into(), b"\xd3\x80\0\0\0\0\0\0\0"),
            (u64::MAX.into(), b"\xcf\xff\xff\xff\xff\xff\xff\xff\xff"),
            (near_power(64, false, 0), &big(b"\0\x01\0\0\0\0\0\0\0\0")),
            (
                near_power(63, true, -1),
                &big(b"\xff\x7f\xff\xff\xff\xff\xff\xff\xff"),
            ),
            (near_power(64, true, 0), &big(b"\xff\xff\0\0\0\0\0\0\0\0")),
            (near_power(71, false, 0), &big(b"\0\x80\0\0\0\0\0\0\0\0")),
            (near_power(72, false, 0), &big(b"\0\x01\0\0\0\0\0\0\0\0\0")),
            (
                near_power(71, true, -1),
                &big(b"\xff\x7f\xff\xff\xff\xff\xff\xff\xff\xff"),
            ),
        ];
        for (integer, bytes) in edges {
            assert_eq!(wire(&integer), bytes);
            assert_eq!(rmp_serde::from_slice::<Integer>(bytes).unwrap(), integer);
        }
    }

    #[test]
    fn reads_back_what_it_writes_around_every_power_of_two() {
        for power in 0..126 {
            for (negative, offset) in [
                (false, -1),
                (false, 0),
                (false, 1),
                (true, -1),
                (true, 0),
                (true, 1),
            ] {
                let integer = near_power(power, negative, offset);

                let read = rmp_serde::from_slice::<Integer>(&wire(&integer)).unwrap();

                assert_eq!(read, integer, "{negative} {power} {offset}");
            }
        }
    }

    #[test]
    fn bytes_of_any_width_are_the_same_integer() {
        assert_eq!(Integer::from_be_bytes(&[]), 0i64.into());
        assert_eq!(Integer::from_be_bytes(&[0, 0, 0x80]), 128i64.into());
        assert_eq!(
            Integer::from_be_bytes(&[0xff, 0xff, 0x80]),
            (-128i64).into()
        );
        assert_eq!(
            Integer::from_be_bytes(&[0, 0, 0x80]).to_be_bytes(),
            [0, 0x80]
        );
    }

    #[test]
    fn debug_does_not_tell_the_value() {
        assert_eq!(format!("{:?}", Integer::from(77i64)), "Integer(1 bytes)");
    }
}
