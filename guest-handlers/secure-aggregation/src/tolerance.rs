use backchannel_sdk::Failure;

/// How many parties may vanish, and how many may conspire, for a run to keep what it promises. All numbers that the protocol counts
/// with come from here.
///
/// With n parties, of which d may vanish and c conspire (the leader among them):
///
/// - d survivors less than n still have to end the run, so n - d is the quorum.
/// - Two sets of survivors must not both be confirmed by a quorum. Conspirators confirm both, the n - c others one each: that takes
///   2 (n - d - c) > n - c, so c + 2 d < n. It also leaves two honest parties at least in every sum.
/// - c conspirators must not have enough shares of a secret: c + 1 are needed.
/// - As many have to be left when d of those who hold shares vanish: c + d + 1 neighbours.
/// - The graph of neighbours must not fall apart when conspirators and vanished are taken out, whoever they are; otherwise the
///   sum would come apart too. One that takes c + d + 1 to be cut is enough ([`Graph`](crate::graph::Graph)).
///
/// Bell et al. (2020) have fewer neighbours, in the order of log n, as they let chance choose who vanishes. Here the
/// researcher carries the parcels and could choose. For hospitals, 100 of them at most, that costs little.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tolerance {
    parties: usize,
    vanished: usize,
    colluding: usize,
}

/// The most parties that are taken: the leader's work and that of the relay grow with their square.
const MOST_PARTIES: usize = 1000;

impl Tolerance {
    /// That of so many parties, a share `dropouts` of which may vanish. A third of them may conspire, and one at least.
    ///
    /// # Errors
    ///
    /// [`Failure::Refused`] when there are too few or too many parties, or too many may vanish.
    pub fn new(parties: usize, dropouts: f64) -> Result<Self, Failure> {
        if !(3..=MOST_PARTIES).contains(&parties) {
            let why = format!("a sum is of 3 to {MOST_PARTIES} parties, not of {parties}");
            return Err(Failure::refused(why));
        }
        if !(0.0..=1.0).contains(&dropouts) {
            return Err(Failure::malformed("`dropouts` is a share, 0 to 1"));
        }
        // A hair more, so that 0.29 of 100 is 29.
        let vanished = (dropouts * parties as f64 + 1e-9).floor() as usize;
        let colluding = (parties / 3).max(1);
        if colluding + 2 * vanished >= parties {
            let most = (parties - colluding - 1) / 2;
            let why = format!("of {parties} parties at most {most} can be let go, not {vanished}");
            return Err(Failure::refused(format!("{why}: lower `dropouts`")));
        }
        Ok(Self {
            parties,
            vanished,
            colluding,
        })
    }

    /// All parties.
    pub fn parties(&self) -> usize {
        self.parties
    }

    /// The fewest that can go on, this node among them.
    pub fn quorum(&self) -> usize {
        self.parties - self.vanished
    }

    /// The shares that a secret is put together from.
    pub fn threshold(&self) -> usize {
        self.colluding + 1
    }

    /// How many hold a share of a party's secrets.
    pub fn neighbours(&self) -> usize {
        self.colluding + self.vanished + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_what_cannot_be_kept() {
        for (parties, dropouts) in [
            (2, 0.0),
            (1001, 0.0),
            (3, 0.34),
            (4, 0.5),
            (9, 0.34),
            (10, -0.1),
            (10, f64::NAN),
            (10, 1.0),
        ] {
            assert!(
                Tolerance::new(parties, dropouts).is_err(),
                "{parties} {dropouts}"
            );
        }
    }

    #[test]
    fn whatever_is_taken_keeps_every_promise() {
        for parties in 3..=MOST_PARTIES {
            for percent in 0..=33 {
                let Ok(taken) = Tolerance::new(parties, f64::from(percent) / 100.0) else {
                    continue;
                };
                let (vanished, colluding) = (taken.vanished, taken.colluding);
                assert!(2 * taken.quorum() > parties + colluding, "two sets");
                assert!(taken.quorum() - colluding >= 2, "a sum of one");
                assert!(taken.threshold() > colluding, "conspirators have enough");
                assert!(
                    taken.neighbours() - vanished >= taken.threshold(),
                    "too few left"
                );
                assert!(taken.neighbours() > colluding + vanished, "cut");
                assert!(taken.neighbours() < parties, "there are not so many");
            }
        }
    }

    #[test]
    fn a_fifth_is_taken_of_any_number_of_parties() {
        assert!((3..=MOST_PARTIES).all(|parties| Tolerance::new(parties, 0.2).is_ok()));
        assert_eq!(Tolerance::new(100, 0.29).unwrap().quorum(), 71);
    }
}
