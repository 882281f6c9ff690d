use backchannel_commit_reveal::{Beacon, Digest, Opening, Transcript};
use backchannel_sdk::{Failure, Next, Part, Round, Start, fields};
use serde::{Deserialize, Serialize};

/// The researcher's parameters.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Params {
    /// How long each round waits for all, 1 to 600.
    #[serde(default = "a_minute")]
    seconds: u32,
}

fn a_minute() -> u32 {
    60
}

/// What every party hands to every other: one kind a round.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Commit {
    /// A hash of what the researcher asked.
    asked: Digest,
    commitment: Digest,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Echo {
    /// A hash of all commitments.
    commitments: Digest,
}

/// For the researcher.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Drawn {
    /// 32 bytes in hex.
    random: String,
    /// Whose randomness is in it.
    parties: Vec<String>,
}

/// This node's part.
pub struct CommonRandomness {
    start: Start,
    seconds: u32,
    beacon: Beacon,
    stage: Stage,
    /// Who says something else than this node about what all have to have seen alike.
    differing: Vec<String>,
}

/// Which round is under way.
#[derive(Clone, Copy)]
enum Stage {
    Begun,
    Committed,
    Compared,
    Revealed,
}

impl Part for CommonRandomness {
    fn begin(start: Start) -> Result<Self, Failure> {
        let Params { seconds } = start.params()?;
        if !(1..=600).contains(&seconds) {
            return Err(Failure::malformed("`seconds` is 1 to 600"));
        }
        Ok(Self {
            seconds,
            beacon: Beacon::draw(&start)?,
            stage: Stage::Begun,
            differing: Vec::new(),
            start,
        })
    }

    fn accept(&mut self, from: &str, body: &[u8]) -> Result<(), Failure> {
        match self.stage {
            Stage::Begun => {}
            Stage::Committed => {
                let commit: Commit = fields::decode(body)?;
                self.compare(from, commit.asked == self.asked());
                self.beacon.commit(from, commit.commitment);
            }
            Stage::Compared => {
                let echo: Echo = fields::decode(body)?;
                self.compare(from, echo.commitments == self.beacon.commitments());
            }
            Stage::Revealed => {
                let opening: Opening = fields::decode(body)?;
                self.beacon.open(from, &opening)?;
            }
        }
        Ok(())
    }

    fn next(&mut self, missing: &[String]) -> Result<Next, Failure> {
        let round = Round::new().gather(self.start.others(), self.seconds);
        match self.stage {
            Stage::Begun => {
                self.stage = Stage::Committed;
                let commit = Commit {
                    asked: self.asked(),
                    commitment: self.beacon.commitment(),
                };
                Ok(round.tell(&commit)?.into())
            }
            Stage::Committed if !self.differing.is_empty() => {
                Ok(self.given_up("was asked for another run by the researcher, or says so"))
            }
            Stage::Committed => {
                self.stage = Stage::Compared;
                let commitments = self.beacon.commitments();
                Ok(round.tell(&Echo { commitments })?.into())
            }
            Stage::Compared if !self.differing.is_empty() => {
                Ok(self.given_up("was given other commitments by some party, or says so"))
            }
            Stage::Compared => {
                self.stage = Stage::Revealed;
                // No quorum: who does not reveal is to blame, and not merely silent.
                Ok(round.tell(self.beacon.opening())?.quorum(0).into())
            }
            Stage::Revealed if !missing.is_empty() => {
                let why = "committed and did not reveal";
                Ok(Next::blame(missing.iter().cloned(), why))
            }
            Stage::Revealed => Next::done(&Drawn {
                random: hex(&self.beacon.randomness()),
                parties: self.start.parties.clone(),
            }),
        }
    }
}

impl CommonRandomness {
    fn asked(&self) -> Digest {
        Transcript::of(&self.start, "asked").digest()
    }

    fn compare(&mut self, from: &str, alike: bool) {
        if !alike {
            self.differing.push(from.to_owned());
        }
    }

