use backchannel_sdk::{
    Addressed, Answer, Datum, Effect, Failure, Initiator, Outgoing, PeerShare, SecaggContext,
    Setup, Step, fields, sharing,
};

use crate::share::Share;
use crate::{ShareReply, ShareRequest};

/// Bytes of the longest share that the contract lets a guest pass on (`peer-share`). An honest one has about 256.
const LONGEST_SHARE: usize = 288;

/// One run of the sharing, on an `AdditiveSSSetupRequest`.
pub struct ServerKey {
    setup: Setup,
    asked: bool,
}

impl Initiator for ServerKey {
    fn begin(setup: Setup) -> Result<Self, Failure> {
        Ok(Self {
            setup,
            asked: false,
        })
    }

    fn step(&mut self, answers: Vec<Answer>) -> Result<Step, Failure> {
        if self.asked {
            return self.establish(answers);
        }
        self.asked = true;
        self.publish_and_ask()
    }
}

impl ServerKey {
    fn publish_and_ask(&self) -> Result<Step, Failure> {
        let shares = self.setup.others().map(|party| {
            Ok(Effect::Publish(Datum {
                run: self.setup.run.clone(),
                audience: Some(party.to_owned()),
                body: sharing::share_for(party)?,
            }))
        });
        let secagg_id = self.setup.run.clone();
        let request = Outgoing::new("AdditiveSSharingRequest", &ShareRequest { secagg_id })?;
        let ask = self.setup.others().map(|party| Addressed {
            to: party.to_owned(),
            message: request.clone(),
        });
        Ok(Step {
            effects: shares.collect::<Result<_, Failure>>()?,
            ask: ask.collect(),
        })
    }

    fn establish(&self, answers: Vec<Answer>) -> Result<Step, Failure> {
        let shares = answers.into_iter().map(|answer| self.peer_share(answer));
        let context = SecaggContext::ServerKey(shares.collect::<Result<_, _>>()?);
        Ok(Step {
            effects: vec![Effect::Establish(context)],
            ask: Vec::new(),
        })
    }

    fn peer_share(&self, answer: Answer) -> Result<PeerShare, Failure> {
        let peer = answer.from;
        let reply: ShareReply = fields::decode(&answer.body)?;
        if reply.secagg_id != self.setup.run {
            return Err(Failure::malformed(format!(
                "{peer} answered for another run"
            )));
        }
        let share = match reply.share {
            Share::One(share) => share.to_be_bytes(),
            Share::List(_) => {
                return Err(Failure::malformed(format!(
                    "{peer} gave a list of shares, not one"
                )));
            }
        };
        if share.len() > LONGEST_SHARE {
            return Err(Failure::malformed(format!(
                "{peer} gave a share of more than {LONGEST_SHARE} bytes"
            )));
        }
        Ok(PeerShare { peer, share })
    }
}

#[cfg(test)]
mod tests {
    use backchannel_sdk::Integer;
    use backchannel_sdk::testing::Node;

    use super::*;

    fn setup() -> Setup {
        Setup {
            kind: "AdditiveSSSetupRequest".into(),
            researcher_id: "RESEARCHER_1".into(),
            run: "run".into(),
            experiment_id: "EXPERIMENT_1".into(),
            node_id: "b".into(),
            parties: vec!["c".into(), "b".into(), "a".into()],
        }
    }

    fn answer(from: &str, run: &str, share: Share) -> Answer {
        let secagg_id = run.into();
        Answer {
            from: from.into(),
            body: fields::encode(&ShareReply { secagg_id, share }).unwrap(),
        }
    }

    fn one(bytes: &[u8]) -> Share {
        Share::One(Integer::from_be_bytes(bytes))
    }

    fn full_node() -> Node {
        Node::new().with_share("a", &[10]).with_share("c", &[0xf0])
    }

    /// A run whose first round was asked.
    fn asked(node: &Node) -> (ServerKey, Step) {
        let mut run = node.begin::<ServerKey>(setup()).unwrap();
        let first = node.step(&mut run, Vec::new()).unwrap();
        (run, first)
    }

    fn refusal(answers: Vec<Answer>) -> String {
        let node = full_node();
        let (mut run, _) = asked(&node);
        match node.step(&mut run, answers) {
            Err(Failure::Malformed(why)) => why,
            other => panic!("not refused as malformed: {other:?}"),
        }
    }

    #[test]
    fn refuses_an_answer_for_another_run() {
        let answers = vec![
            answer("c", "run", one(&[1])),
            answer("a", "other run", one(&[1])),
        ];

        assert_eq!(refusal(answers), "a answered for another run");
    }

    #[test]
    fn refuses_a_list_of_shares() {
        let list = Share::List(vec![1i64.into()]);

        let why = refusal(vec![answer("c", "run", list)]);

        assert_eq!(why, "c gave a list of shares, not one");
    }

    #[test]
    fn refuses_a_share_longer_than_the_contract_allows() {
        let why = refusal(vec![answer("c", "run", one(&[1; LONGEST_SHARE + 1]))]);

        assert_eq!(why, "c gave a share of more than 288 bytes");
    }

    #[test]
    fn refuses_an_answer_that_is_no_reply() {
        let from = "c".into();
        let body = b"\x81\xa9secagg_id\xa3run".to_vec();

        refusal(vec![Answer { from, body }]);
    }

    #[test]
    fn publishes_nothing_when_one_share_is_missing() {
        let node = Node::new().with_share("a", &[10]);
        let mut run = node.begin::<ServerKey>(setup()).unwrap();

        let result = node.step(&mut run, Vec::new());

        assert!(matches!(result, Err(Failure::Refused(_))));
    }

    #[test]
    fn publishes_each_share_for_its_party_alone_and_asks_every_other_party() {
        let (_, first) = asked(&full_node());

        let published = [("c", 0xf0), ("a", 10)].map(|(party, share)| {
            Effect::Publish(Datum {
                run: "run".into(),
                audience: Some(party.into()),
                body: vec![share],
            })
        });
        assert_eq!(first.effects, published);
        let to: Vec<_> = first.ask.iter().map(|asked| asked.to.as_str()).collect();
        assert_eq!(to, ["c", "a"]);
        for asked in first.ask {
            assert_eq!(asked.message.kind, "AdditiveSSharingRequest");
            assert_eq!(asked.message.fields, b"\x81\xa9secagg_id\xa3run");
        }
    }

    #[test]
    fn establishes_the_server_key_from_every_share() {
        let node = full_node();
        let (mut run, _) = asked(&node);
        let large = [[0x7f].as_slice(), &[0xee; 255]].concat();
        let answers = vec![
            answer("c", "run", one(&[0xff, 0xfe])),
            answer("a", "run", one(&large)),
        ];

        let last = node.step(&mut run, answers).unwrap();

        let shares = [("c", vec![0xfe]), ("a", large)].map(|(peer, share)| PeerShare {
            peer: peer.into(),
            share,
        });
        let context = SecaggContext::ServerKey(shares.into());
        assert_eq!(last.effects, [Effect::Establish(context)]);
        assert!(last.ask.is_empty());
    }
}
