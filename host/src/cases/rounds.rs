//! A run of a case, round by round, with peers that answer as it says.

use super::bench::Stage;
use super::case::{Asked, Place, Reply, With};
use super::form::Form;
use super::{CasesError, Turn};
use crate::handlers::{
    Assurance, Body, CallError, Datum, Effect, Envelope, Message, Outgoing, Run, Setup,
};
use crate::message::NodeId;
use crate::trace::{Ended, Work};

/// How the rounds went.
#[derive(Default)]
struct Driven {
    /// Of each that was begun, what ended it in the middle.
    rounds: Vec<Option<CallError>>,
    /// Why none followed.
    end: String,
    answers: Vec<Answered>,
}

/// How the plugin treated an answer, where that is looked at.
struct Answered {
    place: Place,
    expected: Option<Form>,
    got: Form,
}

impl Stage<'_> {
    pub(super) async fn run(&mut self, asked: &Asked) -> Result<(), CasesError> {
        let driven = self.drive(asked).await?;
        let steps = self.steps();
        let nothing = Form::List(Vec::new());
        let mut answers = driven.answers.into_iter().peekable();
        for (round, error) in driven.rounds.iter().enumerate() {
            let ended = match error {
                Some(error) => error.ended(),
                None => steps.get(round).cloned().unwrap_or(Ended::Cancelled),
            };
            let written = asked.rounds.get(round);
            let expected = written.and_then(|round| round.expect.as_ref());
            self.check(Place::Round(round), expected, &Form::of_ended(&ended));
            let expected = written.map_or(&nothing, |round| &round.asks);
            self.check(Place::Asks(round), Some(expected), &Form::of_asks(&ended));
            let is_next =
                |answer: &Answered| matches!(answer.place, Place::Answer(of, _) if of == round);
            while let Some(answer) = answers.next_if(is_next) {
                self.check(answer.place, answer.expected.as_ref(), &answer.got);
            }
        }
        for round in driven.rounds.len()..asked.rounds.len() {
            self.check_nothing(Place::Round(round), &driven.end);
        }
        Ok(())
    }

    /// How the steps of the run ended that was told of last: when it was dropped.
    fn steps(&self) -> Vec<Ended> {
        let told = self.told();
        let runs = told.iter().rev().map(|(_, session)| session);
        let mut runs = runs.filter(|session| matches!(session.work, Work::Run(_)));
        let steps = runs
            .next()
            .map_or(&[][..], |run| run.calls.get(1..).unwrap_or_default());
        steps.iter().map(|call| call.ended.clone()).collect()
    }

    async fn drive(&self, asked: &Asked) -> Result<Driven, CasesError> {
        let mut driven = Driven::default();
        let begun = Run::begin(&self.plugin, self.services.clone(), &asked.setup).await;
        self.took(Turn::of(true, &begun));
        let mut run = match begun.result {
            Ok(run) => run,
            Err(error) => {
                driven.ended(error);
                return Ok(driven);
            }
        };
        let mut answers = Vec::new();
        loop {
            let round = driven.rounds.len();
            let stepped = run.step(answers).await;
            self.took(Turn::of(false, &stepped));
            let step = match stepped.result {
                Ok(step) => step,
                Err(error) => {
                    driven.ended(error);
                    return Ok(driven);
                }
            };
            if let Some(full) = self.carry_out(&asked.setup, step.effects)? {
                driven.ended(full);
                return Ok(driven);
            }
            driven.rounds.push(None);
            if step.ask.is_empty() {
                driven.end = "the run was finished before".into();
                return Ok(driven);
            }
            let replies = asked
                .rounds
                .get(round)
                .map_or(&[][..], |round| &round.answers);
            let bodies = self.answers(asked, round, &step.ask, replies, &mut driven);
            match bodies.await? {
                Ok(bodies) => answers = bodies,
                Err(silent) => {
                    driven.end = format!(
                        "the run had ended: {silent} did not answer in round {}",
                        round + 1
                    );
                    return Ok(driven);
                }
            }
        }
    }

    /// Publishes and stores what a step asks for; the limit that refuses it.
    fn carry_out(
        &self,
        setup: &Setup,
        effects: Vec<Effect>,
    ) -> Result<Option<CallError>, CasesError> {
        let (mut data, mut entries): (Vec<Datum>, _) = (Vec::new(), Vec::new());
        for effect in effects {
            match effect {
                Effect::Publish(datum) => data.push(datum),
                Effect::Store(entry) => entries.push(entry),
                // Looked at, and not carried out: there is no researcher that waits for it.
                Effect::Establish(_)
                | Effect::Reply(_)
                | Effect::Deliver(_)
                | Effect::SetPeerKey(_) => {}
            }
        }
        if !data.is_empty() {
            let (materials, name) = (&self.services.sources.materials, self.plugin.shared_name());
            materials.publish(name, setup.run.as_str(), &setup.parties, data);
        }
        self.store(entries)
    }

    /// What the peers' replies come to, in the order in which they were asked; or the first that has none.
    async fn answers(
        &self,
        asked: &Asked,
        round: usize,
        ask: &[(NodeId, Outgoing)],
        replies: &[Reply],
        driven: &mut Driven,
    ) -> Result<Result<Vec<(NodeId, Body)>, NodeId>, CasesError> {
        let mut answered: Vec<(NodeId, Body)> = Vec::new();
        for (n, reply) in replies.iter().enumerate() {
            let peer = &reply.from;
            let place = Place::Answer(round, n);
            let dropped = if !ask.iter().any(|(asked, _)| asked == peer) {
                Some(format!("the host drops it: {peer} was not asked"))
            } else if answered.iter().any(|(other, _)| other == peer) {
                Some(format!("the host drops it: {peer} has answered"))
            } else {
                None
            };
            let (got, body) = match (&reply.with, dropped) {
                (With::Nothing, _) => continue,
                (_, Some(why)) => (Form::stopped(&why), None),
                (With::Body(body), None) => {
                    answered.push((peer.clone(), body.clone().into()));
                    continue;
                }
                (With::Message { kind, fields }, None) => {
                    let envelope = Envelope {
                        researcher_id: asked.setup.researcher.to_string(),
                        source: peer.to_string(),
                        setup: false,
                        assurance: Assurance::ChannelKey,
                    };
                    let message = Message {
                        kind: kind.clone(),
                        request_id: Some(format!("request-{}", round + 1)),
                        fields: fields.clone(),
                    };
                    self.treat(envelope, message).await?
                }
            };
            // That it is handed on goes without saying.
            let delivered = body.is_some();
            answered.extend(body.map(|body| (peer.clone(), body)));
            if reply.expect.is_some() || !delivered {
                let handed_on = || Form::List(vec![Form::one("deliver", Form::Any)]);
                driven.answers.push(Answered {
                    place,
                    expected: Some(reply.expect.clone().unwrap_or_else(handed_on)),
                    got,
                });
            }
        }
        let in_order = ask.iter().map(|(peer, _)| {
            let at = answered.iter().position(|(other, _)| other == peer);
            at.map(|at| answered.swap_remove(at))
                .ok_or_else(|| peer.clone())
        });
        Ok(in_order.collect())
    }
}

impl Driven {
    /// The round at hand was not done, and none follows.
    fn ended(&mut self, error: CallError) {
        self.end = format!("the run had ended in round {}", self.rounds.len() + 1);
        self.rounds.push(Some(error));
    }
}
