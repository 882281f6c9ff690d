//! Key agreement with a planted bug: a key that was given out once is remembered, and given out again for a run of the same name,
//! although that run was cancelled and begun anew with another key.

#[path = "../../../../guest-handlers/key-request/src/agreement.rs"]
mod agreement;
#[path = "../../../../guest-handlers/key-request/src/exchange.rs"]
mod exchange;

use agreement::Agreement;
use backchannel_sdk::{
    Bytes, Effect, Entry, Envelope, Failure, Handler, Message, Outgoing, export_protocol, store,
};
use exchange::{KeyExchange, Outcome};
use serde::{Deserialize, Serialize};

/// The fields of `KeyRequest`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyRequest {
    secagg_id: String,
}

/// The fields of `KeyReply`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyReply {
    public_key: Bytes,
    secagg_id: String,
}

struct Stale;

enum Answer {
    /// As it should be.
    Fresh(Outcome),
    /// The bug.
    Remembered { run: String, key: Vec<u8> },
}

impl Handler for Stale {
    type Outcome = Answer;

    fn handle(envelope: Envelope, message: Message) -> Result<Option<Answer>, Failure> {
        if message.kind == "KeyRequest" {
            let KeyRequest { secagg_id: run } = message.fields()?;
            if let Some(key) = store::get(&run)? {
                return Ok(Some(Answer::Remembered { run, key }));
            }
        }
        Ok(KeyExchange::handle(envelope, message)?.map(Answer::Fresh))
    }

    fn finalize(answer: Answer) -> Result<Vec<Effect>, Failure> {
        let outcome = match answer {
            Answer::Fresh(outcome) => outcome,
            Answer::Remembered { run, key } => {
                let fields = KeyReply {
                    public_key: Bytes(key),
                    secagg_id: run,
                };
                return Ok(vec![Effect::Reply(Outgoing::new("KeyReply", &fields)?)]);
            }
        };
        let mut effects = KeyExchange::finalize(outcome)?;
        let replies = effects.iter().filter_map(|effect| match effect {
            Effect::Reply(outgoing) => Some(outgoing),
            _ => None,
        });
        let mut given = Vec::new();
        for reply in replies {
            let KeyReply {
                public_key,
                secagg_id,
            } = backchannel_sdk::fields::decode(&reply.fields)?;
            given.push(Effect::Store(Entry {
                key: secagg_id,
                value: Some(public_key.0),
            }));
        }
        effects.extend(given);
        Ok(effects)
    }
}

export_protocol!(Stale, Agreement);
