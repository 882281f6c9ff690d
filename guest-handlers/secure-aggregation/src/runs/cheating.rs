//! Who cheats, how.

use std::collections::BTreeMap;

use backchannel_commit_reveal::Transcript;
use backchannel_sdk::testing::Ending;
use backchannel_sdk::{ByteArray, Bytes, Start, fields};
use p256::Scalar;
use serde::{Deserialize, Serialize};

use super::*;
use crate::keys::Share;
use crate::parcels::{Announced, Confirmed, Dealt, Held, Masked, Roster, Unmasking};
use crate::place::{Place, Places};
#[test]
fn a_vector_of_another_length_is_blamed_on_its_party() {
    for change in [LENGTH - 1, LENGTH + 1, 0] {
        let played = play(network(10).cheat("h04", move |round, _, body| match round {
            MASKED => rewritten(body, |masked: &mut Masked| {
                masked.values.0.resize(change * 8, 0)
            }),
            _ => body,
        }));

        let blame = (vec!["h04"], "its vector has another length");
        assert_eq!(played.blame("h00"), blame);
    }
}
#[test]
fn something_else_revealed_than_committed_is_blamed_on_its_party() {
    #[derive(Serialize, Deserialize)]
    struct Raw {
        heard: Places,
        opening: BTreeMap<String, ByteArray<32>>,
    }
    let played = play(network(10).cheat("h04", |round, _, body| match round {
        HEARD => rewritten(body, |heard: &mut Raw| {
            heard.opening.insert("random".into(), ByteArray([0; 32]));
        }),
        _ => body,
    }));

    let blame = (vec!["h04"], "reveals something else than it committed to");
    assert_eq!(played.blame("h00"), blame);
}
#[derive(Serialize, Deserialize)]
struct RawKeys {
    asked: ByteArray<32>,
    commitment: ByteArray<32>,
    pair: Bytes,
    own: Bytes,
}
#[test]
fn a_key_that_is_no_point_of_the_curve_is_blamed_on_its_party() {
    let off_the_curve = [&[2][..], &[0xff; 32]].concat();
    for spoilt in [off_the_curve, vec![0; 33], vec![2; 32], Vec::new()] {
        let played = play(network(10).cheat("h04", move |round, _, body| match round {
            KEYS => rewritten(body, |keys: &mut RawKeys| keys.pair.0.clone_from(&spoilt)),
            _ => body,
        }));

        for (party, _) in played.endings().filter(|(party, _)| *party != "h04") {
            assert_eq!(played.blame(party).0, ["h04"]);
        }
    }
}
#[test]
fn whoever_shows_some_another_key_gets_no_vector_out_of_anybody() {
    let played = play(network(10).cheat("h04", |round, to, body| match round {
        KEYS if to < "h05" => rewritten(body, |keys: &mut RawKeys| {
            keys.pair = keys.own.clone();
        }),
        _ => body,
    }));

    assert_eq!(reached_leader(&played, MASKED, 10), 0);
    let (blamed, why) = played.blame("h00");
    assert!(
        blamed.is_empty() && why.contains("other members or keys"),
        "{why}"
    );
}
#[test]
fn a_leader_that_tells_two_halves_of_different_members_gets_no_vector() {
    let played = play(network(10).cheat("h00", |round, to, body| match round {
        ROSTER if to < "h05" => rewritten(body, |roster: &mut Roster| {
            roster.members.remove(&Place(9));
        }),
        _ => body,
    }));

    assert_eq!(reached_leader(&played, MASKED, 10), 0);
}
#[test]
fn a_leader_that_tells_two_halves_of_different_maskers_gets_no_vector() {
    let played = play(network(10).cheat("h00", |round, to, body| match round {
        MASKERS if to < "h05" => rewritten(body, |announced: &mut Announced| {
            announced.parties.remove(&Place(9));
        }),
        _ => body,
    }));

    assert_eq!(reached_leader(&played, MASKED, 10), 0);
    assert!(
        played
            .blame("h06")
            .1
            .contains("other parties by the leader")
    );
}
#[test]
fn a_leader_that_tells_two_halves_of_different_survivors_gets_no_share() {
    for (first, second) in [(8, 9), (7, 7)] {
        let played = play(
            network(10).cheat("h00", move |round, to, body| match round {
                SURVIVORS => rewritten(body, |announced: &mut Announced| {
                    let gone = if to < "h05" { first } else { second };
                    announced.parties.remove(&Place(gone));
                    if to < "h03" {
                        announced.parties.remove(&Place(6));
                    }
                }),
                // It confirms to each what it told it.
                CONFIRM => None,
                _ => body,
            }),
        );

        assert_eq!(reached_leader(&played, UNMASK, 10), 0);
    }
}
#[test]
fn one_party_that_a_leader_tells_of_others_reveals_nothing() {
    let played = play(
        network(10).cheat("h00", |round, to, body| match (round, to) {
            (SURVIVORS, "h05") => rewritten(body, |announced: &mut Announced| {
                announced.parties.remove(&Place(9));
            }),
            _ => body,
        }),
    );

    assert_eq!(played.parcel(UNMASK, "h05", "h00"), None);
    assert_eq!(
        right_sum(&played).parties.len(),
        10,
        "the rest were told the same"
    );
    never_both(&played, 10, |_| true);
}
#[test]
fn a_leader_that_names_whom_it_cannot_count_on_is_blamed() {
    type Change = fn(&mut Announced);
    let cheats: [(u32, Change); 4] = [
        (MASKERS, |named| named.parties.retain(|place| place.0 != 0)),
        (MASKERS, |named| named.parties.extend([Place(77)])),
        (SURVIVORS, |named| named.parties.extend([Place(6)])),
        (SURVIVORS, |named| named.parties.retain(|place| place.0 < 7)),
    ];
    for (at, change) in cheats {
        let network = network(10).vanish("h06", DEAL);
        let played = play(
            network.cheat("h00", move |round, _, body| match round == at {
                true => rewritten(body, change),
                false => body,
            }),
        );

        for party in ["h01", "h02"] {
            assert_eq!(played.blame(party).0, ["h00"], "{:?}", played.ending(party));
        }
    }
}
#[test]
fn a_leader_that_counts_on_shares_that_did_not_come_is_blamed() {
    let lost = |at, from: &str, to: &str| at == DEAL && from == "h01" && to == "h02";
    let played = play(
        network(4)
            .lose(lost)
            .cheat("h00", |round, _, body| match round {
                MASKERS => rewritten(body, |named: &mut Announced| {
                    named.parties = Place::all(4).collect();
                }),
                _ => body,
            }),
    );

    let ending = played.ending("h02");
    assert!(!matches!(ending, Ending::Done(_)), "{ending:?}");
}
#[test]
fn false_shares_are_told_from_true_ones_and_the_sum_is_right() {
    let played = play(network(10).vanish("h07", MASKED).cheat(
        "h04",
        |round, _, body| match round {
            UNMASK => rewritten(body, |unmasking: &mut Unmasking| {
                for share in unmasking
                    .pair
                    .values_mut()
                    .chain(unmasking.own.values_mut())
                {
                    *share = Share(share.0 + Scalar::ONE);
                }
            }),
            _ => body,
        },
    ));

    let sum = right_sum(&played);
    assert!(!sum.disputed.is_empty());
    assert!(sum.disputed.iter().all(|(_, holder)| holder == "h04"));
}
#[test]
fn shares_of_something_else_than_a_key_are_blamed_on_their_dealer() {
    let false_share = Share(Scalar::from(5_u64));
    let params = fields::encode(&params()).unwrap();
    let played = play(network(10).cheat("h04", move |round, _, body| match round {
        DEAL => rewritten(body, |dealt: &mut Dealt| {
            if let Some(shares) = &mut dealt.shares {
                shares.own = false_share;
            }
        }),
        HOLD => rewritten(body, |held: &mut Held| {
            let start = Start {
                protocol: "protocol".into(),
                researcher_id: "RESEARCHER_1".into(),
                run: "run".into(),
                node_id: "h04".into(),
                parties: names(10),
                params: params.clone(),
            };
            let run = Transcript::of(&start, "shares");
            for receipts in held.receipts.values_mut() {
                receipts.own = false_share.receipt(&run);
            }
        }),
        _ => body,
    }));

    let (blamed, why) = played.blame("h00");
    assert_eq!(blamed, ["h04"], "{:?}", played.ending("h00"));
    assert!(why.contains("something else than its key"), "{why}");
}
#[test]
fn receipts_that_are_not_for_ones_neighbours_are_blamed_on_their_dealer() {
    let played = play(network(10).cheat("h04", |round, _, body| match round {
        HOLD => rewritten(body, |held: &mut Held| {
            held.receipts.retain(|to, _| to.0 > 4)
        }),
        _ => body,
    }));

    assert_eq!(played.blame("h00").0, ["h04"]);
}
#[test]
fn neighbours_without_shares_are_blamed() {
    let played = play(network(3).cheat("h02", |round, _, body| match round {
        DEAL => rewritten(body, |dealt: &mut Dealt| dealt.shares = None),
        _ => body,
    }));

    assert_eq!(played.blame("h00").0, ["h02"]);
    assert_eq!(played.blame("h01").0, ["h02"]);
}
#[test]
fn one_that_confirms_something_else_does_not_stop_the_rest() {
    for at in [AGREE, CONFIRM] {
        let played = play(
            network(10).cheat("h04", move |round, _, body| match round == at {
                true => rewritten(body, |confirmed: &mut Confirmed| confirmed.named.0[0] ^= 1),
                false => body,
            }),
        );

        right_sum(&played);
    }
}
#[test]
fn who_was_asked_for_another_run_is_left_out() {
    let other = Params {
        clip: 999.0,
        ..params()
    };
    let played = play(network(10).asked_of("h04", &other));

    assert_eq!(right_sum(&played).parties.len(), 9);
    assert!(played.blame("h04").1.contains("was asked for another run"));
    let three = network(3).asked_of("h01", &other);
    assert!(
        play(three)
            .blame("h00")
            .1
            .contains("h01 was asked for another run")
    );
}
#[test]
fn parcels_of_no_kind_are_blamed_on_their_party() {
    for at in KEYS..=UNMASK {
        for cheater in ["h00", "h04"] {
            let played = play(network(10).cheat(cheater, move |round, _, body| {
                body.map(|body| if round == at { b"\x80".to_vec() } else { body })
            }));

            let reached = |party: &&&str| played.parcel(at, cheater, party).is_some();
            for party in ["h00", "h01", "h05"].iter().filter(reached) {
                assert_eq!(played.blame(party).0, [cheater], "{at}: {party}");
            }
        }
    }
}