    /// Nobody is blamed: who lies, the one that differs or a third, cannot be told.
    fn given_up(&self, why: &str) -> Next {
        let differing = self.differing.join(", ");
        Next::give_up(format!("{differing} {why}"))
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use backchannel_sdk::Blame;
    use backchannel_sdk::testing::{Ending, Network, Played};
    use proptest::prelude::*;

    use super::*;

    const COMMIT: u32 = 0;
    const ECHO: u32 = 1;
    const REVEAL: u32 = 2;

    fn names(count: usize) -> Vec<String> {
        (0..count).map(|at| format!("hospital-{at}")).collect()
    }

    fn abc() -> Network {
        Network::new(["a", "b", "c"])
    }

    fn play(network: Network) -> Played {
        network.play::<CommonRandomness>()
    }

    fn other<T: Serialize>(parcel: &T) -> Option<Vec<u8>> {
        fields::encode(parcel).ok()
    }

    #[test]
    fn who_reveals_something_else_than_it_committed_to_is_blamed_by_all() {
        let played = play(abc().cheat("b", |round, _, body| match round {
            REVEAL => {
                let mut map: std::collections::BTreeMap<String, backchannel_sdk::ByteArray<32>> =
                    fields::decode(&body?).ok()?;
                map.get_mut("random")?.0[0] ^= 1;
                other(&map)
            }
            _ => body,
        }));

        let blame = (vec!["b"], "reveals something else than it committed to");
        assert_eq!(played.blame("a"), blame);
        assert_eq!(played.blame("c"), blame);
    }

    #[test]
    fn who_withholds_what_it_committed_to_is_blamed() {
        let played = play(abc().cheat("b", |round, _, body| body.filter(|_| round != REVEAL)));

        for party in ["a", "c"] {
            let blame = (vec!["b"], "committed and did not reveal");
            assert_eq!(played.blame(party), blame);
        }
    }

    #[test]
    fn two_commitments_of_one_party_are_found_before_anybody_reveals() {
        let played = play(abc().cheat("b", |round, to, body| match (round, to) {
            (COMMIT, "c") => {
                let mut commit: Commit = fields::decode(&body?).ok()?;
                commit.commitment.0[0] ^= 1;
                other(&commit)
            }
            _ => body,
        }));

        for party in ["a", "c"] {
            let (blamed, why) = played.blame(party);
            assert!(blamed.is_empty(), "{blamed:?}: it cannot be told who lies");
            assert!(
                why.contains("other commitments by some party"),
                "{party}: {why}"
            );
            assert_eq!(played.parcel(REVEAL, party, "b"), None);
        }
    }

    #[test]
    fn parties_that_were_asked_differently_give_up() {
        let played = play(abc().asked_of("b", &Params { seconds: 59 }));

        let why = "b was asked for another run by the researcher, or says so";
        let blame = Blame {
            parties: Vec::new(),
            why: why.into(),
        };
        assert_eq!(played.ending("a"), &Ending::Aborted(blame));
    }

    #[test]
    fn who_says_what_no_round_calls_for_is_blamed() {
        for at in [COMMIT, ECHO, REVEAL] {
            let played = play(abc().cheat("c", move |round, _, body| match round == at {
                true => Some(b"\x81\xa5other\x01".to_vec()),
                false => body,
            }));

            assert_eq!(played.blame("a").0, ["c"], "round {at}");
        }
    }

    #[test]
    fn whoever_vanishes_ends_the_run_and_is_named() {
        for count in [3, 10] {
            for at in [COMMIT, ECHO, REVEAL] {
                let gone = names(count)[1].clone();
                let played = play(Network::new(names(count)).vanish(&gone, at));

                for (party, ending) in played.endings().filter(|(party, _)| *party != gone) {
                    match ending {
                        Ending::Silent(silent) => assert_eq!(silent.join(","), gone),
                        Ending::Aborted(blame) => assert_eq!(blame.parties.join(","), gone),
                        other => panic!("{party}: {other:?}"),
                    }
                }
            }
        }
    }

    #[test]
    fn parameters_that_are_none_of_ours_are_refused() {
        let seconds = |seconds| play(abc().params(&Params { seconds }));
        assert!(matches!(seconds(0).ending("a"), Ending::Failed(_)));
        assert!(matches!(seconds(601).ending("a"), Ending::Failed(_)));
        let unknown = abc().params(&std::collections::BTreeMap::from([("second", 1)]));
        assert!(matches!(play(unknown).ending("a"), Ending::Failed(_)));
    }

    #[test]
    fn all_parties_draw_the_same() {
        for count in [2, 3, 10, 40] {
            let parties = names(count);
            let played = play(Network::new(parties.clone()));

            let first: Drawn = played.result(&parties[0]);
            assert_eq!(first.random.len(), 64);
            assert_eq!(first.parties, parties);
            for party in &parties {
                assert_eq!(played.result::<Drawn>(party), first);
            }
        }
    }

    #[test]
    fn other_runs_draw_something_else() {
        let drawn = |seconds| {
            let played = play(abc().params(&Params { seconds }));
            played.result::<Drawn>("a").random
        };
        assert_eq!(drawn(10), drawn(10), "the tests' randomness is the same");
        assert_ne!(drawn(10), drawn(11));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// Whatever gets lost and whoever vanishes: two that end well have the same.
        #[test]
        fn no_two_parties_end_with_different_bytes(
            count in 2_usize..7,
            lost in proptest::collection::vec((0_u32..3, 0_usize..7, 0_usize..7), 0..4),
            vanished in proptest::option::of((0_usize..7, 0_u32..4)),
        ) {
            let parties = names(count);
            let mut network = Network::new(parties.clone());
            if let Some((party, round)) = vanished {
                network = network.vanish(&parties[party % count], round);
            }
            for (round, from, to) in lost {
                let (from, to) = (parties[from % count].clone(), parties[to % count].clone());
                network = network.lose(move |at, one, another| at == round && one == from && another == to);
            }

            let played = play(network);

            let mut results = Vec::new();
            for (party, ending) in played.endings() {
                if let Ending::Done(_) = ending {
                    results.push(played.result::<Drawn>(party));
                }
            }
            results.dedup();
            prop_assert!(results.len() <= 1);
        }
    }
}
