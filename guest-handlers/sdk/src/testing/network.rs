use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::{Ending, Node, Played};
use crate::{Failure, Next, Part, Round, Start, fields};

/// Rounds after which a protocol is taken to go on for ever.
const MOST_ROUNDS: u32 = 1000;

/// Several nodes that run one protocol together, in this thread: what one hands over in a round is what others gather in it,
/// with quorum and blame as the contract has them. No time passes: whoever is silent is missing at once.
///
/// Parties that vanish, parcels that get lost and parties that cheat are told beforehand. Each party gathers in an order of its
/// own, the same in each run of a test.
pub struct Network {
    start: Start,
    seats: BTreeMap<String, Seat>,
    lost: Vec<Box<Lost>>,
}

/// One party: its host, and what is to happen to it.
struct Seat {
    node: Node,
    params: Option<Vec<u8>>,
    vanishes: Option<u32>,
    cheat: Option<Box<Cheat>>,
}

type Lost = dyn Fn(u32, &str, &str) -> bool;
type Cheat = dyn FnMut(u32, &str, Option<Vec<u8>>) -> Option<Vec<u8>>;

impl Network {
    /// A run of these parties, in this order, without parameters. Each node holds nothing and draws random bytes of its own.
    pub fn new<N: Into<String>>(parties: impl IntoIterator<Item = N>) -> Self {
        let parties: Vec<String> = parties.into_iter().map(Into::into).collect();
        let seat = |(at, party): (usize, &String)| {
            let seat = Seat {
                node: Node::new().with_seed(at as u64),
                params: None,
                vanishes: None,
                cheat: None,
            };
            (party.clone(), seat)
        };
        Self {
            seats: parties.iter().enumerate().map(seat).collect(),
            start: Start {
                protocol: "protocol".into(),
                researcher_id: "RESEARCHER_1".into(),
                run: "run".into(),
                node_id: String::new(),
                parties,
                params: vec![0x80],
            },
            lost: Vec::new(),
        }
    }

    /// The researcher's parameters: a struct or map.
    ///
    /// # Panics
    ///
    /// When they are neither.
    pub fn params<T: Serialize>(mut self, params: &T) -> Self {
        self.start.params = fields::encode(params).expect("a struct or map");
        self
    }

    /// Asks one party with other parameters than the rest.
    ///
    /// # Panics
    ///
    /// When they are neither a struct nor a map, or it is no party.
    pub fn asked_of<T: Serialize>(mut self, party: &str, params: &T) -> Self {
        self.seat(party).params = Some(fields::encode(params).expect("a struct or map"));
        self
    }

    /// What a party's host holds. Its random bytes are as before.
    ///
    /// # Panics
    ///
    /// When it is no party.
    pub fn node(mut self, party: &str, node: Node) -> Self {
        let at = self.start.parties.iter().position(|one| one == party);
        self.seat(party).node = node.with_seed(at.unwrap_or_default() as u64);
        self
    }

    /// A party is gone from `round` on: it has gathered what the round before had for it, and hands over nothing more.
    ///
    /// # Panics
    ///
    /// When it is no party.
    pub fn vanish(mut self, party: &str, round: u32) -> Self {
        self.seat(party).vanishes = Some(round);
        self
    }

    /// Loses the parcels that `lost` picks by round, sender and receiver, however often they are asked for.
    pub fn lose(mut self, lost: impl Fn(u32, &str, &str) -> bool + 'static) -> Self {
        self.lost.push(Box::new(lost));
        self
    }

    /// Rewrites what a party hands over: `cheat` is given the round, the receiver and the parcel, if the part has one for it,
    /// and says what is handed over instead.
    ///
    /// # Panics
    ///
    /// When it is no party.
    pub fn cheat(
        mut self,
        party: &str,
        cheat: impl FnMut(u32, &str, Option<Vec<u8>>) -> Option<Vec<u8>> + 'static,
    ) -> Self {
        self.seat(party).cheat = Some(Box::new(cheat));
        self
    }

    /// Runs `P` at each party until all have ended.
    ///
    /// # Panics
    ///
    /// When a part says something that a host refuses, or finds no end.
    pub fn play<P: Part>(mut self) -> Played {
        let mut played = Played {
            endings: BTreeMap::new(),
            arrived: BTreeMap::new(),
        };
        let mut parts = self.begin::<P>(&mut played);
        for at in 0..MOST_ROUNDS {
            let rounds = self.enter(at, &mut parts, &mut played);
            if rounds.is_empty() {
                return played;
            }
            self.exchange(at, &rounds, &mut parts, &mut played);
        }
        panic!("{MOST_ROUNDS} rounds, and no end");
    }

