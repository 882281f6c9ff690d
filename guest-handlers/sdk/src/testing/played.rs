use std::collections::BTreeMap;

use serde::de::DeserializeOwned;

use crate::{Blame, Failure, fields};

/// How a party's run ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Ending {
    /// Finished, with a result for the researcher.
    Done(Vec<u8>),
    /// Given up by the part itself.
    Aborted(Blame),
    /// The parcel of a party was malformed: that party is blamed.
    Malformed {
        /// Whose.
        from: String,
        /// What was wrong with it.
        why: String,
    },
    /// Fewer parties than the quorum had something: these had not.
    Silent(Vec<String>),
    /// The part failed, and nobody is blamed.
    Failed(Failure),
    /// It vanished, as it was told to.
    Vanished,
}

/// What came of a run.
#[derive(Debug)]
pub struct Played {
    pub(super) endings: BTreeMap<String, Ending>,
    pub(super) arrived: BTreeMap<(u32, String, String), Vec<u8>>,
}

impl Played {
    /// How a party's run ended.
    ///
    /// # Panics
    ///
    /// When it is no party.
    pub fn ending(&self, party: &str) -> &Ending {
        &self.endings[party]
    }

    /// Each party's ending, in the order of their names.
    pub fn endings(&self) -> impl Iterator<Item = (&str, &Ending)> {
        self.endings
            .iter()
            .map(|(party, ending)| (party.as_str(), ending))
    }

    /// A party's result.
    ///
    /// # Panics
    ///
    /// When it has none, or another than `T` describes.
    pub fn result<T: DeserializeOwned>(&self, party: &str) -> T {
        match self.ending(party) {
            Ending::Done(result) => fields::decode(result).expect("a result of this type"),
            other => panic!("{party} has no result: {other:?}"),
        }
    }

    /// Whom a party blames, and why; nobody, when its run came to a good end or simply failed.
    ///
    /// # Panics
    ///
    /// When it is no party.
    pub fn blame(&self, party: &str) -> (Vec<&str>, &str) {
        match self.ending(party) {
            Ending::Aborted(blame) => {
                let parties = blame.parties.iter().map(String::as_str);
                (parties.collect(), &blame.why)
            }
            Ending::Malformed { from, why } => (vec![from], why),
            Ending::Done(_) | Ending::Silent(_) | Ending::Failed(_) | Ending::Vanished => {
                (Vec::new(), "")
            }
        }
    }

    /// The parcel that one party got from another in a round.
    pub fn parcel(&self, round: u32, from: &str, to: &str) -> Option<&[u8]> {
        let key = (round, from.to_owned(), to.to_owned());
        self.arrived.get(&key).map(Vec::as_slice)
    }

    pub(super) fn end(&mut self, party: &str, ending: Ending) {
        self.endings.insert(party.to_owned(), ending);
    }
}
