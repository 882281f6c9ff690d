//! A researcher's run of a plugin's protocol: asked of all parties, answered when each has said what it came to.

use std::time::{Duration, Instant};

use tonic::Status;

use super::relay::{RelayControl, id_of, parties_of};
use crate::message::{LONGEST_LINE, NodeId, ProtocolOutcome, ToResearcher, Value, one_line};
use crate::proto::control::answer::Outcome;
use crate::proto::control::{Answer, PartyResult, RunProtocolReply, RunProtocolRequest};
use crate::relay::{self, Answers, Protocol};

/// How long results are waited for, in seconds, if it is not said, and at most.
const LIMIT_SECONDS: (u32, u32) = (600, 3600);

impl RelayControl {
    pub(super) async fn run(
        &self,
        request: RunProtocolRequest,
    ) -> Result<RunProtocolReply, Status> {
        let started = Instant::now();
        let invalid = |why: &str| Err(Status::invalid_argument(why));
        let parties = parties_of(request.parties)?;
        if parties.len() < 2 {
            return invalid("a protocol needs at least two parties\nname two or more");
        }
        let quorum = match request.quorum as usize {
            0 => parties.len(),
            quorum if quorum <= parties.len() => quorum,
            _ => {
                return invalid(
                    "the quorum is larger than the number of parties\nname a smaller one",
                );
            }
        };
        let limit = match request.limit_s {
            0 => LIMIT_SECONDS.0,
            limit if limit <= LIMIT_SECONDS.1 => limit,
            _ => return invalid("results can be waited for an hour at most\nname a shorter time"),
        };
        let params = if request.params.is_empty() {
            Value::Map(Vec::new()).encode()
        } else if matches!(Value::decode(&request.params), Ok(Value::Map(_))) {
            request.params
        } else {
            return invalid("the parameters are not one MessagePack map\npass them as one");
        };
        let protocol = Protocol {
            name: request.protocol,
            run_id: id_of("run id", &self.drawn(request.run_id, "run_"))?,
            parties: parties.clone(),
            params,
        };
        let run_id = protocol.run_id.to_string();
        // Without all that are needed, nobody is asked, and nobody waits for the others in vain.
        let absent = self.absent(&parties).filter(|asked| {
            let here = |answer: &&Answer| answer.outcome() == Outcome::NotAsked;
            asked.shown.iter().filter(here).count() < quorum
        });
        let asked = match absent {
            Some(absent) => absent,
            None => {
                let request = relay::Request::Protocol(protocol);
                let limit = Duration::from_secs(u64::from(limit));
                self.ask(&request, &parties, limit).await
            }
        };
        let shown = parties.iter().zip(asked.shown);
        let parties: Vec<_> = shown
            .map(|(party, answer)| result_of(party, answer, &asked.answers))
            .collect();
        let is_done = |party: &&PartyResult| {
            party
                .answer
                .as_ref()
                .is_some_and(|answer| answer.outcome() == Outcome::Done)
        };
        Ok(RunProtocolReply {
            ok: parties.iter().filter(is_done).count() >= quorum,
            run_id,
            parties,
            elapsed_ms: u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
        })
    }
}

fn result_of(party: &NodeId, answer: Answer, answers: &Answers) -> PartyResult {
    let (result, blamed) = match answers.answered.get(party) {
        Some(ToResearcher::ProtocolRunReply(reply)) => match &reply.outcome {
            ProtocolOutcome::Done(result) => (result.clone(), Vec::new()),
            ProtocolOutcome::Failed { blamed, .. } => {
                let shown = blamed.iter().map(|id| one_line(id.as_str(), LONGEST_LINE));
                (Vec::new(), shown.collect())
            }
        },
        _ => (Vec::new(), Vec::new()),
    };
    PartyResult {
        answer: Some(answer),
        result,
        blamed,
    }
}
