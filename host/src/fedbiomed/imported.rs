//! What an import says it did.

use crate::message::IdError;

/// What became of everything in a database.
#[derive(Debug, Default)]
pub struct Imported {
    /// The channels, by peer.
    pub channels: Vec<Entry>,
    /// The secagg contexts, by id.
    pub contexts: Vec<Entry>,
    /// Tables that are not read, with their rows.
    pub others: Vec<(String, usize)>,
}

/// What became of one row.
#[derive(Debug)]
pub struct Entry {
    /// The peer or the secagg id; empty when it cannot be read.
    pub id: String,
    /// Taken or not.
    pub outcome: Outcome,
}

/// Whether a row was taken.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is in the store now.
    Taken,
    /// It was there before.
    AlreadyThere,
    /// It is not.
    NotTaken(NotTaken),
}

/// Why a row was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotTaken {
    /// It lacks a field, or one has another type.
    #[error("the row cannot be read: {0}")]
    Row(String),
    /// Written by another Fed-BioMed.
    #[error("the row has version {0:?}, which this program does not know")]
    Version(String),
    /// Not a name.
    #[error("{0:?} cannot be a name: {1}")]
    Name(String, IdError),
    /// A channel with oneself.
    #[error("it is a channel of the node with itself")]
    Itself,
    /// Not a private key.
    #[error("its key is not a P-256 private key in PEM")]
    Key,
    /// The store has another key or secret.
    #[error("the key store has another one already, which is kept")]
    Another,
    /// The source has it more than once.
    #[error("it is there more than once")]
    Twice,
    /// Neither of the two kinds.
    #[error("secagg element {0} is neither a server key (0) nor pair secrets (1)")]
    Element(u64),
    /// The parties make no sense.
    #[error("its parties are not two or more nodes, each once, this node among them")]
    Parties,
    /// Secrets and parties differ.
    #[error("it has not exactly one secret of 32 bytes for each other party")]
    Pairs,
    /// Not a server key.
    #[error("its server key is not an integer of the length of one")]
    ServerKey,
    /// Made for another modulus.
    #[error("it is for another biprime than the one that Fed-BioMed ships")]
    Biprime,
}
