//! Messages of a sample, and what becomes of them.

use super::{MS, Sample, cost, fields, secret};
use crate::message;
use crate::trace::{
    Bytes, Call, Effect, Ended, Entry, HostCall, Incoming, Session, Value, What, Work, shown,
};

/// What becomes of a message.
#[derive(Clone, Copy, PartialEq)]
pub(in crate::report) enum Fate {
    Fine,
    Dropped,
    /// By so many milliseconds.
    Delayed(u64),
    /// And again so many milliseconds later.
    Doubled(u64),
    Changed,
    /// While the relay is down.
    Lost,
    /// The receiver dies over it.
    Cancelled,
}

/// One message to be sent.
struct Letter<'a> {
    from: &'a str,
    to: &'a str,
    kind: String,
    request: String,
    fields: Bytes,
    /// The id and the fields of the answer that its receiver makes.
    reply: Option<(String, Bytes)>,
}

impl Sample {
    pub(in crate::report) fn set_up_channel(&mut self, from: &str, to: &str, fate: Fate) {
        let pem = format!(
            "-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n",
            "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE".repeat(3)
        );
        let key = [("public_key", message::Value::Bin(pem.into_bytes()))];
        let bodies = [fields(&[]), fields(&key)];
        self.exchange([from, to], "ChannelSetup", bodies, fate, Fate::Fine);
    }

    /// One node asks another for its share, and gets it.
    pub(in crate::report) fn share(
        &mut self,
        from: &str,
        to: &str,
        run: &str,
        there: Fate,
        back: Fate,
    ) {
        let asked = [("secagg_id", run.into())];
        let share = message::Integer::from_signed_bytes_be(&secret(3, 255).stand_in());
        let share = message::Value::Int(share.expect("an integer"));
        let answered = [("secagg_id", run.into()), ("share", share)];
        let clear = hex::encode(secret(3, 255).stand_in());
        let answered = fields(&answered).to_string().replace(&clear, "{3:255}");
        let bodies = [fields(&asked), answered.parse().expect("bytes")];
        self.exchange([from, to], "AdditiveSSharing", bodies, there, back);
    }

    fn exchange(
        &mut self,
        [from, to]: [&str; 2],
        kind: &str,
        [asked, answered]: [Bytes; 2],
        there: Fate,
        back: Fate,
    ) {
        self.requests += 1;
        let request = format!("request_{:08x}", self.requests * 0x9e37_79b1 % 0xffff_ffff);
        let answers = matches!(there, Fate::Fine | Fate::Delayed(_) | Fate::Doubled(_));
        let asking = Letter {
            from,
            to,
            kind: format!("{kind}Request"),
            request: request.clone(),
            fields: asked,
            reply: answers.then(|| (id(self.n + 2), answered.clone())),
        };
        self.send(asking, there);
        if answers {
            let answering = Letter {
                from: to,
                to: from,
                kind: format!("{kind}Reply"),
                request,
                fields: answered,
                reply: None,
            };
            self.send(answering, back);
        }
    }

    fn send(&mut self, letter: Letter<'_>, fate: Fate) {
        self.n += 1;
        let (n, id) = (self.n, id(self.n));
        self.event(What::Sealed {
            id: id.clone(),
            from: letter.from.into(),
            to: letter.to.into(),
            kind: letter.kind.clone(),
            request: Some(letter.request.clone()),
            setup: letter.is_setup(),
        });
        self.event(What::Relayed {
            n,
            id: id.clone(),
            from: letter.from.into(),
            to: letter.to.into(),
            bytes: 198 + 7 * n % 100 + letter.fields.len() as u64,
        });
        self.pass(2);
        let hit = |fault: &str, how: String| What::Hit {
            n,
            fault: fault.into(),
            how,
        };
        let delivered = || What::Delivered {
            n,
            to: letter.to.into(),
        };
        let mut arrives = self.at;
        match fate {
            Fate::Fine | Fate::Cancelled => {}
            Fate::Dropped => return self.event(hit("drop", String::new())),
            Fate::Lost => {
                let why = "the relay is down".into();
                return self.event(What::Lost { n, why });
            }
            Fate::Changed => {
                self.event(hit("corrupt", "byte 97 changed by 80".into()));
                self.event(delivered());
                let changed = "ffff".to_owned() + &id[4..];
                let why = "cannot be opened: the signature is not the sender's";
                return self.event(letter.refused(changed, None, why));
            }
            Fate::Delayed(ms) => {
                self.event(hit("delay", format!("by {ms} ms")));
                arrives += ms * MS;
            }
            Fate::Doubled(ms) => {
                self.event(hit("dup", format!("again {ms} ms later")));
                let again = arrives + ms * MS;
                self.event_at(again, delivered());
                let kind = Some(letter.kind.clone());
                let why = "repeated: the message was treated before";
                self.event_at(again + 90, letter.refused(id.clone(), kind, why));
            }
        }
        self.event_at(arrives, delivered());
        if fate != Fate::Cancelled {
            self.event_at(arrives + 80, letter.treated(id.clone()));
        }
        let session = letter.session(id, arrives, fate == Fate::Cancelled);
        self.trace.sessions.push(session);
        self.pass(1);
    }
}

