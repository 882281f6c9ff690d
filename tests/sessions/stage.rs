//! Two nodes that know each other, and what passes between them.

use std::time::Duration;

use backchannel::message::{Inner, NodeId, OverlayMessage, ResearcherId, Value};
use backchannel::primitives::derive_secret_key;
use backchannel::sessions::{
    Agreed, Hello, Known, Limits, Moment, Opened, Refused, Sealed, Sessions, Suite,
};
use p256::{PublicKey, SecretKey};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

/// What a relay of Fed-BioMed holds a message for, at most.
pub const HELD: Duration = Duration::from_secs(300);
/// When another handshake may follow one that was not answered.
pub const RETRY: Duration = Duration::from_secs(5);
pub const MINUTE: Duration = Duration::from_secs(60);
/// Those of nodes that talk in suite 2 alone.
pub const LIMITS: Limits = limits(Suite::Two);

/// A node and what it draws.
pub struct Node {
    pub id: NodeId,
    /// In which it talks, and in no other.
    pub suite: Suite,
    pub sessions: Sessions,
    pub rng: ChaCha20Rng,
}

/// A node with the lower id, one with the higher, and the time.
pub struct Stage {
    pub a: Node,
    pub b: Node,
    pub now: Moment,
}

/// Those of nodes that talk in this suite alone.
pub const fn limits(suite: Suite) -> Limits {
    Limits {
        highest: suite.number(),
        lowest: suite.number(),
    }
}

pub fn identity(name: &str) -> SecretKey {
    derive_secret_key(&[1; 32], name.as_bytes())
}

pub fn public(name: &str) -> PublicKey {
    identity(name).public_key()
}

pub fn node(name: &str) -> NodeId {
    name.parse().expect("an id")
}

pub fn researcher() -> ResearcherId {
    "researcher".parse().expect("an id")
}

pub fn hello(name: &str) -> Hello {
    Hello {
        roster: name.len() as u64,
        capabilities: 1,
    }
}

pub fn inner(from: &str, to: &str, text: &str) -> Inner {
    let fields = Value::Map(vec![("text".into(), text.into())]);
    Inner::new(node(from), node(to), None, "SiteGreeting", fields).expect("a message")
}

/// What others know of a node.
pub fn known(name: &str, limits: Limits) -> Known {
    Known {
        identity: public(name),
        federation: "federation".parse().expect("an id"),
        limits,
    }
}

pub fn first_moment() -> Moment {
    Moment {
        running: Duration::from_secs(1000),
        wall: Duration::from_secs(1_800_000_000),
    }
}

impl Node {
    pub fn new(name: &str, seed: u64) -> Self {
        Self::of(Suite::Two, name, seed)
    }

    pub fn of(suite: Suite, name: &str, seed: u64) -> Self {
        let sessions = Sessions::new(node(name), identity(name), hello(name));
        Self {
            id: node(name),
            suite,
            sessions,
            rng: ChaCha20Rng::seed_from_u64(seed),
        }
    }

    /// With the limits that are usual.
    pub fn know(&mut self, peer: &str, now: Moment) {
        let known = known(peer, limits(self.suite));
        self.sessions.know(node(peer), known, now);
    }

    pub fn begin(&mut self, peer: &str, now: Moment) -> Option<OverlayMessage> {
        let begun = self
            .sessions
            .begin(&node(peer), &researcher(), now, &mut self.rng);
        begun.expect("a known peer")
    }

    pub fn open(&mut self, message: &OverlayMessage, now: Moment) -> Result<Opened, Refused> {
        self.sessions.open(message, now, &mut self.rng)
    }

    /// Opens the peer's handshake; the answer.
    pub fn answer(&mut self, message: &OverlayMessage, now: Moment) -> OverlayMessage {
        match self.open(message, now) {
            Ok(Opened::Answer(answer)) => answer,
            other => panic!("{other:?} is no answer"),
        }
    }

