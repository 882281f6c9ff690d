//! `tests/fixtures/suite2/vectors.json` and `tests/fixtures/suite3/vectors.json`: what two nodes send each other, with all that they
//! draw, for whoever writes a suite once more; and as many messages that are to be refused, each with the moment and the reason.
//!
//! `BACKCHANNEL_WRITE_VECTORS=1` writes the files. Without, they are compared, and played from what is in them alone.

use std::convert::Infallible;
use std::path::PathBuf;
use std::time::Duration;

use backchannel::message::{Inner, OverlayMessage, Value};
use backchannel::sessions::{
    Hello, Known, Limits, Moment, Opened, Refused, Sealed, Sessions, Suite,
};
use p256::SecretKey;
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng, TryCryptoRng, TryRng};
use serde::{Deserialize, Serialize};

use crate::stage::{first_moment, identity, limits};

#[derive(Serialize, Deserialize, PartialEq, Debug)]
struct Vectors {
    note: String,
    federation: String,
    researcher: String,
    highest_suite: u8,
    lowest_suite: u8,
    /// Seconds since 1970.
    time: u64,
    nodes: Vec<NodeVector>,
    sent: Vec<Sent>,
    refused: Vec<RefusedVector>,
}

#[derive(Serialize, Deserialize, PartialEq, Debug)]
struct NodeVector {
    id: String,
    identity_private: String,
    identity_public: String,
    roster: u64,
    capabilities: u32,
}

#[derive(Serialize, Deserialize, PartialEq, Debug)]
struct Sent {
    what: What,
    from: usize,
    /// What is said, in a message.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    text: Option<String>,
    /// What the sender draws for it, in order: for HS1 index, salt, ephemeral key, and in suite 3 the seed of one of ML-KEM; for HS2
    /// ephemeral key, in suite 3 what a secret is made of, index; else the salt.
    drawn: String,
    message: String,
}

#[derive(Serialize, Deserialize, PartialEq, Debug, Clone, Copy)]
#[serde(rename_all = "snake_case")]
enum What {
    Begin,
    Answer,
    Prove,
    Say,
    Close,
}

#[derive(Serialize, Deserialize, PartialEq, Debug)]
struct RefusedVector {
    name: String,
    /// So many of those sent were opened before.
    after: usize,
    at: usize,
    message: String,
    why: String,
}

/// Draws from a seed and writes down what, or draws what was written down.
struct Drawn {
    rng: ChaCha20Rng,
    given: Option<Vec<u8>>,
    drawn: Vec<u8>,
}

impl TryRng for Drawn {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        match &mut self.given {
            Some(given) => {
                let rest = given.split_off(bytes.len());
                bytes.copy_from_slice(given);
                *given = rest;
            }
            None => self.rng.fill_bytes(bytes),
        }
        self.drawn.extend_from_slice(bytes);
        Ok(())
    }
}

impl TryCryptoRng for Drawn {}

/// The nodes of a file and the time in it.
struct Play {
    nodes: Vec<Sessions>,
    researcher: String,
    ids: Vec<String>,
    now: Moment,
}

impl Play {
    fn new(vectors: &Vectors) -> Self {
        let now = Moment {
            running: Duration::ZERO,
            wall: Duration::from_secs(vectors.time),
        };
        let secret = |node: &NodeVector| {
            let bytes = hex::decode(&node.identity_private).expect("hex");
            SecretKey::from_slice(&bytes).expect("a key")
        };
        let limits = Limits {
            highest: vectors.highest_suite,
            lowest: vectors.lowest_suite,
        };
        let sessions = |node: &NodeVector| {
            let hello = Hello {
                roster: node.roster,
                capabilities: node.capabilities,
            };
            let id = node.id.parse().expect("an id");
            let mut sessions = Sessions::new(id, secret(node), hello);
            for peer in vectors.nodes.iter().filter(|peer| peer.id != node.id) {
                let id = peer.id.parse().expect("an id");
                let known = Known {
                    identity: secret(peer).public_key(),
                    federation: vectors.federation.parse().expect("an id"),
                    limits,
                };
                sessions.know(id, known, now);
            }
            sessions
        };
        Self {
            nodes: vectors.nodes.iter().map(sessions).collect(),
            researcher: vectors.researcher.clone(),
            ids: vectors.nodes.iter().map(|node| node.id.clone()).collect(),
            now,
        }
    }

