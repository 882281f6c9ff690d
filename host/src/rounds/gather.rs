//! One round's gathering: parcels are asked for, taken in as they come, and asked for again when nothing came.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::{Rounds, RoundsError};
use crate::handlers::{Body, CallError, Next, Part, Plugin, Round, Start};
use crate::message::{NodeId, Value};
use crate::parcels::{Answer, Ask};

/// The most parties that are asked at a time. What they hand over is in memory until the plugin has taken it in.
const AT_A_TIME: usize = 64;

/// The fewest, however large their parcels are.
const FEWEST: usize = 4;

/// What parcels on their way may take in memory together, if all are as large as the largest so far. (All 64 of a first round may be of
/// 8 MiB, the most that a parcel has.)
const IN_MEMORY: usize = 64 << 20;

/// How long an asked node may wait for its round before it answers: at most so long, and a fourth of what the round has, so that
/// a lost message can be asked for again.
const PATIENCE: Duration = Duration::from_secs(15);

/// How much longer an answer may take: its way, and the setting up of a channel.
const WAY: Duration = Duration::from_secs(5);

/// A party is not asked again before so long, or a sixteenth of what the round has: it may be one that says "later" at once.
const PAUSE: Duration = Duration::from_secs(1);

/// A part under way, which takes in what other parties hand over.
pub(super) struct Gathering<'a> {
    rounds: &'a Rounds,
    plugin: &'a Arc<Plugin>,
    start: &'a Start,
    part: Part,
    /// The largest parcel so far, in bytes.
    largest: usize,
}

/// The times of one round.
#[derive(Clone, Copy)]
struct Times {
    deadline: Instant,
    patience: Duration,
    pause: Duration,
}

impl Times {
    fn of(round: &Round) -> Self {
        Self {
            deadline: Instant::now() + round.within,
            patience: PATIENCE.min(round.within / 4),
            pause: PAUSE.min(round.within / 16),
        }
    }
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
        }
    }

    /// What comes after a round in which `missing` had nothing.
    pub(super) async fn next(&mut self, missing: &[NodeId]) -> Result<Next, CallError> {
        let witness = self.rounds.witness(self.plugin, self.start, None);
        let next = self.part.next(missing).await;
        self.rounds.called(witness, self.start, next)
    }

    /// Gathers what round `number` wants; who had nothing or was silent, in its order. When it cannot have its quorum any more it goes on
    /// for [`WAY`] only: what is on its way may show why the others have given up, and through whose fault.
    pub(super) async fn gather(
        &mut self,
        number: usize,
        round: &Round,
    ) -> Result<Vec<NodeId>, RoundsError> {
        let (rounds, start, times) = (self.rounds, self.start, Times::of(round));
        let at_once = Instant::now();
        let mut waiting: VecDeque<_> = round.from.iter().map(|party| (party, at_once)).collect();
        let mut asked = FuturesUnordered::new();
        let mut missing: BTreeSet<&NodeId> = BTreeSet::new();
        let mut in_vain_until = None;
        loop {
            while asked.len() < self.at_a_time()
                && let Some((party, not_before)) = waiting.pop_front()
            {
                asked.push(async move {
                    sleep_until(not_before.min(times.deadline)).await;
                    let began = Instant::now();
                    let answer = rounds.ask(start, number, party, times).await;
                    (party, began, answer)
                });
            }
            if round.from.len() - missing.len() < round.quorum {
                in_vain_until.get_or_insert_with(|| times.deadline.min(Instant::now() + WAY));
            }
            let came = match in_vain_until {
                Some(until) => timeout_at(until, asked.next()).await.ok().flatten(),
                None => asked.next().await,
            };
            let Some((party, began, answer)) = came else {
                break;
            };
            match answer {
                Some(Answer::Held(body)) => self.accept(number, party, &body).await?,
                Some(Answer::Nothing | Answer::GivenUp) => {
                    missing.insert(party);
                }
                Some(Answer::Later) | None if Instant::now() < times.deadline => {
                    waiting.push_back((party, began + times.pause));
                }
                Some(Answer::Later) | None => {
                    missing.insert(party);
                }
            }
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
    /// Asks a party once; `None` when nothing came back.
    async fn ask(
        &self,
        start: &Start,
        number: usize,
        party: &NodeId,
        times: Times,
    ) -> Option<Answer> {
        let now = Instant::now();
        let patience = times
            .patience
            .min(times.deadline.saturating_duration_since(now));
        let ask = Ask {
            run: (start.protocol.clone(), start.run.clone()),
            round: u32::try_from(number).unwrap_or(u32::MAX),
            patience,
        };
        let ticket = self.requests.register(Ask::KIND, party, &self.randomness);
        let until = times.deadline.min(now + patience + WAY);
        let sent = self.post.ask(
            &start.researcher,
            party,
            ticket.id().clone(),
            ask.outgoing(),
        );
        match timeout_at(until, sent).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => {
                tracing::warn!(%party, "a parcel is not asked for: {error}");
                return None;
            }
            Err(_) => return None,
        }
        let reply = ticket.reply_by(until).await?;
        let answer = Value::decode(&reply).ok()?;
        Answer::read(answer).ok()
    }
}
