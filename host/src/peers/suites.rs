//! In which suites a peer is talked to, and why: a function of what is known of it and of the policy.

use std::fmt;

use super::peer::Doubt;
use super::{Peer, Source};
use crate::identity::IdentityKey;
use crate::policy::ChannelRules;
use crate::roster::MINIMUM_SUITE;
use crate::sessions::{Limits, Suite};

/// The suite of Fed-BioMed, which the relay can read and forge.
const SUITE_1: u8 = 1;

/// How a peer may be talked to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Allowed {
    /// The highest and the lowest suite; `None`: not at all.
    pub(crate) limits: Option<Limits>,
    /// Its identity key, where it is talked to in suite 2 or higher.
    pub(crate) key: Option<IdentityKey>,
    pub(crate) why: Why,
}

/// What decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    /// Its key is known from there.
    Known(Source),
    /// The policy allows suite 1, on this line.
    Suite1(Option<usize>),
    /// There is no key, or two.
    Doubt(Doubt),
    /// There is no key, and it would be believed if the peer came with one.
    NotMet,
    /// There is no key now, and there once was: this suite was spoken with it.
    SpokeHigher(u8),
    /// The roster asks for a suite that this program does not have, or one was spoken.
    TooOld(u8),
}

/// In which suites `peer` may be talked to.
///
/// Suite 2 with whom the key is known of; suite 3 beside it where the policy offers that, and instead of it where the roster asks for it.
/// Suite 1 with whom no key is known of, where the policy allows that; beside suite 2 only if the policy names the peer *and* the
/// roster, if it is in one, asks for no more. No lower suite than was ever spoken with the peer.
pub(crate) fn suite_with(peer: &Peer, rules: &ChannelRules) -> Allowed {
    let named = rules.suite_1.names(&peer.node);
    let spoke = peer.met.highest_suite.unwrap_or(SUITE_1);
    let refused = |why| Allowed {
        limits: None,
        key: None,
        why,
    };
    let believed = match peer.believed(rules.trust_on_first_use) {
        Ok(believed) => believed,
        Err(Doubt::Unknown) => {
            if spoke > SUITE_1 {
                return refused(Why::SpokeHigher(spoke));
            }
            if rules.suite_1.has(&peer.node) {
                return Allowed {
                    limits: Some(Limits {
                        highest: SUITE_1,
                        lowest: SUITE_1,
                    }),
                    key: None,
                    why: Why::Suite1(rules.suite_1_line),
                };
            }
            return refused(match rules.trust_on_first_use {
                true => Why::NotMet,
                false => Why::Doubt(Doubt::Unknown),
            });
        }
        Err(doubt) => return refused(Why::Doubt(doubt)),
    };
    let demanded = peer
        .listed
        .as_ref()
        .map_or(SUITE_1, |listed| listed.minimum_suite);
    if demanded.max(spoke) > Suite::HIGHEST.number() {
        return refused(Why::TooOld(demanded.max(spoke)));
    }
    let lowest = if named && spoke == SUITE_1 {
        demanded
    } else {
        demanded.max(spoke).max(MINIMUM_SUITE)
    };
    let offered = match rules.suite_3.has(&peer.node) {
        true => Suite::Three,
        false => Suite::Two,
    };
    Allowed {
        limits: Some(Limits {
            highest: offered.number().max(lowest),
            lowest,
        }),
        key: Some(believed.key),
        why: Why::Known(believed.source),
    }
}

impl Why {
    /// Whether it is time alone that took a peer's key away: what was agreed with it was right.
    pub(crate) fn has_lapsed(&self) -> bool {
        matches!(self, Self::Doubt(Doubt::Expired { .. }))
    }