    /// What a node sends, given what came to it before.
    fn send(
        &mut self,
        what: What,
        from: usize,
        text: Option<&str>,
        before: Option<&OverlayMessage>,
        rng: &mut Drawn,
    ) -> OverlayMessage {
        let researcher = self.researcher.parse().expect("an id");
        let to = self.ids[1 - from].parse().expect("an id");
        let own = self.ids[from].parse().expect("an id");
        let (node, now) = (&mut self.nodes[from], self.now);
        match what {
            What::Begin => {
                let begun = node.begin(&to, &researcher, now, rng);
                begun.expect("known").expect("nothing under way")
            }
            What::Answer | What::Prove => match node.open(before.expect("a frame"), now, rng) {
                Ok(Opened::Answer(message) | Opened::Established { proof: message, .. }) => message,
                other => panic!("{other:?}"),
            },
            What::Say => {
                let fields = Value::Map(vec![("text".into(), text.expect("a text").into())]);
                let inner = Inner::new(own, to, None, "SiteGreeting", fields).expect("a message");
                match node.seal(&researcher, &inner, now, rng) {
                    Ok(Sealed::Message { message, .. }) => message,
                    other => panic!("{other:?}"),
                }
            }
            What::Close => node.close(&to, &researcher, now, rng).expect("a session"),
        }
    }

    /// Opens what was sent, unless sending the next does.
    fn receive(&mut self, sent: &Sent, message: &OverlayMessage) {
        let at = 1 - sent.from;
        let mut rng = no_randomness();
        let mut open = || self.nodes[at].open(message, self.now, &mut rng);
        match sent.what {
            What::Begin | What::Answer => {}
            What::Prove => assert!(matches!(open(), Ok(Opened::Nothing { .. }))),
            What::Say => {
                let Ok(Opened::Message { inner, .. }) = open() else {
                    panic!("{:?} does not open", sent.text);
                };
                let said = inner.fields.get("text").and_then(Value::as_str);
                assert_eq!(said, sent.text.as_deref());
            }
            What::Close => assert_eq!(open(), Ok(Opened::Closed)),
        }
    }

    fn refuses(&mut self, vector: &RefusedVector) {
        let message = read(&vector.message);
        let node = &mut self.nodes[vector.at];
        let before = node.digest();
        let opened = node.open(&message, self.now, &mut no_randomness());
        let why = opened.as_ref().map_err(Refused::name);
        assert_eq!(why, Err(vector.why.as_str()), "{}", vector.name);
        assert_eq!(node.digest(), before, "{}", vector.name);
    }
}

/// What is only opened draws nothing.
fn no_randomness() -> Drawn {
    drawn_from(Vec::new())
}

fn drawn_from(bytes: Vec<u8>) -> Drawn {
    Drawn {
        rng: ChaCha20Rng::seed_from_u64(0),
        given: Some(bytes),
        drawn: Vec::new(),
    }
}

fn read(message: &str) -> OverlayMessage {
    OverlayMessage::decode(&hex::decode(message).expect("hex")).expect("an outer message")
}

/// Messages like one that was sent, each with one thing wrong.
fn spoilt(message: &OverlayMessage) -> Vec<(&'static str, OverlayMessage)> {
    let with = |change: &dyn Fn(&mut OverlayMessage)| {
        let mut changed = message.clone();
        change(&mut changed);
        changed
    };
    let last = message.overlay.len() - 1;
    let mut all = vec![
        ("other magic", with(&|m| m.overlay[0] = b'N')),
        ("other suite", with(&|m| m.overlay[4] = 5 - m.overlay[4])),
        ("unknown type", with(&|m| m.overlay[5] = 9)),
        ("reserved bit", with(&|m| m.overlay[7] = 1)),
        ("first byte of the body", with(&|m| m.overlay[8] ^= 1)),
        ("middle of the body", with(&|m| m.overlay[last / 2] ^= 0x80)),
        ("last byte", with(&|m| m.overlay[last] ^= 1)),
        ("cut off", with(&|m| m.overlay.truncate(last))),
        ("a byte more", with(&|m| m.overlay.push(0))),
        ("other salt", with(&|m| m.salt[31] ^= 1)),
        ("short salt", with(&|m| m.salt.truncate(31))),
        ("other receiver index", with(&|m| m.nonce[0] ^= 1)),
        ("reserved in the nonce", with(&|m| m.nonce[4] = 1)),
        ("other counter", with(&|m| m.nonce[15] ^= 0x40)),
        ("other flag", with(&|m| m.setup = !m.setup)),
    ];
    let other = "another-researcher".parse().expect("an id");
    all.push((
        "other researcher",
        OverlayMessage {
            researcher_id: other,
            ..message.clone()
        },
    ));
    all
}

