//! Answers each `DrawRequest` with a number of 16 random bytes: drawn when a node asks first, and kept.
use backchannel_sdk::{
    Bytes, Effect, Entry, Envelope, Failure, Handler, Message, Outgoing, export_handler, random,
    store,
};
use serde::{Deserialize, Serialize};

/// The fields of `DrawRequest`: none.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DrawRequest {}

/// The fields of `DrawReply`.
#[derive(Serialize)]
struct DrawReply {
    number: Bytes,
}

struct Drawing;

/// What a node is given.
struct Drawn {
    /// The entry that keeps it.
    key: String,
    number: Vec<u8>,
    is_new: bool,
}

impl Handler for Drawing {
    type Outcome = Drawn;

    fn handle(envelope: Envelope, message: Message) -> Result<Option<Drawn>, Failure> {
        envelope.authenticated()?;
        if message.kind != "DrawRequest" {
            return Err(message.unknown_kind());
        }
        message.fields::<DrawRequest>()?;
        let key = format!("drawn for {}", envelope.source);
        let kept = store::get(&key)?;
        let is_new = kept.is_none();
        let number = kept.map_or_else(|| random::bytes(16), Ok)?;
        Ok(Some(Drawn {
            key,
            number,
            is_new,
        }))
    }

    fn finalize(drawn: Drawn) -> Result<Vec<Effect>, Failure> {
        let Drawn {
            key,
            number,
            is_new,
        } = drawn;
        let reply = DrawReply {
            number: Bytes::from(number.clone()),
        };
        let mut effects = Vec::new();
        if is_new {
            let value = Some(number);
            effects.push(Effect::Store(Entry { key, value }));
        }
        effects.push(Effect::Reply(Outgoing::new("DrawReply", &reply)?));
        Ok(effects)
    }
}

export_handler!(Drawing);
