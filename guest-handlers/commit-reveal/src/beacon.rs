use std::collections::BTreeMap;

use backchannel_sdk::{ByteArray, Failure, Start, random};
use serde::{Deserialize, Serialize};

use crate::{Digest, Transcript};

/// Randomness of all parties together: each commits to 32 random bytes before it sees anybody else's, then reveals them. As
/// long as one party is honest, nobody chooses what comes out; but who reveals last can see it first, and withhold.
///
/// It counts no rounds and waits for nobody: a plugin carries commitments and openings in whatever rounds it has. It must not
/// reveal before it has the commitments of all whose openings are to count.
pub struct Beacon {
    run: Transcript,
    own: Opening,
    commitment: Digest,
    commitments: BTreeMap<String, Digest>,
    revealed: BTreeMap<String, [u8; 32]>,
}

/// What a party committed to. Secret until it is revealed, so it cannot be printed.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Opening {
    /// The party's share of the randomness.
    random: ByteArray<32>,
    /// Hides it in the commitment, whatever it is.
    blinding: ByteArray<32>,
}

impl Beacon {
    /// Draws this node's part, and commits to it.
    ///
    /// # Errors
    ///
    /// When the host gives no randomness.
    pub fn draw(start: &Start) -> Result<Self, Failure> {
        let run = Transcript::of(start, "beacon");
        let own = Opening {
            random: ByteArray(drawn()?),
            blinding: ByteArray(drawn()?),
        };
        let commitment = commitment(&run, &start.node_id, &own);
        let mut beacon = Self {
            run,
            own: own.clone(),
            commitment,
            commitments: BTreeMap::new(),
            revealed: BTreeMap::new(),
        };
        beacon.commit(&start.node_id, commitment);
        beacon.open(&start.node_id, &own)?;
        Ok(beacon)
    }

    /// This node's commitment, for every other party.
    pub fn commitment(&self) -> Digest {
        self.commitment
    }

    /// What this node committed to, for every other party once their commitments are there.
    pub fn opening(&self) -> &Opening {
        &self.own
    }

    /// Notes another party's commitment.
    pub fn commit(&mut self, party: &str, commitment: Digest) {
        self.commitments.insert(party.to_owned(), commitment);
    }

    /// A hash of all commitments noted, to be compared among parties before they reveal: a party that gave two others
    /// different ones is found out.
    pub fn commitments(&self) -> Digest {
        let hash = |run: Transcript, (party, commitment): (&String, &Digest)| {
            run.with(party).with(commitment.0)
        };
        let all = self.commitments.iter();
        all.fold(self.run.clone().with("commitments"), hash)
            .digest()
    }

    /// Whether a party reveals what it committed to, without noting it.
    ///
    /// # Errors
    ///
    /// [`Failure::Malformed`] when it reveals something else.
    pub fn check(&self, party: &str, opening: &Opening) -> Result<(), Failure> {
        if self.commitments.get(party) != Some(&commitment(&self.run, party, opening)) {
            return Err(Failure::malformed(
                "reveals something else than it committed to",
            ));
        }
        Ok(())
    }

    /// Notes what a party reveals.
    ///
    /// # Errors
    ///
    /// As [`check`](Self::check).
    pub fn open(&mut self, party: &str, opening: &Opening) -> Result<(), Failure> {
        self.check(party, opening)?;
        self.revealed.insert(party.to_owned(), opening.random.0);
        Ok(())
    }

    /// What comes of all that was revealed: the same for all who noted the same.
    pub fn randomness(&self) -> [u8; 32] {
        let hash =
            |run: Transcript, (party, random): (&String, &[u8; 32])| run.with(party).with(random);
        let all = self.revealed.iter();
        all.fold(self.run.clone().with("randomness"), hash)
            .digest()
            .0
    }
}

/// Bound to the run and the party, so that no party can commit to another's secret by repeating its commitment.
fn commitment(run: &Transcript, party: &str, opening: &Opening) -> Digest {
    let commitment = run.clone().with("commitment").with(party);
    let commitment = commitment.with(opening.blinding.0).with(opening.random.0);
    commitment.digest()
}

fn drawn() -> Result<[u8; 32], Failure> {
    let bytes = random::bytes(32)?;
    let bytes = bytes.try_into();
    bytes.map_err(|_| Failure::unavailable("the host gave another number of random bytes"))
}

