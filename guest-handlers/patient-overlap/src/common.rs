use backchannel_sdk::Failure;
use backchannel_sdk::blinding::POINT;

/// What all sets seen so far have in common. They come one by one, and no more than two are held.
#[derive(Default)]
pub struct Common(Option<Vec<[u8; POINT]>>);

impl Common {
    /// Leaves what is in `points` too, a set that all parties have blinded.
    ///
    /// # Errors
    ///
    /// [`Failure::Malformed`] when they are no compressed points, or two are alike. Whether they are on the curve shows when
    /// they are blinded; here they are only compared, and what is not cannot be like anybody's.
    pub fn leave(&mut self, points: &[u8]) -> Result<(), Failure> {
        let (points, rest) = points.as_chunks::<POINT>();
        if !rest.is_empty() {
            return Err(Failure::malformed("a point is cut off"));
        }
        if points.iter().any(|point| !matches!(point[0], 2 | 3)) {
            return Err(Failure::malformed("a point is not compressed"));
        }
        let mut points = points.to_vec();
        points.sort_unstable();
        if points.windows(2).any(|two| two[0] == two[1]) {
            return Err(Failure::malformed("two points are alike"));
        }
        if let Some(before) = &self.0 {
            points.retain(|point| before.binary_search(point).is_ok());
        }
        self.0 = Some(points);
        Ok(())
    }

    /// How many are left.
    pub fn count(&self) -> usize {
        self.0.as_ref().map_or(0, Vec::len)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn points(ids: impl IntoIterator<Item = u8>) -> Vec<u8> {
        let point = |id| [2 + id % 2].into_iter().chain([id; POINT - 1]);
        ids.into_iter().flat_map(point).collect()
    }

    #[test]
    fn refuses_what_are_no_points_and_what_comes_twice() {
        let mut identity = points([1]);
        identity[0] = 0;
        for wrong in [&points([1])[1..], &identity, &points([1, 2, 1])] {
            let failure = Common::default().leave(wrong);
            assert!(matches!(failure, Err(Failure::Malformed(_))));
        }
    }

    #[test]
    fn nothing_is_common_to_no_sets() {
        assert_eq!(Common::default().count(), 0);
    }

    proptest! {
        #[test]
        fn leaves_the_intersection(
            sets in proptest::collection::vec(proptest::collection::btree_set(0_u8..40, 0..30), 1..6)
        ) {
            let mut common = Common::default();
            for set in &sets {
                common.leave(&points(set.iter().rev().copied())).unwrap();
            }

            let plain = sets[0].iter().filter(|id| sets.iter().all(|set| set.contains(id)));
            prop_assert_eq!(common.count(), plain.count());
        }
    }
}
