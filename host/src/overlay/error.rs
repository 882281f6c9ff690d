//! What can go wrong with an outer message. The texts are for the log: they name no secret and no content, and the peer
//! is told nothing.

use crate::message::{DecodeError, MAX_MESSAGE_BYTES, MessageError};

/// Why a message could not be sealed. Always this host's fault or its plugin's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// The published key is for channel set-up, and other keys are not.
    #[error("the published key and the set-up flag go together, one of them is missing")]
    WrongKeys,
    /// A message that is not part of a channel set-up was to be protected with the published key.
    #[error("a {0} cannot be protected with the published key: anyone could read it")]
    SetupKind(String),
    /// It would not fit in a message.
    #[error("the message has {0} bytes, the limit is {MAX_MESSAGE_BYTES}")]
    TooLarge(usize),
    /// Its receiver could not read it: with what is around it, it is beyond a limit of a message.
    #[error("its receiver could not read the message: {0}")]
    Unreadable(DecodeError),
    /// The signature could not be made.
    #[error("the message could not be signed")]
    Signing,
}

/// Why an outer message could not be opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// Ours: the published key is for channel set-up, and other keys are not.
    #[error("the published key and the set-up flag go together, one of them is missing")]
    WrongKeys,
    /// The nonce has another length than 16 bytes.
    #[error("the nonce has {0} bytes instead of 16")]
    Nonce(usize),
    /// The salt has another length than 32 bytes.
    #[error("the salt has {0} bytes instead of 32")]
    Salt(usize),
    /// Beyond the limit.
    #[error("the message has {0} bytes, the limit is {MAX_MESSAGE_BYTES}")]
    TooLarge(usize),
    /// What was decrypted is no value: encrypted for other keys or other ids, altered on the way, or never valid.
    #[error("what was decrypted cannot be read, so keys or bytes are not the sender's: {0}")]
    Payload(DecodeError),
    /// What was decrypted has no message and signature.
    #[error("what was decrypted is not a message with a signature")]
    PayloadForm,
    /// The signature is not the sender's over this message in canonical form.
    #[error("the signature is not the sender's")]
    Signature,
    /// What was signed is not an inner message.
    #[error(transparent)]
    Message(#[from] MessageError),
    /// Inner and outer sender differ.
    #[error("the message is signed for another sender than the relay says")]
    Source,
    /// Inner and outer receiver differ.
    #[error("the message is signed for another receiver than the relay says")]
    Dest,
    /// Something else than a channel set-up came under the published key.
    #[error("a {0} came under the published key, which anyone can use")]
    SetupKind(String),
}

impl OpenError {
    /// Whether this is what a message looks like whose sender uses another key than we know. So does any noise.
    pub fn may_be_another_key(&self) -> bool {
        matches!(self, Self::Payload(_) | Self::PayloadForm | Self::Signature)
    }

    /// Why we refuse what the reference may take; `None` where it refuses too.
    pub fn stricter_than_reference(&self) -> Option<&'static str> {
        match self {
            Self::Salt(_) => Some("a salt has 32 bytes, or two messages could share a key"),
            Self::TooLarge(_) => Some("the size of a message is bounded before it is read"),
            Self::SetupKind(_) => {
                Some("the published key can be used by anyone, so it protects channel set-up only")
            }
            Self::Payload(error) => error.stricter_than_reference(),
            Self::Message(error) => error.stricter_than_reference(),
            Self::WrongKeys
            | Self::Nonce(_)
            | Self::PayloadForm
            | Self::Signature
            | Self::Source
            | Self::Dest => None,
        }
    }
}
