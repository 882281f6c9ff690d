//! One round's gathering: parcels are asked for, taken in as they come, and asked for again when nothing came.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};
use tokio::time::{Instant, sleep_until, timeout_at};

use super::{Rounds, RoundsError};
use crate::handlers::{Body, CallError, Next, Part, Plugin, Round, Start};
use crate::message::{NodeId, Value};
use crate::parcels::{Answer, Ask};
use crate::requests::Ticket;

/// The most parties that are asked at a time. What they hand over is in memory until the plugin has taken it in.
const AT_A_TIME: usize = 64;

/// The fewest, however large their parcels are.
const FEWEST: usize = 4;

/// What parcels on their way may take in memory together, if all are as large as the largest so far. (All 64 of a first round may be of
/// 8 MiB, the most that a parcel has.)
const IN_MEMORY: usize = 64 << 20;

/// How long an asked node may wait for its round before it answers: at most so long, and a sixteenth of what the round has, so that
/// lost messages can be asked for again and again.
const PATIENCE: Duration = Duration::from_secs(15);

/// How much longer an answer may take, its way and the setting up of a channel, before it is asked for again: within these, a sixteenth
/// of what the round has. One that is late counts all the same.
const WAY: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(5));

/// A party is not asked again before so long, or a sixteenth of what the round has: it may be one that says "later" at once.
const PAUSE: Duration = Duration::from_secs(1);

/// A round that cannot have its quorum any more goes on for so long: what is on its way may show why others have given up, and through
/// whose fault.
const IN_VAIN: Duration = Duration::from_secs(5);

/// A part under way, which takes in what other parties hand over.
pub(super) struct Gathering<'a> {
    rounds: &'a Rounds,
    plugin: &'a Arc<Plugin>,
    start: &'a Start,
    part: Part,
    /// The largest parcel so far, in bytes.
    largest: usize,
    /// What the rounds so far did not need of their time. Others may be behind by so much: they wait in an earlier round for somebody
    /// whose parcel this node has.
    unused: Duration,
}

/// The times of one round.
#[derive(Clone, Copy)]
struct Times {
    /// For whoever is silent.
    deadline: Instant,
    /// For whoever says that it is still in an earlier round.
    last: Instant,
    patience: Duration,
    way: Duration,
    pause: Duration,
}

impl Times {
    fn of(round: &Round, unused: Duration) -> Self {
        let part = round.within / 16;
        let deadline = Instant::now() + round.within;
        Self {
            deadline,
            last: deadline + unused,
            patience: PATIENCE.min(part),
            way: part.clamp(WAY.0, WAY.1),
            pause: PAUSE.min(part),
        }
    }
}

/// What came of one request.
enum Came {
    /// An answer.
    Answer(Answer),
    /// None yet, but it may be late.
    Open(Ticket),
    /// None: the request did not leave.
    Unsent,
    /// One that is late, or none of that either.
    Late(Option<Answer>),
}

impl<'a> Gathering<'a> {
    /// Of a part in which nothing was gathered yet.
    pub(super) fn new(
        rounds: &'a Rounds,
        plugin: &'a Arc<Plugin>,
        start: &'a Start,
        part: Part,
    ) -> Self {
        Self {
            rounds,
            plugin,
            start,
            part,
            largest: 0,
            unused: Duration::ZERO,
        }
    }

    /// What comes after a round in which `missing` had nothing.
    pub(super) async fn next(&mut self, missing: &[NodeId]) -> Result<Next, CallError> {
        let witness = self.rounds.witness(self.plugin, self.start, None);
        let next = self.part.next(missing).await;
        self.rounds.called(witness, self.start, next)
    }

