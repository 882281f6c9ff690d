//! A relay that does what the scripts of `fixtures/suite2/misbehaviours.json` say, and then its work: nothing is taken that should not
//! be, what is refused changes nothing, and in the end the nodes talk.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use backchannel::message::{NodeId, OverlayMessage, ResearcherId};
use backchannel::sessions::{Moment, Opened, Refused, Sealed, Suite};

use crate::oracle::Oracle;
use crate::script::{Script, Sent, Step};
use crate::stage::{Node, RETRY, first_moment, inner};

/// So many are asked for; and each does something else.
const LEAST_SCRIPTS: usize = 200;
/// So often may the nodes try to talk, once the relay behaves. A handshake and its crossing need two.
const TRIES: usize = 4;
const NODES: [&str; 3] = ["a", "b", "c"];

/// How the nodes are made to fail, to see that it is noticed.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Broken {
    No,
    /// What was taken once is taken again.
    Repeats,
    /// What the relay changed is taken for what it was.
    Ignores,
    /// After something was refused nothing is taken any more.
    Sulks,
}

/// A node, in the how manieth of its lives, and what it took.
struct Actor {
    node: Node,
    life: u32,
    took: Vec<(OverlayMessage, Opened)>,
    sulks: bool,
}

/// Three nodes that know each other, and what the relay has of them.
struct Play {
    actors: BTreeMap<NodeId, Actor>,
    frames: BTreeMap<String, OverlayMessage>,
    oracle: Oracle,
    now: Moment,
    said: usize,
    broken: Broken,
    /// What the relay was refused for.
    refused: Vec<Refused>,
}

impl Actor {
    fn new(suite: Suite, name: &str, life: u32, now: Moment) -> Self {
        let seed = u64::from(life) * 100 + u64::from(name.as_bytes()[0]);
        let mut node = Node::of(suite, name, seed);
        for peer in NODES.into_iter().filter(|peer| *peer != name) {
            node.know(peer, now);
        }
        Self {
            node,
            life,
            took: Vec::new(),
            sulks: false,
        }
    }
}

impl Play {
    fn new(suite: Suite, broken: Broken) -> Self {
        let now = first_moment();
        let actor = |name: &str| Actor::new(suite, name, 1, now);
        let actors = NODES.map(|name| (name.parse().expect("an id"), actor(name)));
        Self {
            actors: actors.into(),
            frames: BTreeMap::new(),
            oracle: Oracle::new(suite),
            now,
            said: 0,
            broken,
            refused: Vec::new(),
        }
    }

    fn actor(&mut self, name: &str) -> Result<&mut Actor, String> {
        let actor = name.parse().ok().and_then(|id| self.actors.get_mut(&id));
        actor.ok_or_else(|| format!("there is no node {name}"))
    }

    fn frame(&self, name: &str) -> Result<&OverlayMessage, String> {
        let frame = self.frames.get(name);
        frame.ok_or_else(|| format!("the relay has no {name}"))
    }

    /// The relay gets to see what a node made.
    fn keep(&mut self, name: &str, message: OverlayMessage) -> Result<(), String> {
        match self.frames.insert(name.to_owned(), message) {
            None => Ok(()),
            Some(_) => Err(format!("{name} is there twice")),
        }
    }

    /// A message is handed to a node, which was `genuine` before the relay changed it.
    fn hand(
        &mut self,
        to: &NodeId,
        message: &OverlayMessage,
        genuine: &OverlayMessage,
    ) -> Result<Result<Opened, Refused>, String> {
        let (now, broken) = (self.now, self.broken);
        let actor = self.actor(to.as_str())?;
        actor.node.sessions.tidy(now);
        let before = actor.node.sessions.digest();
        let mut opened = match broken {
            Broken::Ignores => actor.node.open(genuine, now),
            Broken::Sulks if actor.sulks => Err(Refused::TooMany),
            _ => actor.node.open(message, now),
        };
        if opened.is_err() {
            if actor.node.sessions.digest() != before {
                return Err("what was refused changed something".into());
            }
            actor.sulks = true;
            let took = actor.took.iter().find(|(took, _)| took == message);
            if let Some((_, before)) = took.filter(|_| broken == Broken::Repeats) {
                opened = Ok(before.clone());
            }
        }
        let life = actor.life;
        if let Ok(opened) = &opened {
            actor.took.push((message.clone(), opened.clone()));
            self.oracle.judge(to, life, message, opened)?;
            if let Opened::Answer(made) | Opened::Established { proof: made, .. } = opened {
                self.oracle.made(made, None);
            }
        }
        Ok(opened)
    }

    fn deliver(&mut self, name: &str) -> Result<Opened, String> {
        let message = self.frame(name)?.clone();
        let opened = self.hand(&message.dest, &message, &message)?;
        opened.map_err(|refused| format!("{name} was not taken: {refused}"))
    }