fn generate(suite: Suite) -> Vectors {
    let limits = limits(suite);
    let number = suite.number();
    let node = |id: &str, roster, capabilities| {
        let key = identity(id);
        let public = key.public_key().to_sec1_bytes();
        NodeVector {
            id: id.into(),
            identity_private: hex::encode(key.to_bytes()),
            identity_public: hex::encode(public),
            roster,
            capabilities,
        }
    };
    let mut vectors = Vectors {
        note: format!(
            "Suite {number} of backchannel. Messages are encoded as on the wire, in hexadecimal."
        ),
        federation: "federation".into(),
        researcher: "researcher".into(),
        highest_suite: limits.highest,
        lowest_suite: limits.lowest,
        time: first_moment().wall.as_secs(),
        nodes: vec![node("hospital-a", 7, 1), node("hospital-b", 8, 3)],
        sent: Vec::new(),
        refused: Vec::new(),
    };
    let long = "x".repeat(1000);
    let steps = [
        (What::Begin, 0, None),
        (What::Answer, 1, None),
        (What::Prove, 0, None),
        (What::Say, 0, Some("a message")),
        (What::Say, 1, Some("an answer")),
        (What::Say, 0, Some("")),
        (What::Say, 1, Some(&long[..])),
        (What::Close, 1, None),
    ];
    let mut play = Play::new(&vectors);
    let mut before: Option<OverlayMessage> = None;
    for (number, (what, from, text)) in steps.into_iter().enumerate() {
        let mut rng = Drawn {
            rng: ChaCha20Rng::seed_from_u64(number as u64),
            given: None,
            drawn: Vec::new(),
        };
        let message = play.send(what, from, text, before.as_ref(), &mut rng);
        let mut refuse = |name: String, after, at: usize, message: &OverlayMessage| {
            let opened = play.nodes[at].open(message, play.now, &mut no_randomness());
            vectors.refused.push(RefusedVector {
                name,
                after,
                at,
                message: hex::encode(message.encode()),
                why: opened.expect_err("refused").name().into(),
            });
        };
        let numbered = |name: &str| format!("{number} {what:?}: {name}");
        // One of the eight with everything wrong that can be, the others with some of it.
        for (at, (name, changed)) in spoilt(&message).into_iter().enumerate() {
            if what == What::Begin || at % steps.len() == number {
                refuse(numbered(name), number, 1 - from, &changed);
            }
        }
        let sent = Sent {
            what,
            from,
            text: text.map(str::to_owned),
            drawn: hex::encode(&rng.drawn),
            message: hex::encode(message.encode()),
        };
        play.receive(&sent, &message);
        vectors.sent.push(sent);
        before = Some(message);
    }
    for (number, sent) in vectors.sent.iter().enumerate() {
        let message = read(&sent.message);
        let opened = play.nodes[1 - sent.from].open(&message, play.now, &mut no_randomness());
        vectors.refused.push(RefusedVector {
            name: format!("{number} {:?}: once more", sent.what),
            after: vectors.sent.len(),
            at: 1 - sent.from,
            message: sent.message.clone(),
            why: opened.expect_err("refused").name().into(),
        });
    }
    vectors
}

fn file(suite: Suite) -> PathBuf {
    let tests = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests");
    tests.join(format!("fixtures/suite{}/vectors.json", suite.number()))
}

fn there(suite: Suite) -> Vectors {
    let text = std::fs::read_to_string(file(suite)).expect("the vectors");
    serde_json::from_str(&text).expect("vectors")
}

#[test]
fn the_vectors_are_what_the_code_gives() {
    for suite in Suite::ALL {
        let vectors = generate(suite);
        if std::env::var_os("BACKCHANNEL_WRITE_VECTORS").is_some() {
            let text = serde_json::to_string_pretty(&vectors).expect("JSON");
            std::fs::write(file(suite), text + "\n").expect("written");
        }
        assert!(there(suite) == vectors, "{suite:?}");
        assert!(vectors.refused.len() >= vectors.sent.len());
    }
}

#[test]
fn the_code_takes_the_vectors_as_they_say() {
    for vectors in Suite::ALL.map(there) {
        let mut play = Play::new(&vectors);
        let mut before: Option<OverlayMessage> = None;
        let refused = |after: usize| {
            let all = vectors.refused.iter();
            all.filter(move |refused| refused.after == after)
        };
        for (number, sent) in vectors.sent.iter().enumerate() {
            let mut rng = drawn_from(hex::decode(&sent.drawn).expect("hex"));
            let text = sent.text.as_deref();
            let message = play.send(sent.what, sent.from, text, before.as_ref(), &mut rng);
            assert!(hex::encode(message.encode()) == sent.message, "{number}");
            refused(number).for_each(|refused| play.refuses(refused));
            play.receive(sent, &message);
            before = Some(message);
        }
        refused(vectors.sent.len()).for_each(|refused| play.refuses(refused));
    }
}
