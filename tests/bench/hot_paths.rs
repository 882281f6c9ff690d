//! The paths that every message takes, to have their instructions counted: `hot-paths NAME TIMES` walks one so many times. What it does
//! depends on nothing but that; see `tests/bench/instructions`.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use backchannel::handlers::{Assurance, Envelope, Message, Plugin, Runtime, Services, Terms};
use backchannel::message::{Inner, NodeId, OverlayMessage, ResearcherId, ToResearcher, Value};
use backchannel::overlay::{self, ChannelKeys};
use backchannel::primitives::derive_secret_key;
use backchannel::randomness::Randomness;
use backchannel::secure_sum::lom;
use backchannel::sessions::{Hello, Known, Limits, Moment, Opened, Sealed, Sessions};
use backchannel_test_guests::HONEST;
use zeroize::Zeroizing;

/// What a message says, in bytes.
const SAID: usize = 512;

/// A path's name, and what makes it ready to be walked.
type Path = (&'static str, fn() -> Box<dyn FnMut()>);

const PATHS: [Path; 8] = [
    ("decode an outer message", decoding),
    ("encode an outer message", encoding),
    ("suite 1, seal", sealing_in_suite_1),
    ("suite 1, open", opening_in_suite_1),
    ("suite 2, seal and open", suite_2),
    ("suite 2, handshake", handshake),
    ("handler call in a fresh sandbox", handler),
    ("LOM, protect 1,000 values of 10 parties", lom),
];

fn main() {
    let mut arguments = std::env::args().skip(1);
    let (Some(name), Some(times)) = (arguments.next(), arguments.next()) else {
        return PATHS.iter().for_each(|(name, _)| println!("{name}"));
    };
    let (_, ready) = PATHS
        .iter()
        .find(|(path, _)| *path == name)
        .expect("a path's name");
    let mut walk = ready();
    // What is made at the first time only is no part of the path.
    walk();
    for _ in 0..times.parse().expect("a number") {
        walk();
    }
}

fn id(name: &str) -> NodeId {
    name.parse().expect("an id")
}

fn researcher() -> ResearcherId {
    "researcher".parse().expect("an id")
}

fn inner() -> Inner {
    let fields = Value::Map(vec![("text".into(), "x".repeat(SAID).into())]);
    Inner::new(id("a"), id("b"), None, "EchoRequest", fields).expect("a message")
}

/// The keys of both ends, and a message sealed with the first.
fn suite_1() -> ([ChannelKeys; 2], OverlayMessage) {
    let [a, b] = ["a", "b"].map(|name| derive_secret_key(&[1; 32], name.as_bytes()));
    let keys = [
        ChannelKeys::new(&a, &b.public_key()),
        ChannelKeys::new(&b, &a.public_key()),
    ];
    let mut randomness = Randomness::from_system().expect("randomness");
    let sealed = overlay::seal(&keys[0], &researcher(), &inner(), false, &mut randomness);
    (keys, sealed.expect("sealed"))
}

fn decoding() -> Box<dyn FnMut()> {
    let bytes = suite_1().1.encode();
    Box::new(move || drop(black_box(ToResearcher::decode(&bytes).expect("read"))))
}

fn encoding() -> Box<dyn FnMut()> {
    let message = suite_1().1;
    Box::new(move || drop(black_box(message.encode())))
}

fn sealing_in_suite_1() -> Box<dyn FnMut()> {
    let ([keys, _], _) = suite_1();
    let (inner, researcher) = (inner(), researcher());
    let mut randomness = Randomness::from_system().expect("randomness");
    Box::new(move || {
        let sealed = overlay::seal(&keys, &researcher, &inner, false, &mut randomness);
        drop(black_box(sealed.expect("sealed")));
    })
}

fn opening_in_suite_1() -> Box<dyn FnMut()> {
    let ([_, keys], message) = suite_1();
    Box::new(move || drop(black_box(overlay::open(&keys, &message).expect("opened"))))
}

/// Two nodes that know each other.
struct Pair {
    a: Sessions,
    b: Sessions,
    now: Moment,
    randomness: Randomness,
}

impl Pair {
    fn new() -> Self {
        let now = Moment {
            running: Duration::from_secs(1000),
            wall: Duration::from_secs(1_800_000_000),
        };
        let key = |name: &str| derive_secret_key(&[1; 32], name.as_bytes());
        let node = |own: &str, peer: &str| {
            let mut sessions = Sessions::new(id(own), key(own), Hello::default());
            let known = Known {
                identity: key(peer).public_key(),
                federation: "federation".parse().expect("an id"),
                limits: Limits {
                    highest: 2,
                    lowest: 2,
                },
            };
            sessions.know(id(peer), known, now);
            sessions
        };
        Self {
            a: node("a", "b"),
            b: node("b", "a"),
            now,
            randomness: Randomness::from_seed(1),
        }
    }

    fn handshake(&mut self) {
        // A handshake may follow another after some seconds.
        self.now.running += Duration::from_secs(6);
        self.now.wall += Duration::from_secs(6);
        let Self {
            a,
            b,
            now,
            randomness,
        } = self;
        let begun = a.begin(&id("b"), &researcher(), *now, randomness);
        let first = begun.expect("known").expect("nothing under way");
        let Ok(Opened::Answer(second)) = b.open(&first, *now, randomness) else {
            panic!("no answer");
        };
        let Ok(Opened::Established { proof, .. }) = a.open(&second, *now, randomness) else {
            panic!("no session");
        };
        b.open(&proof, *now, randomness).expect("proven");
    }

    fn say(&mut self, content: &Inner) {
        let Self {
            a,
            b,
            now,
            randomness,
        } = self;
        let sealed = a.seal(&researcher(), content, *now, randomness);
        let Ok(Sealed::Message { message, .. }) = sealed else {
            panic!("not sealed");
        };
        drop(black_box(
            b.open(&message, *now, randomness).expect("opened"),
        ));
    }
}

fn suite_2() -> Box<dyn FnMut()> {
    let (mut pair, content) = (Pair::new(), inner());
    pair.handshake();
    Box::new(move || pair.say(&content))
}

fn handshake() -> Box<dyn FnMut()> {
    let mut pair = Pair::new();
    Box::new(move || pair.handshake())
}

fn handler() -> Box<dyn FnMut()> {
    // Without its pool, whose address space does not fit beside a debugger's.
    let runtime = Runtime::metered().expect("an engine");
    let plugin = Plugin::load(&runtime, HONEST, Terms::default()).expect("loaded");
    let (plugin, services) = (
        Arc::new(plugin),
        Services::blank(&id("node"), 1).expect("services"),
    );
    let turning = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime");
    let fields = inner().fields_msgpack();
    Box::new(move || {
        let envelope = Envelope {
            researcher_id: "researcher".into(),
            source: "a".into(),
            setup: false,
            assurance: Assurance::IdentityKey,
        };
        let message = Message {
            kind: "EchoRequest".into(),
            request_id: None,
            fields: fields.clone(),
        };
        turning.block_on(async {
            let called = plugin.handle(&services, envelope, message).await;
            let found = called.result.expect("handled").expect("something");
            drop(black_box(found.finalize().await.result.expect("effects")));
        });
    })
}

fn lom() -> Box<dyn FnMut()> {
    let parties: Vec<_> = (0..10).map(|n| id(&format!("node-{n}"))).collect();
    let secrets: BTreeMap<_, _> = parties[1..]
        .iter()
        .zip(1..)
        .map(|(peer, n)| (peer.clone(), Zeroizing::new([n; 32])))
        .collect();
    let values: Vec<u64> = (0..1000).collect();
    Box::new(move || {
        let protected = lom::protect(&parties[0], &secrets, &parties, &[1; 16], 1, &values);
        drop(black_box(protected.expect("protected")));
    })
}