    /// What the operator can do about it, where something is amiss.
    pub(crate) fn advice(&self) -> Option<&'static str> {
        match self {
            Self::Known(Source::FirstUse) => Some(
                "ask its operator for `backchannel identity export` and the fingerprint, and pin it: `backchannel peer pin`",
            ),
            Self::Known(_) | Self::Suite1(_) => None,
            Self::Doubt(Doubt::Unknown) | Self::NotMet | Self::SpokeHigher(_) => Some(
                "apply a roster that has it, or pin it: `backchannel peer pin`; with a node of Fed-BioMed, name it in suite-1 under [channels] in policy.toml",
            ),
            Self::Doubt(Doubt::Contradiction { .. }) => Some(
                "ask its operator, by telephone, which fingerprint is right; if the roster's is, `backchannel peer unpin`; if the pin's is, tell the consortium",
            ),
            Self::Doubt(Doubt::Expired { .. } | Doubt::Outdated { .. }) => Some(
                "ask the consortium for its present roster, and apply it: `backchannel roster apply`",
            ),
            Self::TooOld(_) => Some("install a later version of backchannel"),
        }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Known(source) => write!(f, "{source}"),
            Self::Suite1(Some(line)) => write!(
                f,
                "its key is not known; suite 1 is allowed (policy.toml:{line})"
            ),
            Self::Suite1(None) => write!(f, "its key is not known; suite 1 is allowed"),
            Self::Doubt(Doubt::Unknown) => {
                f.write_str("its key is not known, and suite 1 is not allowed")
            }
            Self::Doubt(Doubt::Contradiction { version }) => {
                write!(f, "roster {version} has another key than the pin")
            }
            Self::Doubt(Doubt::Expired { version }) => write!(f, "roster {version} has expired"),
            Self::Doubt(Doubt::Outdated { version, highest }) => write!(
                f,
                "the key store is an older copy: it has roster {version}, and roster {highest} was applied before"
            ),
            Self::NotMet => {
                f.write_str("its key is not known; the first that it comes with would be believed")
            }
            Self::SpokeHigher(suite) => {
                write!(
                    f,
                    "its key is not known any more, and suite {suite} was spoken with it: none lower is"
                )
            }
            Self::TooOld(suite) => {
                write!(
                    f,
                    "it takes suite {suite}, by its roster or as that was spoken before, and this program has no higher than {}",
                    Suite::HIGHEST.number()
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;
    use crate::key_store::{FirstUseRecord, PinRecord};
    use crate::message::NodeId;
    use crate::peers::{Listed, Standing};
    use crate::policy::Chosen;
    use crate::primitives::derive_secret_key;

    fn node() -> NodeId {
        "b".parse().expect("an id")
    }

    fn key(seed: u8) -> IdentityKey {
        derive_secret_key(&[seed; 32], b"test").public_key().into()
    }

    fn listed(standing: Standing, minimum_suite: u8) -> Option<Listed> {
        Some(Listed {
            key: key(1),
            site: "B".into(),
            minimum_suite,
            version: 7,
            since: 10,
            expires: datetime!(2027-01-01 0:00 UTC),
            standing,
        })
    }

    fn pin(seed: u8) -> Option<PinRecord> {
        Some(PinRecord {
            key: key(seed),
            since: 20,
            by: "Ada".into(),
        })
    }

    fn peer(listed: Option<Listed>, pin: Option<PinRecord>) -> Peer {
        Peer {
            listed,
            pin,
            ..Peer::unknown(node())
        }
    }

    fn rules(suite_1: Chosen) -> ChannelRules {
        ChannelRules {
            suite_1,
            suite_1_line: Some(9),
            suite_3: Chosen::Nobody,
            trust_on_first_use: false,
        }
    }

    fn these() -> ChannelRules {
        rules(Chosen::These([node()].into()))
    }

    /// Highest and lowest suite.
    fn limits(peer: &Peer, rules: &ChannelRules) -> Option<(u8, u8)> {
        let allowed = suite_with(peer, rules);
        assert_eq!(
            allowed.key.is_some(),
            allowed.limits.is_some_and(|limits| limits.highest > 1)
        );
        allowed.limits.map(|limits| (limits.highest, limits.lowest))
    }

    #[test]
    fn a_roster_and_a_pin_that_contradict_each_other_allow_nothing() {
        let peer = peer(listed(Standing::Counts, 1), pin(2));
        for rules in [rules(Chosen::Nobody), rules(Chosen::Anybody), these()] {
            let allowed = suite_with(&peer, &rules);
            assert_eq!((allowed.limits, allowed.key), (None, None));
            assert_eq!(allowed.why, Why::Doubt(Doubt::Contradiction { version: 7 }));
        }
    }

    #[test]
    fn a_roster_that_does_not_count_opens_no_way_to_a_lower_suite() {
        for standing in [Standing::Expired, Standing::Outdated { highest: 8 }] {
            for rules in [rules(Chosen::Anybody), these()] {
                assert_eq!(limits(&peer(listed(standing, 1), None), &rules), None);
            }
            // The operator's own word still counts, with a key of its own.
            let pinned = peer(listed(standing, 2), pin(2));
            assert_eq!(suite_with(&pinned, &these()).key, Some(key(2)));
            assert_eq!(
                limits(&pinned, &these()),
                Some((2, 2)),
                "what the roster demanded holds"
            );
        }
    }

    #[test]
    fn suite_1_is_not_spoken_with_whom_suite_2_ever_was() {
        let mut peer = peer(None, None);
        peer.met.highest_suite = Some(2);
        for rules in [rules(Chosen::Anybody), these()] {
            assert_eq!(suite_with(&peer, &rules).why, Why::SpokeHigher(2));
            assert_eq!(limits(&peer, &rules), None);
        }
        peer.pin = pin(1);
        assert_eq!(limits(&peer, &these()), Some((2, 2)));
        peer.met.highest_suite = Some(1);
        assert_eq!(limits(&peer, &these()), Some((2, 1)));
    }

    #[test]
    fn suite_3_is_offered_by_the_policy_demanded_by_the_roster_and_kept_once_it_was_spoken() {
        let mut offered = rules(Chosen::Nobody);
        for (chosen, highest) in [
            (Chosen::Nobody, 2),
            (Chosen::These(["c".parse().expect("an id")].into()), 2),
            (Chosen::These([node()].into()), 3),
            (Chosen::Anybody, 3),
        ] {
            offered.suite_3 = chosen;
            assert_eq!(limits(&peer(None, pin(1)), &offered), Some((highest, 2)));
            let demanded = peer(listed(Standing::Counts, 3), None);
            assert_eq!(limits(&demanded, &offered), Some((3, 3)));
            let unknown = peer(None, None);
            assert_eq!(limits(&unknown, &offered), None, "nothing of its key");
        }
        let mut spoken = peer(None, pin(1));
        spoken.met.highest_suite = Some(3);
        assert_eq!(limits(&spoken, &these()), Some((3, 3)));
        spoken.met.highest_suite = Some(4);
        assert_eq!(suite_with(&spoken, &these()).why, Why::TooOld(4));
    }

    #[test]
    fn a_known_peer_is_talked_to_in_suite_1_only_if_operator_and_roster_allow_it() {
        for (minimum, rules, expected) in [
            (1, these(), Some((2, 1))),
            (2, these(), Some((2, 2))),
            (1, rules(Chosen::Anybody), Some((2, 2))),
            (1, rules(Chosen::Nobody), Some((2, 2))),
            (3, these(), Some((3, 3))),
            (4, these(), None),
        ] {
            assert_eq!(
                limits(&peer(listed(Standing::Counts, minimum), None), &rules),
                expected,
                "{minimum}"
            );
        }
    }

    #[test]
    fn an_unknown_peer_is_talked_to_only_where_the_policy_says_so() {
        let unknown = peer(None, None);
        assert_eq!(limits(&unknown, &rules(Chosen::Nobody)), None);
        assert_eq!(
            limits(
                &unknown,
                &rules(Chosen::These(["c".parse().expect("an id")].into()))
            ),
            None
        );
        for rules in [rules(Chosen::Anybody), these()] {
            assert_eq!(limits(&unknown, &rules), Some((1, 1)));
            assert_eq!(suite_with(&unknown, &rules).why, Why::Suite1(Some(9)));
        }
    }

    #[test]
    fn what_a_peer_came_with_first_counts_only_by_explicit_setting_and_after_all_else() {
        let mut met = peer(None, None);
        let mut first_use = rules(Chosen::Nobody);
        first_use.trust_on_first_use = true;
        assert_eq!(suite_with(&met, &first_use).why, Why::NotMet);

        met.met.first_use = Some(FirstUseRecord {
            key: key(3),
            since: 30,
        });
        assert_eq!(limits(&met, &rules(Chosen::Nobody)), None);
        assert_eq!(suite_with(&met, &first_use).key, Some(key(3)));
        assert_eq!(
            suite_with(&met, &first_use).why,
            Why::Known(Source::FirstUse)
        );

        met.pin = pin(2);
        assert_eq!(suite_with(&met, &first_use).key, Some(key(2)));
        met.pin = None;
        met.listed = listed(Standing::Counts, 2);
        assert_eq!(suite_with(&met, &first_use).key, Some(key(1)));
        met.listed = listed(Standing::Expired, 2);
        assert_eq!(limits(&met, &first_use), None);
    }

    #[test]
    fn the_roster_goes_before_a_pin_of_the_same_key() {
        let both = peer(listed(Standing::Counts, 2), pin(1));
        assert_eq!(
            suite_with(&both, &rules(Chosen::Nobody)).why,
            Why::Known(Source::Roster(7))
        );
    }
}
