use std::fmt;

use time::OffsetDateTime;

use crate::identity::IdentityKey;
use crate::key_store::{MetRecord, PinRecord};
use crate::message::NodeId;

/// What is known of a peer, from each source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Peer {
    pub(crate) node: NodeId,
    /// By the roster.
    pub(crate) listed: Option<Listed>,
    /// By this node's operator.
    pub(crate) pin: Option<PinRecord>,
    /// By itself.
    pub(crate) met: MetRecord,
}

/// What the roster says of a peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Listed {
    pub(crate) key: IdentityKey,
    pub(crate) site: String,
    /// The higher of the peer's and this node's.
    pub(crate) minimum_suite: u8,
    /// The roster's version.
    pub(crate) version: u64,
    /// When that was applied, in seconds since 1970.
    pub(crate) since: u64,
    pub(crate) expires: OffsetDateTime,
    pub(crate) standing: Standing,
}

/// Whether a roster's keys are believed. Which suites it demands holds in any case: it is safe to ask for too much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// They are.
    Counts,
    /// Its time is over.
    Expired,
    /// A later version was applied here before the store was set back.
    Outdated {
        /// The highest version that was.
        highest: u64,
    },
}

/// The key that a node takes for a peer's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Believed {
    pub(crate) key: IdentityKey,
    pub(crate) source: Source,
    /// Since when, in seconds since 1970.
    pub(crate) since: u64,
    pub(crate) valid_until: Option<OffsetDateTime>,
}

/// Who says so, from the best to the worst.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// The federation's consortium, in the roster of this version.
    Roster(u64),
    /// This node's operator: by name.
    Pin(String),
    /// The peer itself. Nobody confirmed it.
    FirstUse,
}

/// Why no key is taken for a peer's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Doubt {
    /// Nobody said one that counts.
    Unknown,
    /// The roster and the pin say two.
    Contradiction { version: u64 },
    /// Only a roster does that has expired.
    Expired { version: u64 },
    /// Only a roster does that was replaced before the store was set back.
    Outdated { version: u64, highest: u64 },
}

impl Peer {
    /// One of which nothing is known.
    pub(crate) fn unknown(node: NodeId) -> Self {
        Self {
            node,
            listed: None,
            pin: None,
            met: MetRecord::default(),
        }
    }

    /// Its key, and who says so. What it came with first is believed only if that is `believed_on_first_use`.
    pub(crate) fn believed(&self, believed_on_first_use: bool) -> Result<Believed, Doubt> {
        let counts = self.listed.as_ref();
        let counts = counts.filter(|listed| listed.standing == Standing::Counts);
        match (counts, &self.pin) {
            (Some(Listed { key, version, .. }), Some(pin)) if pin.key != *key => {
                Err(Doubt::Contradiction { version: *version })
            }
            (Some(listed), _) => Ok(Believed {
                key: listed.key,
                source: Source::Roster(listed.version),
                since: listed.since,
                valid_until: Some(listed.expires),
            }),
            (None, Some(pin)) => Ok(Believed {
                key: pin.key,
                source: Source::Pin(pin.by.clone()),
                since: pin.since,
                valid_until: None,
            }),
            (None, None) => self.unconfirmed(believed_on_first_use),
        }
    }

    /// What there is without roster and pin.
    fn unconfirmed(&self, believed_on_first_use: bool) -> Result<Believed, Doubt> {
        // A peer whose place in the roster is only not up to date is not believed by its own word.
        if let Some(Listed {
            version, standing, ..
        }) = &self.listed
        {
            let version = *version;
            return Err(match standing {
                Standing::Outdated { highest } => Doubt::Outdated {
                    version,
                    highest: *highest,
                },
                Standing::Expired | Standing::Counts => Doubt::Expired { version },
            });
        }
        match &self.met.first_use {
            Some(first) if believed_on_first_use => Ok(Believed {
                key: first.key,
                source: Source::FirstUse,
                since: first.since,
                valid_until: None,
            }),
            _ => Err(Doubt::Unknown),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Roster(version) => write!(f, "roster {version}"),
            Self::Pin(by) => write!(f, "pinned by {by}"),
            Self::FirstUse => f.write_str("first use: NOBODY CONFIRMED IT"),
        }
    }
}