    fn seat(&mut self, party: &str) -> &mut Seat {
        let seat = self.seats.get_mut(party);
        seat.unwrap_or_else(|| panic!("{party} is no party"))
    }

    fn begin<P: Part>(&self, played: &mut Played) -> BTreeMap<String, Running<P>> {
        let mut parts = BTreeMap::new();
        for (party, seat) in &self.seats {
            let mut start = self.start.clone();
            start.node_id.clone_from(party);
            if let Some(params) = &seat.params {
                start.params.clone_from(params);
            }
            match seat.node.take_part(start) {
                Ok(part) => {
                    let missing = Vec::new();
                    parts.insert(party.clone(), Running { part, missing });
                }
                Err(failure) => played.end(party, Ending::Failed(failure)),
            }
        }
        parts
    }

    /// Asks every part what is next. Those that end are taken out.
    fn enter<P: Part>(
        &self,
        at: u32,
        parts: &mut BTreeMap<String, Running<P>>,
        played: &mut Played,
    ) -> BTreeMap<String, Round> {
        let mut rounds = BTreeMap::new();
        parts.retain(|party, running| {
            let seat = &self.seats[party];
            let ending = if seat.vanishes.is_some_and(|vanishes| vanishes <= at) {
                Ending::Vanished
            } else {
                match seat.node.next(&mut running.part, &running.missing) {
                    Ok(Next::Round(round)) => {
                        self.check(party, &round);
                        rounds.insert(party.clone(), round);
                        return true;
                    }
                    Ok(Next::Done(result)) => Ending::Done(result),
                    Ok(Next::Abort(blame)) => {
                        self.others(party, &blame.parties);
                        Ending::Aborted(blame)
                    }
                    Err(failure) => Ending::Failed(failure),
                }
            };
            played.end(party, ending);
            false
        });
        rounds
    }

    /// What a host checks before it carries out a round.
    fn check(&self, party: &str, round: &Round) {
        self.others(party, round.parcels.iter().map(|parcel| &parcel.to));
        self.others(party, &round.gather.from);
        let gathered = round.gather.from.len();
        let (quorum, seconds) = (round.gather.quorum, round.gather.seconds);
        assert!(
            quorum as usize <= gathered,
            "{party} needs {quorum} of {gathered}"
        );
        assert!(
            gathered == 0 || (1..=600).contains(&seconds),
            "{party} waits {seconds} seconds"
        );
    }

    /// Only other parties can be named, each once.
    fn others<'a>(&self, party: &str, names: impl IntoIterator<Item = &'a String>) {
        let mut seen = BTreeSet::new();
        for name in names {
            let known = name != party && self.seats.contains_key(name);
            assert!(known, "{party} names {name}, which is no other party");
            assert!(seen.insert(name), "{party} names {name} twice");
        }
    }

    /// Lets every part have what it gathers. Those that end are taken out.
    fn exchange<P: Part>(
        &mut self,
        at: u32,
        rounds: &BTreeMap<String, Round>,
        parts: &mut BTreeMap<String, Running<P>>,
        played: &mut Played,
    ) {
        parts.retain(|party, running| {
            let gather = &rounds[party].gather;
            let place = self.start.parties.iter().position(|one| one == party);
            let mut order: Vec<&String> = gather.from.iter().collect();
            let turn = (place.unwrap_or_default() + at as usize) % order.len().max(1);
            order.rotate_left(turn);
            let mut heard = BTreeSet::new();
            for from in order {
                let Some(body) = self.handed(at, from, party, rounds) else {
                    continue;
                };
                heard.insert(from);
                let key = (at, from.clone(), party.clone());
                played.arrived.insert(key, body.clone());
                let node = &self.seats[party].node;
                if let Err(failure) = node.accept(&mut running.part, from, &body) {
                    let from = from.clone();
                    let ending = match failure {
                        Failure::Malformed(why) => Ending::Malformed { from, why },
                        failure => Ending::Failed(failure),
                    };
                    played.end(party, ending);
                    return false;
                }
            }
            let missing = gather.from.iter().filter(|from| !heard.contains(from));
            running.missing = missing.cloned().collect();
            let enough = heard.len() >= gather.quorum as usize;
            if !enough {
                played.end(party, Ending::Silent(running.missing.clone()));
            }
            enough
        });
    }

    /// What one party gets from another in a round.
    fn handed(
        &mut self,
        at: u32,
        from: &str,
        to: &str,
        rounds: &BTreeMap<String, Round>,
    ) -> Option<Vec<u8>> {
        let round = rounds.get(from)?;
        let own = round.parcels.iter().find(|parcel| parcel.to == to);
        let own = own.map(|parcel| parcel.body.clone());
        let mut body = own.or_else(|| round.broadcast.clone());
        if let Some(cheat) = &mut self.seats.get_mut(from)?.cheat {
            body = cheat(at, to, body);
        }
        let lost = self.lost.iter().any(|lost| lost(at, from, to));
        body.filter(|_| !lost)
    }
}

