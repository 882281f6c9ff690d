use std::collections::BTreeSet;

use backchannel_sdk::{Failure, Start};
use serde::{Deserialize, Serialize};

/// A party, as its place in the researcher's order: 0 and up. Shorter than its name on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Place(pub u16);

/// Some of the parties.
pub type Places = BTreeSet<Place>;

impl Place {
    /// The places of all parties.
    pub fn all(parties: usize) -> impl Iterator<Item = Self> {
        (0..=u16::MAX).take(parties).map(Self)
    }

    /// Where a party stands.
    ///
    /// # Errors
    ///
    /// [`Failure::Refused`] when it is none of the run's.
    pub fn of(start: &Start, party: &str) -> Result<Self, Failure> {
        let at = start.parties.iter().position(|one| one == party);
        let place = at.and_then(|at| u16::try_from(at).ok());
        place
            .map(Self)
            .ok_or_else(|| Failure::refused(format!("{party} is no party of the run")))
    }

    /// The party's name; nothing for a place beyond the last.
    pub fn name(self, start: &Start) -> &str {
        let name = start.parties.get(usize::from(self.0));
        name.map_or("", String::as_str)
    }
}

/// The names of parties, in the researcher's order.
pub fn names(places: impl IntoIterator<Item = Place>, start: &Start) -> Vec<String> {
    let names = places.into_iter().map(|place| place.name(start).to_owned());
    names.collect()
}
