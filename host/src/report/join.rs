//! Events and sessions, put together into messages.
//!
//! The relay numbers a message, the nodes know it by its id, a plugin's session by the same id, and the researcher by the name of
//! a run: here they meet.

use std::collections::{BTreeSet, HashMap};

use super::arrow::{Arrow, Hit, Lost, State, Treatment, Way};
use super::call::name;
use super::fault::{self, Fault};

use super::finding::{Broken, mentions};
use super::{Moment, lane};
use crate::message::{LONGEST_LINE, one_line};
use crate::trace::{Trace, What};

/// All that a trace says, in order of time.
#[derive(Default)]
pub(super) struct Joined {
    pub(super) arrows: Vec<Arrow>,
    pub(super) faults: Vec<Fault>,
    pub(super) moments: Vec<Moment>,
    pub(super) broken: Vec<Broken>,
    /// The names of all runs.
    pub(super) runs: BTreeSet<String>,
    pub(super) by_id: HashMap<String, Vec<usize>>,
    by_n: HashMap<u64, usize>,
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

    fn event(&mut self, at: u64, what: &What) {
        match what {
            What::Started { node, life } => self.started(at, node, *life),
            What::NotStarted { node, why } => {
                let text = format!("could not start: {}", line(why));
                self.moment(at, node, text);
            }
            What::Died { node } => {
                self.faults.push(Fault::began(fault::DIED, node, at));
            }
            What::FaultBegan { fault, node } => self.faults.push(Fault::began(fault, node, at)),
            What::FaultDid { fault, node, how } => {
                self.moment(at, node, format!("{}: {}", name(fault), line(how)));
            }
            What::FaultEnded { fault, node } => {
                // Of several at once the one that began first.
                let ends = Fault::began(fault, node, at);
                let mut open = self.faults.iter_mut().filter(|fault| fault.until.is_none());
                let ended = open.find(|fault| fault.lane == ends.lane && fault.fault == ends.fault);
                if let Some(fault) = ended {
                    fault.until = Some(at);
                }
            }
            What::Asked { n, to, kind, run } => {
                let mut arrow = Arrow::new(Way::Asked, lane::RESEARCHER.into(), lane::node(to), at);
                (arrow.n, arrow.relayed) = (Some(*n), Some(at));
                (arrow.kind, arrow.run) = (Some(name(kind)), Some(name(run)));
                let place = self.push(arrow);
                self.by_n.insert(*n, place);
            }
            What::Answered { from, with } => self.answered(at, from, with),
            What::Sealed {
                id,
                from,
                to,
                kind,
                request,
                setup,
            } => {
                let mut arrow = Arrow::new(Way::Between, lane::node(from), lane::node(to), at);
                arrow.kind = Some(name(kind));
                arrow.request = request.as_deref().map(name);
                arrow.setup = *setup;
                self.push_with_id(arrow, id);
            }
            What::Relayed {
                n,
                id,
                from,
                to,
                bytes,
            } => {
                let place = self.relayed(at, id, from, to);
                let arrow = &mut self.arrows[place];
                (arrow.n, arrow.relayed, arrow.bytes) = (Some(*n), Some(at), Some(*bytes));
                self.by_n.insert(*n, place);
            }
            What::Hit { n, fault, how } => match self.by_n.get(n) {
                Some(place) => self.arrows[*place].hits.push(Hit {
                    at,
                    fault: name(fault),
                    how: line(how),
                }),
                None => self.stray(at, *n, &format!("{}: {}", name(fault), line(how))),
            },
            What::Delivered { n, to } => match self.by_n.get(n) {
                Some(place) => self.arrows[*place].delivered.push(at),
                None => self.stray(at, *n, &format!("delivered to {}", lane::node(to))),
            },
            What::Lost { n, why } => match self.by_n.get(n) {
                Some(place) => self.arrows[*place].lost.push(Lost { at, why: line(why) }),
                None => self.stray(at, *n, &format!("lost: {}", line(why))),
            },
            What::Treated {
                id,
                node,
                from,
                kind,
                plugin,
                effects,
                reply,
                dropped,
            } => {
                let (node, from) = (lane::node(node), lane::node(from));
                let place = self.treated(at, id, &node, &from);
                if let Some(reply) = reply {
                    self.replies.push((place, name(reply)));
                }
                let arrow = &mut self.arrows[place];
                arrow.kind = arrow.kind.take().or_else(|| kind.as_deref().map(name));
                let known_as = name(id);
                arrow.treated.push(Treatment {
                    at,
                    plugin: plugin.as_deref().map(name),
                    effects: effects.iter().map(|effect| line(effect)).collect(),
                    dropped: dropped.as_deref().map(line),
                    as_id: Some(known_as).filter(|id| arrow.id.as_ref() != Some(id)),
                });
            }
            What::Broken { invariant, how } => self.broken.push(Broken {
                at,
                invariant: line(invariant),
                how: line(how),
            }),
        }
    }

