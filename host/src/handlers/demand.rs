use std::fmt;

use serde::{Deserialize, Serialize};

use super::Assurance;

/// How sure this node must be of a peer's name before a plugin has to do with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Demand {
    /// More than the published key.
    ChannelKey,
    /// An identity key that the operator pinned or a roster names: what no relay can forge.
    IdentityKey,
}

impl Demand {
    /// Whether `assurance` is as much.
    pub fn is_met_by(self, assurance: Assurance) -> bool {
        match assurance {
            Assurance::PublishedKey => false,
            Assurance::ChannelKey => self == Self::ChannelKey,
            Assurance::IdentityKey => true,
        }
    }
}

impl fmt::Display for Demand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ChannelKey => "a channel key",
            Self::IdentityKey => "an identity key that somebody confirmed",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn less_than_was_demanded_never_is_enough() {
        use Assurance::{ChannelKey, IdentityKey, PublishedKey};
        let met =
            |demand: Demand| [PublishedKey, ChannelKey, IdentityKey].map(|it| demand.is_met_by(it));
        assert_eq!(met(Demand::ChannelKey), [false, true, true]);
        assert_eq!(met(Demand::IdentityKey), [false, false, true]);
    }
}
