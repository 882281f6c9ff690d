//! Who vanishes, when.

use backchannel_sdk::testing::Ending;
use proptest::prelude::*;

use super::*;

#[test]
fn as_many_as_may_can_vanish_in_any_round() {
    for (count, gone) in [(10, 2), (40, 8)] {
        for round in KEYS..=UNMASK {
            let gone = &names(count)[3..3 + gone];
            let network = gone.iter().fold(network(count), |network, party| {
                network.vanish(party, round)
            });

            let played = play(network);

            let sum = right_sum(&played);
            let expected = names(count);
            let expected = expected
                .into_iter()
                .filter(|party| round > MASKED || !gone.contains(party));
            assert!(
                sum.parties.iter().eq(expected.collect::<Vec<_>>().iter()),
                "{round}"
            );
            never_both(&played, count, |_| true);
        }
    }
}
#[test]
fn one_more_is_too_many_and_there_is_no_sum() {
    for round in KEYS..=UNMASK {
        let gone = &names(10)[4..7];
        let network = gone
            .iter()
            .fold(network(10), |network, party| network.vanish(party, round));

        let played = play(network);

        match played.ending("h00") {
            Ending::Silent(silent) => assert_eq!(silent, gone),
            other => panic!("{round}: {other:?}"),
        }
    }
}
#[test]
fn of_three_none_can_vanish() {
    for round in KEYS..=UNMASK {
        let played = play(network(3).vanish("h02", round));

        assert!(!matches!(played.ending("h00"), Ending::Done(_)), "{round}");
    }
}
#[test]
fn without_its_leader_a_run_ends_for_all() {
    for round in KEYS..=UNMASK {
        let played = play(network(10).vanish("h00", round));

        assert_eq!(played.ending("h00"), &Ending::Vanished);
        let shared = reached_leader(&played, UNMASK, 10);
        assert_eq!(shared, 0, "{round}: nobody can have it");
        for (party, ending) in played.endings().filter(|(party, _)| *party != "h00") {
            match ending {
                // A quorum confirms without it, and hands shares to nobody.
                Ending::Done(_) => assert!(round >= CONFIRM, "{party}: {round}"),
                Ending::Silent(silent) => assert_eq!(silent, &["h00"]),
                Ending::Aborted(blame) => assert!(blame.parties.is_empty(), "{party}: {round}"),
                other => panic!("{party}: {other:?}"),
            }
        }
    }
}
#[test]
fn a_party_may_go_in_the_middle_of_any_round() {
    for round in KEYS..UNMASK {
        for reaches in 0..3 {
            let lost = move |at, from: &str, to: &str| {
                let to: usize = to[1..].parse().expect("a number");
                at == round && from == "h05" && to % 3 != reaches
            };
            let played = play(network(10).lose(lost).vanish("h05", round + 1));

            let sum = right_sum(&played);
            assert!(sum.parties.len() >= 9, "{round} {reaches}");
            never_both(&played, 10, |_| true);
        }
    }
}
#[test]
fn who_is_cut_off_from_some_does_not_spoil_the_sum_of_the_rest() {
    for round in [KEYS, DEAL] {
        let lost = move |at, from: &str, to: &str| at == round && from == "h01" && to == "h02";

        let played = play(network(10).lose(lost));

        assert_eq!(right_sum(&played).parties.len(), 9);
        let included = |party: &str| played.result::<TookPart>(party).included;
        assert_ne!(included("h01"), included("h02"));
    }
}
proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whoever vanishes and whatever gets lost: there is no sum, or the right one, and nobody's two shares are out.
    #[test]
    fn there_is_the_right_sum_or_none(
        count in 3_usize..12,
        vanished in proptest::collection::vec((1_usize..12, KEYS..=UNMASK), 0..4),
        lost in proptest::collection::vec((KEYS..=UNMASK, 0_usize..12, 0_usize..12), 0..6),
    ) {
        let mut network = network(count);
        let parties = names(count);
        for (party, round) in vanished {
            let party = &parties[party % count];
            network = network.vanish(party, round);
        }
        for (round, from, to) in lost {
            let (from, to) = (parties[from % count].clone(), parties[to % count].clone());
            network = network.lose(move |at, one, another| {
                at == round && one == from && another == to
            });
        }

        let played = play(network);

        if let Ending::Done(_) = played.ending("h00") {
            right_sum(&played);
        }
        never_both(&played, count, |_| true);
    }

    /// As many vanish as may, each in a round of its own: there is a sum, of all whose vectors came.
    #[test]
    fn there_is_a_sum_when_no_more_vanish_than_may(
        count in 5_usize..16,
        rounds in proptest::collection::vec(KEYS..=UNMASK, 3),
        first in 1_usize..16,
    ) {
        let parties = names(count);
        let mut network = network(count);
        for (at, round) in rounds.iter().enumerate().take(count / 5) {
            let party = &parties[1 + (first + at) % (count - 1)];
            network = network.vanish(party, *round);
        }

        let sum = right_sum(&play(network));

        let late = rounds.iter().take(count / 5).filter(|round| **round > MASKED).count();
        prop_assert_eq!(sum.parties.len(), count - count / 5 + late);
    }
}
