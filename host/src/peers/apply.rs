//! Taking a roster into use: held against what this node knows, and refused whole or taken whole.

use std::collections::BTreeMap;
use std::time::SystemTime;

use super::{InForce, PeersError, seconds};
use crate::identity::IdentityKey;
use crate::key_store::{KeyStore, RosterRecord};
use crate::message::{FederationId, NodeId};
use crate::packages::{Signature, Trust};
use crate::randomness::Randomness;
use crate::roster::{Roster, Signed, text};

/// What came of applying a roster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Applied {
    pub(crate) federation: FederationId,
    pub(crate) version: u64,
    pub(crate) signed_by: Vec<String>,
    /// How many nodes it has.
    pub(crate) nodes: usize,
    /// It was in force already.
    pub(crate) already: bool,
    /// Nodes that the one before had not.
    pub(crate) added: Vec<NodeId>,
    /// Nodes that it has no more.
    pub(crate) removed: Vec<NodeId>,
    /// Nodes with another key than before.
    pub(crate) changed: Vec<NodeId>,
    /// Whether this node is in it: others do not talk to it by this roster otherwise.
    pub(crate) lists_this_node: bool,
}

/// Puts a roster in force, if enough of the `consortium` have signed it, it counts `now`, is no older than the one before and contradicts
/// nothing that this node knows. Otherwise all stays as it is.
pub(crate) fn apply(
    store: &KeyStore,
    file: &[u8],
    signatures: &[Signature],
    consortium: &Trust,
    by: &str,
    now: SystemTime,
    randomness: &Randomness,
) -> Result<Applied, PeersError> {
    let Signed {
        roster,
        by: signed_by,
    } = Signed::read(file, signatures, consortium)?;
    let file = text(file)?;
    let before = InForce::load(store, now)?;
    let already = follows(store, &roster, file, before.as_ref())?;
    roster.is_in_time(now)?;
    let own = roster.member(store.owner());
    if let Some(own) = own
        && own.key != store.identity(randomness)?.public()
    {
        return Err(PeersError::OwnKey(own.node.clone()));
    }
    hold_against_pins(store, &roster)?;
    if !already {
        let record = RosterRecord {
            version: roster.version,
            text: file.to_owned(),
            signed_by: signed_by.clone(),
            since: seconds(now),
            by: by.to_owned(),
        };
        if !store.put_roster(&record)? {
            // Another command was here meanwhile.
            let highest = store.highest_roster()?;
            return Err(PeersError::Rollback {
                version: roster.version,
                highest,
            });
        }
    }
    let (keys, keys_before) = (
        keys(&roster),
        before
            .map(|before| keys(&before.roster))
            .unwrap_or_default(),
    );
    let missing = |one: &Keys, other: &Keys| {
        one.keys()
            .filter(|node| !other.contains_key(node))
            .cloned()
            .collect()
    };
    let changed = keys
        .iter()
        .filter(|(node, key)| keys_before.get(*node).is_some_and(|before| before != *key));
    Ok(Applied {
        signed_by,
        already,
        nodes: keys.len(),
        added: missing(&keys, &keys_before),
        removed: missing(&keys_before, &keys),
        changed: changed.map(|(node, _)| node.clone()).collect(),
        lists_this_node: own.is_some(),
        federation: roster.federation.clone(),
        version: roster.version,
    })
}

type Keys = BTreeMap<NodeId, IdentityKey>;

fn keys(roster: &Roster) -> Keys {
    let members = roster.members.iter();
    members
        .map(|member| (member.node.clone(), member.key))
        .collect()
}

/// Whether it may come after what was applied before; `true`: it is the same.
fn follows(
    store: &KeyStore,
    roster: &Roster,
    file: &str,
    before: Option<&InForce>,
) -> Result<bool, PeersError> {
    let (version, highest) = (roster.version, store.highest_roster()?);
    if let Some(before) = before {
        let own = &before.roster.federation;
        if *own != roster.federation {
            return Err(PeersError::OtherFederation {
                own: own.clone(),
                found: roster.federation.clone(),
            });
        }
        if before.roster.version == version && before.record.text != file {
            return Err(PeersError::Equivocation(version));
        }
    }
    if version < highest {
        return Err(PeersError::Rollback { version, highest });
    }
    Ok(before.is_some_and(|before| before.roster.version == version))
}

