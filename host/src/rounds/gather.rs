//! One round's gathering: parcels are asked for, taken in as they come, and asked for again when nothing came.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use tokio::time::{Instant, timeout_at};

use super::{Rounds, RoundsError};
use crate::handlers::{Body, CallError, Part, Plugin, Round, Start};
use crate::message::{NodeId, Value};
use crate::parcels::{Answer, Ask};

/// Parties that are asked at a time. What they hand over is in memory until the plugin has taken it in.
const AT_A_TIME: usize = 64;

/// How long an asked node may wait for its round before it answers: at most so long, and a fourth of what the round has, so that
/// a lost message can be asked for again.
const PATIENCE: Duration = Duration::from_secs(15);

/// How much longer an answer may take: its way, and the setting up of a channel.
const WAY: Duration = Duration::from_secs(5);

impl Rounds {
    /// Gathers what a round wants; who had nothing or was silent, in its order.
    pub(super) async fn gather(
        &self,
        plugin: &Arc<Plugin>,
        part: &mut Part,
        start: &Start,
        number: usize,
        round: &Round,
    ) -> Result<Vec<NodeId>, RoundsError> {
        let begun = Instant::now();
        let deadline = begun + round.within;
        let patience = PATIENCE.min(round.within / 4);
        let mut waiting: VecDeque<&NodeId> = round.from.iter().collect();
        let mut asked = FuturesUnordered::new();
        let mut missing: Vec<&NodeId> = Vec::new();
        loop {
            while asked.len() < AT_A_TIME
                && let Some(party) = waiting.pop_front()
            {
                asked.push(async move {
                    (
                        party,
                        self.ask(start, number, party, patience, deadline).await,
                    )
                });
            }
            let Some((party, answer)) = asked.next().await else {
                break;
            };
            match answer {
                Some(Answer::Held(body)) => {
                    self.accept(plugin, part, start, number, party, &body)
                        .await?
                }
                Some(Answer::Nothing | Answer::GivenUp) => missing.push(party),
                Some(Answer::Later) | None if Instant::now() < deadline => waiting.push_back(party),
                Some(Answer::Later) | None => missing.push(party),
            }
        }
        let missing: Vec<_> = round
            .from
            .iter()
            .filter(|party| missing.contains(party))
            .cloned()
            .collect();
        if round.from.len() - missing.len() < round.quorum {
            return Err(RoundsError::Missing {
                round: number,
                quorum: round.quorum,
                missing,
            });
        }
        Ok(missing)
    }

    async fn accept(
        &self,
        plugin: &Arc<Plugin>,
        part: &mut Part,
        start: &Start,
        number: usize,
        party: &NodeId,
        body: &Body,
    ) -> Result<(), RoundsError> {
        let witness = self.witness(plugin, start, Some(party));
        let accepted = part.accept(party, body).await;
        match self.called(witness, start, accepted) {
            Err(CallError::Failure {
                kind: "malformed",
                text,
                ..
            }) => Err(RoundsError::Malformed {
                party: party.clone(),
                round: number,
                why: text,
            }),
            accepted => accepted.map_err(Into::into),
        }
    }

    /// Asks a party once; `None` when nothing came back.
    async fn ask(
        &self,
        start: &Start,
        number: usize,
        party: &NodeId,
        patience: Duration,
        deadline: Instant,
    ) -> Option<Answer> {
        let patience = patience.min(deadline.saturating_duration_since(Instant::now()));
        let ask = Ask {
            run: (start.protocol.clone(), start.run.clone()),
            round: u32::try_from(number).unwrap_or(u32::MAX),
            patience,
        };
        let ticket = self.requests.register(Ask::KIND, party, &self.randomness);
        let until = deadline.min(Instant::now() + patience + WAY);
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
        match Value::decode(&reply).map(Answer::read) {
            Ok(Ok(answer)) => Some(answer),
            // Whatever it is, it is that party's, and as good as nothing.
            _ => Some(Answer::Nothing),
        }
    }
}
