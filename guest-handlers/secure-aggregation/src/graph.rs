use chacha20::ChaCha20;
use chacha20::cipher::{KeyIvInit, StreamCipher};

use crate::place::{Place, Places};

/// Who is whose neighbour: neighbours mask towards each other and hold each other's shares.
///
/// The parties stand in a ring, and the nearest on both sides are neighbours; where their number is odd, the one opposite too. That
/// graph of Harary (1962) has as many neighbours for each as one would have to take out for it to fall apart; none
/// can do with fewer. The places in the ring are drawn from the parties' common randomness (as in Bell et al., 2020), so nobody
/// chooses a neighbour: should more conspire than were counted on, they surround a party by chance only.
pub struct Graph {
    ring: Vec<Place>,
    /// Where in the ring each party stands.
    places: Vec<usize>,
    degree: usize,
}

impl Graph {
    /// Draws the graph of so many parties, with `degree` neighbours for each; one more where both numbers are odd, as no graph is
    /// without.
    pub fn draw(parties: usize, degree: usize, randomness: &[u8; 32]) -> Self {
        let mut ring: Vec<Place> = Place::all(parties).collect();
        let mut stream = ChaCha20::new(randomness.into(), &[0; 12].into());
        for last in (1..ring.len()).rev() {
            let mut drawn = [0; 8];
            stream.apply_keystream(&mut drawn);
            // The remainder favours the lower ones by less than one in 2^48.
            let chosen = u64::from_le_bytes(drawn) % (last as u64 + 1);
            ring.swap(last, chosen as usize);
        }
        let degree = degree + (degree & parties & 1);
        let mut places = vec![0; parties];
        for (at, place) in ring.iter().enumerate() {
            places[usize::from(place.0)] = at;
        }
        Self {
            ring,
            places,
            degree,
        }
    }

    /// The neighbours of one party.
    pub fn neighbours(&self, of: Place) -> Places {
        let all = self.ring.iter().copied();
        all.filter(|other| self.are_neighbours(of, *other))
            .collect()
    }

    /// Whether two parties are neighbours.
    pub fn are_neighbours(&self, one: Place, other: Place) -> bool {
        let at = |place: Place| self.places.get(usize::from(place.0));
        let (Some(one), Some(other)) = (at(one), at(other)) else {
            return false;
        };
        let parties = self.ring.len();
        let apart = one.abs_diff(*other);
        let apart = apart.min(parties - apart);
        let opposite = self.degree % 2 == 1 && apart == parties / 2;
        apart > 0 && (apart <= self.degree / 2 || opposite)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn reached(graph: &Graph, without: &Places) -> Places {
        let mut left = graph.ring.iter().filter(|place| !without.contains(place));
        let mut ahead: Vec<Place> = left.next().into_iter().copied().collect();
        let mut reached: Places = ahead.iter().copied().collect();
        while let Some(place) = ahead.pop() {
            for neighbour in graph.neighbours(place) {
                if !without.contains(&neighbour) && reached.insert(neighbour) {
                    ahead.push(neighbour);
                }
            }
        }
        reached
    }

    #[test]
    fn every_party_has_its_neighbours_and_is_theirs() {
        for parties in 3..=24 {
            for degree in 2..parties {
                let graph = Graph::draw(parties, degree, &[7; 32]);
                for place in Place::all(parties) {
                    let neighbours = graph.neighbours(place);
                    assert_eq!(neighbours.len(), degree + (degree & parties & 1));
                    assert!(!neighbours.contains(&place));
                    for neighbour in neighbours {
                        assert!(graph.neighbours(neighbour).contains(&place));
                    }
                }
            }
        }
    }

    #[test]
    fn other_randomness_is_another_graph() {
        let neighbours = |byte| Graph::draw(40, 6, &[byte; 32]).neighbours(Place(0));
        assert_eq!(neighbours(1), neighbours(1));
        assert_ne!(neighbours(1), neighbours(2));
    }

    proptest! {
        #[test]
        fn it_holds_together_when_fewer_than_its_degree_are_taken_out(
            parties in 3_usize..30,
            degree in 2_usize..29,
            seed: [u8; 32],
            order in Just((0..30_u16).collect::<Vec<_>>()).prop_shuffle(),
        ) {
            prop_assume!(degree < parties);
            let graph = Graph::draw(parties, degree, &seed);
            let gone = order.into_iter().filter(|at| usize::from(*at) < parties).take(degree - 1);
            let gone: Places = gone.map(Place).collect();

            prop_assert_eq!(reached(&graph, &gone).len(), parties - gone.len());
        }

        /// The worst that can be taken out: all neighbours of one but one.
        #[test]
        fn nobody_is_cut_off_by_all_neighbours_but_one(
            parties in 4_usize..30,
            degree in 2_usize..29,
            of in 0_u16..4,
            left in 0_usize..29,
        ) {
            prop_assume!(degree < parties);
            let graph = Graph::draw(parties, degree, &[9; 32]);
            let mut gone = graph.neighbours(Place(of));
            let left = *gone.iter().nth(left % gone.len()).expect("one");
            gone.remove(&left);

            prop_assert_eq!(reached(&graph, &gone).len(), parties - gone.len());
        }
    }
}