    fn started(&mut self, at: u64, node: &str, life: u32) {
        let lane = lane::node(node);
        // A node that works has no such fault any more, whoever ended it.
        let open = self.faults.iter_mut().filter(|fault| fault.until.is_none());
        for fault in open.filter(|fault| fault.ends_lives() && fault.lane == lane) {
            fault.until = Some(at);
        }
        let text = match life {
            0 | 1 => "started".to_owned(),
            life => format!("started again, life {life}"),
        };
        self.moment(at, node, text);
    }

    fn moment(&mut self, at: u64, node: &str, what: String) {
        self.moment_at(at, lane::node(node), what);
    }

    /// Something about a message that the trace says nothing else of.
    fn stray(&mut self, at: u64, n: u64, what: &str) {
        let what = format!("had #{n}, of which nothing else is known: {what}");
        self.moment_at(at, lane::RELAY.into(), what);
    }

    fn moment_at(&mut self, at: u64, lane: String, what: String) {
        match self.moments.last_mut() {
            Some(last) if last.at == at && last.what == what => last.also(lane),
            _ => self.moments.push(Moment::new(at, lane, what)),
        }
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
        let known = self.by_id.get(&name(id)).cloned().unwrap_or_default();
        known
            .into_iter()
            .filter(move |place| self.arrows[*place].to == to)
    }

    /// The arrow that the relay took: one that was sealed and not yet there, or one that somebody repeats or made up.
    fn relayed(&mut self, at: u64, id: &str, from: &str, to: &str) -> usize {
        let (from, to) = (lane::node(from), lane::node(to));
        let sealed = self
            .known(id, &to)
            .find(|place| self.arrows[*place].n.is_none());
        if let Some(place) = sealed {
            return place;
        }
        let kind = self
            .known(id, &to)
            .find_map(|place| self.arrows[place].kind.clone());
        let mut arrow = Arrow::new(Way::Between, from, to, at);
        arrow.kind = kind;
        self.push_with_id(arrow, id)
    }

    /// The arrow that a node is done with. A fault may have changed the bytes and so the id; what fits nothing that was sent
    /// is an arrow of its own.
    fn treated(&mut self, at: u64, id: &str, node: &str, from: &str) -> usize {
        let waits = |arrow: &Arrow| arrow.treated.len() < arrow.delivered.len();
        let known: Vec<_> = self.known(id, node).collect();
        let waiting = known
            .iter()
            .copied()
            .find(|place| waits(&self.arrows[*place]));
        if let Some(place) = waiting.or(known.first().copied()) {
            return place;
        }
        let changed = self.arrows.iter().position(|arrow| {
            arrow.way == Way::Between
                && arrow.to == node
                && arrow.was_hit_by("corrupt")
                && waits(arrow)
        });
        changed.unwrap_or_else(|| {
            let arrow = Arrow::new(Way::Between, from.to_owned(), node.to_owned(), at);
            self.push_with_id(arrow, id)
        })
    }