    fn begin(&mut self, from: &str, to: &str, at: &str) -> Result<Option<OverlayMessage>, String> {
        let (to, at) = ids(to, at)?;
        let now = self.now;
        let Node { sessions, rng, .. } = &mut self.actor(from)?.node;
        let begun = sessions.begin(&to, &at, now, rng);
        let begun = begun.map_err(|error| error.to_string())?;
        if let Some(begun) = &begun {
            self.oracle.made(begun, None);
        }
        Ok(begun)
    }

    /// A node wants to say something that nobody said before.
    fn say(&mut self, from: &str, to: &str, at: &str) -> Result<Sealed, String> {
        let (id, at) = ids(to, at)?;
        self.said += 1;
        let content = inner(from, id.as_str(), &format!("saying {}", self.said));
        let now = self.now;
        let Node { sessions, rng, .. } = &mut self.actor(from)?.node;
        let sealed = sessions.seal(&at, &content, now, rng);
        let sealed = sealed.map_err(|error| error.to_string())?;
        let handshake = match &sealed {
            Sealed::Message { message, handshake } => {
                self.oracle.made(message, Some(content));
                handshake
            }
            Sealed::NeedsHandshake { handshake, .. } => handshake,
        };
        if let Some(handshake) = handshake {
            self.oracle.made(handshake, None);
        }
        Ok(sealed)
    }

    fn step(&mut self, step: Step<'_>) -> Result<(), String> {
        match step {
            Step::Begin(Sent { from, to, at, name }) => {
                let begun = self.begin(from, to, at)?;
                self.keep(name, begun.ok_or("a handshake is under way")?)
            }
            Step::Say(Sent { from, to, at, name }) => match self.say(from, to, at)? {
                Sealed::Message { message, .. } => self.keep(name, message),
                Sealed::NeedsHandshake { .. } => Err("there is no session".into()),
            },
            Step::Close(Sent { from, to, at, name }) => {
                let (to, at) = ids(to, at)?;
                let now = self.now;
                let Node { sessions, rng, .. } = &mut self.actor(from)?.node;
                let closed = sessions.close(&to, &at, now, rng).ok_or("no session")?;
                self.oracle.made(&closed, None);
                self.keep(name, closed)
            }
            Step::Session(Sent { from, to, at, name }) => {
                let [first, second, proof] =
                    ["hs1", "hs2", "proof"].map(|frame| format!("{name}.{frame}"));
                for step in [
                    format!("begin {from} {to} {at} {first}"),
                    format!("deliver {first} {second}"),
                    format!("deliver {second} {proof}"),
                    format!("deliver {proof}"),
                ] {
                    self.step(Step::read(&step).ok_or("no step")?)?;
                }
                Ok(())
            }
            Step::Deliver { frame, answer } => match (self.deliver(frame)?, answer) {
                (Opened::Answer(made) | Opened::Established { proof: made, .. }, Some(answer)) => {
                    self.keep(answer, made)
                }
                (opened, Some(_)) => Err(format!("{opened:?} answers nothing")),
                (_, None) => Ok(()),
            },
            Step::Inject { frame, to, changes } => {
                let genuine = self.frame(frame)?.clone();
                let mut message = genuine.clone();
                for change in &changes {
                    let made = change.make(&mut message, |name| self.frames.get(name));
                    made.ok_or("a change that cannot be made")?;
                }
                if !changes.is_empty() && message == genuine {
                    return Err("a change that changes nothing".into());
                }
                let to = match to {
                    Some(to) => to.parse().map_err(|_| "no id")?,
                    None => message.dest.clone(),
                };
                match self.hand(&to, &message, &genuine)? {
                    Err(refused) => {
                        self.refused.push(refused);
                        Ok(())
                    }
                    Ok(opened) => Err(format!("{opened:?}: taken")),
                }
            }
            Step::Restart(name) => {
                let now = self.now;
                let actor = self.actor(name)?;
                let (life, took) = (actor.life + 1, std::mem::take(&mut actor.took));
                *actor = Actor {
                    took,
                    ..Actor::new(actor.node.suite, name, life, now)
                };
                Ok(())
            }
            Step::Pass(time) => {
                self.now.running += time;
                self.now.wall += time;
                Ok(())
            }
        }
    }

    /// From now on the relay forwards what it gets, in order. Whether one hears the other, who tries now and then.
    fn talks(&mut self, from: &str, to: &str, at: &str) -> Result<(), String> {
        for _ in 0..TRIES {
            self.step(Step::Pass(RETRY))?;
            let mut queue = VecDeque::new();
            match self.say(from, to, at)? {
                Sealed::Message { message, handshake } => {
                    queue.push_back(message);
                    queue.extend(handshake);
                }
                Sealed::NeedsHandshake { handshake, .. } => queue.extend(handshake),
            }
            while let Some(message) = queue.pop_front() {
                match self.hand(&message.dest, &message, &message)? {
                    Ok(Opened::Message { .. }) => return Ok(()),
                    Ok(Opened::Answer(made) | Opened::Established { proof: made, .. }) => {
                        queue.push_back(made);
                    }
                    Err(refused) if refused.suggests_handshake() => {
                        let (by, peer) = (message.dest.as_str(), message.source.as_str());
                        queue.extend(self.begin(by, peer, at)?);
                    }
                    _ => {}
                }
            }
        }
        Err(format!("{from} cannot talk to {to} at {at}"))
    }
}

