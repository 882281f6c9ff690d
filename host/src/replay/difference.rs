use std::collections::BTreeSet;
use std::fmt;

use crate::trace::{Answer, Call, Effect, Ended, Entry, HostCall, Request, Session};

/// The first thing in which a session is not as it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Which call, counted from 0.
    pub call: usize,
    /// Its name: `handle`, `finalize`, `begin`, `step`.
    pub entry: &'static str,
    /// In what.
    pub differs: Differs,
}

/// In what a call differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Differs {
    /// It is not made any more, or was not made.
    Made {
        /// Whether it is now.
        now: bool,
    },
    /// It asks the host for something else.
    HostCall {
        /// Which of its calls of imports, counted from 0.
        at: usize,
        /// What it asked for.
        then: Option<HostCall>,
        /// What it asks for.
        now: Option<HostCall>,
    },
    /// It ends otherwise.
    Ended {
        /// How it ended.
        then: Ended,
        /// How it ends.
        now: Ended,
    },
    /// It takes another number of instructions.
    Fuel {
        /// As many as it took.
        then: u64,
        /// As many as it takes.
        now: u64,
    },
}

impl Differs {
    /// Which of these it is.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Made { .. } => "made",
            Self::HostCall { .. } => "host call",
            Self::Ended { .. } => "ended",
            Self::Fuel { .. } => "fuel",
        }
    }
}

impl Difference {
    /// The first difference between what was recorded `then` and what came of it `now`. Where a secret was left out of the
    /// recording, only its length counts, unless the plugin was given it.
    ///
    /// `fuel`: whether the number of instructions counts too, as it does for the same component on the same engine.
    pub fn first(then: &Session, now: &Session, fuel: bool) -> Option<Self> {
        let known = then.secrets_given();
        let longest = then.calls.len().max(now.calls.len());
        for call in 0..longest {
            let (before, after) = (then.calls.get(call), now.calls.get(call));
            let entry = name(before.or(after)?);
            let differs = match (before, after) {
                (Some(before), Some(after)) => between(before, after, &known, fuel),
                (_, now) => Some(Differs::Made { now: now.is_some() }),
            };
            if let Some(differs) = differs {
                return Some(Self {
                    call,
                    entry,
                    differs,
                });
            }
        }
        None
    }
}

fn name(call: &Call) -> &'static str {
    match call.entry {
        Entry::Handle => "handle",
        Entry::Finalize => "finalize",
        Entry::Begin => "begin",
        Entry::Step(_) => "step",
    }
}

fn between(then: &Call, now: &Call, known: &BTreeSet<u32>, fuel: bool) -> Option<Differs> {
    // Who cancels a call is not in the plugin's hands; up to there it must be the same.
    let cancelled = then.ended == Ended::Cancelled;
    let longest = then.host_calls.len().max(now.host_calls.len());
    for at in 0..longest {
        let (before, after) = (then.host_calls.get(at), now.host_calls.get(at));
        let same = match (before, after) {
            (Some(before), Some(after)) => before.asks_for_the_same(after, known),
            (None, Some(_)) => cancelled,
            _ => false,
        };
        if !same {
            let (then, now) = (before.cloned(), after.cloned());
            return Some(Differs::HostCall { at, then, now });
        }
    }
    if cancelled {
        return None;
    }
    if !may_end_so(&then.ended, &now.ended, known) {
        let (then, now) = (then.ended.clone(), now.ended.clone());
        return Some(Differs::Ended { then, now });
    }
    match (then.cost.fuel, now.cost.fuel) {
        (Some(then), Some(now)) if fuel && then != now => Some(Differs::Fuel { then, now }),
        _ => None,
    }
}

fn may_end_so(then: &Ended, now: &Ended, known: &BTreeSet<u32>) -> bool {
    let (
        Ended::Effects { effects, ask },
        Ended::Effects {
            effects: now,
            ask: asks,
        },
    ) = (then, now)
    else {
        return then == now;
    };
    each(effects, now, |then, now| same_effect(then, now, known))
        && each(ask, asks, |then, now| {
            let Request { to, kind, fields } = then;
            (to, kind) == (&now.to, &now.kind)
                && fields.may_be(&now.fields.stand_in(), |id| known.contains(&id))
        })
}

fn each<T>(then: &[T], now: &[T], same: impl Fn(&T, &T) -> bool) -> bool {
    then.len() == now.len() && then.iter().zip(now).all(|(then, now)| same(then, now))
}

