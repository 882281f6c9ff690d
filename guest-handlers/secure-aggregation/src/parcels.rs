//! What parties hand to each other, one kind a round.

use std::collections::BTreeMap;

use backchannel_commit_reveal::{Digest, Opening};
use backchannel_sdk::Bytes;
use serde::{Deserialize, Serialize};

use crate::keys::{Public, Share};
use crate::place::{Place, Places};

/// To all: a party's public keys of the run, and its commitment to randomness.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Keys {
    /// A hash of what the researcher asked.
    pub asked: Digest,
    /// To what it will reveal.
    pub commitment: Digest,
    /// What others agree on pair masks with.
    pub pair: Public,
    /// That of its own mask.
    pub own: Public,
}

/// To the leader: whose keys came, and what the party committed to.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Heard {
    pub heard: Places,
    pub opening: Opening,
}

/// From the leader: the members of the run, all of whom have each other's keys, and what they committed to.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Roster {
    /// How many values a vector has.
    pub length: u32,
    pub members: BTreeMap<Place, Opening>,
}

/// To all members: that they were told the same. To neighbours also shares.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dealt {
    /// A hash of the roster and all keys.
    pub roster: Digest,
    pub shares: Option<Shares>,
}

/// Shares of both secrets of one party.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shares {
    pub pair: Share,
    pub own: Share,
}

/// To the leader: whose shares came, and receipts of those that the party dealt.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Held {
    pub held: Places,
    pub receipts: BTreeMap<Place, Receipts>,
}

/// What the shares are known by that one neighbour got.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Receipts {
    pub pair: Digest,
    pub own: Digest,
}

/// From the leader: who masks, and later whose vectors came.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Announced {
    pub parties: Places,
}

/// To the leader: a masked vector, eight bytes a value, the lowest first.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Masked {
    pub values: Bytes,
}

/// To all that the leader named: a hash of what it has told so far.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Confirmed {
    pub named: Digest,
}

/// To the leader: for each neighbour one share, of its own mask if it survived, of its pair key if not.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Unmasking {
    pub pair: BTreeMap<Place, Share>,
    pub own: BTreeMap<Place, Share>,
}
