//! Traces as a simulation writes them, made by hand, for tests.

use crate::message;
use crate::trace::{
    Answer, Bytes, Call, Cost, Effect, Ended, Entry, Event, Header, HostCall, Incoming, Made,
    Plugin, Request, RunOf, Session, Simulated, Trace, Value, What, Work,
};

/// Microseconds in a millisecond.
const MS: u64 = 1000;

/// A trace in the making.
pub(super) struct Sample {
    pub(super) trace: Trace,
    /// Now.
    pub(super) at: u64,
    n: u64,
    requests: u64,
}

/// What becomes of a message.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Fate {
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
    pub(super) fn new() -> Self {
        let plugin = |name: &str, digit: &str| Plugin {
            name: name.into(),
            version: "0.1.0".into(),
            digest: digit.repeat(64),
            grants: vec![],
            limits: [("memory-mib".to_owned(), 32)].into(),
        };
        Self {
            trace: Trace {
                header: Header {
                    made: Made::Sim(Simulated {
                        scenario: "nodes = 3\nfaults = \"drop=0.05,power=1\"\n".into(),
                        seed: 7,
                    }),
                    build: "0.1.0".into(),
                    contract: "0.1.0".into(),
                },
                plugins: vec![
                    plugin("additive-sharing", "a"),
                    plugin("channel-setup", "c"),
                ],
                events: vec![],
                sessions: vec![],
                whole: true,
            },
            at: 0,
            n: 0,
            requests: 0,
        }
    }

    /// Three nodes that agree on two server keys. Of the first, one share is dropped and the run fails; the second is done, and
    /// then node-2 loses its power and with it what it had reported.
    pub(super) fn faulty() -> Self {
        let mut sample = Self::new();
        let nodes = ["node-0", "node-1", "node-2"];
        for node in nodes {
            sample.event(What::Started {
                node: node.into(),
                life: 1,
            });
        }
        sample.pass(1000);
        sample.ask("key-0", &nodes, true);
        for (from, to) in [
            ("node-0", "node-1"),
            ("node-0", "node-2"),
            ("node-1", "node-2"),
        ] {
            sample.set_up_channel(from, to, Fate::Fine);
        }
        sample.begin("key-0", &nodes);
        for (from, to, there, back) in [
            ("node-0", "node-1", Fate::Fine, Fate::Delayed(2100)),
            ("node-0", "node-2", Fate::Fine, Fate::Fine),
            ("node-1", "node-0", Fate::Doubled(5861), Fate::Fine),
            ("node-1", "node-2", Fate::Dropped, Fate::Fine),
            ("node-2", "node-0", Fate::Changed, Fate::Fine),
            ("node-2", "node-1", Fate::Fine, Fate::Lost),
        ] {
            sample.share(from, to, "key-0", there, back);
        }
        sample.fault("partition", "node-1", 4000);
        sample.pass(30_000);
        sample.end("node-0", "key-0", &nodes);
        sample.answer("node-0", "done: key-0");
        for (node, silent) in [("node-1", "node-2"), ("node-2", "node-0, node-1")] {
            let why = format!(
                "FB318: cannot set up secure aggregation key-0 on node {node}: these nodes did not answer: {silent}"
            );
            sample.answer(node, &why);
        }
        sample.pass(2000);
        sample.ask("key-1", &nodes, true);
        sample.begin("key-1", &nodes);
        for from in nodes {
            for to in nodes.into_iter().filter(|to| *to != from) {
                sample.share(from, to, "key-1", Fate::Fine, Fate::Fine);
            }
        }
        for node in nodes {
            sample.end(node, "key-1", &nodes);
            sample.answer(node, "done: key-1");
        }
        sample.pass(150);
        sample.fault("power", "node-2", 7500);
        sample.share("node-0", "node-1", "key-1", Fate::Cancelled, Fate::Fine);
        sample.fault("kill", "node-1", 0);
        sample.pass(12_000);
        sample.event(What::Started {
            node: "node-2".into(),
            life: 2,
        });
        sample.broken(
            "what was stored is there",
            "node-2 reported key-1 and does not have it",
        );
        sample
    }

    pub(super) fn pass(&mut self, ms: u64) {
        self.at += ms * MS;
    }

    pub(super) fn event(&mut self, what: What) {
        self.event_at(self.at, what);
    }

    fn event_at(&mut self, at: u64, what: What) {
        let place = self.trace.events.partition_point(|event| event.at <= at);
        self.trace.events.insert(place, Event { at, what });
    }

    pub(super) fn broken(&mut self, invariant: &str, how: &str) {
        let (invariant, how) = (invariant.into(), how.into());
        self.event(What::Broken { invariant, how });
    }

    /// A fault that lasts `ms`; one of 0 ms does not end.
    pub(super) fn fault(&mut self, fault: &str, node: &str, ms: u64) {
        let (fault, node) = (fault.to_owned(), node.to_owned());
        let until = self.at + ms * MS;
        self.event(What::FaultBegan {
            fault: fault.clone(),
            node: node.clone(),
        });
        if ms > 0 {
            self.event_at(until, What::FaultEnded { fault, node });
        }
    }

    /// The researcher asks all nodes for a run.
    pub(super) fn ask(&mut self, run: &str, nodes: &[&str], delivered: bool) {
        for node in nodes {
            self.n += 1;
            let (n, to) = (self.n, (*node).to_owned());
            self.event(What::Asked {
                n,
                to: to.clone(),
                kind: "AdditiveSSSetupRequest".into(),
                run: run.into(),
            });
            if delivered {
                self.event_at(self.at + 2 * MS, What::Delivered { n, to });
            }
        }
        self.pass(3);
    }

    /// The nodes begin a run.
    pub(super) fn begin(&mut self, run: &str, nodes: &[&str]) {
        for node in nodes {
            let others = nodes.iter().filter(|other| *other != node);
            let share_for = |other: &&str| HostCall {
                import: "sharing.share-for".into(),
                given: vec![Value::Text((*other).to_owned())],
                result: Value::Bytes(secret(1 + self.requests as u32, 255)),
            };
            let publish = |other: &&str| Effect::Publish {
                run: run.into(),
                audience: Some((*other).to_owned()),
                body: secret(1 + self.requests as u32, 255),
            };
            let ask = |other: &&str| Request {
                to: (*other).to_owned(),
                kind: "AdditiveSSharingRequest".into(),
                fields: fields(&[("secagg_id", run.into())]),
            };
            let step = Call {
                at: self.at + 50,
                entry: Entry::Step(vec![]),
                host_calls: others.clone().map(share_for).collect(),
                ended: Ended::Effects {
                    effects: others.clone().map(publish).collect(),
                    ask: others.map(ask).collect(),
                },
                cost: cost(48_210),
            };
            let begin = Call {
                at: self.at,
                entry: Entry::Begin,
                host_calls: vec![],
                ended: Ended::Found,
                cost: cost(9_120),
            };
            self.trace.sessions.push(Session {
                node: (*node).to_owned(),
                plugin: "additive-sharing".into(),
                digest: "a".repeat(64),
                work: Work::Run(RunOf {
                    kind: "AdditiveSSSetupRequest".into(),
                    researcher: "researcher".into(),
                    run: run.into(),
                    experiment: "experiment".into(),
                    parties: nodes.iter().map(|node| (*node).to_owned()).collect(),
                }),
                calls: vec![begin, step],
            });
        }
    }

    /// A node has all answers to a run.
    pub(super) fn end(&mut self, node: &str, run: &str, nodes: &[&str]) {
        let at = self.at;
        let session = self.trace.sessions.iter_mut().rfind(|session| {
            session.node == node && matches!(&session.work, Work::Run(of) if of.run == run)
        });
        let answer = |other: &&str| Answer {
            from: (*other).to_owned(),
            body: fields(&[("secagg_id", run.into()), ("share", 7.into())]),
        };
        let share = |other: &&str| Answer {
            from: (*other).to_owned(),
            body: secret(9, 255),
        };
        let others = nodes.iter().filter(|other| **other != node);
        session.expect("a run").calls.push(Call {
            at,
            entry: Entry::Step(others.clone().map(answer).collect()),
            host_calls: vec![],
            ended: Ended::Effects {
                effects: vec![Effect::EstablishServerKey {
                    shares: others.map(share).collect(),
                }],
                ask: vec![],
            },
            cost: cost(61_002),
        });
    }

    pub(super) fn answer(&mut self, node: &str, with: &str) {
        let (from, with) = (node.to_owned(), with.to_owned());
        self.pass(1);
        self.event(What::Answered { from, with });
    }

    pub(super) fn set_up_channel(&mut self, from: &str, to: &str, fate: Fate) {
        let pem = format!(
            "-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n",
            "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE".repeat(3)
        );
        let key = ("public_key", message::Value::Bin(pem.into_bytes()));
        self.exchange(from, to, "ChannelSetup", &[], &[key], fate, Fate::Fine);
    }

    /// One node asks another for its share, and gets it.
    pub(super) fn share(&mut self, from: &str, to: &str, run: &str, there: Fate, back: Fate) {
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

fn secret(id: u32, length: usize) -> Bytes {
    format!("{{{id}:{length}}}").parse().expect("bytes")
}

fn cost(fuel: u64) -> Cost {
    Cost {
        fuel: Some(fuel),
        memory: 1_114_112,
    }
}

fn fields(entries: &[(&str, message::Value)]) -> Bytes {
    let entries = entries
        .iter()
        .map(|(name, value)| ((*name).into(), value.clone()))
        .collect();
    message::Value::Map(entries).encode().into()
}
