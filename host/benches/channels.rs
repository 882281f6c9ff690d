//! What a channel costs: a handshake in suites 2 and 3, beside what forged ones cost whoever they are sent to; and a message in suite 2,
//! which is one of suite 3 too, beside one in suite 1. One core does all of it.

use std::hint::black_box;
use std::time::{Duration, Instant};

use backchannel::message::{Inner, NodeId, OverlayMessage, ResearcherId, Value};
use backchannel::overlay::{self, ChannelKeys};
use backchannel::primitives::derive_secret_key;
use backchannel::randomness::Randomness;
use backchannel::sessions::{
    Hello, Known, Limits, Moment, Opened, Refused, Sealed, Sessions, Suite,
};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use p256::SecretKey;

/// Bytes that a message says.
const SIZES: [(&str, usize); 5] = [
    ("512 B", 512),
    ("4 KiB", 4 << 10),
    ("64 KiB", 64 << 10),
    ("1 MiB", 1 << 20),
    ("16 MiB", 16 << 20),
];
/// Before a session asks to be replaced, which it does after 2¹⁶ messages.
const MESSAGES: usize = 60_000;
/// So many bytes are sealed before they are opened, at most.
const AHEAD_BYTES: usize = 8 << 20;
/// After it another handshake may follow.
const BETWEEN: Duration = Duration::from_secs(6);

fn identity(name: &str) -> SecretKey {
    derive_secret_key(&[1; 32], name.as_bytes())
}

fn id(name: &str) -> NodeId {
    name.parse().expect("an id")
}

fn researcher() -> ResearcherId {
    "researcher".parse().expect("an id")
}

fn saying(bytes: usize) -> Inner {
    let fields = Value::Map(vec![("bytes".into(), Value::Bin(vec![7; bytes]))]);
    Inner::new(id("a"), id("b"), None, "SiteGreeting", fields).expect("a message")
}

/// Two nodes that know each other: `a` begins and talks.
struct Pair {
    a: Sessions,
    b: Sessions,
    now: Moment,
    randomness: Randomness,
    /// In this session.
    sealed: usize,
}

