//! Traces as a simulation writes them, made by hand, for tests.

mod exchange;

pub(super) use exchange::Fate;

use crate::message;
use crate::trace::{
    Answer, Bytes, Call, Cost, Effect, Ended, Entry, Event, Header, HostCall, Made, Plugin,
    Request, RunOf, Session, Simulated, Trace, Value, What, Work,
};

/// What somebody would write who wants a page to run a script of his.
pub(super) const HOSTILE: &str = "</script><script>alert(1)</script><img src=x onerror=alert(2)>";

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

    /// The faulty trace with [`HOSTILE`] in every text of it.
    pub(super) fn hostile() -> Trace {
        let mut trace = Self::faulty().trace;
        let made = serde_json::to_value(&trace.header.made).expect("JSON");
        trace.header.made = serde_json::from_value(hostile(made)).expect("as before");
        trace.header.build.push_str(HOSTILE);
        for plugin in &mut trace.plugins {
            let value = serde_json::to_value(&*plugin).expect("JSON");
            *plugin = serde_json::from_value(hostile(value)).expect("as before");
        }
        for event in &mut trace.events {
            let value = serde_json::to_value(&*event).expect("JSON");
            *event = serde_json::from_value(hostile(value)).expect("as before");
        }
        for session in &mut trace.sessions {
            let value = serde_json::to_value(&*session).expect("JSON");
            *session = serde_json::from_value(hostile(value)).expect("as before");
        }
        trace
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

/// A value with [`HOSTILE`] in each of its texts but the names of variants; bytes hold it as a field.
fn hostile(value: serde_json::Value) -> serde_json::Value {
    use serde_json::Value;
    const VARIANTS: [&str; 7] = [
        "handle",
        "finalize",
        "begin",
        "found",
        "nothing",
        "cancelled",
        "none",
    ];
    const BYTES: [&str; 4] = ["fields", "body", "pem", "bytes"];
    match value {
        Value::String(text) if VARIANTS.contains(&&*text) => Value::String(text),
        Value::String(text) => Value::String(text + HOSTILE),
        Value::Array(items) => items.into_iter().map(hostile).collect(),
        Value::Object(entries) => entries
            .into_iter()
            .map(|(name, value)| {
                let value = match value {
                    Value::String(_) if BYTES.contains(&&*name) => {
                        fields(&[("field", HOSTILE.into())]).to_string().into()
                    }
                    other => hostile(other),
                };
                (name, value)
            })
            .collect(),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the tests in `tests/` read.
    const FIXTURE: &str = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../tests/fixtures/traces/faulty.trace"
    );

    #[test]
    fn the_fixture_is_the_faulty_sample() {
        let mut faulty = Vec::new();
        Sample::faulty().trace.write(&mut faulty).expect("written");
        if std::env::var_os("BACKCHANNEL_WRITE_FIXTURES").is_some() {
            std::fs::write(FIXTURE, &faulty).expect("written");
        }

        let there = std::fs::read(FIXTURE).expect("the fixture");
        assert!(
            there == faulty,
            "run this test once with BACKCHANNEL_WRITE_FIXTURES=1 to write the fixture anew"
        );
        let read = Trace::read(&there[..]).expect("a trace");
        assert_eq!(read, Sample::faulty().trace);
    }
}
