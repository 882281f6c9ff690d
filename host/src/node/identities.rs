//! Who a node talks to in suite 2: what its store and its policy come to at this time.

use std::time::SystemTime;

use crate::key_store::{KeyStore, StoreError};
use crate::peers::{Peers, Source, Why, suite_with};
use crate::policy::ChannelRules;
use crate::randomness::Randomness;
use crate::secure_channels::Identities;
use crate::sessions::{Hello, Known};

/// The node's identity key, drawn if it has none, and those of the peers that it talks to in suite 2.
pub(super) fn identities(
    store: &KeyStore,
    rules: ChannelRules,
    now: SystemTime,
    randomness: &Randomness,
) -> Result<Identities, StoreError> {
    let own = store.identity(randomness)?;
    let beliefs = Peers::load(store, rules, now)?;
    let roster = beliefs.roster().map(|in_force| &in_force.roster);
    let peers = beliefs.all().filter_map(|peer| {
        let allowed = suite_with(peer, beliefs.rules());
        let (key, limits) = (allowed.key?, allowed.limits?);
        let federation = match (&allowed.why, roster) {
            (Why::Known(Source::Roster(_)), Some(roster)) => roster.federation.clone(),
            _ => Default::default(),
        };
        let known = Known {
            identity: *key.point(),
            federation,
            limits,
        };
        Some((peer.node.clone(), known))
    });
    let peers = peers.collect();
    let hello = Hello {
        roster: roster.map_or(0, |roster| roster.version),
        capabilities: 0,
    };
    Ok(Identities {
        own: own.into_key(),
        hello,
        peers,
    })
}
