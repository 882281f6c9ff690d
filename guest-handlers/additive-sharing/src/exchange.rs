use backchannel_sdk::{Effect, Envelope, Failure, Handler, Integer, Message, Outgoing, material};

use crate::share::Share;
use crate::{ShareReply, ShareRequest};

/// The handler of `AdditiveSSharingRequest` and `AdditiveSSharingReply`.
pub struct ShareExchange;

/// What a message of one of the kinds comes to.
pub enum Outcome {
    /// The sender wants its share of a run, and it is there.
    Asked {
        /// The run.
        secagg_id: String,
        /// The sender's share.
        share: Integer,
    },
    /// The sender gave a share: the fields as they came, for the run that asked.
    Answered(Vec<u8>),
}

impl Handler for ShareExchange {
    type Outcome = Outcome;

    fn handle(envelope: Envelope, message: Message) -> Result<Option<Outcome>, Failure> {
        envelope.authenticated()?;
        match message.kind.as_str() {
            "AdditiveSSharingRequest" => {
                let ShareRequest { secagg_id } = message.fields()?;
                // The host gives out what is published for the sender, and only that.
                Ok(material::wait(&secagg_id).map(|share| Outcome::Asked {
                    secagg_id,
                    share: Integer::from_be_bytes(&share),
                }))
            }
            "AdditiveSSharingReply" => {
                message.fields::<ShareReply>()?;
                Ok(Some(Outcome::Answered(message.fields)))
            }
            _ => Err(message.unknown_kind()),
        }
    }

    fn finalize(outcome: Outcome) -> Result<Vec<Effect>, Failure> {
        Ok(match outcome {
            Outcome::Asked { secagg_id, share } => {
                let share = Share::One(share);
                let fields = ShareReply { secagg_id, share };
                vec![Effect::Reply(Outgoing::new(
                    "AdditiveSSharingReply",
                    &fields,
                )?)]
            }
            Outcome::Answered(fields) => vec![Effect::Deliver(fields)],
        })
    }
}

#[cfg(test)]
mod tests {
    use backchannel_sdk::Assurance;
    use backchannel_sdk::testing::{Node, envelope, message};

    use super::*;

    fn request(run: &str) -> Message {
        let secagg_id = run.into();
        message("AdditiveSSharingRequest", &ShareRequest { secagg_id })
    }

    fn reply(share: Share) -> Message {
        let secagg_id = "run".into();
        message("AdditiveSSharingReply", &ShareReply { secagg_id, share })
    }

    fn treat(message: Message) -> Result<Vec<Effect>, Failure> {
        // −2⁶⁴, one byte wider than it must be.
        let node = Node::new().with_material("run", b"\xff\xff\0\0\0\0\0\0\0\0");
        node.treat::<ShareExchange>(envelope("NODE_alpha"), message)
    }

    #[test]
    fn refuses_a_sender_assured_by_the_published_key_only() {
        let node = Node::new().with_material("run", &[1]);
        for message in [request("run"), reply(Share::One(1i64.into()))] {
            let envelope = Envelope {
                assurance: Assurance::PublishedKey,
                ..envelope("NODE_alpha")
            };

            let result = node.treat::<ShareExchange>(envelope, message);

            assert!(matches!(result, Err(Failure::Refused(_))));
        }
    }

    #[test]
    fn refuses_malformed_fields() {
        let cases: [(Message, &[u8]); 8] = [
            (request("run"), b"\x80"),
            (request("run"), b"\x81\xa9secagg_id\xc0"),
            (request("run"), b"\x82\xa9secagg_id\xa3run\xa5share\x01"),
            (reply(Share::List(vec![])), b"\x81\xa9secagg_id\xa3run"),
            (
                reply(Share::List(vec![])),
                b"\x82\xa9secagg_id\xa3run\xa5share\xa15",
            ),
            (
                reply(Share::List(vec![])),
                b"\x82\xa9secagg_id\xa3run\xa5share\xc3",
            ),
            (
                reply(Share::List(vec![])),
                b"\x82\xa9secagg_id\xa3run\xa5share\xc0",
            ),
            (
                reply(Share::List(vec![])),
                b"\x82\xa9secagg_id\xa3run\xa5share\x82\xa8__type__\xa3int\xa5value\xc4\x01\x05",
            ),
        ];
        for (message, fields) in cases {
            let fields = fields.to_vec();

            let result = treat(Message { fields, ..message });

            assert!(matches!(result, Err(Failure::Malformed(_))));
        }
    }

    #[test]
    fn refuses_a_kind_of_another_plugin() {
        let kind = "KeyRequest".into();

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
    fn answers_with_the_share_published_for_the_sender() {
        let effects = treat(request("run")).unwrap();

        let expected = Outgoing {
            kind: "AdditiveSSharingReply".into(),
            fields: b"\x82\xa9secagg_id\xa3run\xa5share\
                \x82\xa8__type__\xa3int\xa5value\xc4\x0a\xff\xff\0\0\0\0\0\0\0\0"
                .into(),
        };
        assert_eq!(effects, [Effect::Reply(expected)]);
    }

    #[test]
    fn hands_a_reply_to_the_run_as_it_came() {
        let small = Share::One((-5i64).into());
        let list = Share::List(vec![1i64.into(), u64::MAX.into()]);
        for share in [small, list] {
            let reply = reply(share);

            let effects = treat(reply.clone()).unwrap();

            assert_eq!(effects, [Effect::Deliver(reply.fields)]);
        }
    }
}