impl Letter<'_> {
    fn is_setup(&self) -> bool {
        self.kind.starts_with("ChannelSetup")
    }

    fn plugin(&self) -> String {
        let name = if self.is_setup() {
            "channel-setup"
        } else {
            "additive-sharing"
        };
        name.into()
    }

    fn treated(&self, id: String) -> What {
        let effect = match &self.reply {
            Some(_) => format!("reply {}", self.kind.replace("Request", "Reply")),
            None => "deliver".into(),
        };
        What::Treated {
            id,
            node: self.to.into(),
            from: self.from.into(),
            kind: Some(self.kind.clone()),
            plugin: Some(self.plugin()),
            effects: vec![effect],
            reply: self.reply.as_ref().map(|(id, _)| id.clone()),
            dropped: None,
        }
    }

    fn refused(&self, id: String, kind: Option<String>, why: &str) -> What {
        What::Treated {
            id,
            node: self.to.into(),
            from: self.from.into(),
            kind,
            plugin: None,
            effects: vec![],
            reply: None,
            dropped: Some(why.into()),
        }
    }

    fn session(self, id: String, at: u64, cancelled: bool) -> Session {
        let host_call = |import: &str, given: Vec<Value>, result| HostCall {
            import: import.into(),
            given,
            result,
        };
        let host_calls = match (self.is_setup(), &self.reply) {
            (_, None) => vec![],
            (true, Some(_)) => {
                let pem = b"-----BEGIN PUBLIC KEY-----\nMFkwEwYH\n-----END PUBLIC KEY-----\n";
                let pem = Value::Bytes(pem.to_vec().into());
                vec![host_call("channel-keys.own-public-key", vec![], pem)]
            }
            (false, Some(_)) => {
                let run = shown::text(&self.fields, "secagg_id").unwrap_or_default();
                let share = Value::Bytes(secret(3, 255));
                vec![host_call("material.wait", vec![Value::Text(run)], share)]
            }
        };
        let effect = match &self.reply {
            Some((_, fields)) => Effect::Reply {
                kind: self.kind.replace("Request", "Reply"),
                fields: fields.clone(),
            },
            None => Effect::Deliver {
                body: self.fields.clone(),
            },
        };
        let handle = Call {
            at: at + 40,
            entry: Entry::Handle,
            host_calls,
            ended: if cancelled {
                Ended::Cancelled
            } else {
                Ended::Found
            },
            cost: cost(30_511 + at % 977),
        };
        let finalize = Call {
            at: at + 60,
            entry: Entry::Finalize,
            host_calls: vec![],
            ended: Ended::Effects {
                effects: vec![effect],
                ask: vec![],
            },
            cost: cost(11_874),
        };
        let (setup, plugin) = (self.is_setup(), self.plugin());
        let assurance = if setup {
            "published-key"
        } else {
            "channel-key"
        };
        Session {
            node: self.to.into(),
            digest: plugin[..1].repeat(64),
            plugin,
            work: Work::Message(Incoming {
                id: Some(id),
                researcher: "researcher".into(),
                source: self.from.into(),
                setup,
                assurance: assurance.into(),
                kind: self.kind,
                request: Some(self.request),
                fields: self.fields,
            }),
            calls: [handle]
                .into_iter()
                .chain((!cancelled).then_some(finalize))
                .collect(),
        }
    }
}

/// The id of the `n`th message.
fn id(n: u64) -> String {
    format!("{:016x}", n.wrapping_mul(0x9e37_79b9_7f4a_7c15))
}