    fn answered(&mut self, at: u64, from: &str, with: &str) {
        let from = lane::node(from);
        let mut arrow = Arrow::new(Way::Answered, from.clone(), lane::RESEARCHER.into(), at);
        let first = with.split(':').next().unwrap_or_default();
        let short = !first.is_empty() && first.len() <= 16 && !first.contains(char::is_whitespace);
        arrow.kind = Some(if short { name(first) } else { "answer".into() });
        arrow.state = if is_code(first) {
            State::Failed
        } else {
            State::Treated
        };
        arrow.outcome = line(with);
        let mut open = self.arrows.iter().enumerate().filter(|(_, asked)| {
            asked.way == Way::Asked
                && asked.to == from
                && asked.answered_by.is_none()
                && !asked.delivered.is_empty()
        });
        let of_run = open.find(|(_, asked)| {
            let run = asked.run.as_deref();
            run.is_some_and(|run| mentions(with, run))
        });
        let asked = of_run.map(|(place, _)| place);
        arrow.answers = asked;
        arrow.run = asked.and_then(|place| self.arrows[place].run.clone());
        let place = self.push(arrow);
        if let Some(asked) = asked {
            self.arrows[asked].answered_by = Some(place);
        }
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

    fn conclude(&mut self) {
        let conclusions: Vec<_> = self
            .arrows
            .iter()
            .map(|arrow| {
                let answer = arrow.answered_by.map(|place| &self.arrows[place]);
                arrow.conclusion(&self.faults, answer)
            })
            .collect();
        for (arrow, conclusion) in self.arrows.iter_mut().zip(conclusions) {
            (arrow.state, arrow.outcome) = conclusion;
        }
    }
}

/// A text that others wrote.
fn line(text: &str) -> String {
    one_line(text, LONGEST_LINE)
}

/// Whether a text is a code of the reference's, such as FB318: those are errors.
fn is_code(text: &str) -> bool {
    text.strip_prefix("FB").is_some_and(|digits| {
        !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
    })
}

#[cfg(test)]
mod tests {
    use super::super::sample::{Fate, Sample};
    use super::*;

    fn joined(sample: &Sample) -> Joined {
        Joined::of(&sample.trace)
    }

