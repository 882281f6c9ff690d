//! Answers each `EchoRequest` with the text it carries, and hands each `EchoReply` to whoever asked.
use backchannel_sdk::{Effect, Envelope, Failure, Handler, Message, Outgoing, export_handler};
use serde::{Deserialize, Serialize};

/// The fields of both kinds.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Text {
    text: String,
}

/// What `handle` found: the type that carries it to `finalize`.
enum Outcome {
    Asked(Text),
    Answered(Text),
}

struct Echo;

impl Handler for Echo {
    type Outcome = Outcome;

    fn handle(envelope: Envelope, message: Message) -> Result<Option<Outcome>, Failure> {
        envelope.authenticated()?;
        match message.kind.as_str() {
            "EchoRequest" => Ok(Some(Outcome::Asked(message.fields()?))),
            "EchoReply" => Ok(Some(Outcome::Answered(message.fields()?))),
            _ => Err(message.unknown_kind()),
        }
    }

    fn finalize(outcome: Outcome) -> Result<Vec<Effect>, Failure> {
        Ok(match outcome {
            Outcome::Asked(text) => vec![Effect::Reply(Outgoing::new("EchoReply", &text)?)],
            Outcome::Answered(text) => vec![Effect::Deliver(text.text.into_bytes())],
        })
    }
}

export_handler!(Echo);

#[cfg(test)]
mod tests {
    use backchannel_sdk::testing::{Node, envelope, message};

    use super::*;

    #[test]
    fn answers_with_the_text_it_got() {
        let text = Text {
            text: "hello".into(),
        };

        let request = message("EchoRequest", &text);
        let effects = Node::new()
            .treat::<Echo>(envelope("NODE_a"), request)
            .unwrap();

        let reply = Outgoing::new("EchoReply", &text).unwrap();
        assert_eq!(effects, [Effect::Reply(reply)]);
    }
}
