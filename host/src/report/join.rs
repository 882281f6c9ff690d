//! Events and sessions, put together into messages.
//!
//! The relay numbers a message, the nodes know it by its id, a plugin's session by the same id, and the researcher by the name of
//! a run: here they meet.

use std::collections::{BTreeSet, HashMap};

use super::Moment;
use super::arrow::Arrow;
use super::call::name;
use super::fault::Faults;
use super::finding::Broken;
use super::waiting::Waiting;
use crate::trace::Trace;

/// All that a trace says, in order of time.
#[derive(Default)]
pub(super) struct Joined {
    pub(super) arrows: Vec<Arrow>,
    pub(super) faults: Faults,
    pub(super) moments: Vec<Moment>,
    pub(super) broken: Vec<Broken>,
    /// The names of all runs.
    pub(super) runs: BTreeSet<String>,
    pub(super) by_id: HashMap<String, Vec<usize>>,
    pub(super) by_n: HashMap<u64, usize>,
    /// Not sorted: of use until all has been read.
    pub(super) waiting: Waiting,
    /// Ids of replies, by the arrows that they answer.
    pub(super) replies: Vec<(usize, String)>,
}

impl Joined {
    pub(super) fn of(trace: &Trace) -> Self {
        let mut joined = Self::default();
        for event in &trace.events {
            joined.event(event.at, &event.what);
        }
        for session in &trace.sessions {
            joined.session(session);
        }
        joined.sort();
        joined.pair();
        joined.name_runs(trace);
        joined.conclude();
        joined
    }

    pub(super) fn push(&mut self, arrow: Arrow) -> usize {
        self.arrows.push(arrow);
        self.arrows.len() - 1
    }

    pub(super) fn push_with_id(&mut self, mut arrow: Arrow, id: &str) -> usize {
        let id = name(id);
        arrow.id = Some(id.clone());
        let place = self.push(arrow);
        self.by_id.entry(id).or_default().push(place);
        place
    }

    /// The arrows known by this id that are for `to`.
    pub(super) fn known(&self, id: &str, to: &str) -> impl Iterator<Item = usize> {
        let known = self.by_id.get(&name(id)).into_iter().flatten();
        known
            .copied()
            .filter(move |place| self.arrows[*place].to == to)
    }

    /// In order of time. Sessions end later than they begin, and those without events come last so far.
    fn sort(&mut self) {
        let mut order: Vec<_> = (0..self.arrows.len()).collect();
        order.sort_by_key(|place| self.arrows[*place].at);
        let mut new = vec![0; order.len()];
        for (to, from) in order.iter().enumerate() {
            new[*from] = to;
        }
        let moved = |place: &mut Option<usize>| {
            if let Some(place) = place {
                *place = new[*place];
            }
        };
        for arrow in &mut self.arrows {
            moved(&mut arrow.answers);
            moved(&mut arrow.answered_by);
        }
        for (place, _) in &mut self.replies {
            *place = new[*place];
        }
        for places in self.by_id.values_mut() {
            places.iter_mut().for_each(|place| *place = new[*place]);
        }
        let mut arrows: Vec<_> = std::mem::take(&mut self.arrows)
            .into_iter()
            .zip(&new)
            .collect();
        arrows.sort_by_key(|(_, place)| **place);
        self.arrows = arrows.into_iter().map(|(arrow, _)| arrow).collect();
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample::Sample;
    use super::*;

    fn joined(sample: &Sample) -> Joined {
        Joined::of(&sample.trace)
    }

    #[test]
    fn no_order_of_events_breaks_it() {
        let mut sample = Sample::faulty();
        let all = sample.trace.events.clone();
        for step in 1..60 {
            // Events left out, doubled, and against the order of time.
            sample.trace.events = all.iter().rev().step_by(step).cloned().collect();
            sample.trace.events.extend(all.iter().skip(step).cloned());
            let joined = joined(&sample);

            let places = joined.arrows.len();
            let pointed = joined
                .arrows
                .iter()
                .flat_map(|arrow| [arrow.answers, arrow.answered_by]);
            assert!(pointed.flatten().all(|place| place < places));
        }
    }
}
