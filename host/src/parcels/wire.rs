//! What two nodes say to each other about parcels: two kinds of inner message that are the host's own, whatever the protocol.

use std::time::Duration;

use super::Key;
use crate::handlers::{Body, Outgoing};
use crate::message::{Inner, Integer, RunId, Value};

/// A request for the parcel of a round.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// The run.
    pub run: Key,
    /// The round, from 0.
    pub round: u32,
    /// How long the asked node may wait for the round to come before it answers.
    pub patience: Duration,
}

/// The largest parcel, in bytes: all that a plugin may hand over in one round (`effect-kib` at its most).
const LARGEST: usize = 8 << 20;

/// What comes back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The parcel.
    Held(Body),
    /// There is none for the asker, and there will not be.
    Nothing,
    /// The round has not come yet.
    Later,
    /// The asked node has given its part up.
    GivenUp,
}

/// A message of these kinds that is not made as the host makes them. The peer's fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a {0} that no host makes")]
pub struct NotOurs(&'static str);

impl Ask {
    /// The kind of the request.
    pub const KIND: &str = "RoundRequest";

    /// As a message.
    pub fn outgoing(&self) -> Outgoing {
        let (protocol, run) = &self.run;
        let patience = u64::try_from(self.patience.as_millis()).unwrap_or(u64::MAX);
        Outgoing {
            kind: Self::KIND.into(),
            fields: Value::Map(vec![
                ("protocol".into(), protocol.as_str().into()),
                ("run_id".into(), run.as_str().into()),
                ("round".into(), Value::Int(u64::from(self.round).into())),
                ("patience_ms".into(), Value::Int(patience.into())),
            ]),
        }
    }

    /// Reads one.
    pub fn read(inner: &Inner) -> Result<Self, NotOurs> {
        let wrong = NotOurs(Self::KIND);
        let text = |field| inner.fields.get(field).and_then(Value::as_str).ok_or(wrong);
        let number = |field| {
            let number = inner.fields.get(field).and_then(Value::as_int);
            number.and_then(Integer::to_u64).ok_or(wrong)
        };
        let run: RunId = text("run_id")?.parse().map_err(|_| wrong)?;
        Ok(Self {
            run: (text("protocol")?.to_owned(), run),
            round: u32::try_from(number("round")?).map_err(|_| wrong)?,
            patience: Duration::from_millis(number("patience_ms")?),
        })
    }
}

impl Answer {
    /// The kind of the reply.
    pub const KIND: &str = "RoundReply";

    /// As a message.
    pub fn outgoing(&self) -> Outgoing {
        let (state, parcel) = match self {
            Self::Held(body) => ("held", Value::Bin(body.to_vec())),
            Self::Nothing => ("nothing", Value::Nil),
            Self::Later => ("later", Value::Nil),
            Self::GivenUp => ("given-up", Value::Nil),
        };
        Outgoing {
            kind: Self::KIND.into(),
            fields: Value::Map(vec![
                ("state".into(), state.into()),
                ("parcel".into(), parcel),
            ]),
        }
    }

    /// Reads one.
    pub fn read(fields: Value) -> Result<Self, NotOurs> {
        let wrong = NotOurs(Self::KIND);
        let state = fields.get("state").and_then(Value::as_str).ok_or(wrong)?;
        match state {
            "nothing" => Ok(Self::Nothing),
            "later" => Ok(Self::Later),
            "given-up" => Ok(Self::GivenUp),
            "held" => match fields.take("parcel") {
                Some(Value::Bin(body)) if body.len() <= LARGEST => Ok(Self::Held(body.into())),
                _ => Err(wrong),
            },
            _ => Err(wrong),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inner(outgoing: Outgoing) -> Inner {
        let node = |name: &str| name.parse().expect("an id");
        Inner::new(node("a"), node("b"), None, outgoing.kind, outgoing.fields).expect("a message")
    }

    #[test]
    fn what_no_host_makes_is_refused() {
        let fields = |state: &str, parcel: Value| {
            Value::Map(vec![
                ("state".into(), state.into()),
                ("parcel".into(), parcel),
            ])
        };
        assert!(Answer::read(fields("held", Value::Nil)).is_err());
        assert!(Answer::read(fields("held", Value::Bin(vec![0; LARGEST + 1]))).is_err());
        assert!(Answer::read(fields("sold", Value::Nil)).is_err());
        assert!(Answer::read(Value::Map(Vec::new())).is_err());
        let mut ask = Ask {
            run: ("beacon".into(), "run_1".parse().expect("an id")),
            round: 0,
            patience: Duration::ZERO,
        }
        .outgoing();
        let Value::Map(fields) = &mut ask.fields else {
            panic!("a map")
        };
        fields[2].1 = Value::Int((1_u64 << 32).into());
        assert!(Ask::read(&inner(ask)).is_err());
    }

    #[test]
    fn both_are_read_as_they_were_written() {
        let ask = Ask {
            run: ("beacon".into(), "run_1".parse().expect("an id")),
            round: 3,
            patience: Duration::from_millis(2500),
        };
        assert_eq!(Ask::read(&inner(ask.outgoing())), Ok(ask));
        for answer in [
            Answer::Held(vec![1, 2].into()),
            Answer::Nothing,
            Answer::Later,
            Answer::GivenUp,
        ] {
            assert_eq!(Answer::read(answer.outgoing().fields), Ok(answer));
        }
    }
}
