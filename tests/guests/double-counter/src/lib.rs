//! Counts votes with a planted bug: one that comes again is counted again.

use backchannel_sdk::{
    Effect, Entry, Envelope, Failure, Handler, Message, Outgoing, export_handler, store,
};
use serde::{Deserialize, Serialize};

/// The fields of `VoteRequest`: a voter that hears no answer votes again, under the same name.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Vote {
    vote: String,
}

struct Counter;

enum Outcome {
    /// A vote, and the votes with it.
    Voted { vote: String, count: u8 },
    /// The answer to a vote of this node.
    Answered(Vec<u8>),
}

impl Handler for Counter {
    type Outcome = Outcome;

    fn handle(envelope: Envelope, message: Message) -> Result<Option<Outcome>, Failure> {
        envelope.authenticated()?;
        let Vote { vote } = message.fields()?;
        match message.kind.as_str() {
            "VoteRequest" => {
                let stored = store::get("count")?.and_then(|count| count.first().copied());
                let count = stored.unwrap_or(0);
                let count = count + 1;
                Ok(Some(Outcome::Voted { vote, count }))
            }
            "VoteReply" => Ok(Some(Outcome::Answered(message.fields))),
            _ => Err(message.unknown_kind()),
        }
    }

    fn finalize(outcome: Outcome) -> Result<Vec<Effect>, Failure> {
        Ok(match outcome {
            Outcome::Voted { vote, count } => vec![
                entry(format!("voted/{vote}"), 1),
                entry("count".into(), count),
                Effect::Reply(Outgoing::new("VoteReply", &Vote { vote })?),
            ],
            Outcome::Answered(fields) => vec![Effect::Deliver(fields)],
        })
    }
}

fn entry(key: String, value: u8) -> Effect {
    let value = Some(vec![value]);
    Effect::Store(Entry { key, value })
}

export_handler!(Counter);
