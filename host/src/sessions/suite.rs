use super::hello::{FIRST_BYTES, SECOND_BYTES};
use crate::noise::Protocol;

/// Which handshake a session begins with. What follows is the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Suite {
    /// On P-256 alone.
    Two = 2,
    /// With ML-KEM-768 beside it: what is recorded today stays secret from a later quantum computer.
    Three = 3,
}

impl Suite {
    /// All of them, the lowest first.
    pub const ALL: [Self; 2] = [Self::Two, Self::Three];
    /// The lowest.
    pub const LOWEST: Self = Self::Two;
    /// The highest that this program has.
    pub const HIGHEST: Self = Self::Three;

    /// The suite of this number, if this program has it.
    pub fn of_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|suite| suite.number() == number)
    }

    /// Its number on the wire.
    pub const fn number(self) -> u8 {
        self as u8
    }

    pub(super) const fn protocol(self) -> Protocol {
        match self {
            Self::Two => Protocol::Kk,
            Self::Three => Protocol::KkHfs,
        }
    }

    /// Length of a first handshake message of Noise: keys, and an encrypted [`FirstHello`](super::hello::FirstHello).
    pub(super) const fn first_noise_bytes(self) -> usize {
        self.protocol().first_overhead() + FIRST_BYTES
    }

    /// Length of a second one: a key, what a secret is sent in, and an encrypted [`Hello`](super::Hello).
    pub(super) const fn second_noise_bytes(self) -> usize {
        self.protocol().second_overhead() + SECOND_BYTES
    }
}
