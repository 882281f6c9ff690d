//! Which plugin worked on a message, which message answers which, and which run each belongs to.

use std::collections::{BTreeSet, HashMap};
use std::ops::Bound;

use super::arrow::{Arrow, Way};
use super::call::{Session, name};
use super::join::Joined;
use super::lane;
use crate::trace::{self, Ended, Trace, Work, shown};

/// What the researcher calls the run of a message, in its fields.
const RUN_FIELD: &str = "secagg_id";

impl Joined {
    /// Gives a session to the message or the request that it was for.
    pub(super) fn session(&mut self, session: &trace::Session) {
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
                let had_it = |place: &usize| {
                    let first = self.arrows[*place].delivered.first();
                    first.is_some_and(|first| *first <= at)
                };
                let asked = self.waiting.asked(&node, &run_name).find(had_it);
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

    /// Requests and their replies: by what the node said, else by the request's id.
    pub(super) fn pair(&mut self) {
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
    pub(super) fn name_runs(&mut self, trace: &Trace) {
        self.share_runs();
        // Requests of runs that nobody could read: the sender's plugin says what they were for.
        let mut asks: HashMap<[String; 3], Asks> = HashMap::new();
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
                    asks.entry(way).or_default().add(call.at, name(&run.run));
                }
            }
        }
        let way = |arrow: &Arrow| {
            let kind = arrow.kind.clone()?;
            Some([arrow.from.clone(), arrow.to.clone(), kind])
        };
        // First those whose run is known, so that the others get what is left.
        for known in [true, false] {
            for arrow in &mut self.arrows {
                if arrow.run.is_some() != known {
                    continue;
                }
                let Some(asks) = way(arrow).and_then(|way| asks.get_mut(&way)) else {
                    continue;
                };
                if let Some(run) = asks.take(arrow.at, arrow.run.as_deref()) {
                    arrow.run = Some(run);
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
}

/// For which runs requests of one kind were sent from one node to another, and when. Each is for one message.
#[derive(Default)]
struct Asks {
    by_time: BTreeSet<(u64, String, usize)>,
    by_run: BTreeSet<(String, u64, usize)>,
    added: usize,
}

impl Asks {
    fn add(&mut self, at: u64, run: String) {
        self.added += 1;
        self.by_run.insert((run.clone(), at, self.added));
        self.by_time.insert((at, run, self.added));
    }

    /// The last one by `until`, of a run if it is known: what was asked for earlier may never have been sent.
    fn take(&mut self, until: u64, run: Option<&str>) -> Option<String> {
        let (at, run, number) = match run {
            Some(run) => {
                let range = (run.to_owned(), 0, 0)..=(run.to_owned(), until, usize::MAX);
                let (run, at, number) = self.by_run.range(range).next_back()?.clone();
                (at, run, number)
            }
            None => {
                let by_then = (
                    Bound::Unbounded,
                    match until.checked_add(1) {
                        Some(after) => Bound::Excluded((after, String::new(), 0)),
                        None => Bound::Unbounded,
                    },
                );
                self.by_time.range(by_then).next_back()?.clone()
            }
        };
        self.by_time.remove(&(at, run.clone(), number));
        self.by_run.remove(&(run.clone(), at, number));
        Some(run)
    }
}

#[cfg(test)]
mod tests {
    use super::super::arrow::State;
    use super::super::sample::{Fate, Sample};
    use super::*;

    fn joined(sample: &Sample) -> Joined {
        Joined::of(&sample.trace)
    }

    #[test]
    fn sessions_without_events_are_messages_too() {
        let mut sample = Sample::faulty();
        sample.trace.events.clear();
        let joined = joined(&sample);

        assert_eq!(joined.arrows.len(), sample.trace.sessions.len());
        let states = joined.arrows.iter().map(|arrow| arrow.state);
        assert!(states.clone().any(|state| state == State::Treated));
        assert!(states.clone().any(|state| state == State::Cancelled));
    }

    #[test]
    fn the_run_of_a_message_that_nobody_read_is_what_its_sender_asked_for() {
        let mut sample = Sample::new();
        let nodes = ["a", "b", "c"];
        for run in ["key-0", "key-1"] {
            sample.ask(run, &nodes, true);
            sample.begin(run, &nodes);
        }
        sample.share("a", "b", "key-0", Fate::Fine, Fate::Fine);
        sample.share("a", "b", "key-1", Fate::Dropped, Fate::Fine);
        let joined = joined(&sample);

        let dropped = joined
            .arrows
            .iter()
            .find(|arrow| arrow.state == State::Dropped);
        assert_eq!(
            dropped.and_then(|arrow| arrow.run.as_deref()),
            Some("key-1")
        );
    }
}
