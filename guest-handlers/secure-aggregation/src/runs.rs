//! Whole runs, against the plain sum.

mod cheating;
mod vanishing;

use std::collections::BTreeMap;

use backchannel_sdk::fields;
use backchannel_sdk::testing::{Ending, Network, Node, Played};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::params::{Params, Weight};
use crate::parcels::{Masked, Unmasking};
use crate::party::{Party, Sum, TookPart};
use crate::place::Place;

const KEYS: u32 = 0;
const HEARD: u32 = 1;
const ROSTER: u32 = 2;
const DEAL: u32 = 3;
const HOLD: u32 = 4;
const MASKERS: u32 = 5;
const AGREE: u32 = 6;
const MASKED: u32 = 7;
const SURVIVORS: u32 = 8;
const CONFIRM: u32 = 9;
const UNMASK: u32 = 10;

const LENGTH: usize = 5;

fn names(count: usize) -> Vec<String> {
    (0..count).map(|at| format!("h{at:02}")).collect()
}

fn params() -> Params {
    Params {
        input: "values".into(),
        clip: 1000.0,
        fraction_bits: 16,
        weight: None,
        leader: None,
        dropouts: 0.2,
        seconds: 60,
    }
}

/// What a party has: numbers that fixed point holds exactly.
fn vector(party: &str) -> Vec<f64> {
    let at: f64 = party[1..].parse().expect("a number");
    (0..LENGTH)
        .map(|value| (at * 7.0 - 20.0) * (value as f64 - 2.0) / 4.0 + at)
        .collect()
}

fn plain_sum(parties: &[String]) -> Vec<f64> {
    let mut sum = vec![0.0; LENGTH];
    for party in parties {
        for (sum, value) in sum.iter_mut().zip(vector(party)) {
            *sum += value;
        }
    }
    sum
}

fn network(count: usize) -> Network {
    let network = Network::new(names(count)).params(&params());
    names(count).iter().fold(network, |network, party| {
        network.node(party, Node::new().with_vector("values", &vector(party)))
    })
}

fn play(network: Network) -> Played {
    network.play::<Party>()
}

/// The leader's result, which is the plain sum of the parties that it names.
fn right_sum(played: &Played) -> Sum {
    let sum: Sum = played.result("h00");
    assert_eq!(sum.sum, plain_sum(&sum.parties));
    sum
}

/// Rewrites a parcel of a known kind.
fn rewritten<T: Serialize + DeserializeOwned>(
    body: Option<Vec<u8>>,
    rewrite: impl FnOnce(&mut T),
) -> Option<Vec<u8>> {
    let mut parcel: T = fields::decode(&body?).expect("a parcel of this kind");
    rewrite(&mut parcel);
    fields::encode(&parcel).ok()
}

/// How many parcels of a round the leader got.
fn reached_leader(played: &Played, round: u32, count: usize) -> usize {
    let names = names(count);
    let parcels = names
        .iter()
        .filter_map(|party| played.parcel(round, party, "h00"));
    parcels.count()
}

/// Whoever does not lead, or is told to cheat, reveals of each party one kind of share, and all the same.
fn never_both(played: &Played, count: usize, honest: impl Fn(&str) -> bool) {
    let mut revealed: BTreeMap<Place, &str> = BTreeMap::new();
    for party in names(count).iter().filter(|party| honest(party)) {
        let Some(body) = played.parcel(UNMASK, party, "h00") else {
            continue;
        };
        let unmasking: Unmasking = fields::decode(body).expect("an unmasking");
        let pair = unmasking.pair.keys().map(|of| (*of, "pair"));
        for (of, kind) in pair.chain(unmasking.own.keys().map(|of| (*of, "own"))) {
            assert_eq!(*revealed.entry(of).or_insert(kind), kind, "both of {of:?}");
        }
    }
}

#[test]
fn the_leader_has_the_sum_and_the_others_took_part() {
    for count in [3, 10, 40] {
        let played = play(network(count));

        let sum = right_sum(&played);
        assert_eq!(sum.parties, names(count));
        assert_eq!((sum.weight, sum.disputed), (None, Vec::new()));
        for party in &names(count)[1..] {
            let took_part = TookPart {
                included: true,
                leader: "h00".into(),
            };
            assert_eq!(played.result::<TookPart>(party), took_part);
        }
        never_both(&played, count, |_| true);
    }
}

