//! Messages of a sample, and what becomes of them.

use super::{MS, Sample, cost, fields, secret};
use crate::message;
use crate::trace::{
    Bytes, Call, Effect, Ended, Entry, HostCall, Incoming, Session, Value, What, Work,
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

impl Sample {
    pub(in crate::report) fn set_up_channel(&mut self, from: &str, to: &str, fate: Fate) {
        let pem = format!(
            "-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n",
            "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE".repeat(3)
        );
        let key = ("public_key", message::Value::Bin(pem.into_bytes()));
        self.exchange(from, to, "ChannelSetup", &[], &[key], fate, Fate::Fine);
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
        self.exchange(from, to, "AdditiveSSharing", &asked, &answered, there, back);
    }

    fn exchange(
        &mut self,
        from: &str,
        to: &str,
        kind: &str,
        asked: &[(&str, message::Value)],
        answered: &[(&str, message::Value)],
        there: Fate,
        back: Fate,
    ) {
        self.requests += 1;
        let request = format!("request_{:08x}", self.requests * 0x9e37_79b1 % 0xffff_ffff);
        let reply = id(self.n + 2);
        let kinds = [format!("{kind}Request"), format!("{kind}Reply")];
        let answers = matches!(there, Fate::Fine | Fate::Delayed(_) | Fate::Doubled(_));
        let reply = answers.then_some(reply);
        self.message(from, to, &kinds[0], &request, fields(asked), there, reply);
        if answers {
            self.message(to, from, &kinds[1], &request, fields(answered), back, None);
        }
    }

    #[allow(clippy::too_many_arguments, reason = "each is a part of one message")]
    fn message(
        &mut self,
        from: &str,
        to: &str,
        kind: &str,
        request: &str,
        fields: Bytes,
        fate: Fate,
        reply: Option<String>,
    ) {
        self.n += 1;
        let (n, id) = (self.n, id(self.n));
        let names = || (from.to_owned(), to.to_owned());
        let setup = kind.starts_with("ChannelSetup");
        let (source, dest) = names();
        self.event(What::Sealed {
            id: id.clone(),
            from: source,
            to: dest,
            kind: kind.into(),
            request: Some(request.into()),
            setup,
        });
        let (source, dest) = names();
        let bytes = 198 + 7 * n % 100 + fields.len() as u64;
        self.event(What::Relayed {
            n,
            id: id.clone(),
            from: source,
            to: dest,
            bytes,
        });
        self.pass(2);
        let hit = |fault: &str, how: String| What::Hit {
            n,
            fault: fault.into(),
            how,
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
                let to = to.to_owned();
                self.event(What::Delivered { n, to: to.clone() });
                let changed = "ffff".to_owned() + &id[4..];
                return self.treated(
                    arrives,
                    changed,
                    from,
                    &to,
                    None,
                    None,
                    Some("cannot be opened: the signature is not the sender's"),
                );
            }
            Fate::Delayed(ms) => {
                self.event(hit("delay", format!("by {ms} ms")));
                arrives += ms * MS;
            }
            Fate::Doubled(ms) => {
                self.event(hit("dup", format!("again {ms} ms later")));
                let (again, to) = (arrives + ms * MS, to.to_owned());
                self.event_at(again, What::Delivered { n, to: to.clone() });
                self.treated(
                    again + 90,
                    id.clone(),
                    from,
                    &to,
                    Some(kind),
                    None,
                    Some("repeated: the message was treated before"),
                );
            }
        }
        self.event_at(
            arrives,
            What::Delivered {
                n,
                to: to.to_owned(),
            },
        );
        let plugin = if setup {
            "channel-setup"
        } else {
            "additive-sharing"
        };
        let mut calls = vec![Call {
            at: arrives + 40,
            entry: Entry::Handle,
            host_calls: vec![HostCall {
                import: "material.wait".into(),
                given: vec![Value::Text("key-0".into())],
                result: Value::Bytes(secret(3, 255)),
            }],
            ended: if fate == Fate::Cancelled {
                Ended::Cancelled
            } else {
                Ended::Found
            },
            cost: cost(30_511 + n * 13),
        }];
        if fate != Fate::Cancelled {
            let effect = match &reply {
                Some(_) => Effect::Reply {
                    kind: kind.replace("Request", "Reply"),
                    fields: fields.clone(),
                },
                None => Effect::Deliver {
                    body: fields.clone(),
                },
            };
            calls.push(Call {
                at: arrives + 60,
                entry: Entry::Finalize,
                host_calls: vec![],
                ended: Ended::Effects {
                    effects: vec![effect],
                    ask: vec![],
                },
                cost: cost(11_874),
            });
            let words = if reply.is_some() { "reply" } else { "deliver" };
            let words = format!("{words} {kind}");
            let at = arrives + 80;
            let reply = reply.clone();
            self.event_at(
                at,
                What::Treated {
                    id: id.clone(),
                    node: to.into(),
                    from: from.into(),
                    kind: Some(kind.into()),
                    plugin: Some(plugin.into()),
                    effects: vec![words],
                    reply,
                    dropped: None,
                },
            );
        }
        self.trace.sessions.push(Session {
            node: to.into(),
            plugin: plugin.into(),
            digest: plugin[..1].repeat(64),
            work: Work::Message(Incoming {
                id: Some(id),
                researcher: "researcher".into(),
                source: from.into(),
                setup,
                assurance: if setup {
                    "published-key"
                } else {
                    "channel-key"
                }
                .into(),
                kind: kind.into(),
                request: Some(request.into()),
                fields,
            }),
            calls,
        });
        self.pass(1);
    }

    #[allow(clippy::too_many_arguments, reason = "each is a part of one event")]
    fn treated(
        &mut self,
        at: u64,
        id: String,
        from: &str,
        node: &str,
        kind: Option<&str>,
        reply: Option<String>,
        dropped: Option<&str>,
    ) {
        self.event_at(
            at,
            What::Treated {
                id,
                node: node.into(),
                from: from.into(),
                kind: kind.map(str::to_owned),
                plugin: None,
                effects: vec![],
                reply,
                dropped: dropped.map(str::to_owned),
            },
        );
    }
}

/// The id of the `n`th message.
fn id(n: u64) -> String {
    format!("{:016x}", n.wrapping_mul(0x9e37_79b9_7f4a_7c15))
}
