//! Whom a node talks to in which suite: what its store and its policy come to at this time.

use std::sync::Arc;
use std::time::SystemTime;

use crate::audit::{Audit, Event};
use crate::clock::Clock;
use crate::key_store::{FirstUseRecord, KeyStore, StoreError};
use crate::peers::{Peer, Peers, Source, Why, suite_with};
use crate::plugins::InForce;
use crate::policy::ChannelRules;
use crate::randomness::Randomness;
use crate::secure_channels::{Acquaint, Identities, SuiteWith};
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
            (None, _) if allowed.why == Why::NotMet => SuiteWith::FirstUse,
            (Some(limits), Some(key)) => SuiteWith::Secure {
                known: Known {
                    identity: *key.point(),
                    federation,
                    limits,
                },
                confirmed: allowed.why != Why::Known(Source::FirstUse),
            },
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

/// How many peers are believed on first use. Anybody can have a node meet peers of any name.
const MOST_MET: usize = 1000;

/// Believes what a peer comes with first, and remembers and records it.
pub(super) fn acquaint(
    store: Arc<KeyStore>,
    plugins: Arc<InForce>,
    audit: Audit,
    clock: Clock,
    randomness: Randomness,
) -> Acquaint {
    Arc::new(move |peer, key| {
        let now = clock.now();
        let failed = |error: StoreError| format!("it cannot be remembered: {error}");
        let met = store.met_peers().map_err(failed)?;
        let first = met.iter().filter(|(_, met)| met.first_use.is_some());
        if first.count() >= MOST_MET {
            return Err(format!(
                "{MOST_MET} peers were met, and no more are: pin it"
            ));
        }
        let since = now.duration_since(SystemTime::UNIX_EPOCH);
        let since = since.map_or(0, |since| since.as_secs());
        let kept = store.put_first_use(peer, FirstUseRecord { key, since });
        if kept.map_err(failed)?.key != key {
            return Err("it came with another one before".into());
        }
        audit.record(Event::PeerMet {
            peer: peer.to_string(),
            key: key.to_string(),
        });
        tracing::warn!(%peer, "security: its identity key is believed, and nobody confirmed it: pin it");
        let rules = plugins.policy().channels.clone();
        identities(&store, rules, now, &randomness).map_err(failed)
    })
}