    /// Opens the peer's answer; the proof.
    pub fn establish(&mut self, message: &OverlayMessage, now: Moment) -> OverlayMessage {
        match self.open(message, now) {
            Ok(Opened::Established { proof, .. }) => proof,
            other => panic!("{other:?} is no new session"),
        }
    }

    pub fn try_seal(&mut self, to: &str, text: &str, now: Moment) -> Sealed {
        let content = inner(self.id.as_str(), to, text);
        let sealed = self
            .sessions
            .seal(&researcher(), &content, now, &mut self.rng);
        sealed.expect("a known peer and a small message")
    }

    pub fn seal(&mut self, to: &str, text: &str, now: Moment) -> OverlayMessage {
        match self.try_seal(to, text, now) {
            Sealed::Message { message, .. } => message,
            other => panic!("{other:?} is no message"),
        }
    }

    /// Opens a message that says `text`.
    pub fn hears(&mut self, message: &OverlayMessage, text: &str, now: Moment) {
        match self.open(message, now) {
            Ok(Opened::Message { inner, .. }) => {
                let said = inner.fields.get("text").and_then(Value::as_str);
                assert_eq!(said, Some(text));
                assert_eq!((&inner.source, &inner.dest), (&message.source, &self.id));
            }
            other => panic!("{other:?} instead of {text:?}"),
        }
    }

    pub fn close(&mut self, peer: &str, now: Moment) -> Option<OverlayMessage> {
        self.sessions
            .close(&node(peer), &researcher(), now, &mut self.rng)
    }

    /// Refuses a message and is as it was before. What for.
    pub fn refuses(&mut self, message: &OverlayMessage, now: Moment) -> Refused {
        // What time does is not the message's doing.
        self.sessions.tidy(now);
        let before = self.sessions.digest();
        let refused = self.open(message, now).expect_err("refused");
        assert_eq!(
            self.sessions.digest(),
            before,
            "{refused:?} changed something"
        );
        refused
    }
}

impl Stage {
    pub fn new() -> Self {
        Self::of(Suite::Two)
    }

    pub fn of(suite: Suite) -> Self {
        let now = first_moment();
        let [mut a, mut b] = [("a", 1), ("b", 2)].map(|(name, seed)| Node::of(suite, name, seed));
        a.know("b", now);
        b.know("a", now);
        Self { a, b, now }
    }

    /// A stage whose nodes have a session that `a` began.
    pub fn with_session() -> Self {
        Self::with_session_of(Suite::Two)
    }

    pub fn with_session_of(suite: Suite) -> Self {
        let mut stage = Self::of(suite);
        stage.handshake();
        stage
    }

    pub fn pass(&mut self, time: Duration) {
        self.now.running += time;
        self.now.wall += time;
    }

    /// `a` begins, and nothing is lost.
    pub fn handshake(&mut self) {
        let Self { a, b, now } = self;
        let first = a.begin("b", *now).expect("nothing under way");
        let second = b.answer(&first, *now);
        let proof = a.establish(&second, *now);
        let established = Some(Agreed {
            suite: a.suite,
            peer: hello("a"),
            in_turn: false,
        });
        let opened = b.open(&proof, *now);
        assert_eq!(opened, Ok(Opened::Nothing { established }));
    }

    /// Both say something to each other.
    pub fn talks(&mut self) {
        let Self { a, b, now } = self;
        let message = a.seal("b", "from a", *now);
        b.hears(&message, "from a", *now);
        let message = b.seal("a", "from b", *now);
        a.hears(&message, "from b", *now);
    }

    /// Forgets all that a node has in memory. It knows its peer again, and draws something else than before.
    pub fn restart_a(&mut self) {
        self.a = Node::of(self.a.suite, "a", self.now.running.as_nanos() as u64);
        self.a.know("b", self.now);
    }

    /// As [`restart_a`](Self::restart_a).
    pub fn restart_b(&mut self) {
        self.b = Node::of(self.b.suite, "b", self.now.running.as_nanos() as u64 + 1);
        self.b.know("a", self.now);
    }
}
