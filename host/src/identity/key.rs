use std::fmt;
use std::str::FromStr;

use p256::PublicKey;
use p256::elliptic_curve::sec1::ToSec1Point;
use serde::{Deserialize, Serialize};

/// What the text form begins with: which curve.
const CURVE: &str = "p256:";

/// A node's public identity key: a point of P-256 that is not at infinity. Written `p256:` and the 66 hex digits of its SEC 1
/// compressed form, in one spelling.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct IdentityKey(PublicKey);

/// A text that is no identity key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotAnIdentityKey {
    /// It is not written as one.
    #[error("an identity key is `p256:` and 66 hex digits, in lower case")]
    Form,
    /// It is written as one, and no point of the curve.
    #[error("this is no point of the curve P-256")]
    NoPoint,
}

impl IdentityKey {
    /// Length of the SEC 1 compressed form, in bytes.
    pub const BYTES: usize = 33;

    /// The point.
    pub fn point(&self) -> &PublicKey {
        &self.0
    }

    /// SEC 1, compressed.
    pub fn to_bytes(&self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        // Of that length for each point but the one at infinity, which is no public key.
        bytes.copy_from_slice(self.0.to_sec1_point(true).as_bytes());
        bytes
    }
}

impl From<PublicKey> for IdentityKey {
    fn from(point: PublicKey) -> Self {
        Self(point)
    }
}

impl TryFrom<&[u8]> for IdentityKey {
    type Error = NotAnIdentityKey;

    /// Reads the SEC 1 compressed form, and no other.
    fn try_from(bytes: &[u8]) -> Result<Self, NotAnIdentityKey> {
        if bytes.len() != Self::BYTES {
            return Err(NotAnIdentityKey::Form);
        }
        // The library also takes the compact form (5), which says only x: another spelling of one of two points.
        if !matches!(bytes[0], 2 | 3) {
            return Err(NotAnIdentityKey::NoPoint);
        }
        let point = PublicKey::from_sec1_bytes(bytes);
        point.map(Self).map_err(|_| NotAnIdentityKey::NoPoint)
    }
}

impl FromStr for IdentityKey {
    type Err = NotAnIdentityKey;

    fn from_str(text: &str) -> Result<Self, NotAnIdentityKey> {
        let digits = text.strip_prefix(CURVE).ok_or(NotAnIdentityKey::Form)?;
        if digits.bytes().any(|digit| digit.is_ascii_uppercase()) {
            return Err(NotAnIdentityKey::Form);
        }
        let mut bytes = [0; Self::BYTES];
        hex::decode_to_slice(digits, &mut bytes).map_err(|_| NotAnIdentityKey::Form)?;
        Self::try_from(&bytes[..])
    }
}

impl TryFrom<String> for IdentityKey {
    type Error = NotAnIdentityKey;

    fn try_from(text: String) -> Result<Self, NotAnIdentityKey> {
        text.parse()
    }
}

impl From<IdentityKey> for String {
    fn from(key: IdentityKey) -> Self {
        key.to_string()
    }
}

impl fmt::Display for IdentityKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{CURVE}{}", hex::encode(self.to_bytes()))
    }
}

impl fmt::Debug for IdentityKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::primitives::derive_secret_key;

    fn key() -> IdentityKey {
        derive_secret_key(&[7; 32], b"test").public_key().into()
    }

    #[test]
    fn refuses_every_other_spelling_and_every_other_form() {
        let text = key().to_string();
        let uncompressed = hex::encode(key().point().to_sec1_point(false).as_bytes());
        for bad in [
            "",
            "p256:",
            &text[..text.len() - 1],
            &text[5..],
            &text.to_uppercase(),
            &format!("{text}00"),
            &format!("{text} "),
            &format!(" {text}"),
            &text.replace("p256:", "p384:"),
            &format!("p256:{uncompressed}"),
        ] {
            let read = bad.parse::<IdentityKey>();
            assert!(read.is_err() || read == Ok(key()) && bad == text, "{bad}");
        }
    }

    #[test]
    fn refuses_what_is_no_point() {
        // x = 1 has no y on P-256; x = p is no field element; the point at infinity is one zero byte.
        let prime = "ffffffff00000001000000000000000000000000ffffffffffffffffffffffff";
        for x in [&format!("{:064x}", 1)[..], prime] {
            let read = format!("p256:02{x}").parse::<IdentityKey>();
            assert_eq!(read, Err(NotAnIdentityKey::NoPoint), "{x}");
        }
        for first in ["00", "01", "04", "05"] {
            let text = format!("p256:{first}{}", &key().to_string()[7..]);
            assert_eq!(text.parse::<IdentityKey>(), Err(NotAnIdentityKey::NoPoint));
        }
        assert!(IdentityKey::try_from(&[0][..]).is_err());
    }

    #[test]
    fn has_one_spelling() {
        let text = key().to_string();
        assert_eq!(text.len(), 5 + 66);
        assert_eq!(text.parse(), Ok(key()));
        assert_eq!(IdentityKey::try_from(&key().to_bytes()[..]), Ok(key()));
    }
}
