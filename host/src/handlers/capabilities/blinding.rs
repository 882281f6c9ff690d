use super::Failure;
use super::n2n::blinding;
use crate::curve::{BlindError, NotPoints, POINT_BYTES, Points, Stop};
use crate::handlers::Capability;
use crate::handlers::state::{CallState, PartState, Subject};
use crate::inputs::Input;
use crate::tasks::blocking;
use crate::trace::Value;

/// The most points of one call. A guest must be able to hand them on: 8 MiB leave it in one call, and not all of that is points.
const MOST_POINTS: usize = 250_000;

impl blinding::Host for CallState {
    async fn ids(&mut self, input: String) -> wasmtime::Result<Result<Vec<u8>, Failure>> {
        let given = || vec![Value::Text(input.clone())];
        if let Some(played) = self.host_call_begins(Capability::Blinding, "ids", given)? {
            return Ok(played);
        }
        let blinded = self.blinded_ids(&input).await;
        self.host_call_ends(&blinded);
        Ok(blinded)
    }

    async fn points(&mut self, points: Vec<u8>) -> wasmtime::Result<Result<Vec<u8>, Failure>> {
        let given = || vec![Value::Bytes(points.as_slice().into())];
        if let Some(played) = self.host_call_begins(Capability::Blinding, "points", given)? {
            return Ok(played);
        }
        let blinded = self.blinded_points(points).await;
        self.host_call_ends(&blinded);
        Ok(blinded)
    }
}

impl CallState {
    async fn blinded_ids(&mut self, name: &str) -> Result<Vec<u8>, Failure> {
        let input = self.part()?.secrets.input(name)?;
        let ids = self.read(name, input, Input::ids).await?;
        self.has_room_for(ids.len())?;
        self.has_used_input(name, ids.len());
        let mut randomness = self.services.sources.randomness.clone();
        let part = self.part()?;
        let (blind, domain) = (part.secrets.blind(&mut randomness), part.secrets.domain());
        let blinded = stoppable(move |stop| {
            let points = blind.ids(&ids, &domain, stop)?;
            Ok::<_, BlindError>(points.shuffled(&mut randomness).to_bytes())
        });
        blinded
            .await?
            .map_err(|why| Failure::Unavailable(why.to_string()))
    }

    async fn blinded_points(&mut self, points: Vec<u8>) -> Result<Vec<u8>, Failure> {
        let mut randomness = self.services.sources.randomness.clone();
        let blind = self.part()?.secrets.blind(&mut randomness);
        self.has_room_for(points.len().div_ceil(POINT_BYTES))?;
        let blinded = stoppable(move |stop| {
            let points = Points::read(&points, stop)?;
            let points = blind.points(&points, stop)?;
            Ok::<_, NotPoints>(points.shuffled(&mut randomness).to_bytes())
        });
        blinded.await?.map_err(|why| match why {
            NotPoints::Stopped(_) => Failure::Unavailable(why.to_string()),
            _ => Failure::Malformed(why.to_string()),
        })
    }

    fn part(&mut self) -> Result<&mut PartState, Failure> {
        match &mut self.subject {
            Subject::Part(part) => Ok(part),
            _ => Err(Failure::Refused("blinding is for parts of a run".into())),
        }
    }

    fn has_room_for(&self, points: usize) -> Result<(), Failure> {
        if points > MOST_POINTS {
            let why = format!("at most {MOST_POINTS} points a call");
            return Err(Failure::Refused(why));
        }
        self.may_be_given(points * POINT_BYTES)
    }
}