impl Pair {
    fn new(suite: Suite) -> Self {
        let now = Moment {
            running: Duration::from_secs(1000),
            wall: Duration::from_secs(1_800_000_000),
        };
        let node = |own: &str, peer: &str| {
            let mut sessions = Sessions::new(id(own), identity(own), Hello::default());
            let known = Known {
                identity: identity(peer).public_key(),
                federation: "federation".parse().expect("an id"),
                limits: Limits {
                    highest: suite.number(),
                    lowest: suite.number(),
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
            sealed: 0,
        }
    }

    fn begin(&mut self) -> OverlayMessage {
        let begun = self
            .a
            .begin(&id("b"), &researcher(), self.now, &mut self.randomness);
        begun.expect("known").expect("nothing under way")
    }

    fn answer(&mut self, first: &OverlayMessage) -> OverlayMessage {
        match self.b.open(first, self.now, &mut self.randomness) {
            Ok(Opened::Answer(second)) => second,
            other => panic!("{other:?} is no answer"),
        }
    }

    fn establish(&mut self, second: &OverlayMessage) -> OverlayMessage {
        match self.a.open(second, self.now, &mut self.randomness) {
            Ok(Opened::Established { proof, .. }) => proof,
            other => panic!("{other:?} is no session"),
        }
    }

    fn open(&mut self, message: &OverlayMessage) -> Opened {
        let opened = self.b.open(message, self.now, &mut self.randomness);
        opened.expect("opened")
    }

    fn handshake(&mut self) {
        let first = self.begin();
        let second = self.answer(&first);
        let proof = self.establish(&second);
        self.open(&proof);
    }

    fn seal(&mut self, content: &Inner) -> OverlayMessage {
        self.sealed += 1;
        let sealed = self
            .a
            .seal(&researcher(), content, self.now, &mut self.randomness);
        match sealed {
            Ok(Sealed::Message { message, .. }) => message,
            other => panic!("{other:?} is no message"),
        }
    }

    /// Another session, if this one has no room for so many messages.
    fn make_room(&mut self, messages: usize) {
        if self.sealed + messages > MESSAGES {
            self.now.running += BETWEEN;
            self.now.wall += BETWEEN;
            self.handshake();
            self.sealed = 0;
        }
    }
}

/// With one of the bytes changed that come after the indices, as by somebody who has seen those.
fn forged(message: &OverlayMessage) -> OverlayMessage {
    let mut forged = message.clone();
    forged.overlay[40] ^= 1;
    forged
}

fn handshakes(criterion: &mut Criterion) {
    for suite in Suite::ALL {
        let name = format!("handshakes in suite {}", suite.number());
        let mut group = criterion.benchmark_group(name);
        handshakes_in(suite, &mut group);
        group.finish();
    }
}

fn handshakes_in(suite: Suite, group: &mut Group<'_>) {
    let pair = || Pair::new(suite);
    group.bench_function("a genuine one, both ends", |bench| {
        bench.iter_batched_ref(pair, Pair::handshake, BatchSize::SmallInput);
    });
    group.bench_function("a genuine HS1, opened and answered", |bench| {
        let begun = || {
            let mut pair = pair();
            let first = pair.begin();
            (pair, first)
        };
        bench.iter_batched_ref(
            begun,
            |(pair, first)| pair.answer(first),
            BatchSize::SmallInput,
        );
    });
    group.bench_function("a forged HS1, refused", |bench| {
        let mut pair = pair();
        let forged = forged(&pair.begin());
        bench.iter(|| {
            let refused = pair.b.open(&forged, pair.now, &mut pair.randomness);
            assert_eq!(refused, Err(Refused::Mac));
        });
    });
    group.bench_function("a genuine HS2, opened and proven", |bench| {
        let answered = || {
            let mut pair = pair();
            let first = pair.begin();
            let second = pair.answer(&first);
            (pair, second)
        };
        bench.iter_batched_ref(
            answered,
            |(pair, second)| pair.establish(second),
            BatchSize::SmallInput,
        );
    });
    group.bench_function("a forged HS2, refused", |bench| {
        let mut pair = pair();
        let first = pair.begin();
        let forged = forged(&pair.answer(&first));
        bench.iter(|| {
            let refused = pair.a.open(&forged, pair.now, &mut pair.randomness);
            assert_eq!(refused, Err(Refused::Mac));
        });
    });
}

fn messages(criterion: &mut Criterion) {
    for (name, bytes) in SIZES {
        let content = saying(bytes);
        let mut group = criterion.benchmark_group(format!("messages of {name}"));
        group.throughput(Throughput::Bytes(bytes as u64));
        suite_1(&mut group, &content);
        suite_2(&mut group, &content, bytes);
        group.finish();
    }
}

type Group<'a> = criterion::BenchmarkGroup<'a, criterion::measurement::WallTime>;

fn suite_1(group: &mut Group<'_>, content: &Inner) {
    let [of_a, of_b] = ["a", "b"].map(identity);
    let a = ChannelKeys::new(&of_a, &of_b.public_key());
    let b = ChannelKeys::new(&of_b, &of_a.public_key());
    // A node's own: of a seed another library would sign.
    let mut randomness = Randomness::from_system().expect("randomness");
    let mut seal = || {
        let sealed = overlay::seal(&a, &researcher(), content, false, &mut randomness);
        sealed.expect("sealed")
    };
    let message = seal();
    group.bench_function("suite 1, seal", |bench| bench.iter(&mut seal));
    group.bench_function("suite 1, open", |bench| {
        bench.iter(|| overlay::open(&b, &message).expect("opened"));
    });
}

/// A message of suite 2 is opened once, and a session has an end: what is measured goes in portions, between which is what is not.
fn suite_2(group: &mut Group<'_>, content: &Inner, bytes: usize) {
    let mut pair = Pair::new(Suite::Two);
    pair.handshake();
    let portion = (AHEAD_BYTES / bytes).clamp(1, 1024);
    let portions = |messages: u64| {
        let messages = usize::try_from(messages).expect("fewer");
        (0..messages)
            .step_by(portion)
            .map(move |done| portion.min(messages - done))
    };
    group.bench_function("suite 2, seal", |bench| {
        bench.iter_custom(|messages| {
            let timed = portions(messages).map(|messages| {
                pair.make_room(messages);
                let begin = Instant::now();
                for _ in 0..messages {
                    black_box(pair.seal(content));
                }
                begin.elapsed()
            });
            timed.sum()
        });
    });
    group.bench_function("suite 2, open", |bench| {
        bench.iter_custom(|messages| {
            let timed = portions(messages).map(|messages| {
                pair.make_room(messages);
                let sealed: Vec<_> = (0..messages).map(|_| pair.seal(content)).collect();
                let begin = Instant::now();
                for message in &sealed {
                    black_box(pair.open(message));
                }
                begin.elapsed()
            });
            timed.sum()
        });
    });
}

criterion_group!(benches, handshakes, messages);
criterion_main!(benches);
