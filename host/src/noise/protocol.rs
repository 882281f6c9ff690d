use super::{PUBLIC_KEY_BYTES, TAG_BYTES};
use crate::primitives::{KEM_CIPHERTEXT_BYTES, KEM_PUBLIC_KEY_BYTES};

/// Which handshake it is. No message says so: both must know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// On the curve alone.
    Kk,
    /// With ML-KEM-768 beside it.
    KkHfs,
}

impl Protocol {
    /// As the Noise text (8) writes it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Kk => "Noise_KK_P256_ChaChaPoly_SHA256",
            Self::KkHfs => "Noise_KKhfs_P256+MLKEM768_ChaChaPoly_SHA256",
        }
    }

    /// By how much the first message is longer than its payload, in bytes.
    pub const fn first_overhead(self) -> usize {
        match self {
            Self::Kk => PUBLIC_KEY_BYTES + TAG_BYTES,
            Self::KkHfs => Self::Kk.first_overhead() + KEM_PUBLIC_KEY_BYTES + TAG_BYTES,
        }
    }

    /// By how much the second message is longer than its payload, in bytes.
    pub const fn second_overhead(self) -> usize {
        match self {
            Self::Kk => PUBLIC_KEY_BYTES + TAG_BYTES,
            Self::KkHfs => Self::Kk.second_overhead() + KEM_CIPHERTEXT_BYTES + TAG_BYTES,
        }
    }
}
