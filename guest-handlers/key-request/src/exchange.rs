use backchannel_sdk::{Effect, Envelope, Failure, Handler, Message, Outgoing, material};

use crate::{KeyReply, KeyRequest};

/// The handler of `KeyRequest` and `KeyReply`.
pub struct KeyExchange;

/// What a message of one of the kinds comes to.
pub enum Outcome {
    /// The sender wants this node's public key for a run, and it is there.
    Asked {
        /// The run.
        secagg_id: String,
        /// The key, PEM.
        public_key: Vec<u8>,
    },
    /// The sender gave its public key: the fields as they came, for the run that asked.
    Answered(Vec<u8>),
}

impl Handler for KeyExchange {
    type Outcome = Outcome;

    fn handle(envelope: Envelope, message: Message) -> Result<Option<Outcome>, Failure> {
        envelope.authenticated()?;
        match message.kind.as_str() {
            "KeyRequest" => {
                let KeyRequest { secagg_id } = message.fields()?;
                Ok(material::wait(&secagg_id).map(|public_key| Outcome::Asked {
                    secagg_id,
                    public_key,
                }))
            }
            "KeyReply" => {
                message.fields::<KeyReply>()?;
                Ok(Some(Outcome::Answered(message.fields)))
            }
            _ => Err(message.unknown_kind()),
        }
    }

    fn finalize(outcome: Outcome) -> Result<Vec<Effect>, Failure> {
        Ok(match outcome {
            Outcome::Asked {
                secagg_id,
                public_key,
            } => {
                let public_key = public_key.into();
                let fields = KeyReply {
                    public_key,
                    secagg_id,
                };
                vec![Effect::Reply(Outgoing::new("KeyReply", &fields)?)]
            }
            Outcome::Answered(fields) => vec![Effect::Deliver(fields)],
        })
    }
}

#[cfg(test)]
mod tests {
    use backchannel_sdk::testing::{Node, envelope, message};
    use backchannel_sdk::{Assurance, Bytes};

    use super::*;

    fn request(run: &str) -> Message {
        let secagg_id = run.into();
        message("KeyRequest", &KeyRequest { secagg_id })
    }

    fn reply() -> Message {
        let public_key = Bytes(b"PEM".into());
        let secagg_id = "run".into();
        message(
            "KeyReply",
            &KeyReply {
                public_key,
                secagg_id,
            },
        )
    }

    fn treat(message: Message) -> Result<Vec<Effect>, Failure> {
        let node = Node::new().with_material("run", b"PEM");
        node.treat::<KeyExchange>(envelope("NODE_alpha"), message)
    }

    #[test]
    fn refuses_a_sender_assured_by_the_published_key_only() {
        let node = Node::new().with_material("run", b"PEM");
        for message in [request("run"), reply()] {
            let envelope = Envelope {
                assurance: Assurance::PublishedKey,
                ..envelope("NODE_alpha")
            };

            let result = node.treat::<KeyExchange>(envelope, message);

            assert!(matches!(result, Err(Failure::Refused(_))));
        }
    }

    #[test]
    fn refuses_malformed_fields() {
        let cases: [(Message, &[u8]); 6] = [
            (request("run"), b"\x80"),
            (request("run"), b"\x81\xa9secagg_id\x01"),
            (request("run"), b"\x82\xa9secagg_id\xa3run\xa4more\x01"),
            (reply(), b"\x81\xa9secagg_id\xa3run"),
            (reply(), b"\x82\xaapublic_key\xa3PEM\xa9secagg_id\xa3run"),
            (reply(), b"\x82\xaapublic_key\xc4\x01P\xa9secagg_id\xc0"),
        ];
        for (message, fields) in cases {
            let fields = fields.to_vec();

            let result = treat(Message { fields, ..message });

            assert!(matches!(result, Err(Failure::Malformed(_))));
        }
    }

    #[test]
    fn refuses_a_kind_of_another_plugin() {
        let kind = "ChannelSetupRequest".into();

        let result = treat(Message {
            kind,
            ..request("run")
        });

        assert!(matches!(result, Err(Failure::Refused(_))));
    }

    #[test]
    fn stays_silent_about_a_run_that_did_not_begin_here() {
        assert_eq!(treat(request("another run")), Ok(Vec::new()));
    }

    #[test]
    fn answers_with_the_key_published_for_the_run() {
        let effects = treat(request("run")).unwrap();

        let expected = Outgoing {
            kind: "KeyReply".into(),
            fields: b"\x82\xaapublic_key\xc4\x03PEM\xa9secagg_id\xa3run".into(),
        };
        assert_eq!(effects, [Effect::Reply(expected)]);
    }

    #[test]
    fn hands_a_reply_to_the_run_as_it_came() {
        let reply = reply();

        let effects = treat(reply.clone()).unwrap();

        assert_eq!(effects, [Effect::Deliver(reply.fields)]);
    }
}
