//! A protocol in which every party says its name in each of several rounds, and misbehaves where the researcher's parameters say so.

use std::collections::{BTreeMap, BTreeSet};

use backchannel_sdk::{Entry, Failure, Next, Part, Round, Start, export_rounds, fields, store};
use serde::{Deserialize, Serialize};

/// Where it stores the name of its last run.
const LAST_RUN: &str = "last run";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Params {
    rounds: u32,
    /// How many others are needed; all if it is not said.
    quorum: Option<usize>,
    seconds: u32,
    /// Whom a party waits for; all others if it is not said.
    #[serde(default)]
    waits_for: BTreeMap<String, BTreeSet<String>>,
    /// What is handed over beside a name, in bytes.
    #[serde(default)]
    ballast: usize,
    /// Who does what, in the last round.
    #[serde(default)]
    acts: BTreeMap<String, Act>,
}

#[derive(Clone, Copy, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Act {
    RefuseToBegin,
    SayAnotherName,
    SayNothing,
    TrapInAccept,
    TrapInNext,
    HangInAccept,
    HandOverTooMuch,
    HangInNext,
    BlameTheFirst,
    BlameAStranger,
    GatherFromAStranger,
    WantMoreThanThereAre,
}

#[derive(Serialize, Deserialize)]
struct Name {
    name: String,
    ballast: String,
}

#[derive(Serialize)]
struct Heard {
    heard: BTreeSet<String>,
    missing: BTreeSet<String>,
    /// What was stored before this run.
    last_run: Option<String>,
}

struct Unruly {
    start: Start,
    params: Params,
    round: u32,
    heard: Heard,
}

impl Unruly {
    fn act(&self) -> Option<Act> {
        let last = self.round + 1 == self.params.rounds;
        self.params
            .acts
            .get(&self.start.node_id)
            .copied()
            .filter(|_| last)
    }
}

impl Part for Unruly {
    fn begin(start: Start) -> Result<Self, Failure> {
        let params: Params = start.params()?;
        if params.acts.get(&start.node_id) == Some(&Act::RefuseToBegin) {
            return Err(Failure::refused("I would rather not"));
        }
        let last_run = store::get(LAST_RUN)?;
        let heard = Heard {
            heard: BTreeSet::new(),
            missing: BTreeSet::new(),
            last_run: last_run.map(|name| String::from_utf8_lossy(&name).into_owned()),
        };
        Ok(Self {
            start,
            params,
            round: 0,
            heard,
        })
    }

    fn accept(&mut self, from: &str, body: &[u8]) -> Result<(), Failure> {
        match self.params.acts.get(&self.start.node_id) {
            Some(Act::TrapInAccept) => panic!("as the researcher wants it"),
            Some(Act::HangInAccept) => loop {
                std::hint::black_box(&body);
            },
            _ => {}
        }
        let Name { name, .. } = fields::decode(body)?;
        if name != from {
            return Err(Failure::malformed("says another name"));
        }
        self.heard.heard.insert(name);
        Ok(())
    }

    fn next(&mut self, missing: &[String]) -> Result<Next, Failure> {
        self.heard.missing.extend(missing.iter().cloned());
        if self.round == self.params.rounds {
            return Next::done(&self.heard);
        }
        let act = self.act();
        self.round += 1;
        let wanted = self.params.waits_for.get(&self.start.node_id);
        let others = self.start.others().filter(|other| {
            wanted.is_none_or(|wanted| wanted.contains(*other))
                && !self.heard.missing.contains(*other)
        });
        let mut from: Vec<_> = others.map(str::to_owned).collect();
        let mut name = self.start.node_id.clone();
        match act {
            Some(Act::SayAnotherName) => name = "nobody".to_owned(),
            Some(Act::TrapInNext) => panic!("as the researcher wants it"),
            Some(Act::HangInNext) => loop {
                std::hint::black_box(&name);
            },
            Some(Act::BlameTheFirst) => {
                return Ok(Next::blame(
                    from.into_iter().take(1),
                    "I do not like its name",
                ));
            }
            Some(Act::BlameAStranger) => return Ok(Next::blame(["stranger"], "who is that?")),
            Some(Act::GatherFromAStranger) => from.push("stranger".to_owned()),
            _ => {}
        }
        let mut quorum = self.params.quorum.unwrap_or(from.len());
        if act == Some(Act::WantMoreThanThereAre) {
            quorum = from.len() + 1;
        }
        let more = if act == Some(Act::HandOverTooMuch) {
            9 << 20
        } else {
            0
        };
        let ballast = "x".repeat(self.params.ballast + more);
        let mut round = Round::new().keep(Entry {
            key: LAST_RUN.to_owned(),
            value: Some(self.start.run.clone().into_bytes()),
        });
        if act != Some(Act::SayNothing) {
            round = round.tell(&Name { name, ballast })?;
        }
        Ok(round
            .gather(from, self.params.seconds)
            .quorum(quorum)
            .into())
    }
}

export_rounds!(Unruly);
