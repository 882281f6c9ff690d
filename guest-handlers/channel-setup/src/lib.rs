//! Sets up channels: each of two nodes tells the other which public key it uses between them.
//!
//! - `ChannelSetupRequest {}` is answered with `ChannelSetupReply { public_key }`.
//! - `ChannelSetupReply` gives the host the peer's key, and wakes whoever waits for the channel.
//!
//! These are the only kinds believed on the assurance of the published key, as there is no channel yet. Whether a key
//! was asked for and whether it is one is the host's to check, which holds the pending requests and knows the curve.

use backchannel_sdk::{
    Bytes, Effect, Envelope, Failure, Handler, Message, Outgoing, channel_keys, export_handler,
};
use serde::{Deserialize, Serialize};

/// The fields of `ChannelSetupRequest`: none.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ChannelSetupRequest {}

/// The fields of `ChannelSetupReply`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ChannelSetupReply {
    /// PEM, SubjectPublicKeyInfo.
    public_key: Bytes,
}

/// The handler of both kinds.
pub struct ChannelSetup;

/// What a message of one of the kinds comes to.
pub enum Outcome {
    /// The sender wants this node's public key, PEM.
    Asked(Vec<u8>),
    /// The sender gave its public key, PEM.
    Answered(Vec<u8>),
}

impl Handler for ChannelSetup {
    type Outcome = Outcome;

    fn handle(_: Envelope, message: Message) -> Result<Option<Outcome>, Failure> {
        match message.kind.as_str() {
            "ChannelSetupRequest" => {
                message.fields::<ChannelSetupRequest>()?;
                Ok(Some(Outcome::Asked(channel_keys::own_public_key()?)))
            }
            "ChannelSetupReply" => {
                let reply: ChannelSetupReply = message.fields()?;
                Ok(Some(Outcome::Answered(reply.public_key.0)))
            }
            _ => Err(message.unknown_kind()),
        }
    }

    fn finalize(outcome: Outcome) -> Result<Vec<Effect>, Failure> {
        Ok(match outcome {
            Outcome::Asked(pem) => {
                let public_key = pem.into();
                let reply = Outgoing::new("ChannelSetupReply", &ChannelSetupReply { public_key })?;
                vec![Effect::Reply(reply)]
            }
            // The key first: whoever is woken uses the channel at once.
            Outcome::Answered(pem) => vec![Effect::SetPeerKey(pem), Effect::Deliver(Vec::new())],
        })
    }
}

export_handler!(ChannelSetup);

#[cfg(test)]
mod tests {
    use backchannel_sdk::testing::{Node, envelope, message};

    use super::*;

    const PEM: &[u8] = b"-----BEGIN PUBLIC KEY-----";

    fn treat(message: Message) -> Result<Vec<Effect>, Failure> {
        let node = Node::new().with_channel_key(PEM);
        node.treat::<ChannelSetup>(envelope("NODE_alpha"), message)
    }

    fn raw(kind: &str, fields: &[u8]) -> Message {
        Message {
            fields: fields.to_vec(),
            ..message(kind, &ChannelSetupRequest {})
        }
    }

    #[test]
    fn refuses_a_request_with_fields() {
        let request = raw("ChannelSetupRequest", b"\x81\xaapublic_key\xc4\x00");

        assert!(matches!(treat(request), Err(Failure::Malformed(_))));
    }

    #[test]
    fn refuses_a_reply_without_key_with_a_text_for_a_key_or_with_more_fields() {
        let bodies: [&[u8]; 3] = [
            b"\x80",
            b"\x81\xaapublic_key\xa3PEM",
            b"\x82\xaapublic_key\xc4\x00\xa4more\x01",
        ];
        for body in bodies {
            let reply = raw("ChannelSetupReply", body);

            assert!(matches!(treat(reply), Err(Failure::Malformed(_))));
        }
    }

    #[test]
    fn refuses_a_kind_of_another_plugin() {
        let other = raw("KeyRequest", b"\x80");

        assert!(matches!(treat(other), Err(Failure::Refused(_))));
    }

    #[test]
    fn answers_a_request_with_the_own_public_key() {
        let effects = treat(raw("ChannelSetupRequest", b"\x80")).unwrap();

        let [Effect::Reply(reply)] = effects.as_slice() else {
            panic!("not one reply: {effects:?}");
        };
        assert_eq!(reply.kind, "ChannelSetupReply");
        let expected = [b"\x81\xaapublic_key\xc4\x1a".as_slice(), PEM].concat();
        assert_eq!(reply.fields, expected);
    }

    #[test]
    fn sets_the_peers_key_before_it_wakes_whoever_waits() {
        let public_key = PEM.into();
        let reply = message("ChannelSetupReply", &ChannelSetupReply { public_key });

        let effects = treat(reply).unwrap();

        let expected = [Effect::SetPeerKey(PEM.into()), Effect::Deliver(Vec::new())];
        assert_eq!(effects, expected);
    }
}