fn ids(node: &str, researcher: &str) -> Result<(NodeId, ResearcherId), String> {
    let node = node.parse().map_err(|_| "no id")?;
    let researcher = researcher.parse().map_err(|_| "no id")?;
    Ok((node, researcher))
}

/// Plays a script. What the relay was refused for; or at which step something happened that must not.
fn play(suite: Suite, script: &Script, broken: Broken) -> Result<Vec<Refused>, String> {
    let mut play = Play::new(suite, broken);
    for text in &script.steps {
        let step = Step::read(text).ok_or_else(|| format!("{text:?} is no step"))?;
        play.step(step)
            .map_err(|wrong| format!("{text}: {wrong}"))?;
    }
    for at in ["r", "s"] {
        play.talks("a", "b", at)?;
        play.talks("b", "a", at)?;
    }
    Ok(play.refused)
}

fn scripts() -> Vec<Script> {
    let text = include_str!("../fixtures/suite2/misbehaviours.json");
    serde_json::from_str(text).expect("scripts")
}

#[test]
fn whatever_a_relay_does_nothing_is_taken_that_should_not_be_and_the_nodes_talk_again() {
    let scripts = scripts();
    let names: BTreeSet<_> = scripts.iter().map(|script| &script.name).collect();
    let distinct: BTreeSet<_> = scripts.iter().map(|script| &script.steps).collect();
    assert_eq!(
        (names.len(), distinct.len()),
        (scripts.len(), scripts.len())
    );
    assert!(distinct.len() >= LEAST_SCRIPTS, "{}", distinct.len());

    for suite in Suite::ALL {
        let mut reasons = BTreeMap::new();
        let mut wrong = Vec::new();
        for script in &scripts {
            let name = &script.name;
            match play(suite, script, Broken::No) {
                Ok(refused) if refused.is_empty() => wrong.push(format!("{name}: harmless")),
                Ok(refused) => {
                    for refused in refused {
                        *reasons.entry(refused.name()).or_insert(0) += 1;
                    }
                }
                Err(what) => wrong.push(format!("{name}: {what}")),
            }
        }
        let (scripts, refused): (_, i32) = (scripts.len(), reasons.values().sum());
        println!("{suite:?}: {scripts} scripts, {refused} refused: {reasons:?}");
        assert!(wrong.is_empty(), "{suite:?}: {}", wrong.join("\n"));
    }
}

#[test]
fn nodes_that_are_broken_are_found_out() {
    let scripts = scripts();
    for (broken, complaint) in [
        (Broken::Repeats, "it was taken before"),
        (Broken::Ignores, "nobody made what was taken"),
        (Broken::Sulks, "cannot talk"),
    ] {
        let found = scripts.iter().filter(|script| {
            play(Suite::Two, script, broken).is_err_and(|wrong| wrong.contains(complaint))
        });
        let found = found.count();
        println!("{broken:?}: found out by {found} scripts");
        assert!(found > 0, "{broken:?}: {found}");
    }
}

#[test]
fn the_oracle_takes_what_was_made_once_and_nothing_else() {
    let (now, b): (_, NodeId) = (first_moment(), "b".parse().expect("an id"));
    let mut play = Play::new(Suite::Two, Broken::No);
    let session = Step::read("session a b r one").expect("a step");
    play.step(session).expect("a session");
    let Ok(Sealed::Message { message, .. }) = play.say("a", "b", "r") else {
        panic!("no message");
    };
    let opened = play.actor("b").expect("b").node.open(&message, now);
    let opened = opened.expect("a message");
    let other = Opened::Message {
        inner: inner("a", "b", "another"),
        established: None,
    };
    let elsewhere = OverlayMessage {
        researcher_id: "s".parse().expect("an id"),
        ..message.clone()
    };
    let mut judge = |by: &NodeId, message: &OverlayMessage, opened: &Opened| {
        play.oracle.judge(by, 1, message, opened)
    };
    assert!(judge(&b, &elsewhere, &opened).is_err(), "elsewhere");
    assert!(
        judge(&message.source, &message, &opened).is_err(),
        "to whom"
    );
    assert_eq!(judge(&b, &message, &opened), Ok(()));
    assert!(judge(&b, &message, &opened).is_err(), "twice");

    let Ok(Sealed::Message { message, .. }) = play.say("a", "b", "r") else {
        panic!("no message");
    };
    let said = play.oracle.judge(&b, 1, &message, &other);
    assert!(said.is_err(), "what was not said");
}
