//! Answers each `MyHandlerRequest` with a greeting, and hands each `MyHandlerReply` to whoever asked.

use backchannel_sdk::{Effect, Envelope, Failure, Handler, Message, Outgoing, export_handler};
use serde::{Deserialize, Serialize};

/// The fields of `MyHandlerRequest`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    name: String,
}

/// The fields of `MyHandlerReply`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Reply {
    greeting: String,
}

/// What `handle` found: the type that carries it to `finalize`.
enum Outcome {
    Asked(Request),
    Answered(Reply),
}

struct MyHandler;

impl Handler for MyHandler {
    type Outcome = Outcome;

    /// Reads, checks, waits; changes nothing. May be cancelled.
    fn handle(envelope: Envelope, message: Message) -> Result<Option<Outcome>, Failure> {
        envelope.authenticated()?;
        match message.kind.as_str() {
            "MyHandlerRequest" => Ok(Some(Outcome::Asked(message.fields()?))),
            "MyHandlerReply" => Ok(Some(Outcome::Answered(message.fields()?))),
            _ => Err(message.unknown_kind()),
        }
    }

    /// Turns what was found into effects; waits for nothing. Never cancelled.
    fn finalize(outcome: Outcome) -> Result<Vec<Effect>, Failure> {
        Ok(match outcome {
            Outcome::Asked(Request { name }) => {
                let greeting = format!("Hello, {name}!");
                let reply = Outgoing::new("MyHandlerReply", &Reply { greeting })?;
                vec![Effect::Reply(reply)]
            }
            Outcome::Answered(reply) => vec![Effect::Deliver(reply.greeting.into_bytes())],
        })
    }
}

export_handler!(MyHandler);

#[cfg(test)]
mod tests {
    use backchannel_sdk::testing::{Node, envelope, message};

    use super::*;

    #[test]
    fn greets_by_name() {
        let request = Request { name: "Ada".into() };

        let request = message("MyHandlerRequest", &request);
        let effects = Node::new().treat::<MyHandler>(envelope("hospital-b"), request);

        let greeting = "Hello, Ada!".into();
        let reply = Outgoing::new("MyHandlerReply", &Reply { greeting }).unwrap();
        assert_eq!(effects, Ok(vec![Effect::Reply(reply)]));
    }
}
