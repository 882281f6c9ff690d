//! Answers each `EchoRequest` in its own words and notes it in the log: a version of an echo that asks for more.
use backchannel_sdk::{Effect, Envelope, Failure, Handler, Message, Outgoing, export_handler, log};
use serde::{Deserialize, Serialize};

/// The fields of both kinds.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Text {
    text: String,
}

struct Talkative;

impl Handler for Talkative {
    type Outcome = Text;

    fn handle(envelope: Envelope, message: Message) -> Result<Option<Text>, Failure> {
        envelope.authenticated()?;
        let Text { text } = message.fields()?;
        log::info(&format!("{} says {text}", envelope.source));
        Ok(Some(Text {
            text: format!("heard: {text}"),
        }))
    }

    fn finalize(text: Text) -> Result<Vec<Effect>, Failure> {
        Ok(vec![Effect::Reply(Outgoing::new("EchoReply", &text)?)])
    }
}

export_handler!(Talkative);
