//! What happened in the network: events, as messages, faults and moments.

use super::arrow::{Arrow, Hit, Lost, State, Treatment, Way};
use super::call::name;
use super::fault;
use super::finding::Broken;
use super::join::Joined;
use super::{Moment, lane};
use crate::message::{LONGEST_LINE, one_line};
use crate::trace::What;

impl Joined {
    /// Takes the next one in.
    pub(super) fn event(&mut self, at: u64, what: &What) {
        match what {
            What::Started { node, life } => self.started(at, node, *life),
            What::NotStarted { node, why } => {
                let text = format!("could not start: {}", line(why));
                self.moment(at, node, text);
            }
            What::Died { node } => {
                self.faults.begins(fault::DIED, node, at);
            }
            What::FaultBegan { fault, node } => self.faults.begins(fault, node, at),
            What::FaultDid { fault, node, how } => {
                let text = format!("{}: {}", name(fault), line(how));
                self.moment_at(at, fault::lane_of(fault, node), text);
            }
            What::FaultEnded { fault, node } => self.faults.ends(fault, node, at),
            What::Asked { n, to, kind, run } => {
                let mut arrow = Arrow::new(Way::Asked, lane::RESEARCHER.into(), lane::node(to), at);
                (arrow.n, arrow.relayed) = (Some(*n), Some(at));
                (arrow.kind, arrow.run) = (Some(name(kind)), Some(name(run)));
                let place = self.push(arrow);
                self.by_n.insert(*n, place);
                self.waiting.asks(place, &lane::node(to), &name(run));
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
                Some(place) => {
                    let arrow = &mut self.arrows[*place];
                    arrow.hits.push(Hit {
                        at,
                        fault: name(fault),
                        how: line(how),
                    });
                    self.waiting.look_at(*place, arrow);
                }
                None => self.stray(at, *n, &format!("{}: {}", name(fault), line(how))),
            },
            What::Delivered { n, to } => match self.by_n.get(n) {
                Some(place) => {
                    let arrow = &mut self.arrows[*place];
                    arrow.delivered.push(at);
                    self.waiting.look_at(*place, arrow);
                }
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
                self.waiting.look_at(place, arrow);
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
        self.faults.lives(&lane, at);
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
        let changed = self.waiting.changed(node);
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
        arrow.state = if is_code(first) || first == "failed" {
            State::Failed
        } else {
            State::Treated
        };
        arrow.outcome = line(with);
        let asked = self.waiting.answered_by(&from, with, &self.arrows);
        arrow.answers = asked;
        arrow.run = asked.and_then(|place| self.arrows[place].run.clone());
        let place = self.push(arrow);
        if let Some(asked) = asked {
            self.arrows[asked].answered_by = Some(place);
            self.waiting.look_at(asked, &self.arrows[asked]);
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

        let ends: Vec<_> = joined.faults.all.iter().map(|fault| fault.until).collect();
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

        let ends: Vec<_> = joined.faults.all.iter().map(|fault| fault.until).collect();
        assert_eq!(ends, [Some(5000), None, Some(5000)]);
        let words = joined.faults.all[2].to_string();
        assert_eq!(words, "a dead from a disk error for 5 ms");
    }
}
