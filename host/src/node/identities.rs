//! Whom a node talks to in which suite: what its store and its policy come to at this time.

use std::time::SystemTime;

use crate::key_store::{KeyStore, StoreError};
use crate::peers::{Peer, Peers, Source, Why, suite_with};
use crate::policy::ChannelRules;
use crate::randomness::Randomness;
use crate::secure_channels::{Identities, SuiteWith};
use crate::sessions::{Hello, Known};

/// The node's identity key, drawn if it has none, and how its peers are talked to.
pub(super) fn identities(
    store: &KeyStore,
    rules: ChannelRules,
    now: SystemTime,
    randomness: &Randomness,
) -> Result<Identities, StoreError> {
    let own = store.identity(randomness)?;
    let beliefs = Peers::load(store, rules, now)?;
    let roster = beliefs.roster().map(|in_force| &in_force.roster);
    let of_peer = |peer: &Peer| {
        let allowed = suite_with(peer, beliefs.rules());
        let federation = match (&allowed.why, roster) {
            (Why::Known(Source::Roster(_)), Some(roster)) => roster.federation.clone(),
            _ => Default::default(),
        };
        match (allowed.limits, allowed.key) {
            (Some(limits), Some(key)) => SuiteWith::Secure(Known {
                identity: *key.point(),
                federation,
                limits,
            }),
            (Some(_), None) => SuiteWith::Suite1,
            (None, _) => SuiteWith::None {
                why: allowed.why.to_string(),
                lapsed: allowed.why.has_lapsed(),
            },
        }
    };
    let others = of_peer(&Peer::unknown(store.owner().clone()));
    let peers = beliefs.all();
    let peers = peers.map(|peer| (peer.node.clone(), of_peer(peer)));
    let peers = peers.collect();
    let hello = Hello {
        roster: roster.map_or(0, |roster| roster.version),
        capabilities: 0,
    };
    Ok(Identities {
        own: own.into_key(),
        hello,
        peers,
        others,
    })
}
