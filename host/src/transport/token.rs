//! What a node shows in its calls once it has proven to a relay of ours who it is, and how the relay says that it wants that.
//!
//! Both travel in the calls' metadata, which servers and nodes of the reference neither send nor look at. A node sends none before a relay
//! has asked it to.

use std::fmt;

use rand_core::Rng;
use tonic::Status;
use tonic::metadata::{Ascii, MetadataMap, MetadataValue};
use zeroize::Zeroizing;

/// Of a call: the token, in hex.
const TOKEN: &str = "backchannel-token";

/// Of a refusal: a proof is wanted.
const PROOF: &str = "backchannel-proof";
const WANTED: &str = "wanted";

/// What a relay gave for a proof. Cannot be printed; wiped when dropped, but for the copies in calls.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(Zeroizing<[u8; Token::BYTES]>);

impl Token {
    /// Its length.
    pub const BYTES: usize = 32;

    /// Of these bytes; `None` if they are more or fewer.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes
            .try_into()
            .ok()
            .map(|bytes| Self(Zeroizing::new(bytes)))
    }

    /// A new one. `rng` must be cryptographically secure.
    pub fn draw(rng: &mut impl Rng) -> Self {
        let mut bytes = Zeroizing::new([0; Self::BYTES]);
        rng.fill_bytes(&mut *bytes);
        Self(bytes)
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8; Self::BYTES] {
        &self.0
    }

    /// As a relay reads it: the one of a call, if it has one that can be.
    pub fn read(metadata: &MetadataMap) -> Option<Self> {
        let mut bytes = Zeroizing::new([0; Self::BYTES]);
        let text = metadata.get(TOKEN)?.as_encoded_bytes();
        hex::decode_to_slice(text, &mut *bytes).ok()?;
        Some(Self(bytes))
    }

    /// As a node writes it.
    pub fn write(&self, metadata: &mut MetadataMap) {
        let hex = Zeroizing::new(hex::encode(*self.0));
        // Hex digits always can be.
        if let Ok(mut value) = MetadataValue::<Ascii>::try_from(hex.as_str()) {
            // Kept out of the connection's header table, and out of what is printed.
            value.set_sensitive(true);
            metadata.insert(TOKEN, value);
        }
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

/// A refusal that asks for a proof, with words for people.
pub fn wanted(text: String) -> Status {
    let mut status = Status::unauthenticated(text);
    let metadata = status.metadata_mut();
    metadata.insert(PROOF, MetadataValue::from_static(WANTED));
    status
}

/// Whether a refusal asks for a proof.
pub fn is_wanted(status: &Status) -> bool {
    status.code() == tonic::Code::Unauthenticated
        && status
            .metadata()
            .get(PROOF)
            .is_some_and(|value| value == WANTED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_node_writes_is_what_a_relay_reads() {
        let token = Token::from_bytes(&[7; 32]).unwrap();
        let mut metadata = MetadataMap::new();
        assert_eq!(Token::read(&metadata), None);
        token.write(&mut metadata);
        assert_eq!(Token::read(&metadata), Some(token));
        assert!(!format!("{metadata:?}").contains("0707"), "{metadata:?}");
    }

    #[test]
    fn what_cannot_be_read_is_no_token() {
        for text in [
            "",
            "07",
            &"07".repeat(31),
            &"07".repeat(33),
            &"0g".repeat(32),
        ] {
            let mut metadata = MetadataMap::new();
            metadata.insert(TOKEN, text.parse().unwrap());
            assert_eq!(Token::read(&metadata), None, "{text}");
        }
        for length in [0, 31, 33] {
            assert_eq!(Token::from_bytes(&vec![7; length]), None);
        }
    }

    #[test]
    fn only_a_relay_of_ours_asks_for_a_proof() {
        assert!(is_wanted(&wanted("prove it".to_owned())));
        assert!(!is_wanted(&Status::unauthenticated("no")));
        let mut other_code = wanted(String::new()).metadata().clone();
        other_code.insert("more", MetadataValue::from_static("x"));
        let other_code = Status::with_metadata(tonic::Code::PermissionDenied, "no", other_code);
        assert!(!is_wanted(&other_code));
    }
}