    /// Gathers what round `number` wants; who had nothing or was silent, in its order. Ends early when it cannot have its quorum any more,
    /// and later than its time for parties that are behind.
    pub(super) async fn gather(
        &mut self,
        number: usize,
        round: &Round,
    ) -> Result<Vec<NodeId>, RoundsError> {
        let (rounds, start) = (self.rounds, self.start);
        let times = Times::of(round, self.unused);
        let at_once = Instant::now();
        let mut waiting: VecDeque<_> = round.from.iter().map(|party| (party, at_once)).collect();
        let mut under_way = FuturesUnordered::new();
        let mut asked = 0;
        let mut heard: BTreeSet<&NodeId> = BTreeSet::new();
        let mut missing: BTreeSet<&NodeId> = BTreeSet::new();
        let mut behind: BTreeSet<&NodeId> = BTreeSet::new();
        let mut until = times.deadline;
        let mut in_vain = false;
        while heard.len() < round.from.len() {
            while asked < self.at_a_time()
                && let Some((party, not_before)) = waiting.pop_front()
            {
                if heard.contains(party) {
                    continue;
                }
                asked += 1;
                let asking = async move {
                    sleep_until(not_before).await;
                    let began = Instant::now();
                    (party, began, rounds.ask(start, number, party, times).await)
                };
                under_way.push(asking.boxed());
            }
            if !in_vain && round.from.len() - missing.len() < round.quorum {
                in_vain = true;
                until = until.min(Instant::now() + IN_VAIN);
            }
            let (party, began, came) = match timeout_at(until, under_way.next()).await {
                Ok(Some(came)) => came,
                Err(_) if !in_vain && until == times.deadline && times.last > until => {
                    let silent = round.from.iter();
                    let silent = silent.filter(|party| !behind.contains(party));
                    missing.extend(silent.filter(|party| heard.insert(party)));
                    until = times.last;
                    continue;
                }
                Ok(None) | Err(_) => break,
            };
            asked -= usize::from(!matches!(came, Came::Late(_)));
            match came {
                Came::Answer(Answer::Held(body)) | Came::Late(Some(Answer::Held(body))) => {
                    if heard.insert(party) {
                        self.accept(number, party, &body).await?;
                    }
                }
                Came::Answer(Answer::Nothing | Answer::GivenUp)
                | Came::Late(Some(Answer::Nothing | Answer::GivenUp)) => {
                    if heard.insert(party) {
                        missing.insert(party);
                    }
                }
                Came::Open(ticket) => {
                    let late = ticket.reply_by(times.last);
                    let late =
                        late.map(move |reply| (party, began, Came::Late(reply.and_then(read))));
                    under_way.push(late.boxed());
                    waiting.push_back((party, began + times.pause));
                }
                Came::Answer(Answer::Later) => {
                    behind.insert(party);
                    waiting.push_back((party, began + times.pause));
                }
                Came::Unsent => waiting.push_back((party, began + times.pause)),
                Came::Late(Some(Answer::Later)) => {
                    behind.insert(party);
                }
                Came::Late(None) => {}
            }
        }
        self.unused = times.last.saturating_duration_since(Instant::now());
        if !in_vain {
            missing.extend(round.from.iter().filter(|party| !heard.contains(party)));
        }
        let is_missing = |party: &&NodeId| missing.contains(party);
        let missing: Vec<_> = round.from.iter().filter(is_missing).cloned().collect();
        if round.from.len() - missing.len() < round.quorum {
            return Err(RoundsError::Missing {
                round: number,
                quorum: round.quorum,
                missing,
            });
        }
        Ok(missing)
    }

    fn at_a_time(&self) -> usize {
        (IN_MEMORY / self.largest.max(1)).clamp(FEWEST, AT_A_TIME)
    }

    async fn accept(
        &mut self,
        number: usize,
        party: &NodeId,
        body: &Body,
    ) -> Result<(), RoundsError> {
        self.largest = self.largest.max(body.len());
        let witness = self.rounds.witness(self.plugin, self.start, Some(party));
        let accepted = self.part.accept(party, body).await;
        let accepted = self.rounds.called(witness, self.start, accepted);
        accepted.map_err(|error| match error {
            CallError::Failure {
                kind: "malformed",
                text,
                ..
            } => RoundsError::Malformed {
                party: party.clone(),
                round: number,
                why: text,
            },
            error => RoundsError::NotTakenIn {
                party: party.clone(),
                round: number,
                error,
            },
        })
    }
}

impl Rounds {
    /// Asks a party once.
    async fn ask(&self, start: &Start, number: usize, party: &NodeId, times: Times) -> Came {
        let now = Instant::now();
        let left = times.last.saturating_duration_since(now);
        let patience = times.patience.min(left);
        let ask = Ask {
            run: (start.protocol.clone(), start.run.clone()),
            round: u32::try_from(number).unwrap_or(u32::MAX),
            patience,
        };
        let ticket = self.requests.register(Ask::KIND, party, &self.randomness);
        let until = times.last.min(now + patience + times.way);
        let (researcher, id) = (&start.researcher, ticket.id().clone());
        let sent = self.post.ask(researcher, party, id, ask.outgoing());
        match timeout_at(until, sent).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => {
                tracing::warn!(%party, "a parcel is not asked for: {error}");
                return Came::Unsent;
            }
            Err(_) => return Came::Unsent,
        }
        match ticket.reply_before(until).await {
            Ok(reply) => reply.and_then(read).map_or(Came::Unsent, Came::Answer),
            Err(ticket) => Came::Open(ticket),
        }
    }
}

/// An answer as the router has it made.
fn read(reply: Body) -> Option<Answer> {
    Answer::read(Value::decode(&reply).ok()?).ok()
}
