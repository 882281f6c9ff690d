//! Pins: keys that this node's operator has confirmed by telephone.

use std::time::SystemTime;

use super::{InForce, PeersError, Standing, seconds};
use crate::identity::{Fingerprint, Identity, IdentityKey};
use crate::key_store::{KeyStore, PinRecord};
use crate::message::NodeId;
use crate::randomness::Randomness;

/// What came of pinning a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pinned {
    /// It was pinned with this key already.
    pub(crate) already: bool,
    /// It had come with another key first, which was believed: somebody may have been in between.
    pub(crate) met_otherwise: bool,
}

/// Believes `identity`, whose fingerprint the peer's operator has `said`. A pin is never changed, and never set against the roster: a peer
/// with a new key is a matter for a person.
pub(crate) fn pin(
    store: &KeyStore,
    identity: &Identity,
    said: Fingerprint,
    by: &str,
    now: SystemTime,
    randomness: &Randomness,
) -> Result<Pinned, PeersError> {
    let Identity { node, key } = identity;
    if node == store.owner() {
        return Err(PeersError::Own(node.clone()));
    }
    if identity.fingerprint() != said {
        return Err(PeersError::OtherFingerprint);
    }
    if store.identity(randomness)?.public() == *key {
        return Err(PeersError::OthersKey(store.owner().clone()));
    }
    hold_against_roster(store, identity, now)?;
    let pins = store.pins()?;
    if let Some((other, _)) = pins
        .iter()
        .find(|(other, pin)| other != node && pin.key == *key)
    {
        return Err(PeersError::OthersKey(other.clone()));
    }
    match pins.into_iter().find(|(other, _)| other == node) {
        Some((_, there)) if there.key != *key => {
            return Err(PeersError::NotAsPinned {
                node: node.clone(),
                by: there.by,
            });
        }
        Some(_) => {
            return Ok(Pinned {
                already: true,
                met_otherwise: false,
            });
        }
        None => {}
    }
    let pin = PinRecord {
        key: *key,
        since: seconds(now),
        by: by.to_owned(),
    };
    store.put_pin(node, &pin)?;
    let first = first_use(store, node)?;
    if first.is_some() {
        store.remove_first_use(node)?;
    }
    Ok(Pinned {
        already: false,
        met_otherwise: first.is_some_and(|first| first != *key),
    })
}

/// Takes a pin back; the key that was pinned.
pub(crate) fn unpin(store: &KeyStore, node: &NodeId) -> Result<IdentityKey, PeersError> {
    let pins = store.pins()?;
    let pin = pins.into_iter().find(|(pinned, _)| pinned == node);
    let (_, pin) = pin.ok_or_else(|| PeersError::NotPinned(node.clone()))?;
    store.remove_pin(node)?;
    Ok(pin.key)
}

fn hold_against_roster(
    store: &KeyStore,
    identity: &Identity,
    now: SystemTime,
) -> Result<(), PeersError> {
    let Some(InForce {
        roster,
        standing: Standing::Counts,
        ..
    }) = InForce::load(store, now)?
    else {
        return Ok(());
    };
    let Identity { node, key } = identity;
    match roster.member(node) {
        Some(member) if member.key != *key => Err(PeersError::NotAsListed {
            node: node.clone(),
            version: roster.version,
        }),
        Some(_) => Ok(()),
        None => match roster.members.iter().find(|member| member.key == *key) {
            Some(other) => Err(PeersError::OthersKey(other.node.clone())),
            None => Ok(()),
        },
    }
}

