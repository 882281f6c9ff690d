//! The contract's values as a recording shows them, and back.

use super::bindings::backchannel::n2n::types::{self, Failure};
use super::bindings::exports::backchannel::n2n::initiator;
use super::{Assurance, Envelope, Message, Setup};
use crate::trace::{Answer, Effect, Incoming, Request, RunOf, Value};

/// What an import may give back.
pub(super) trait Traced: Sized {
    fn to_value(&self) -> Value;
    /// `None` when the recording has a value of another type.
    fn from_value(value: &Value) -> Option<Self>;
}

impl Traced for () {
    fn to_value(&self) -> Value {
        Value::None
    }

    fn from_value(value: &Value) -> Option<Self> {
        value.is_none().then_some(())
    }
}

impl Traced for Vec<u8> {
    fn to_value(&self) -> Value {
        Value::Bytes(self.as_slice().into())
    }

    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Bytes(bytes) => Some(bytes.stand_in()),
            _ => None,
        }
    }
}

/// Each as 8 bytes, the lowest first.
impl Traced for Vec<f64> {
    fn to_value(&self) -> Value {
        let bytes: Vec<u8> = self
            .iter()
            .flat_map(|number| number.to_le_bytes())
            .collect();
        Value::Bytes(bytes.into())
    }

    /// Of numbers that were left out there are zeros: letters, which stand in for other secrets, would be numbers of 160 digits.
    fn from_value(value: &Value) -> Option<Self> {
        let Value::Bytes(bytes) = value else {
            return None;
        };
        let stand_in = bytes.stand_in();
        let (numbers, []) = stand_in.as_chunks() else {
            return None;
        };
        if bytes.has_secrets() {
            return Some(vec![0.0; numbers.len()]);
        }
        let number = |bytes: &[u8; 8]| f64::from_le_bytes(*bytes);
        Some(numbers.iter().map(number).collect())
    }
}

impl Traced for Vec<String> {
    fn to_value(&self) -> Value {
        Value::List(self.iter().cloned().map(Value::Text).collect())
    }

    fn from_value(value: &Value) -> Option<Self> {
        let Value::List(values) = value else {
            return None;
        };
        let texts = values.iter().map(|value| match value {
            Value::Text(text) => Some(text.clone()),
            _ => None,
        });
        texts.collect()
    }
}

impl<T: Traced> Traced for Option<T> {
    fn to_value(&self) -> Value {
        self.as_ref().map_or(Value::None, Traced::to_value)
    }

    fn from_value(value: &Value) -> Option<Self> {
        if value.is_none() {
            return Some(None);
        }
        T::from_value(value).map(Some)
    }
}

impl<T: Traced> Traced for Result<T, Failure> {
    fn to_value(&self) -> Value {
        match self {
            Ok(value) => value.to_value(),
            Err(failure) => {
                let (kind, text) = parts(failure);
                Value::Failed {
                    kind: kind.to_owned(),
                    text: text.to_owned(),
                }
            }
        }
    }

    fn from_value(value: &Value) -> Option<Self> {
        let Value::Failed { kind, text } = value else {
            return T::from_value(value).map(Ok);
        };
        let failure = match kind.as_str() {
            "malformed" => Failure::Malformed,
            "unavailable" => Failure::Unavailable,
            "refused" => Failure::Refused,
            _ => return None,
        };
        Some(Err(failure(text.clone())))
    }
}

/// A failure's kind and text.
pub(super) fn parts(failure: &Failure) -> (&'static str, &str) {
    match failure {
        Failure::Malformed(text) => ("malformed", text),
        Failure::Unavailable(text) => ("unavailable", text),
        Failure::Refused(text) => ("refused", text),
    }
}

/// The names of [`Assurance`], as in the contract.
const ASSURANCES: [(Assurance, &str); 3] = [
    (Assurance::PublishedKey, "published-key"),
    (Assurance::ChannelKey, "channel-key"),
    (Assurance::IdentityKey, "identity-key"),
];

/// How the contract names it.
pub fn assurance_name(assurance: Assurance) -> &'static str {
    let found = ASSURANCES.iter().find(|(one, _)| *one == assurance);
    found.map_or("", |(_, name)| name)
}

/// What the contract names so.
pub fn assurance_of(name: &str) -> Option<Assurance> {
    let found = ASSURANCES.iter().find(|(_, one)| *one == name);
    found.map(|(assurance, _)| *assurance)
}