    /// The message with this number.
    fn numbered(joined: &Joined, n: u64) -> &Arrow {
        let found = joined.arrows.iter().find(|arrow| arrow.n == Some(n));
        found.expect("a message")
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

    #[test]
    fn a_message_has_what_the_relay_and_both_ends_know_of_it() {
        let mut sample = Sample::new();
        sample.share("a", "b", "key-0", Fate::Fine, Fate::Fine);
        let joined = joined(&sample);

        let (request, reply) = (&joined.arrows[0], &joined.arrows[1]);
        assert_eq!(joined.arrows.len(), 2);
        assert_eq!(
            (&*request.from, &*request.to, request.n),
            ("a", "b", Some(1))
        );
        assert_eq!(request.kind.as_deref(), Some("AdditiveSSharingRequest"));
        assert_eq!(request.run.as_deref(), Some("key-0"));
        assert!(request.bytes.is_some() && request.relayed.is_some());
        assert_eq!((request.delivered.len(), request.treated.len()), (1, 1));
        assert_eq!(request.sessions[0].plugin, "additive-sharing");
        assert_eq!((request.answered_by, reply.answers), (Some(1), Some(0)));
        assert_eq!(reply.run, request.run);
    }

    #[test]
    fn each_end_of_a_message_is_told_apart() {
        for (fate, state, words) in [
            (
                Fate::Fine,
                State::Treated,
                "treated by additive-sharing, answered by #2",
            ),
            (
                Fate::Dropped,
                State::Dropped,
                "dropped by a fault at the relay",
            ),
            (Fate::Lost, State::Lost, "lost: the relay is down"),
            (
                Fate::Changed,
                State::Refused,
                "changed by a fault (byte 97 changed by 80), refused: cannot be opened: the signature is not the sender's",
            ),
            (
                Fate::Doubled(900),
                State::Treated,
                "doubled by a fault, delivered 2 times, treated by additive-sharing, answered by #2",
            ),
        ] {
            let mut sample = Sample::new();
            sample.share("a", "b", "run", fate, Fate::Fine);
            let joined = joined(&sample);

            let arrow = numbered(&joined, 1);
            assert_eq!((arrow.state, arrow.outcome.as_str()), (state, words));
        }
    }

    #[test]
    fn a_message_under_way_is_none_of_them() {
        let mut sample = Sample::new();
        sample.share("a", "b", "run", Fate::Fine, Fate::Fine);
        let events = sample.trace.events.clone();
        for (kept, words) in [
            (1, "not at the relay when the trace ends"),
            (2, "not done when the trace ends"),
            (3, "delivered, not done when the trace ends"),
        ] {
            sample.trace.events = events[..kept].to_vec();
            sample.trace.sessions.clear();
            let joined = joined(&sample);
            assert_eq!(
                (joined.arrows[0].state, &*joined.arrows[0].outcome),
                (State::UnderWay, words)
            );
        }
    }

    #[test]
    fn what_died_with_a_node_is_cancelled_or_lost() {
        let mut sample = Sample::new();
        sample.share("a", "b", "run", Fate::Fine, Fate::Fine);
        let events = sample.trace.events.clone();
        for (kept, node, state, words) in [
            (1, "a", State::Lost, "lost: a was killed before it left"),
            (3, "b", State::Cancelled, "b was killed before it was done"),
        ] {
            sample.trace.events = events[..kept].to_vec();
            sample.trace.sessions.clear();
            sample.fault("kill", node, 10);
            let joined = joined(&sample);
            assert_eq!(
                (joined.arrows[0].state, &*joined.arrows[0].outcome),
                (state, words)
            );
        }
    }

    #[test]
    fn an_answer_is_to_the_request_whose_run_it_names() {
        let mut sample = Sample::new();
        for run in ["key-1", "key-10"] {
            sample.ask(run, &["a", "b"], true);
        }
        sample.answer("a", "FB318: no key-10 at a");
        sample.answer("a", "done: key-1");
        let joined = joined(&sample);

        let state = |run: &str| {
            let asked = joined.arrows.iter().find(|arrow| {
                arrow.way == Way::Asked && arrow.to == "a" && arrow.run.as_deref() == Some(run)
            });
            asked.expect("asked").state
        };
        assert_eq!(
            (state("key-1"), state("key-10")),
            (State::Treated, State::Failed)
        );
    }

    #[test]
    fn what_somebody_repeats_is_a_message_of_its_own() {
        let mut sample = Sample::new();
        sample.share("a", "b", "run", Fate::Dropped, Fate::Fine);
        let relayed = sample.trace.events[1].what.clone();
        let What::Relayed {
            id,
            from,
            to,
            bytes,
            ..
        } = relayed
        else {
            panic!("relayed");
        };
        sample.event(What::Relayed {
            n: 7,
            id,
            from,
            to,
            bytes,
        });
        let joined = joined(&sample);

        assert_eq!(joined.arrows.len(), 2);
        assert_eq!(numbered(&joined, 7).kind, numbered(&joined, 1).kind);
    }

    #[test]
    fn what_nothing_else_is_known_of_is_kept_at_the_relay() {
        let mut sample = Sample::new();
        sample.event(What::Lost {
            n: 9,
            why: "x".into(),
        });
        let joined = joined(&sample);

        assert!(joined.arrows.is_empty());
        assert_eq!(
            joined.moments[0].text,
            "relay had #9, of which nothing else is known: lost: x"
        );
    }

    #[test]
    fn what_happens_to_many_at_once_is_told_once() {
        let mut sample = Sample::new();
        for n in 0..7 {
            let node = format!("node-{n}");
            sample.event(What::Started { node, life: 1 });
        }
        let joined = joined(&sample);

        assert_eq!(joined.moments.len(), 1);
        assert_eq!(
            joined.moments[0].text,
            "node-0, node-1, node-2, node-3, node-4 and 2 more started"
        );
        assert_eq!(joined.moments[0].lanes.len(), 7);
    }

    #[test]
    fn of_two_faults_at_once_one_end_ends_one() {
        let mut sample = Sample::new();
        sample.fault("partition", "a", 10);
        sample.pass(4);
        sample.fault("partition", "a", 0);
        let joined = joined(&sample);

        let ends: Vec<_> = joined.faults.iter().map(|fault| fault.until).collect();
        assert_eq!(ends, [Some(10_000), None]);
    }

    #[test]
    fn a_node_that_starts_again_lives_and_has_power() {
        let mut sample = Sample::new();
        sample.fault("power", "a", 0);
        sample.fault("partition", "a", 0);
        sample.event(What::Died { node: "a".into() });
        sample.pass(5);
        sample.event(What::Started {
            node: "a".into(),
            life: 2,
        });
        let joined = joined(&sample);

        let ends: Vec<_> = joined.faults.iter().map(|fault| fault.until).collect();
        assert_eq!(ends, [Some(5000), None, Some(5000)]);
        let words = joined.faults[2].to_string();
        assert_eq!(words, "a dead from a disk error for 5 ms");
    }
}
