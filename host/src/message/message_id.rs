use std::fmt;
use std::str::FromStr;

use sha2::{Digest, Sha256};

use super::OverlayMessage;

/// What people call a message: the first 8 bytes of the SHA-256 of its ciphertext, in hex.
///
/// Both ends and the relay can compute it, so their logs can be laid side by side. It is in no message: whoever
/// repeats a ciphertext repeats its id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageId([u8; 8]);

/// Not the id of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a message's id has 16 hexadecimal digits")]
pub struct NotAMessageId;

impl MessageId {
    /// The id of the message with this ciphertext.
    pub fn of_ciphertext(overlay: &[u8]) -> Self {
        let mut id = [0; 8];
        id.copy_from_slice(&Sha256::digest(overlay)[..8]);
        Self(id)
    }
}

impl OverlayMessage {
    /// What people call this message.
    pub fn id(&self) -> MessageId {
        MessageId::of_ciphertext(&self.overlay)
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl FromStr for MessageId {
    type Err = NotAMessageId;
    fn from_str(text: &str) -> Result<Self, NotAMessageId> {
        let mut id = [0; 8];
        hex::decode_to_slice(text, &mut id).map_err(|_| NotAMessageId)?;
        Ok(Self(id))
    }
}

impl serde::Serialize for MessageId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_the_beginning_of_the_ciphertexts_sha_256() {
        let id = MessageId::of_ciphertext(b"abc");
        // FIPS 180-4, example B.1.
        assert_eq!(id.to_string(), "ba7816bf8f01cfea");
        assert_eq!("ba7816bf8f01cfea".parse(), Ok(id));
        assert_eq!("ba7816bf8f01cf".parse::<MessageId>(), Err(NotAMessageId));
    }
}