pub(super) fn incoming(envelope: &Envelope, message: &Message) -> Incoming {
    Incoming {
        id: None,
        researcher: envelope.researcher_id.clone(),
        source: envelope.source.clone(),
        setup: envelope.setup,
        assurance: assurance_name(envelope.assurance).to_owned(),
        kind: message.kind.clone(),
        request: message.request_id.clone(),
        fields: message.fields.as_slice().into(),
    }
}

pub(super) fn run_of(setup: &Setup) -> RunOf {
    RunOf {
        kind: setup.kind.to_owned(),
        researcher: setup.researcher.to_string(),
        run: setup.run.to_string(),
        experiment: setup.experiment.to_string(),
        parties: setup.parties.iter().map(ToString::to_string).collect(),
    }
}

pub(super) fn answers(answers: &[initiator::Answer]) -> Vec<Answer> {
    answers
        .iter()
        .map(|answer| Answer {
            from: answer.from.clone(),
            body: answer.body.as_slice().into(),
        })
        .collect()
}

pub(super) fn requests(ask: &[initiator::Addressed]) -> Vec<Request> {
    ask.iter()
        .map(|addressed| Request {
            to: addressed.to.clone(),
            kind: addressed.message.kind.clone(),
            fields: addressed.message.fields.as_slice().into(),
        })
        .collect()
}

pub(super) fn effects(effects: &[types::Effect]) -> Vec<Effect> {
    effects.iter().map(effect).collect()
}

fn effect(effect: &types::Effect) -> Effect {
    let of_party = |party: &str, body: &[u8]| Answer {
        from: party.to_owned(),
        body: body.into(),
    };
    match effect {
        types::Effect::Reply(outgoing) => Effect::Reply {
            kind: outgoing.kind.clone(),
            fields: outgoing.fields.as_slice().into(),
        },
        types::Effect::Deliver(body) => Effect::Deliver {
            body: body.as_slice().into(),
        },
        types::Effect::SetPeerKey(pem) => Effect::SetPeerKey {
            pem: pem.as_slice().into(),
        },
        types::Effect::Publish(datum) => Effect::Publish {
            run: datum.run.clone(),
            audience: datum.audience.clone(),
            body: datum.body.as_slice().into(),
        },
        types::Effect::Establish(types::SecaggContext::PairSecrets(keys)) => {
            let keys = keys.iter().map(|key| of_party(&key.peer, &key.pem));
            Effect::EstablishPairSecrets {
                keys: keys.collect(),
            }
        }
        types::Effect::Establish(types::SecaggContext::ServerKey(shares)) => {
            let shares = shares
                .iter()
                .map(|share| of_party(&share.peer, &share.share));
            Effect::EstablishServerKey {
                shares: shares.collect(),
            }
        }
        types::Effect::Store(entry) => Effect::Store {
            key: entry.key.clone(),
            value: entry.value.as_deref().map(Into::into),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn there_and_back<T: Traced + PartialEq + std::fmt::Debug>(value: T) {
        assert_eq!(T::from_value(&value.to_value()), Some(value));
    }

    #[test]
    fn values_of_another_type_are_not_taken_for_an_answer() {
        assert_eq!(<Vec<u8>>::from_value(&Value::Text("a".into())), None);
        assert_eq!(
            <Vec<String>>::from_value(&Value::Bytes(vec![1].into())),
            None
        );
        assert_eq!(<()>::from_value(&Value::Number(1)), None);
        assert_eq!(
            <Vec<f64>>::from_value(&Value::Bytes(vec![0; 9].into())),
            None
        );
    }

    #[test]
    fn what_imports_give_back_survives_a_recording() {
        there_and_back(());
        there_and_back(vec![1_u8, 2]);
        there_and_back(vec!["a".to_owned()]);
        there_and_back(vec![0.1, -0.0, f64::MAX]);
        there_and_back(None::<Vec<u8>>);
        let failures = [Failure::Malformed, Failure::Unavailable, Failure::Refused];
        for failure in failures.map(|failure| failure("why".into())) {
            let value = Err::<Vec<u8>, _>(failure.clone()).to_value();
            let back = <Result<Vec<u8>, Failure>>::from_value(&value);
            assert_eq!(
                back.and_then(Result::err).as_ref().map(parts),
                Some(parts(&failure))
            );
        }
    }
}