/// A part on its way, and whom its last round missed.
struct Running<P> {
    part: P,
    missing: Vec<String>,
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;
    use crate::{blinding, inputs, random};

    /// Tells the others its number in round 0 and its sum in round 1, and does without one party.
    struct Adder {
        start: Start,
        round: u32,
        sum: u32,
        missing: Vec<String>,
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Number {
        number: u32,
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Sum {
        sum: u32,
        missing: Vec<String>,
    }

    impl Part for Adder {
        fn begin(start: Start) -> Result<Self, Failure> {
            let own = inputs::vector("number")?[0] as u32;
            Ok(Self {
                start,
                round: 0,
                sum: own,
                missing: Vec::new(),
            })
        }

        fn accept(&mut self, _: &str, body: &[u8]) -> Result<(), Failure> {
            let Number { number } = fields::decode(body)?;
            if self.round == 1 {
                self.sum += number;
            }
            Ok(())
        }

        fn next(&mut self, missing: &[String]) -> Result<Next, Failure> {
            self.missing.extend_from_slice(missing);
            self.round += 1;
            if self.round == 3 {
                let missing = self.missing.clone();
                return Next::done(&Sum {
                    sum: self.sum,
                    missing,
                });
            }
            let own = Number { number: self.sum };
            let others: Vec<_> = self.start.others().map(str::to_owned).collect();
            let quorum = others.len() - 1;
            Ok(Round::new()
                .tell(&own)?
                .gather(others, 30)
                .quorum(quorum)
                .into())
        }
    }

    fn network() -> Network {
        let numbers = [("a", 1.0), ("b", 2.0), ("c", 4.0)];
        numbers
            .iter()
            .fold(Network::new(["a", "b", "c"]), |network, (party, number)| {
                network.node(party, Node::new().with_vector("number", &[*number]))
            })
    }

    fn sum(sum: u32, missing: &[&str]) -> Sum {
        Sum {
            sum,
            missing: missing.iter().map(|party| (*party).to_owned()).collect(),
        }
    }

    #[test]
    fn what_one_hands_over_the_others_gather() {
        let played = network().play::<Adder>();

        for party in ["a", "b", "c"] {
            assert_eq!(played.result::<Sum>(party), sum(7, &[]));
        }
        assert!(played.parcel(0, "a", "b").is_some());
        assert!(played.parcel(2, "a", "b").is_none());
    }

    #[test]
    fn a_party_that_vanishes_is_missing_from_then_on() {
        let played = network().vanish("c", 1).play::<Adder>();

        assert_eq!(played.ending("c"), &Ending::Vanished);
        assert_eq!(played.result::<Sum>("a"), sum(7, &["c"]));
    }

    #[test]
    fn fewer_than_the_quorum_end_the_run_and_are_named() {
        let played = network().vanish("b", 0).vanish("c", 0).play::<Adder>();

        let silent = ["b", "c"].map(String::from).to_vec();
        assert_eq!(played.ending("a"), &Ending::Silent(silent));
        assert_eq!(played.blame("a"), (vec![], ""));
    }

    #[test]
    fn a_lost_parcel_is_missing_at_its_receiver_only() {
        let lost = |round, from: &str, to: &str| (round, from, to) == (0, "b", "a");

        let played = network().lose(lost).play::<Adder>();

        assert_eq!(played.result::<Sum>("a"), sum(5, &["b"]));
        assert_eq!(played.result::<Sum>("c"), sum(7, &[]));
    }

    #[test]
    fn a_cheater_can_tell_each_receiver_something_else() {
        let played = network()
            .cheat("b", |round, to, body| match (round, to) {
                (0, "a") => fields::encode(&Number { number: 100 }).ok(),
                (0, "c") => None,
                _ => body,
            })
            .play::<Adder>();

        assert_eq!(played.result::<Sum>("a"), sum(105, &[]));
        assert_eq!(played.result::<Sum>("c"), sum(5, &["b"]));
    }

    #[test]
    fn who_hands_over_what_is_malformed_is_blamed_and_who_finds_it_is_gone() {
        let spoil = |round, to: &str, body: Option<Vec<u8>>| match (round, to) {
            (0, "a") => Some(b"spoilt".to_vec()),
            _ => body,
        };

        let played = network().cheat("b", spoil).play::<Adder>();

        assert_eq!(played.blame("a"), (vec!["b"], "fields: not a map"));
        assert_eq!(played.result::<Sum>("c"), sum(7, &["a"]));
    }

    #[test]
    fn who_does_not_take_part_is_missing() {
        let played = network().node("c", Node::new()).play::<Adder>();

        assert!(matches!(played.ending("c"), Ending::Failed(_)));
        assert_eq!(played.result::<Sum>("a"), sum(3, &["c", "c"]));
    }

    /// Says what a host refuses.
    struct Wrong;

    impl Part for Wrong {
        fn begin(_: Start) -> Result<Self, Failure> {
            Ok(Self)
        }
        fn accept(&mut self, _: &str, _: &[u8]) -> Result<(), Failure> {
            Ok(())
        }
        fn next(&mut self, _: &[String]) -> Result<Next, Failure> {
            Ok(Round::new().gather(["d"], 30).into())
        }
    }

    #[test]
    #[should_panic(expected = "a names d, which is no other party")]
    fn a_part_that_waits_for_a_stranger_is_found_out() {
        Network::new(["a", "b"]).play::<Wrong>();
    }

    /// Blinds its ids, hands them to the other, blinds what it gets, and gives all that as its result.
    struct Blinder {
        start: Start,
        points: Vec<u8>,
        rounds: u32,
    }

    #[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
    struct Points {
        points: Vec<Vec<u8>>,
        drawn: Vec<u8>,
    }

    impl Part for Blinder {
        fn begin(start: Start) -> Result<Self, Failure> {
            let points = blinding::ids("ids")?;
            Ok(Self {
                start,
                points,
                rounds: 0,
            })
        }
        fn accept(&mut self, _: &str, body: &[u8]) -> Result<(), Failure> {
            let Points { points, .. } = fields::decode(body)?;
            self.points = blinding::points(&points.concat())?;
            Ok(())
        }
        fn next(&mut self, _: &[String]) -> Result<Next, Failure> {
            let points = self
                .points
                .chunks(blinding::POINT)
                .map(<[u8]>::to_vec)
                .collect();
            let points = Points {
                points,
                drawn: random::bytes(16)?,
            };
            self.rounds += 1;
            if self.rounds == 2 {
                return Next::done(&points);
            }
            Ok(Round::new()
                .tell(&points)?
                .gather(self.start.others(), 30)
                .into())
        }
    }

    fn blinders() -> Network {
        let network =
            Network::new(["a", "b"]).node("a", Node::new().with_ids("ids", ["x", "y", "z"]));
        network.node("b", Node::new().with_ids("ids", ["y", "z", "w", "v"]))
    }

    #[test]
    fn common_ids_are_the_same_points_once_both_have_blinded_them() {
        let played = blinders().play::<Blinder>();

        let (a, b): (Points, Points) = (played.result("a"), played.result("b"));
        assert_eq!((a.points.len(), b.points.len()), (4, 3));
        let common = a.points.iter().filter(|point| b.points.contains(point));
        assert_eq!(common.count(), 2);
        assert_ne!(a.drawn, b.drawn, "each node draws other random bytes");
    }

    #[test]
    fn points_off_the_curve_cut_off_or_alike_are_malformed() {
        let off_the_curve = [&[2; 1][..], &[0xff; 32]].concat();
        for spoilt in [off_the_curve, vec![2; 32], vec![0; 33]] {
            let played = blinders()
                .cheat("b", move |_, _, _| {
                    fields::encode(&Points {
                        points: vec![spoilt.clone()],
                        drawn: Vec::new(),
                    })
                    .ok()
                })
                .play::<Blinder>();
            assert_eq!(played.blame("a").0, ["b"]);
        }
        let double = |_, _: &str, body: Option<Vec<u8>>| {
            let mut points: Points = fields::decode(&body?).ok()?;
            points.points[0] = points.points[1].clone();
            fields::encode(&points).ok()
        };
        let played = blinders().cheat("b", double).play::<Blinder>();
        assert_eq!(played.blame("a"), (vec!["b"], "two points are alike"));
    }
}
