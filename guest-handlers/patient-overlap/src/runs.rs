//! Whole runs, against the plain intersection: who vanishes, when, and who cheats, how.

use std::collections::{BTreeMap, BTreeSet};

use backchannel_sdk::blinding::POINT;
use backchannel_sdk::fields;
use backchannel_sdk::testing::{Ending, Network, Node, Played};
use proptest::prelude::*;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::params::Params;
use crate::part::{Count, Overlap, PatientOverlap, Set, TookPart};

const COUNTS: u32 = 0;
const FIRST_HOP: u32 = 1;

fn names(count: usize) -> Vec<String> {
    (0..count).map(|at| format!("h{at:02}")).collect()
}

fn params() -> Params {
    Params {
        input: "patients".into(),
        suppress_below: 5,
        leader: None,
        seconds: 120,
    }
}

/// Ids that all have, and some that each has alone; the later the party, the more.
fn ids(at: usize, common: usize) -> BTreeSet<String> {
    let common = (0..common).map(|id| format!("common {id}"));
    let own = (0..=at % 4).map(|id| format!("{id} of {at}"));
    common.chain(own).collect()
}

fn network_of(sets: &[BTreeSet<String>]) -> Network {
    let names = names(sets.len());
    let network = Network::new(names.clone()).params(&params());
    names
        .iter()
        .zip(sets)
        .fold(network, |network, (party, ids)| {
            network.node(party, Node::new().with_ids("patients", ids.iter().cloned()))
        })
}

fn network(parties: usize, common: usize) -> Network {
    let sets: Vec<_> = (0..parties).map(|at| ids(at, common)).collect();
    network_of(&sets)
}

fn play(network: Network) -> Played {
    network.play::<PatientOverlap>()
}

fn overlap(played: &Played) -> Option<u32> {
    played.result::<Overlap>("h00").overlap
}

fn rewritten<T: Serialize + DeserializeOwned>(
    body: Option<Vec<u8>>,
    rewrite: impl FnOnce(&mut T),
) -> Option<Vec<u8>> {
    let mut parcel: T = fields::decode(&body?).expect("a parcel of this kind");
    rewrite(&mut parcel);
    fields::encode(&parcel).ok()
}

/// The third of three spoils the points that it hands over in one round.
fn spoilt(at: u32, spoil: fn(&mut Vec<u8>)) -> Played {
    play(
        network(3, 6).cheat("h02", move |round, _, body| match round == at {
            true => rewritten(body, |set: &mut Set| spoil(&mut set.points.0)),
            false => body,
        }),
    )
}

#[test]
fn the_leader_counts_what_all_have_and_the_others_took_part() {
    for parties in [2, 3, 10, 40] {
        let played = play(network(parties, 6));

        let result: Overlap = played.result("h00");
        let counts = |at: usize| (names(parties)[at].clone(), ids(at, 6).len() as u32);
        let counts: BTreeMap<_, _> = (0..parties).map(counts).collect();
        assert_eq!(result.overlap, Some(6));
        assert_eq!((&result.counts, result.suppress_below), (&counts, 5));
        for party in &names(parties)[1..] {
            let took_part = TookPart {
                leader: "h00".into(),
                counts: counts.clone(),
            };
            assert_eq!(played.result::<TookPart>(party), took_part);
        }
    }
}

#[test]
fn fewer_than_may_be_told_are_not() {
    assert_eq!(overlap(&play(network(3, 5))), Some(5));
    for few in [4, 1, 0] {
        assert_eq!(overlap(&play(network(3, few))), None, "{few}");
    }
}

#[test]
fn the_researcher_cannot_ask_for_small_counts() {
    for wrong in [
        Params {
            suppress_below: 4,
            ..params()
        },
        Params {
            seconds: 0,
            ..params()
        },
        Params {
            leader: Some("nobody".into()),
            ..params()
        },
        Params {
            input: "nothing".into(),
            ..params()
        },
    ] {
        let played = play(network(3, 6).params(&wrong));
        assert!(
            played
                .endings()
                .all(|(_, ending)| matches!(ending, Ending::Failed(_)))
        );
    }
}

#[test]
fn another_party_can_count() {
    let params = Params {
        leader: Some("h02".into()),
        ..params()
    };
    let played = play(network(4, 6).params(&params));

    assert_eq!(played.result::<Overlap>("h02").overlap, Some(6));
    assert_eq!(played.result::<TookPart>("h00").leader, "h02");
}

#[test]
fn no_point_that_is_handed_over_comes_twice_before_all_have_blinded() {
    let played = play(network(3, 6));

    let mut seen = BTreeSet::new();
    let mut all = 0;
    for hop in [FIRST_HOP, FIRST_HOP + 1] {
        for (from, to) in [("h00", "h01"), ("h01", "h02"), ("h02", "h00")] {
            let set: Set = fields::decode(played.parcel(hop, from, to).unwrap()).unwrap();
            all += set.points.0.len() / POINT;
            seen.extend(set.points.0.chunks(POINT).map(<[u8]>::to_vec));
        }
    }
    assert_eq!(seen.len(), all, "nothing can be compared on the way");
}

#[test]
fn who_lies_about_its_count_and_hashes_the_truth_ends_the_run() {
    for count in [0, 1, 7, u32::MAX] {
        let played = play(
            network(3, 6).cheat("h01", move |round, _, body| match round {
                COUNTS => rewritten(body, |told: &mut Count| told.count = count),
                _ => body,
            }),
        );

        let why = played.blame("h02").1;
        assert!(why.contains("h01 was told other counts"), "{why}");
    }
}

