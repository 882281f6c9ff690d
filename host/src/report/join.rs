//! Events and sessions, put together into messages.
//!
//! The relay numbers a message, the nodes know it by its id, a plugin's session by the same id, and the researcher by the name of
//! a run: here they meet.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::arrow::{Arrow, Hit, Lost, State, Treatment, Way};
use super::call::{Session, name};
use super::fault::Fault;

use super::finding::{Broken, mentions};
use super::{Moment, lane};
use crate::message::{LONGEST_LINE, one_line};
use crate::trace::{self, Ended, Trace, What, Work, shown};

/// What the researcher calls the run of a message, in its fields.
const RUN_FIELD: &str = "secagg_id";

/// All that a trace says, in order of time.
#[derive(Default)]
pub(super) struct Joined {
    pub(super) arrows: Vec<Arrow>,
    pub(super) faults: Vec<Fault>,
    pub(super) moments: Vec<Moment>,
    pub(super) broken: Vec<Broken>,
    /// The names of all runs.
    pub(super) runs: BTreeSet<String>,
    by_id: HashMap<String, Vec<usize>>,
    by_n: HashMap<u64, usize>,
    /// Ids of replies, by the arrows that they answer.
    replies: Vec<(usize, String)>,
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
                let text = format!("does not start: {}", line(why));
                self.moment(at, node, text);
            }
            What::FaultBegan { fault, node } => self.faults.push(Fault::began(fault, node, at)),
            What::FaultEnded { fault, node } => {
                let ends = Fault::began(fault, node, at);
                self.end_faults(at, |fault| {
                    fault.lane == ends.lane && fault.fault == ends.fault
                });
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
        self.end_faults(at, |fault| fault.ends_lives() && fault.lane == lane);
        let text = match life {
            0 | 1 => "starts".to_owned(),
            life => format!("starts again, life {life}"),
        };
        self.moment(at, node, text);
    }

    fn moment(&mut self, at: u64, node: &str, text: String) {
        let lane = lane::node(node);
        self.moments.push(Moment { at, lane, text });
    }

    /// Something about a message that the trace says nothing else of.
    fn stray(&mut self, at: u64, n: u64, what: &str) {
        self.moments.push(Moment {
            at,
            lane: lane::RELAY.into(),
            text: format!("#{n}, of which nothing else is known: {what}"),
        });
    }

    fn end_faults(&mut self, at: u64, which: impl Fn(&Fault) -> bool) {
        let open = self.faults.iter_mut().filter(|fault| fault.until.is_none());
        for fault in open.filter(|fault| which(fault)) {
            fault.until = Some(at);
        }
    }

    fn push(&mut self, arrow: Arrow) -> usize {
        self.arrows.push(arrow);
        self.arrows.len() - 1
    }

    fn push_with_id(&mut self, mut arrow: Arrow, id: &str) -> usize {
        let id = name(id);
        arrow.id = Some(id.clone());
        let place = self.push(arrow);
        self.by_id.entry(id).or_default().push(place);
        place
    }

    /// The arrows known by this id that are for `to`.
    fn known(&self, id: &str, to: &str) -> impl Iterator<Item = usize> {
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

    fn session(&mut self, session: &trace::Session) {
        let node = lane::node(&session.node);
        let at = session.calls.first().map_or(0, |call| call.at);
        let place = match &session.work {
            Work::Message(incoming) => {
                let id = incoming.id.as_deref();
                let known: Vec<_> = id.map_or(vec![], |id| self.known(id, &node).collect());
                let free = known
                    .iter()
                    .copied()
                    .find(|place| self.arrows[*place].sessions.is_empty());
                free.or(known.last().copied()).unwrap_or_else(|| {
                    let from = lane::node(&incoming.source);
                    let arrow = Arrow::new(Way::Between, from, node, at);
                    match id {
                        Some(id) => self.push_with_id(arrow, id),
                        None => self.push(arrow),
                    }
                })
            }
            Work::Run(run) => {
                let run_name = name(&run.run);
                let asked = self.arrows.iter().rposition(|arrow| {
                    arrow.way == Way::Asked
                        && arrow.to == node
                        && arrow.run.as_ref() == Some(&run_name)
                        && arrow.delivered.first().is_some_and(|first| *first <= at)
                });
                asked.unwrap_or_else(|| {
                    let from = lane::RESEARCHER.to_owned();
                    let mut arrow = Arrow::new(Way::Asked, from, node, at);
                    (arrow.kind, arrow.run) = (Some(name(&run.kind)), Some(run_name));
                    self.push(arrow)
                })
            }
        };
        let arrow = &mut self.arrows[place];
        if let Work::Message(incoming) = &session.work {
            arrow.kind = arrow.kind.take().or_else(|| Some(name(&incoming.kind)));
            let request = || incoming.request.as_deref().map(name);
            arrow.request = arrow.request.take().or_else(request);
            arrow.setup |= incoming.setup;
            let run = || shown::text(&incoming.fields, RUN_FIELD);
            arrow.run = arrow.run.take().or_else(run);
        }
        arrow.sessions.push(Session::of(session));
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

    /// Requests and their replies: by what the node said, else by the request's id.
    fn pair(&mut self) {
        for (request, id) in std::mem::take(&mut self.replies) {
            let reply = self.by_id.get(&id).and_then(|places| places.first());
            if let Some(reply) = reply.copied().filter(|reply| *reply != request) {
                self.arrows[reply].answers = Some(request);
                let answered_by = &mut self.arrows[request].answered_by;
                *answered_by = answered_by.or(Some(reply));
            }
        }
        let mut requests: HashMap<String, usize> = HashMap::new();
        for place in 0..self.arrows.len() {
            let arrow = &self.arrows[place];
            let Some(id) = &arrow.request else {
                continue;
            };
            let request = *requests.entry(id.clone()).or_insert(place);
            let asked = &self.arrows[request];
            let replies = asked.from == arrow.to && asked.to == arrow.from;
            if replies && arrow.answers.is_none() {
                self.arrows[place].answers = Some(request);
                let answered_by = &mut self.arrows[request].answered_by;
                *answered_by = answered_by.or(Some(place));
            }
        }
    }

    /// Gives each message its run: what its fields say, or its request's or reply's, or what its sender was asking for.
    fn name_runs(&mut self, trace: &Trace) {
        self.share_runs();
        // Requests of runs that nobody could read: the sender's plugin says what they were for.
        let mut asks: BTreeMap<(String, String, String), Vec<(u64, String)>> = BTreeMap::new();
        for session in &trace.sessions {
            let Work::Run(run) = &session.work else {
                continue;
            };
            for call in &session.calls {
                let Ended::Effects { ask, .. } = &call.ended else {
                    continue;
                };
                for request in ask {
                    let way = [
                        lane::node(&session.node),
                        lane::node(&request.to),
                        name(&request.kind),
                    ];
                    let asks = asks.entry(way.into()).or_default();
                    asks.push((call.at, name(&run.run)));
                }
            }
        }
        for asks in asks.values_mut() {
            asks.sort();
        }
        let way = |arrow: &Arrow| {
            let kind = arrow.kind.clone()?;
            Some((arrow.from.clone(), arrow.to.clone(), kind))
        };
        // First those whose run is known, so that the others get what is left.
        for known in [true, false] {
            for arrow in &mut self.arrows {
                let Some(asks) = way(arrow).and_then(|way| asks.get_mut(&way)) else {
                    continue;
                };
                if arrow.run.is_some() != known {
                    continue;
                }
                let fits = |(at, run): &(u64, String)| {
                    *at <= arrow.at && arrow.run.as_ref().is_none_or(|known| known == run)
                };
                if let Some(found) = asks.iter().position(fits) {
                    arrow.run = Some(asks.remove(found).1);
                }
            }
        }
        self.share_runs();
        let runs = self.arrows.iter().filter_map(|arrow| arrow.run.clone());
        self.runs = runs.collect();
    }

    fn share_runs(&mut self) {
        let of_requests: HashMap<_, _> = self
            .arrows
            .iter()
            .filter_map(|arrow| Some((arrow.request.clone()?, arrow.run.clone()?)))
            .collect();
        for arrow in &mut self.arrows {
            let run = || of_requests.get(arrow.request.as_ref()?).cloned();
            arrow.run = arrow.run.clone().or_else(run);
        }
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
