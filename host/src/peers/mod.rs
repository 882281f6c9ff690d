//! What this node believes of its peers: which identity key each has, since when, who says so, and which suites it is talked to in.
//!
//! A [`Roster`] goes before a pin, and a pin before what a peer came with first, which counts only where the policy says so. Two
//! that contradict each other are not weighed: that peer is not talked to until a person has looked. What was decided stands in the
//! key store; the rest is computed from it, the policy and the time.

mod apply;
mod error;
mod peer;
mod pin;
mod suites;

use std::collections::BTreeMap;
use std::time::SystemTime;

use time::OffsetDateTime;

pub(crate) use apply::apply;
pub(crate) use error::PeersError;
pub(crate) use peer::{Listed, Peer, Source, Standing};
pub(crate) use pin::{pin, unpin};
pub(crate) use suites::{Why, suite_with};

use crate::key_store::{KeyStore, RosterRecord, StoreError};
use crate::message::NodeId;
use crate::policy::ChannelRules;
use crate::roster::{Member, Roster};

/// All that a node believes of its peers, at one time.
pub(crate) struct Peers {
    roster: Option<InForce>,
    peers: BTreeMap<NodeId, Peer>,
    rules: ChannelRules,
}

/// The roster that was applied last.
pub(crate) struct InForce {
    pub(crate) roster: Roster,
    pub(crate) record: RosterRecord,
    /// Whether it counts.
    pub(crate) standing: Standing,
}

impl Peers {
    /// What the store has, under these rules, at this time.
    pub(crate) fn load(
        store: &KeyStore,
        rules: ChannelRules,
        now: SystemTime,
    ) -> Result<Self, StoreError> {
        let roster = InForce::load(store, now)?;
        let mut peers = BTreeMap::new();
        let mut of = |node: NodeId, add: &mut dyn FnMut(&mut Peer)| {
            if node != *store.owner() {
                add(peers
                    .entry(node.clone())
                    .or_insert_with(|| Peer::unknown(node)));
            }
        };
        if let Some(in_force) = &roster {
            for member in &in_force.roster.members {
                let listed = in_force.listed(member, store.owner());
                of(member.node.clone(), &mut |peer| {
                    peer.listed = Some(listed.clone())
                });
            }
        }
        for (node, pin) in store.pins()? {
            of(node, &mut |peer| peer.pin = Some(pin.clone()));
        }
        for (node, met) in store.met_peers()? {
            of(node, &mut |peer| peer.met = met.clone());
        }
        for node in rules.suite_1.named().chain(rules.suite_3.named()) {
            of(node.clone(), &mut |_| ());
        }
        Ok(Self {
            roster,
            peers,
            rules,
        })
    }

    /// The roster, if one was ever applied.
    pub(crate) fn roster(&self) -> Option<&InForce> {
        self.roster.as_ref()
    }

    /// All peers that anything is known of, by id. Never this node.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Peer> {
        self.peers.values()
    }

    /// The rules that it was computed under.
    pub(crate) fn rules(&self) -> &ChannelRules {
        &self.rules
    }

    /// How a peer may be talked to, also one of which nothing is known.
    #[cfg(test)]
    pub(crate) fn suite_with(&self, node: &NodeId) -> suites::Allowed {
        match self.peers.get(node) {
            Some(peer) => suite_with(peer, &self.rules),
            None => suite_with(&Peer::unknown(node.clone()), &self.rules),
        }
    }
}

impl InForce {
    /// The roster in the store.
    pub(crate) fn load(store: &KeyStore, now: SystemTime) -> Result<Option<Self>, StoreError> {
        let Some(record) = store.roster()? else {
            return Ok(None);
        };
        let roster = Roster::parse(&record.text);
        let roster =
            roster.map_err(|error| StoreError::Damaged(format!("the roster ({error})")))?;
        let highest = store.highest_roster()?;
        let standing = if highest > roster.version {
            Standing::Outdated { highest }
        } else if OffsetDateTime::from(now) >= roster.expires {
            Standing::Expired
        } else {
            Standing::Counts
        };
        Ok(Some(Self {
            roster,
            record,
            standing,
        }))
    }

    /// What the roster says of a member to node `own`, whose minimum holds for all its channels too.
    fn listed(&self, member: &Member, own: &NodeId) -> Listed {
        let own = self.roster.member(own).map(|own| own.minimum_suite);
        Listed {
            key: member.key,
            site: member.site.clone(),
            minimum_suite: member.minimum_suite.max(own.unwrap_or_default()),
            version: self.roster.version,
            since: self.record.since,
            expires: self.roster.expires,
            standing: self.standing,
        }
    }
}

/// Seconds since 1970.
fn seconds(now: SystemTime) -> u64 {
    let since_1970 = now.duration_since(SystemTime::UNIX_EPOCH);
    since_1970.map_or(0, |since| since.as_secs())
}