#[test]
fn who_lies_about_its_count_and_hashes_the_lie_is_blamed_by_the_next() {
    let hash = |round, to: &str| {
        let played = play(network(3, 6).cheat("h01", |round, _, body| match round {
            COUNTS => rewritten(body, |count: &mut Count| count.count += 1),
            _ => body,
        }));
        let set: Set = fields::decode(played.parcel(round, "h02", to).unwrap()).unwrap();
        set.counts
    };
    let lied = hash(FIRST_HOP, "h00");
    let played = play(
        network(3, 6).cheat("h01", move |round, _, body| match round {
            COUNTS => rewritten(body, |count: &mut Count| count.count += 1),
            _ => rewritten(body, |set: &mut Set| set.counts = lied),
        }),
    );

    let (blamed, why) = played.blame("h02");
    assert_eq!(blamed, ["h01"]);
    assert!(
        why.contains("another number of points than h01 counted"),
        "{why}"
    );
}

#[test]
fn counts_that_were_told_differently_end_the_run() {
    let played = play(
        network(4, 6).cheat("h01", |round, to, body| match (round, to) {
            (COUNTS, "h03") => rewritten(body, |count: &mut Count| count.count += 1),
            _ => body,
        }),
    );

    for party in ["h00", "h03"] {
        let (blamed, why) = played.blame(party);
        assert!(blamed.is_empty(), "it cannot be told who lies");
        assert!(why.contains("told other counts by some party"), "{why}");
    }
}

#[test]
fn a_set_that_shrinks_or_grows_on_its_way_is_blamed_on_who_hands_it_over() {
    for hop in [FIRST_HOP, FIRST_HOP + 1, FIRST_HOP + 2] {
        let played = spoilt(hop, |points| points.truncate(points.len() - POINT));
        assert_eq!(played.blame("h00").0, ["h02"], "{hop}");
        let played = spoilt(hop, |points| points.extend([2; POINT]));
        assert_eq!(played.blame("h00").0, ["h02"], "{hop}");
    }
}

#[test]
fn points_that_come_twice_are_blamed_on_who_hands_them_over() {
    for hop in [FIRST_HOP, FIRST_HOP + 1, FIRST_HOP + 2] {
        let played = spoilt(hop, |points| points.copy_within(..POINT, POINT));

        assert_eq!(played.blame("h00"), (vec!["h02"], "two points are alike"));
    }
}

#[test]
fn a_point_off_the_curve_is_blamed_on_who_hands_it_over() {
    for hop in [FIRST_HOP, FIRST_HOP + 1] {
        for spoil in [
            |points: &mut Vec<u8>| points[1..POINT].fill(0xff),
            |points: &mut Vec<u8>| points[..POINT].fill(0),
            |points: &mut Vec<u8>| points[0] = 4,
        ] {
            let played = spoilt(hop, spoil);

            assert_eq!(played.blame("h00").0, ["h02"]);
        }
    }
}

#[test]
fn a_point_off_the_curve_at_the_very_end_counts_for_nobody() {
    let played = spoilt(FIRST_HOP + 2, |points| points[1..POINT].fill(0xff));
    let overlap: Overlap = played.result("h00");
    assert!(overlap.overlap.is_none_or(|overlap| overlap <= 6));

    let played = spoilt(FIRST_HOP + 2, |points| points[0] = 4);
    assert_eq!(
        played.blame("h00"),
        (vec!["h02"], "a point is not compressed")
    );
}

#[test]
fn whoever_vanishes_ends_the_run_for_all_and_is_named_by_who_waits_for_it() {
    for parties in [2, 3, 10] {
        for at in COUNTS..=parties as u32 {
            let gone = names(parties)[1].clone();
            let played = play(network(parties, 6).vanish(&gone, at));

            let mut named = 0;
            for (party, ending) in played.endings().filter(|(party, _)| *party != gone) {
                match ending {
                    Ending::Silent(silent) => named += usize::from(silent.contains(&gone)),
                    // It breaks the ring a hop a round: who is far away may be done before.
                    Ending::Done(_) => assert_ne!(party, "h00"),
                    other => panic!("{party}: {other:?}"),
                }
            }
            assert!(named > 0, "{parties} {at}");
        }
    }
}

#[test]
fn parties_that_were_asked_differently_give_up() {
    let other = Params {
        suppress_below: 6,
        ..params()
    };
    let played = play(network(3, 6).asked_of("h01", &other));

    assert!(
        played
            .blame("h00")
            .1
            .contains("h01 was asked for another run")
    );
    assert_eq!(
        played.parcel(FIRST_HOP, "h00", "h01"),
        None,
        "no set leaves"
    );
}

#[test]
fn parcels_of_no_kind_are_blamed_on_their_party() {
    for at in COUNTS..=FIRST_HOP + 2 {
        let played = play(network(3, 6).cheat("h02", move |round, _, body| {
            body.map(|body| if round == at { b"\x80".to_vec() } else { body })
        }));

        assert_eq!(played.blame("h00").0, ["h02"], "{at}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn the_overlap_is_that_of_the_plain_sets(
        sets in proptest::collection::vec(proptest::collection::btree_set("[a-f]{1,2}", 0..24), 2..6),
    ) {
        let played = play(network_of(&sets));

        let plain = sets[0].iter().filter(|id| sets.iter().all(|set| set.contains(*id)));
        let plain = plain.count() as u32;
        prop_assert_eq!(overlap(&played), (plain >= 5).then_some(plain));
    }
}