fn same_effect(then: &Effect, now: &Effect, known: &BTreeSet<u32>) -> bool {
    let may_be = |then: &crate::trace::Bytes, now: &crate::trace::Bytes| {
        then.may_be(&now.stand_in(), |id| known.contains(&id))
    };
    let parties = |then: &[Answer], now: &[Answer]| {
        each(then, now, |then, now| {
            then.from == now.from && may_be(&then.body, &now.body)
        })
    };
    match (then, now) {
        (
            Effect::Reply { kind, fields },
            Effect::Reply {
                kind: other,
                fields: now,
            },
        ) => kind == other && may_be(fields, now),
        (Effect::Deliver { body }, Effect::Deliver { body: now })
        | (Effect::SetPeerKey { pem: body }, Effect::SetPeerKey { pem: now }) => may_be(body, now),
        (
            Effect::Publish {
                run,
                audience,
                body,
            },
            Effect::Publish {
                run: other,
                audience: another,
                body: now,
            },
        ) => (run, audience) == (other, another) && may_be(body, now),
        (Effect::EstablishPairSecrets { keys }, Effect::EstablishPairSecrets { keys: now })
        | (
            Effect::EstablishServerKey { shares: keys },
            Effect::EstablishServerKey { shares: now },
        ) => parties(keys, now),
        (
            Effect::Store { key, value },
            Effect::Store {
                key: other,
                value: now,
            },
        ) => {
            key == other
                && match (value, now) {
                    (Some(value), Some(now)) => may_be(value, now),
                    (value, now) => value.is_none() && now.is_none(),
                }
        }
        _ => false,
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (call {}): ", self.entry, self.call + 1)?;
        let or_nothing = |call: &Option<HostCall>| match call {
            Some(call) => format!("{call} = {}", call.result),
            None => "nothing more".into(),
        };
        match &self.differs {
            Differs::Made { now: true } => f.write_str("was not made then, and is made now"),
            Differs::Made { now: false } => f.write_str("was made then, and is not made now"),
            Differs::HostCall { at, then, now } => write!(
                f,
                "host call {}\n  - {}\n  + {}",
                at + 1,
                or_nothing(then),
                or_nothing(now)
            ),
            Differs::Ended { then, now } => write!(f, "ends otherwise\n{}", changed(then, now)),
            Differs::Fuel { then, now } => write!(f, "took {then} instructions, takes {now}"),
        }
    }
}

/// Two ends, line by line: those of one only are marked.
fn changed(then: &Ended, now: &Ended) -> String {
    let (then, now) = (then.lines(), now.lines());
    let mut lines = Vec::new();
    lines.extend(
        then.iter()
            .filter(|line| !now.contains(line))
            .map(|line| format!("  - {line}")),
    );
    lines.extend(
        now.iter()
            .filter(|line| !then.contains(line))
            .map(|line| format!("  + {line}")),
    );
    if lines.is_empty() {
        lines.push("  the same effects in another order".into());
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::{Bytes, Cost, Incoming, Value, Work};

    fn session(host_calls: Vec<HostCall>, ended: Ended) -> Session {
        let incoming = Incoming {
            id: None,
            researcher: "r".into(),
            source: "b".into(),
            setup: false,
            assurance: "channel-key".into(),
            kind: "K".into(),
            request: None,
            fields: Bytes::default(),
        };
        let call = Call {
            at: 0,
            entry: Entry::Handle,
            host_calls,
            ended,
            cost: Cost {
                fuel: Some(5),
                memory: 0,
            },
        };
        Session {
            node: "a".into(),
            plugin: "p".into(),
            digest: String::new(),
            work: Work::Message(incoming),
            calls: vec![call],
        }
    }

    fn random(result: &str) -> HostCall {
        HostCall {
            import: "random.bytes".into(),
            given: vec![Value::Number(4)],
            result: Value::Bytes(result.parse().expect("bytes")),
        }
    }

    fn reply(fields: Bytes) -> Ended {
        let kind = "R".into();
        Ended::Effects {
            effects: vec![Effect::Reply { kind, fields }],
            ask: vec![],
        }
    }

    #[test]
    fn a_secret_that_the_plugin_was_given_must_be_handed_on_unchanged() {
        let secret: Bytes = "{1:4}".parse().expect("bytes");
        let then = session(vec![random("{1:4}")], reply(secret.clone()));

        let same = session(vec![random("{1:4}")], reply(secret.stand_in().into()));
        assert_eq!(Difference::first(&then, &same, true), None);
        let other = session(vec![random("{1:4}")], reply(vec![1, 2, 3, 4].into()));
        assert!(Difference::first(&then, &other, true).is_some());
    }

    #[test]
    fn a_secret_of_its_own_making_may_be_any_of_its_length() {
        let then = session(vec![], reply("{2:4}".parse().expect("bytes")));

        let other = session(vec![], reply(vec![1, 2, 3, 4].into()));
        assert_eq!(Difference::first(&then, &other, true), None);
        let longer = session(vec![], reply(vec![1, 2, 3, 4, 5].into()));
        assert!(Difference::first(&then, &longer, true).is_some());
    }

    #[test]
    fn names_the_first_host_call_that_is_another() {
        let then = session(vec![random("01020304"), random("05060708")], Ended::Nothing);
        let now = session(vec![random("01020304")], Ended::Nothing);

        let difference = Difference::first(&then, &now, true).expect("different");

        assert!(
            matches!(
                difference.differs,
                Differs::HostCall {
                    at: 1,
                    now: None,
                    ..
                }
            ),
            "{difference}"
        );
        assert!(
            difference
                .to_string()
                .contains("- random.bytes(4) = 05060708")
        );
    }

    #[test]
    fn after_a_cancelled_call_anything_may_have_come() {
        let then = session(vec![random("01020304")], Ended::Cancelled);
        let now = session(vec![random("01020304"), random("05")], Ended::Nothing);

        assert_eq!(Difference::first(&then, &now, true), None);
        let less = session(vec![], Ended::Nothing);
        assert!(Difference::first(&then, &less, true).is_some());
    }

    #[test]
    fn instructions_count_for_the_same_component_only() {
        let (then, mut now) = (
            session(vec![], Ended::Nothing),
            session(vec![], Ended::Nothing),
        );
        now.calls[0].cost.fuel = Some(6);

        assert!(Difference::first(&then, &now, true).is_some());
        assert_eq!(Difference::first(&then, &now, false), None);
    }
}
