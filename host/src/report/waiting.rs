//! Requests that wait for their answer, and changed messages that wait for their receiver, found without a look at all of them.

use std::collections::{BTreeSet, HashMap};

use super::arrow::{Arrow, Way};
use super::finding::{mentions, words};

/// Places of arrows, as they came.
#[derive(Default)]
pub(super) struct Waiting {
    /// Requests of the researcher that their node has and did not answer, by its lane and a word of their run's name.
    to_be_answered: HashMap<(String, String), BTreeSet<usize>>,
    /// All requests of the researcher, by their node's lane and their run.
    asked: HashMap<(String, String), Vec<usize>>,
    /// Messages that a fault has changed and whose receiver has yet to say what it did, by its lane.
    changed: HashMap<String, BTreeSet<usize>>,
}

impl Waiting {
    /// Something happened to the arrow at this place.
    pub(super) fn look_at(&mut self, place: usize, arrow: &Arrow) {
        match (arrow.way, &arrow.run) {
            (Way::Asked, Some(run)) => {
                let waits = arrow.answered_by.is_none() && !arrow.delivered.is_empty();
                let key = (arrow.to.clone(), word_of(run).to_owned());
                put(self.to_be_answered.entry(key).or_default(), place, waits);
            }
            (Way::Between, _) if arrow.was_hit_by("corrupt") => {
                let waits = arrow.treated.len() < arrow.delivered.len();
                let changed = self.changed.entry(arrow.to.clone()).or_default();
                put(changed, place, waits);
            }
            _ => {}
        }
    }

    /// The researcher asks a node.
    pub(super) fn asks(&mut self, place: usize, node: &str, run: &str) {
        let key = (node.to_owned(), run.to_owned());
        self.asked.entry(key).or_default().push(place);
    }

    /// The requests of a node for a run, the last first.
    pub(super) fn asked(&self, node: &str, run: &str) -> impl Iterator<Item = usize> {
        let places = self.asked.get(&(node.to_owned(), run.to_owned()));
        places.into_iter().flatten().rev().copied()
    }

    /// The first request that a node has and did not answer, of a run that it names in these words.
    pub(super) fn answered_by(&self, node: &str, with: &str, arrows: &[Arrow]) -> Option<usize> {
        let words: BTreeSet<&str> = words(with).collect();
        let of_word = |word: &str| {
            let places = self
                .to_be_answered
                .get(&(node.to_owned(), word.to_owned()))?;
            let is_named = |place: &&usize| {
                let run = arrows[**place].run.as_deref();
                run.is_some_and(|run| mentions(with, run))
            };
            places.iter().find(is_named).copied()
        };
        words.into_iter().filter_map(of_word).min()
    }

    /// The first message for a node that came to it changed.
    pub(super) fn changed(&self, node: &str) -> Option<usize> {
        self.changed.get(node)?.first().copied()
    }
}

fn put(places: &mut BTreeSet<usize>, place: usize, in_it: bool) {
    if in_it {
        places.insert(place);
    } else {
        places.remove(&place);
    }
}

/// The longest word of a run's name, by which it tells itself apart the most. Whatever mentions the run has this word.
fn word_of(run: &str) -> &str {
    words(run).max_by_key(|word| word.len()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(run: &str, delivered: bool) -> Arrow {
        let mut arrow = Arrow::new(Way::Asked, "researcher".into(), "a".into(), 0);
        arrow.run = Some(run.into());
        arrow.delivered = if delivered { vec![1] } else { vec![] };
        arrow
    }

    #[test]
    fn an_answer_is_to_the_first_request_that_it_names_whatever_runs_are_called() {
        let runs = ["exp 1.key-1", "key-1", "…", "key-1", "key-10", "key-2"];
        let mut arrows: Vec<_> = runs.map(|run| asked(run, run != "key-2")).into();
        let mut waiting = Waiting::default();
        for (place, arrow) in arrows.iter().enumerate() {
            waiting.look_at(place, arrow);
        }

        for (with, place) in [
            ("done: exp 1.key-1", Some(0)),
            ("done: key-1", Some(1)),
            ("… it is", Some(2)),
            ("failed at key-10.", Some(4)),
            ("done: key-2", None),
            ("done: key", None),
        ] {
            assert_eq!(waiting.answered_by("a", with, &arrows), place, "{with}");
        }
        assert_eq!(waiting.answered_by("b", "done: key-1", &arrows), None);

        arrows[1].answered_by = Some(9);
        waiting.look_at(1, &arrows[1]);
        assert_eq!(waiting.answered_by("a", "key-1", &arrows), Some(3));
    }

    #[test]
    fn a_message_waits_until_it_was_treated_as_often_as_it_came() {
        let mut arrow = Arrow::new(Way::Between, "a".into(), "b".into(), 0);
        let mut waiting = Waiting::default();
        arrow.delivered = vec![1];
        waiting.look_at(0, &arrow);
        assert_eq!(waiting.changed("b"), None, "nothing changed it");

        arrow.hits.push(crate::report::Hit {
            at: 0,
            fault: "corrupt".into(),
            how: String::new(),
        });
        waiting.look_at(0, &arrow);
        assert_eq!(waiting.changed("b"), Some(0));
        assert_eq!(waiting.changed("a"), None);

        arrow.delivered.clear();
        waiting.look_at(0, &arrow);
        assert_eq!(waiting.changed("b"), None);
    }
}