fn hold_against_pins(store: &KeyStore, roster: &Roster) -> Result<(), PeersError> {
    let pins = store.pins()?;
    let differ = pins.into_iter().filter(|(node, pin)| {
        let member = roster.member(node);
        member.is_some_and(|member| member.key != pin.key)
    });
    let differ: Vec<_> = differ.map(|(node, _)| node).collect();
    if !differ.is_empty() {
        return Err(PeersError::AgainstPins(differ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;
    use std::time::Duration;

    use super::*;
    use crate::identity::{Identity, IdentitySecret};
    use crate::packages::SigningKey;
    use crate::peers::suites::Why;
    use crate::peers::{Peers, Source, Standing, pin};
    use crate::policy::ChannelRules;

    static KEYS: LazyLock<Vec<SigningKey>> = LazyLock::new(|| {
        let key = |_| {
            let (file, _) = SigningKey::create("x").expect("a key");
            SigningKey::unlock(&file, "x").expect("a key")
        };
        (0..2).map(key).collect()
    });

    /// 2026-11-26.
    static NOW: LazyLock<SystemTime> =
        LazyLock::new(|| SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_651_200));

    struct Desk {
        store: KeyStore,
        randomness: Randomness,
        now: SystemTime,
    }

    impl Desk {
        fn new() -> Self {
            let randomness = Randomness::from_seed(1);
            let store = KeyStore::in_memory(&"a".parse().expect("an id"), &randomness);
            Self {
                store: store.expect("a store"),
                randomness,
                now: *NOW,
            }
        }

        fn own(&self) -> Identity {
            let key = self
                .store
                .identity(&self.randomness)
                .expect("a key")
                .public();
            Identity {
                key,
                ..identity("a", 1)
            }
        }

        /// Signed by both.
        fn apply(&self, text: &str) -> Result<Applied, PeersError> {
            let keys = ["kim", "lee"].into_iter().zip(&*KEYS);
            let keys = keys.map(|(name, key)| (name.to_owned(), key.public_key().expect("public")));
            let trust = Trust::new(2, keys.collect()).expect("two of two");
            let sign = |key| Signature::of_file(text.as_bytes(), "f", key).expect("signed");
            let signatures: Vec<_> = KEYS.iter().map(sign).collect();
            apply(
                &self.store,
                text.as_bytes(),
                &signatures,
                &trust,
                "Ada",
                self.now,
                &self.randomness,
            )
        }

        /// Refused, and nothing changed.
        fn refused(&self, text: &str) -> PeersError {
            let before = self.store.roster().expect("read");
            let error = self.apply(text).expect_err("refused");
            assert!(error.is_refusal() && !error.advice().is_empty(), "{error}");
            assert_eq!(self.store.roster().expect("read"), before);
            error
        }
    }

    fn identity(node: &str, seed: u64) -> Identity {
        Identity {
            node: node.parse().expect("an id"),
            key: IdentitySecret::draw(&Randomness::from_seed(seed)).public(),
        }
    }

    fn roster(version: u64, members: &[Identity]) -> String {
        let mut text = format!(
            "format = 1\nfederation = \"f\"\nversion = {version}\nissued = 2026-11-20T08:00:00Z\nexpires = 2027-05-31T00:00:00Z\n"
        );
        for Identity { node, key } in members {
            text += &format!("[[node]]\nid = \"{node}\"\nsite = \"{node}\"\nkey = \"{key}\"\n");
        }
        text
    }

    #[test]
    fn an_older_roster_does_not_come_back() {
        let desk = Desk::new();
        desk.apply(&roster(7, &[identity("b", 10)]))
            .expect("applied");
        let error = desk.refused(&roster(6, &[identity("b", 11)]));
        assert!(
            matches!(
                error,
                PeersError::Rollback {
                    version: 6,
                    highest: 7
                }
            ),
            "{error}"
        );
    }

    #[test]
    fn two_rosters_of_one_version_are_not_both_taken() {
        let desk = Desk::new();
        let text = roster(7, &[identity("b", 10)]);
        desk.apply(&text).expect("applied");
        for other in [roster(7, &[identity("b", 11)]), format!("{text}\n")] {
            assert!(matches!(desk.refused(&other), PeersError::Equivocation(7)));
        }
        assert!(desk.apply(&text).expect("the same").already);
    }

    #[test]
    fn a_clock_that_is_a_year_off_takes_no_roster() {
        let mut desk = Desk::new();
        let year = Duration::from_secs(365 * 86_400);
        for wrong in [*NOW - year, *NOW + year] {
            desk.now = wrong;
            let error = desk.refused(&roster(1, &[]));
            assert!(error.advice().contains("clock"), "{}", error.advice());
        }
        desk.now = *NOW;
        desk.apply(&roster(1, &[])).expect("applied");
    }

    #[test]
    fn a_roster_that_does_not_know_this_nodes_own_key_is_refused() {
        let desk = Desk::new();
        let error = desk.refused(&roster(1, &[identity("a", 10)]));
        assert!(matches!(error, PeersError::OwnKey(_)), "{error}");
        let applied = desk.apply(&roster(1, &[desk.own()])).expect("applied");
        assert!(applied.lists_this_node);
        let peers = Peers::load(&desk.store, ChannelRules::default(), *NOW).expect("loaded");
        assert_eq!(peers.all().count(), 0, "a node is not its own peer");
    }

    #[test]
    fn a_roster_against_a_pin_is_refused_until_a_person_has_looked() {
        let desk = Desk::new();
        let pinned = identity("b", 10);
        pin(
            &desk.store,
            &pinned,
            pinned.fingerprint(),
            "Ada",
            *NOW,
            &desk.randomness,
        )
        .expect("pinned");
        let other = roster(1, &[identity("b", 11)]);
        let error = desk.refused(&other);
        assert!(
            matches!(&error, PeersError::AgainstPins(nodes) if *nodes == [pinned.node.clone()])
        );
        assert!(
            error.advice().contains("peer unpin b"),
            "{}",
            error.advice()
        );
        super::super::unpin(&desk.store, &pinned.node).expect("unpinned");
        desk.apply(&other).expect("applied");
    }

    #[test]
    fn a_roster_of_another_federation_is_refused() {
        let desk = Desk::new();
        desk.apply(&roster(1, &[])).expect("applied");
        let other = roster(2, &[]).replace("\"f\"", "\"g\"");
        assert!(matches!(
            desk.refused(&other),
            PeersError::OtherFederation { .. }
        ));
    }

    #[test]
    fn a_nodes_own_minimum_holds_for_all_its_channels() {
        let desk = Desk::new();
        let b = identity("b", 10);
        for (version, minimum) in [(1, 2), (2, 3)] {
            let own = format!("minimum-suite = {minimum}\nid = \"a\"");
            let text = roster(version, &[desk.own(), b.clone()]);
            desk.apply(&text.replacen("id = \"a\"", &own, 1))
                .expect("applied");

            let peers = Peers::load(&desk.store, ChannelRules::default(), *NOW).expect("loaded");

            let limits = peers.suite_with(&b.node).limits.expect("talked to");
            assert_eq!((limits.highest, limits.lowest), (minimum, minimum));
        }
    }

    #[test]
    fn a_node_that_is_taken_off_is_not_talked_to_and_a_roster_that_expires_counts_no_more() {
        let desk = Desk::new();
        let [b, c] = [identity("b", 10), identity("c", 11)];
        desk.apply(&roster(1, &[desk.own(), b.clone(), c.clone()]))
            .expect("applied");
        let applied = desk.apply(&roster(
            2,
            &[
                desk.own(),
                Identity {
                    key: identity("b", 12).key,
                    ..b.clone()
                },
            ],
        ));
        let applied = applied.expect("applied");
        assert_eq!(
            (applied.added, applied.removed, applied.changed),
            (vec![], vec![c.node.clone()], vec![b.node.clone()])
        );

        let load = |now| Peers::load(&desk.store, ChannelRules::default(), now).expect("loaded");
        assert_eq!(
            load(*NOW).suite_with(&b.node).why,
            Why::Known(Source::Roster(2))
        );
        assert_eq!(
            load(*NOW).suite_with(&b.node).key,
            Some(identity("b", 12).key)
        );
        assert_eq!(load(*NOW).suite_with(&c.node).limits, None);
        let later = load(*NOW + Duration::from_secs(365 * 86_400));
        assert_eq!(later.suite_with(&b.node).limits, None);
        assert_eq!(
            later.roster().map(|roster| roster.standing),
            Some(Standing::Expired)
        );
    }
}