#[cfg(test)]
mod tests {
    use backchannel_sdk::testing::Node;
    use backchannel_sdk::{Next, Part};
    use proptest::prelude::*;

    use super::*;

    fn start(party: &str) -> Start {
        Start {
            protocol: "protocol".into(),
            researcher_id: "researcher".into(),
            run: "run".into(),
            node_id: party.into(),
            parties: vec!["a".into(), "b".into(), "c".into()],
            params: vec![0x80],
        }
    }

    /// Randomness is there in a part only.
    struct Drawn(Beacon);

    impl Part for Drawn {
        fn begin(start: Start) -> Result<Self, Failure> {
            Beacon::draw(&start).map(Self)
        }
        fn accept(&mut self, _: &str, _: &[u8]) -> Result<(), Failure> {
            Ok(())
        }
        fn next(&mut self, _: &[String]) -> Result<Next, Failure> {
            Ok(Next::blame(["nobody"], "a test only draws"))
        }
    }

    fn drawn(start: Start, seed: u64) -> Beacon {
        let node = Node::new().with_seed(seed);
        node.take_part::<Drawn>(start).expect("drawn").0
    }

    fn beacons() -> [Beacon; 3] {
        let seeded = |(party, seed)| drawn(start(party), seed);
        [("a", 1), ("b", 2), ("c", 3)].map(seeded)
    }

    /// Each notes the commitments of all.
    fn committed() -> [Beacon; 3] {
        let mut beacons = beacons();
        let commitments = beacons.each_ref().map(Beacon::commitment);
        for beacon in &mut beacons {
            for (party, commitment) in ["a", "b", "c"].into_iter().zip(commitments) {
                beacon.commit(party, commitment);
            }
        }
        beacons
    }

    #[test]
    fn refuses_an_opening_of_nobodys_commitment() {
        let [mut a, b, _] = beacons();

        assert!(a.open("b", b.opening()).is_err());
    }

    #[test]
    fn what_is_only_checked_does_not_count() {
        let [a, b, _] = committed();
        let before = a.randomness();

        assert!(a.check("b", b.opening()).is_ok());
        assert!(a.check("c", b.opening()).is_err());

        assert_eq!(a.randomness(), before);
    }

    #[test]
    fn refuses_another_partys_commitment_repeated() {
        let [mut a, b, _] = committed();
        a.commit("c", b.commitment());

        assert!(a.open("c", b.opening()).is_err());
    }

    #[test]
    fn a_commitment_counts_for_its_run_only() {
        let [mut a, b, _] = committed();
        let other = Start {
            run: "other run".into(),
            ..start("b")
        };
        let other = drawn(other, 2);
        assert!(b.opening().random == other.opening().random, "drawn alike");
        a.commit("b", other.commitment());

        assert!(a.open("b", other.opening()).is_err());
    }

    #[test]
    fn whoever_was_given_another_commitment_has_another_hash() {
        let [a, mut b, c] = committed();
        assert_eq!(a.commitments(), b.commitments());

        b.commit("c", a.commitment());

        assert_ne!(a.commitments(), b.commitments());
        assert_eq!(a.commitments(), c.commitments());
    }

    #[test]
    fn all_who_noted_the_same_have_the_same_randomness_and_it_needs_every_opening() {
        let mut beacons = committed();
        let openings = beacons.each_ref().map(|beacon| beacon.opening().clone());
        let mut seen = Vec::new();
        for beacon in &mut beacons {
            for (party, opening) in ["a", "b", "c"].into_iter().zip(&openings) {
                seen.push(beacon.randomness());
                beacon.open(party, opening).expect("as committed");
            }
        }

        let [a, b, c] = beacons.map(|beacon| beacon.randomness());
        assert!(a == b && b == c);
        let fewer = seen.iter().filter(|seen| **seen == a).count();
        assert_eq!(fewer, 1, "only c, which had its own already");
    }

    proptest! {
        #[test]
        fn one_changed_bit_of_an_opening_is_refused(bit in 0_usize..512) {
            let [mut a, b, _] = committed();
            let mut opening = b.opening().clone();
            let bytes = if bit < 256 { &mut opening.random } else { &mut opening.blinding };
            bytes.0[bit % 256 / 8] ^= 1 << (bit % 8);

            prop_assert!(a.open("b", &opening).is_err());
        }
    }
}
