use backchannel_sdk::{
    Addressed, Answer, Datum, Effect, Failure, Initiator, Outgoing, PeerKey, SecaggContext, Setup,
    Step, agreement, fields,
};

use crate::{KeyReply, KeyRequest};

/// One run of the agreement, on a `SecaggRequest`.
pub struct Agreement {
    setup: Setup,
    asked: bool,
}

impl Initiator for Agreement {
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

impl Agreement {
    fn publish_and_ask(&self) -> Result<Step, Failure> {
        let own_key = Datum {
            run: self.setup.run.clone(),
            audience: None,
            body: agreement::public_key()?,
        };
        let secagg_id = self.setup.run.clone();
        let request = Outgoing::new("KeyRequest", &KeyRequest { secagg_id })?;
        let ask = self.setup.others().map(|party| Addressed {
            to: party.to_owned(),
            message: request.clone(),
        });
        Ok(Step {
            effects: vec![Effect::Publish(own_key)],
            ask: ask.collect(),
        })
    }

    fn establish(&self, answers: Vec<Answer>) -> Result<Step, Failure> {
        let keys = answers.into_iter().map(|answer| self.peer_key(answer));
        let context = SecaggContext::PairSecrets(keys.collect::<Result<_, _>>()?);
        Ok(Step {
            effects: vec![Effect::Establish(context)],
            ask: Vec::new(),
        })
    }

    fn peer_key(&self, answer: Answer) -> Result<PeerKey, Failure> {
        let reply: KeyReply = fields::decode(&answer.body)?;
        if reply.secagg_id != self.setup.run {
            let peer = answer.from;
            return Err(Failure::malformed(format!(
                "{peer} answered for another run"
            )));
        }
        Ok(PeerKey {
            peer: answer.from,
            pem: reply.public_key.0,
        })
    }
}

#[cfg(test)]
mod tests {
    use backchannel_sdk::Bytes;
    use backchannel_sdk::testing::Node;

    use super::*;

    fn setup() -> Setup {
        Setup {
            kind: "SecaggRequest".into(),
            researcher_id: "RESEARCHER_1".into(),
            run: "run".into(),
            experiment_id: "EXPERIMENT_1".into(),
            node_id: "b".into(),
            parties: vec!["c".into(), "b".into(), "a".into()],
        }
    }

    fn answer(from: &str, run: &str) -> Answer {
        let reply = KeyReply {
            public_key: Bytes(from.into()),
            secagg_id: run.into(),
        };
        Answer {
            from: from.into(),
            body: fields::encode(&reply).unwrap(),
        }
    }

    /// A run whose first round was asked.
    fn asked(node: &Node) -> (Agreement, Step) {
        let mut run = node.begin::<Agreement>(setup()).unwrap();
        let first = node.step(&mut run, Vec::new()).unwrap();
        (run, first)
    }

    #[test]
    fn refuses_an_answer_for_another_run() {
        let node = Node::new().with_run_key(b"own");
        let (mut run, _) = asked(&node);

        let result = node.step(&mut run, vec![answer("c", "run"), answer("a", "other run")]);

        assert_eq!(
            result,
            Err(Failure::malformed("a answered for another run"))
        );
    }

    #[test]
    fn refuses_an_answer_that_is_no_reply() {
        let node = Node::new().with_run_key(b"own");
        let (mut run, _) = asked(&node);
        let body = b"\x81\xa9secagg_id\xa3run".to_vec();

        let result = node.step(
            &mut run,
            vec![Answer {
                from: "c".into(),
                body,
            }],
        );

        assert!(matches!(result, Err(Failure::Malformed(_))));
    }

    #[test]
    fn does_not_begin_without_a_key() {
        let node = Node::new();
        let mut run = node.begin::<Agreement>(setup()).unwrap();

        let result = node.step(&mut run, Vec::new());

        assert!(matches!(result, Err(Failure::Unavailable(_))));
    }

    #[test]
    fn publishes_its_key_to_all_and_asks_every_other_party() {
        let (_, first) = asked(&Node::new().with_run_key(b"own"));

        let own_key = Datum {
            run: "run".into(),
            audience: None,
            body: b"own".into(),
        };
        assert_eq!(first.effects, [Effect::Publish(own_key)]);
        let to: Vec<_> = first.ask.iter().map(|asked| asked.to.as_str()).collect();
        assert_eq!(to, ["c", "a"]);
        for asked in first.ask {
            assert_eq!(asked.message.kind, "KeyRequest");
            assert_eq!(asked.message.fields, b"\x81\xa9secagg_id\xa3run");
        }
    }

    #[test]
    fn establishes_a_pair_secret_with_each_party_that_answered() {
        let node = Node::new().with_run_key(b"own");
        let (mut run, _) = asked(&node);

        let last = node
            .step(&mut run, vec![answer("c", "run"), answer("a", "run")])
            .unwrap();

        let keys = ["c", "a"].map(|peer| PeerKey {
            peer: peer.into(),
            pem: peer.into(),
        });
        let context = SecaggContext::PairSecrets(keys.into());
        assert_eq!(last.effects, [Effect::Establish(context)]);
        assert!(last.ask.is_empty());
    }
}
