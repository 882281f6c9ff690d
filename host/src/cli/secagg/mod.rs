//! `secagg`: set-ups through a relay, and what a node or a researcher does with their results.

mod aggregate;
mod protect;
mod set_up;
mod values;

use clap::{Subcommand, ValueEnum};
use serde::{Deserialize, Serialize};

use super::{Format, Problem};
pub(super) use aggregate::{Sum, aggregate};
pub(super) use protect::protect;
pub(super) use set_up::{outcome, set_up};

#[derive(Debug, Subcommand)]
pub(super) enum Secagg {
    /// Ask nodes to set up secure aggregation with each other.
    Setup(set_up::SetUp),
    /// On a node: protect a column's sum or a vector, so that it counts only together with all parties'.
    Protect(protect::Protect),
    /// Add up what all parties protected.
    Aggregate(aggregate::Aggregate),
    /// Ask nodes to forget a set-up.
    Delete(set_up::Delete),
}

/// What is set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Scheme {
    /// A secret between each two parties, by Diffie-Hellman: for masked sums (LOM).
    Dh,
    /// A key per party that sum to zero with the researcher's, by additive sharing: for Joye-Libert.
    ServerKey,
}

/// One party's masked contribution: what `protect` writes and `aggregate` reads.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Protected {
    pub(super) node: String,
    pub(super) secagg_id: String,
    pub(super) round: u64,
    pub(super) parties: Vec<String>,
    pub(super) column: String,
    /// The masked sum and the masked count, as decimal strings: JSON numbers lose digits beyond 2^53.
    pub(super) vector: [String; 2],
}

impl Secagg {
    pub(super) async fn run(self, format: Format) -> Result<(), Problem> {
        match self {
            Self::Setup(command) => command.run(format).await,
            Self::Protect(command) => command.run(format).await,
            Self::Aggregate(command) => command.run(format),
            Self::Delete(command) => command.run(format).await,
        }
    }
}