fn first_use(store: &KeyStore, node: &NodeId) -> Result<Option<IdentityKey>, PeersError> {
    let met = store.met_peers()?.into_iter().find(|(met, _)| met == node);
    Ok(met
        .and_then(|(_, met)| met.first_use)
        .map(|first| first.key))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::identity::IdentitySecret;
    use crate::key_store::{FirstUseRecord, RosterRecord};
    use crate::peers::suites::Why;
    use crate::peers::{Peers, Source};
    use crate::policy::ChannelRules;

    const NOW: SystemTime = SystemTime::UNIX_EPOCH;

    struct Desk {
        store: KeyStore,
        randomness: Randomness,
    }

    impl Desk {
        fn new() -> Self {
            let randomness = Randomness::from_seed(1);
            let store = KeyStore::in_memory(&"a".parse().expect("an id"), &randomness);
            Self {
                store: store.expect("a store"),
                randomness,
            }
        }

        fn pin(&self, identity: &Identity) -> Result<Pinned, PeersError> {
            self.pin_as_said(identity, identity.fingerprint())
        }

        fn pin_as_said(
            &self,
            identity: &Identity,
            said: Fingerprint,
        ) -> Result<Pinned, PeersError> {
            pin(&self.store, identity, said, "Ada", NOW, &self.randomness)
        }

        fn apply(&self, members: &[Identity], expires: &str) {
            let mut text = format!(
                "format = 1\nfederation = \"f\"\nversion = 7\nissued = 1970-01-01T00:00:00Z\nexpires = {expires}\n"
            );
            for Identity { node, key } in members {
                text += &format!("[[node]]\nid = \"{node}\"\nsite = \"x\"\nkey = \"{key}\"\n");
            }
            let record = RosterRecord {
                version: 7,
                text,
                signed_by: vec![],
                since: 0,
                by: "Ada".into(),
            };
            assert!(self.store.put_roster(&record).expect("put"));
        }

        fn pinned(&self) -> usize {
            self.store.pins().expect("read").len()
        }
    }

    fn identity(node: &str, seed: u64) -> Identity {
        Identity {
            node: node.parse().expect("an id"),
            key: IdentitySecret::draw(&Randomness::from_seed(seed)).public(),
        }
    }

    #[test]
    fn a_file_that_was_exchanged_on_the_way_is_not_pinned() {
        let desk = Desk::new();
        let (genuine, exchanged) = (identity("b", 10), identity("b", 11));
        let refused = desk.pin_as_said(&exchanged, genuine.fingerprint());
        assert!(matches!(refused, Err(PeersError::OtherFingerprint)));
        // The fingerprint of one node does not confirm its key under another name.
        let renamed = Identity {
            node: "c".parse().expect("an id"),
            ..genuine.clone()
        };
        let refused = desk.pin_as_said(&renamed, genuine.fingerprint());
        assert!(matches!(refused, Err(PeersError::OtherFingerprint)));
        assert_eq!(desk.pinned(), 0);
    }

    #[test]
    fn a_pin_is_never_changed_silently() {
        let desk = Desk::new();
        desk.pin(&identity("b", 10)).expect("pinned");
        let refused = desk.pin(&identity("b", 11));
        assert!(
            matches!(refused, Err(PeersError::NotAsPinned { .. })),
            "{refused:?}"
        );
        assert!(desk.pin(&identity("b", 10)).expect("the same").already);
        assert_eq!(
            desk.store.pins().expect("read")[0].1.key,
            identity("b", 10).key
        );

        unpin(&desk.store, &identity("b", 10).node).expect("unpinned");
        desk.pin(&identity("b", 11)).expect("pinned anew");
        let nobody = unpin(&desk.store, &identity("c", 1).node);
        assert!(matches!(nobody, Err(PeersError::NotPinned(_))));
    }

    #[test]
    fn a_pin_that_differs_from_the_roster_is_refused_while_the_roster_counts() {
        let desk = Desk::new();
        desk.apply(
            &[identity("b", 10), identity("c", 12)],
            "1970-01-02T00:00:00Z",
        );
        let refused = desk.pin(&identity("b", 11)).expect_err("refused");
        assert!(
            matches!(refused, PeersError::NotAsListed { version: 7, .. }),
            "{refused}"
        );
        assert!(refused.is_refusal() && refused.advice().contains("telephone"));
        let others = desk.pin(&identity("d", 12)).expect_err("the key of c");
        assert!(matches!(others, PeersError::OthersKey(_)));
        assert_eq!(desk.pinned(), 0);
        desk.pin(&identity("b", 10)).expect("as in the roster");

        let later = NOW + Duration::from_secs(2 * 86_400);
        let new = identity("c", 13);
        pin(
            &desk.store,
            &new,
            new.fingerprint(),
            "Ada",
            later,
            &desk.randomness,
        )
        .expect("it has expired");
    }

    #[test]
    fn this_node_is_no_peer_and_one_key_is_one_nodes() {
        let desk = Desk::new();
        let own = desk
            .store
            .identity(&desk.randomness)
            .expect("a key")
            .public();
        let refused = desk.pin(&identity("a", 10));
        assert!(matches!(refused, Err(PeersError::Own(_))));
        let mirrored = Identity {
            key: own,
            ..identity("b", 1)
        };
        assert!(matches!(desk.pin(&mirrored), Err(PeersError::OthersKey(_))));
        desk.pin(&identity("b", 10)).expect("pinned");
        assert!(matches!(
            desk.pin(&identity("c", 10)),
            Err(PeersError::OthersKey(_))
        ));
        assert_eq!(desk.pinned(), 1);
    }

    #[test]
    fn a_pin_takes_the_place_of_what_the_peer_came_with_first_and_says_if_that_was_another() {
        let desk = Desk::new();
        let met = identity("b", 10);
        let first = FirstUseRecord {
            key: met.key,
            since: 0,
        };
        desk.store.put_first_use(&met.node, first).expect("kept");

        let pinned = desk.pin(&identity("b", 11)).expect("pinned");

        assert!(pinned.met_otherwise);
        let rules = ChannelRules {
            trust_on_first_use: true,
            ..ChannelRules::default()
        };
        let peers = Peers::load(&desk.store, rules, NOW).expect("loaded");
        let allowed = peers.suite_with(&met.node);
        assert_eq!(allowed.why, Why::Known(Source::Pin("Ada".into())));
        assert_eq!(allowed.key, Some(identity("b", 11).key));
        unpin(&desk.store, &met.node).expect("unpinned");
        let peers = Peers::load(&desk.store, peers.rules().clone(), NOW).expect("loaded");
        assert_eq!(
            peers.suite_with(&met.node).key,
            None,
            "the other does not come back"
        );
    }
}
