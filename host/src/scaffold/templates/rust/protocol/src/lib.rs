//! Agrees on one pair secret with each other party of a run. This node publishes its public key for the run, asks every party
//! for theirs with a `MyHandlerRequest`, and has the host compute the secrets from the `MyHandlerReply`s.

use backchannel_sdk::{
    Addressed, Answer, Bytes, Datum, Effect, Envelope, Failure, Handler, Initiator, Message,
    Outgoing, PeerKey, SecaggContext, Setup, Step, agreement, export_protocol, fields, material,
};
use serde::{Deserialize, Serialize};

/// The fields of `MyHandlerRequest`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    run: String,
}

/// The fields of `MyHandlerReply`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Reply {
    run: String,
    public_key: Bytes,
}

/// What `handle` found: the type that carries it to `finalize`.
enum Outcome {
    Asked(Reply),
    Answered(Vec<u8>),
}

/// How a message of a party is treated.
struct MyHandler;

impl Handler for MyHandler {
    type Outcome = Outcome;

    fn handle(envelope: Envelope, message: Message) -> Result<Option<Outcome>, Failure> {
        envelope.authenticated()?;
        match message.kind.as_str() {
            "MyHandlerRequest" => {
                let Request { run } = message.fields()?;
                // A party may ask before the researcher's own request has reached this node.
                let Some(public_key) = material::wait(&run) else {
                    return Ok(None);
                };
                let public_key = public_key.into();
                Ok(Some(Outcome::Asked(Reply { run, public_key })))
            }
            "MyHandlerReply" => {
                message.fields::<Reply>()?;
                Ok(Some(Outcome::Answered(message.fields)))
            }
            _ => Err(message.unknown_kind()),
        }
    }

    fn finalize(outcome: Outcome) -> Result<Vec<Effect>, Failure> {
        Ok(match outcome {
            Outcome::Asked(reply) => {
                vec![Effect::Reply(Outgoing::new("MyHandlerReply", &reply)?)]
            }
            Outcome::Answered(fields) => vec![Effect::Deliver(fields)],
        })
    }
}

/// A run of this node's own, from the researcher's request on.
struct Agreement {
    setup: Setup,
    asked: bool,
}

impl Initiator for Agreement {
    fn begin(setup: Setup) -> Result<Self, Failure> {
        Ok(Self {
            setup,
            asked: false,
        })
    }

    fn step(&mut self, answers: Vec<Answer>) -> Result<Step, Failure> {
        if self.asked {
            return self.establish(answers);
        }
        self.asked = true;
        self.publish_and_ask()
    }
}

impl Agreement {
    fn publish_and_ask(&self) -> Result<Step, Failure> {
        let run = self.setup.run.clone();
        let own_key = Datum {
            run: run.clone(),
            audience: None,
            body: agreement::public_key()?,
        };
        let request = Outgoing::new("MyHandlerRequest", &Request { run })?;
        let ask = self.setup.others().map(|party| Addressed {
            to: party.to_owned(),
            message: request.clone(),
        });
        Ok(Step {
            effects: vec![Effect::Publish(own_key)],
            ask: ask.collect(),
        })
    }

    fn establish(&self, answers: Vec<Answer>) -> Result<Step, Failure> {
        let mut keys = Vec::new();
        for answer in answers {
            let reply: Reply = fields::decode(&answer.body)?;
            if reply.run != self.setup.run {
                let peer = answer.from;
                let why = format!("{peer} answered for another run");
                return Err(Failure::malformed(why));
            }
            keys.push(PeerKey {
                peer: answer.from,
                pem: reply.public_key.0,
            });
        }
        let secrets = SecaggContext::PairSecrets(keys);
        Ok(Step {
            effects: vec![Effect::Establish(secrets)],
            ask: Vec::new(),
        })
    }
}

export_protocol!(MyHandler, Agreement);

#[cfg(test)]
mod tests {
    use backchannel_sdk::testing::{Node, envelope, message};

    use super::*;

    #[test]
    fn hands_out_its_key_of_a_run() {
        let node = Node::new().with_material("run-1", b"PEM");
        let run = "run-1".to_owned();

        let request = message("MyHandlerRequest", &Request { run: run.clone() });
        let effects = node.treat::<MyHandler>(envelope("hospital-b"), request);

        let public_key = Bytes(b"PEM".into());
        let reply = Outgoing::new("MyHandlerReply", &Reply { run, public_key }).unwrap();
        assert_eq!(effects, Ok(vec![Effect::Reply(reply)]));
    }
}