#[test]
fn no_masked_vector_is_like_the_plain_one_or_another() {
    let played = play(network(10));

    let mut seen = Vec::new();
    for party in &names(10)[1..] {
        let masked = played.parcel(MASKED, party, "h00").expect("handed over");
        let masked: Masked = fields::decode(masked).unwrap();
        let words = masked.values.0.as_chunks().0.iter();
        seen.extend(words.map(|word| u64::from_le_bytes(*word)));
    }
    let small = |word: &u64| (*word as i64).unsigned_abs() < 1 << 40;
    assert!(!seen.iter().any(small), "all words are large");
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), 9 * LENGTH);
}

#[test]
fn a_party_with_another_number_of_values_leaves_and_the_rest_go_on() {
    let played = play(network(10).node("h04", Node::new().with_vector("values", &[1.0])));

    assert!(matches!(played.ending("h04"), Ending::Failed(_)));
    assert_eq!(right_sum(&played).parties.len(), 9);
}

#[test]
fn weights_are_in_the_sum_and_summed_themselves() {
    let weight = Weight {
        input: "rows".into(),
        clip: 100.0,
    };
    let params = Params {
        weight: Some(weight),
        ..params()
    };
    let rows = [3.0, 0.0, 500.0];
    let network = names(3).iter().zip(rows).fold(
        Network::new(names(3)).params(&params),
        |network, (party, rows)| {
            let node = Node::new().with_vector("values", &vector(party));
            network.node(party, node.with_vector("rows", &[rows]))
        },
    );

    let sum: Sum = play(network).result("h00");

    let plain = vector("h00").into_iter().zip(vector("h02"));
    let plain: Vec<f64> = plain.map(|(a, c)| 3.0 * a + 100.0 * c).collect();
    assert_eq!((sum.sum, sum.weight), (plain, Some(103.0)));
}

#[test]
fn values_beyond_the_clip_count_as_it() {
    let params = Params {
        clip: 2.0,
        ..params()
    };
    let values: [&[f64]; 3] = [&[9.0, -9.0, 1.0], &[1.0, f64::NEG_INFINITY, 0.5], &[0.0; 3]];
    let network = names(3).iter().zip(values).fold(
        Network::new(names(3)).params(&params),
        |network, (party, values)| network.node(party, Node::new().with_vector("values", values)),
    );

    assert_eq!(play(network).result::<Sum>("h00").sum, [3.0, -4.0, 1.5]);
}

#[test]
fn another_party_can_lead() {
    let params = Params {
        leader: Some("h06".into()),
        ..params()
    };
    let played = play(network(10).params(&params).vanish("h00", DEAL));

    let sum: Sum = played.result("h06");
    assert_eq!(sum.sum, plain_sum(&sum.parties));
    assert_eq!(played.result::<TookPart>("h01").leader, "h06");
}

#[test]
fn parameters_and_inputs_that_cannot_be_are_refused() {
    let wrong: [fn(&mut Params); 8] = [
        |params| params.input = "nothing".into(),
        |params| params.leader = Some("nobody".into()),
        |params| params.dropouts = 0.4,
        |params| params.seconds = 0,
        |params| params.seconds = 201,
        |params| params.clip = 0.0,
        |params| params.fraction_bits = 60,
        |params| {
            params.weight = Some(Weight {
                input: "values".into(),
                clip: 1.0,
            });
        },
    ];
    for change in wrong {
        let mut params = params();
        change(&mut params);
        let played = play(network(10).params(&params));
        assert!(
            played
                .endings()
                .all(|(_, ending)| matches!(ending, Ending::Failed(_)))
        );
    }
    let played = play(network(10).node("h00", Node::new().with_vector("values", &[f64::NAN])));
    assert!(matches!(played.ending("h00"), Ending::Failed(_)));
    assert!(matches!(play(network(2)).ending("h00"), Ending::Failed(_)));
}
