//! The records of the store, as MessagePack maps with named fields, so that a later version can add some.

use std::collections::BTreeMap;
use std::fmt;

use rand_core::Rng;
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::StoreError;
use crate::message::{NodeId, ResearcherId, RunId, SecaggId};
use crate::randomness::Randomness;

/// 32 secret bytes: wiped when dropped, never printed.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
pub struct Secret32(#[serde(with = "serde_bytes")] [u8; 32]);

impl Secret32 {
    /// The bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl From<[u8; 32]> for Secret32 {
    fn from(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl fmt::Debug for Secret32 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret32(…)")
    }
}

/// The node's seed: what its own keys derive from.
#[derive(Clone)]
pub struct Seed(Secret32);

impl Seed {
    /// Draws a new one.
    pub fn draw(randomness: &Randomness) -> Self {
        let mut bytes = [0; 32];
        randomness.clone().fill_bytes(&mut bytes);
        Self(Secret32(bytes))
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }
}

impl TryFrom<&[u8]> for Seed {
    type Error = std::array::TryFromSliceError;

    fn try_from(bytes: &[u8]) -> Result<Self, Self::Error> {
        Ok(Self(Secret32(bytes.try_into()?)))
    }
}

/// A channel with one peer. Ready if the peer's key is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChannelRecord {
    /// This node's private key for the channel: the P-256 scalar, big-endian.
    pub own: Secret32,
    /// The peer's public key: SEC1, uncompressed, 65 bytes. `None` for a key of this node's that was brought along from
    /// Fed-BioMed, which keeps no keys of peers.
    #[serde(with = "serde_bytes")]
    pub peer: Option<Vec<u8>>,
}

/// A secagg context: the result of a set-up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContextRecord {
    /// The researcher who asked for it. `None` for one that was brought along from Fed-BioMed, which does not say.
    pub researcher: Option<String>,
    /// The experiment it is for.
    pub experiment: String,
    /// All parties, this node among them, in the researcher's order.
    pub parties: Vec<String>,
    /// The secret.
    pub secret: ContextSecret,
    /// The highest round a vector was protected in.
    pub last_round: Option<u64>,
}

impl ContextRecord {
    /// Whether `researcher` may have it deleted or made again: its own may, and anyone who is this node's when it is not known
    /// whose it is.
    pub fn is_of(&self, researcher: &str) -> bool {
        let owner = self.researcher.as_deref();
        owner.is_none_or(|owner| owner == researcher)
    }
}

/// A plugin that is out of service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuarantineRecord {
    /// The version: the SHA-256 of its component file, hex.
    pub digest: String,
    /// What it did.
    pub reason: String,
    /// Since when, in seconds since 1970.
    pub since: u64,
}

/// The secret of a context.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ContextSecret {
    /// Diffie-Hellman: one secret with each other party.
    Pairs(BTreeMap<String, Secret32>),
    /// Server key: an integer, big-endian two's complement.
    ServerKey(#[serde(with = "serde_bytes")] Vec<u8>),
}

impl ContextSecret {
    /// The scheme's name, as the CLI has it.
    pub fn scheme(&self) -> &'static str {
        match self {
            Self::Pairs(_) => "dh",
            Self::ServerKey(_) => "server-key",
        }
    }
}

impl fmt::Debug for ContextSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ContextSecret::{}(…)", self.scheme())
    }
}

impl Drop for ContextSecret {
    fn drop(&mut self) {
        if let Self::ServerKey(bytes) = self {
            bytes.zeroize();
        }
    }
}

/// A researcher's request that has no answer yet. Told apart by their fields: stores of earlier versions hold set-ups only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum OpenRequest {
    /// For a set-up.
    SetUp {
        /// Who asked.
        researcher: ResearcherId,
        /// For what.
        secagg_id: SecaggId,
    },
    /// For a part in a protocol.
    Protocol {
        /// Who asked.
        researcher: ResearcherId,
        /// Which.
        protocol: String,
        /// The run's name.
        run_id: RunId,
        /// Who has part in it.
        parties: Vec<NodeId>,
    },
}

impl OpenRequest {
    /// The name of what was asked for.
    pub fn run(&self) -> &str {
        match self {
            Self::SetUp { secagg_id, .. } => secagg_id.as_str(),
            Self::Protocol { run_id, .. } => run_id.as_str(),
        }
    }
}

pub(super) fn encode<T: Serialize>(record: &T) -> Result<Zeroizing<Vec<u8>>, StoreError> {
    rmp_serde::to_vec_named(record)
        .map(Zeroizing::new)
        .map_err(|error| StoreError::Damaged(format!("a new entry ({error})")))
}

pub(super) fn decode<'a, T: Deserialize<'a>>(
    bytes: &'a [u8],
    what: impl FnOnce() -> String,
) -> Result<T, StoreError> {
    rmp_serde::from_slice(bytes).map_err(|_| StoreError::Damaged(what()))
}
