use std::fmt;

use backchannel_sdk::Integer;
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, Serializer};

/// The field `share`. Its kind allows two forms; a server key has the first.
pub(crate) enum Share {
    One(Integer),
    List(Vec<Integer>),
}

impl Serialize for Share {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::One(share) => share.serialize(serializer),
            Self::List(shares) => shares.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Share {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ShareVisitor)
    }
}

/// What serde's `untagged` would derive, without the code that keeps any value for a second try (some 5 KiB).
struct ShareVisitor;

impl<'de> Visitor<'de> for ShareVisitor {
    type Value = Share;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("an integer or a list of integers")
    }

    fn visit_i64<E: Error>(self, share: i64) -> Result<Share, E> {
        Ok(Share::One(share.into()))
    }

    fn visit_u64<E: Error>(self, share: u64) -> Result<Share, E> {
        Ok(Share::One(share.into()))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Share, A::Error> {
        Integer::deserialize(MapAccessDeserializer::new(map)).map(Share::One)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Share, A::Error> {
        Vec::deserialize(SeqAccessDeserializer::new(seq)).map(Share::List)
    }
}
