use std::collections::BTreeMap;

use crate::place::{Place, Places};

/// The largest part of `parties` that it finds in which all are `linked` to each other, `leader` among them.
///
/// It takes out whoever has most links missing, until none is. A party that others cannot reach, or that says so of all others,
/// goes alone; of two that name each other only, the later one goes.
pub fn mutual(parties: &Places, leader: Place, linked: impl Fn(Place, Place) -> bool) -> Places {
    let apart = |one, other| one != other && !(linked(one, other) && linked(other, one));
    let missing = |one: Place| parties.iter().filter(|other| apart(one, **other)).count();
    let mut left: BTreeMap<Place, usize> =
        parties.iter().map(|one| (*one, missing(*one))).collect();
    loop {
        let others = left.iter().filter(|(place, _)| **place != leader);
        let worst = others.max_by_key(|(_, missing)| **missing);
        let Some((worst, 1..)) = worst.map(|(place, missing)| (*place, *missing)) else {
            return left.into_keys().collect();
        };
        left.remove(&worst);
        for (place, missing) in &mut left {
            *missing -= usize::from(apart(*place, worst));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn left(parties: usize, cut: &[(u16, u16)]) -> Vec<u16> {
        let parties = Place::all(parties).collect();
        let cut: BTreeSet<_> = cut.iter().map(|(a, b)| (Place(*a), Place(*b))).collect();
        let left = mutual(&parties, Place(0), |a, b| !cut.contains(&(a, b)));
        left.into_iter().map(|place| place.0).collect()
    }

    #[test]
    fn who_has_all_stays() {
        assert_eq!(left(4, &[]), [0, 1, 2, 3]);
    }

    #[test]
    fn who_reaches_nobody_goes_alone() {
        assert_eq!(left(4, &[(0, 2), (1, 2), (3, 2)]), [0, 1, 3]);
    }

    #[test]
    fn who_claims_that_nobody_reaches_it_goes_alone() {
        assert_eq!(left(4, &[(1, 0), (1, 2), (1, 3)]), [0, 2, 3]);
    }

    #[test]
    fn of_two_one_goes_and_never_the_leader() {
        assert_eq!(left(4, &[(1, 2)]).len(), 3);
        assert_eq!(left(4, &[(0, 3)]), [0, 1, 2]);
        assert_eq!(left(2, &[(0, 1)]), [0]);
    }
}