/// Long work beside the node's other. It is over when nobody waits for it any more: when its guest is stopped.
async fn stoppable<T: Send + 'static>(
    work: impl FnOnce(&Stop) -> T + Send + 'static,
) -> Result<T, Failure> {
    struct Waiting(Stop);
    impl Drop for Waiting {
        fn drop(&mut self) {
            self.0.now();
        }
    }
    let stop = Stop::default();
    let _waiting = Waiting(stop.clone());
    let done = blocking(move || work(&stop)).await;
    done.ok_or_else(|| Failure::Unavailable("the node is stopping".into()))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::blinding::Host;
    use super::*;
    use crate::handlers::Limit;
    use crate::handlers::guests::{Guest, no_part, part};
    use crate::inputs::Kind;

    type Set = BTreeSet<[u8; POINT_BYTES]>;

    fn set(points: &[u8]) -> Set {
        points.as_chunks().0.iter().copied().collect()
    }

    /// A party with these ids.
    fn party(ids: &[&str], seed: u64) -> CallState {
        let ids = ids.iter().map(ToString::to_string).collect();
        let plugin = Guest::default().load(&[]);
        part(&plugin, Kind::Ids, &[("patients", ids)], seed)
    }

    async fn ids(state: &mut CallState) -> Vec<u8> {
        let ids = state.ids("patients".into()).await.expect("no limit");
        ids.expect("points")
    }

    async fn points(state: &mut CallState, points: Vec<u8>) -> Result<Vec<u8>, Failure> {
        state.points(points).await.expect("no limit")
    }

    #[tokio::test]
    async fn a_handler_of_messages_blinds_nothing() {
        let mut state = no_part(&Guest::default().load(&[]));
        let own = state.ids("patients".into()).await.expect("no limit");
        assert!(matches!(own, Err(Failure::Refused(_))));
        let others = points(&mut state, Vec::new()).await;
        assert!(matches!(others, Err(Failure::Refused(_))));
    }

    #[tokio::test]
    async fn points_that_are_none_are_malformed() {
        let mut state = party(&["a", "b"], 1);
        let good = ids(&mut state).await;
        let mut off = good.clone();
        // Half of all x are those of points: among many, some are not.
        let off_curve = (0..=u8::MAX).map(|last| {
            off[POINT_BYTES - 1] = last;
            off.clone()
        });
        let mut refused = 0;
        for bytes in off_curve {
            if matches!(points(&mut state, bytes).await, Err(Failure::Malformed(_))) {
                refused += 1;
            }
        }
        assert!(refused > 64, "{refused}");
        let infinity = [&good[..], &[0; POINT_BYTES]].concat();
        for bytes in [
            good[1..].to_vec(),
            good.repeat(2),
            infinity,
            vec![0],
            vec![4; 66],
        ] {
            let answer = points(&mut state, bytes).await;
            assert!(matches!(answer, Err(Failure::Malformed(_))), "{answer:?}");
        }
    }

    #[tokio::test]
    async fn more_points_than_a_guest_can_hand_on_are_refused_before_they_are_looked_at() {
        let plugin = Guest::default().load(&[(Limit::MemoryMib, 128)]);
        let many: Vec<_> = (0..=MOST_POINTS).map(|n| n.to_string()).collect();
        let mut state = part(&plugin, Kind::Ids, &[("patients", many)], 1);
        let own = state.ids("patients".into()).await.expect("no limit");
        assert!(matches!(own, Err(Failure::Refused(_))), "{own:?}");
        let bytes = vec![0; MOST_POINTS * POINT_BYTES + 1];
        let others = points(&mut state, bytes).await;
        assert!(matches!(others, Err(Failure::Refused(_))), "{others:?}");

        let plugin = Guest::default().load(&[(Limit::MemoryMib, 1)]);
        let mut state = part(&plugin, Kind::Ids, &[], 1);
        let others = points(&mut state, vec![0; (1 << 18) + 1]).await;
        assert!(matches!(others, Err(Failure::Refused(_))), "{others:?}");
    }

    #[tokio::test]
    async fn numbers_and_too_few_ids_are_refused_and_twice_the_same_is_one() {
        let mut state = party(&["a", " a "], 1);
        let few = state.ids("patients".into()).await.expect("no limit");
        assert!(matches!(few, Err(Failure::Refused(_))), "{few:?}");
        let numbers = vec!["1".to_owned(), "2".into()];
        let plugin = Guest::default().load(&[]);
        let mut state = part(&plugin, Kind::Numbers, &[("patients", numbers)], 1);
        let numbers = state.ids("patients".into()).await.expect("no limit");
        assert!(matches!(numbers, Err(Failure::Refused(_))), "{numbers:?}");
        let mut state = party(&["a", "b", "a"], 1);
        assert_eq!(ids(&mut state).await.len(), 2 * POINT_BYTES);
        assert_eq!(state.usage().inputs, [("patients".to_owned(), 2)].into());
    }

    #[tokio::test]
    async fn what_two_parties_have_in_common_meets_once_both_have_blinded_it() {
        let (mut a, mut b) = (party(&["x", "y", "z"], 1), party(&["w", "z", "y"], 2));
        let (of_a, of_b) = (ids(&mut a).await, ids(&mut b).await);
        assert!(set(&of_a).is_disjoint(&set(&of_b)));

        let of_a = points(&mut b, of_a).await.expect("points");
        let of_b = points(&mut a, of_b).await.expect("points");

        assert_eq!(set(&of_a).intersection(&set(&of_b)).count(), 2);
    }

    #[tokio::test]
    async fn one_scalar_serves_the_run_and_each_call_has_an_order_of_its_own() {
        let many: Vec<_> = (0..100).map(|n| n.to_string()).collect();
        let many: Vec<_> = many.iter().map(String::as_str).collect();
        let mut state = party(&many, 1);
        let (first, second) = (ids(&mut state).await, ids(&mut state).await);
        assert_eq!(set(&first), set(&second));
        assert_ne!(first, second);
        assert_eq!(
            first,
            ids(&mut party(&many, 1)).await,
            "from its seed alone"
        );
        assert!(set(&first).is_disjoint(&set(&ids(&mut party(&many, 2)).await)));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_nobody_waits_for_any_more_is_ended() {
        let point = ids(&mut party(&["a", "b"], 1)).await;
        let (begin, mut begun) = tokio::sync::mpsc::unbounded_channel();
        let (end, mut ended) = tokio::sync::mpsc::unbounded_channel();
        let endless = stoppable(move |stop| {
            let _ = begin.send(());
            while Points::read(&point, stop).is_ok() {}
            let _ = end.send(());
        });

        tokio::select! {
            _ = endless => panic!("it has no end"),
            _ = begun.recv() => {}
        }

        assert_eq!(ended.recv().await, Some(()));
    }
}
