//! A request to a peer and its reply, through the relay: three processes, each message treated by a plugin in a fresh sandbox.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use backchannel::message::{NodeId, Value};
use backchannel::node::{Node, NodeConfig};
use backchannel_test_guests::HONEST;

use crate::bare::{Bare, runtime};
use crate::harness::{Daemon, Folder, allow_suite_1, introduce, json};
use crate::process::cpu;
use crate::row::{Row, quantile};

/// What a request says, in bytes.
const SAID: usize = 512;
const WARM_UP: usize = 500;
const ONE_BY_ONE: usize = 5000;
const IN_FLIGHT: [usize; 6] = [1, 8, 32, 128, 512, 1000];
/// What the table shows.
const TABLE: usize = 32;
const FOR: Duration = Duration::from_secs(6);

/// Two nodes and their relay. The one that asks is in this process: it is the library's, and what drives it costs it nothing worth
/// mentioning.
struct Pair {
    asking: Arc<Node>,
    // Dropped in this order: the processes before their folder.
    answering: Daemon,
    relay: Daemon,
    _folder: Folder,
}

impl Pair {
    async fn start(suite: u8) -> Self {
        let folder = Folder::new();
        for id in ["a", "b"] {
            install(&folder, id, suite);
        }
        if suite == 2 {
            introduce(&folder, &["a", "b"]);
        }
        let relay = Daemon::relay(folder.path(), "relay");
        let answering = Daemon::secure_node(folder.path(), "b", &relay.address);
        let asking = start(folder.path(), "a", &relay.address).await;
        let pair = Self {
            asking,
            answering,
            relay,
            _folder: folder,
        };
        until_answered(&pair.asking).await;
        pair
    }

    async fn ask(&self) {
        ask(&self.asking).await;
    }

    async fn flood(self: &Arc<Self>, in_flight: usize) -> Flood {
        let (before, begun) = (self.cpu(), Instant::now());
        let lanes: Vec<_> = (0..in_flight)
            .map(|_| {
                let pair = self.clone();
                tokio::spawn(async move {
                    let mut answered = 0u32;
                    while begun.elapsed() < FOR {
                        pair.ask().await;
                        answered += 1;
                    }
                    answered
                })
            })
            .collect();
        let mut answered = 0;
        for lane in lanes {
            answered += lane.await.expect("no panic");
        }
        let (took, computed) = (begun.elapsed(), self.cpu() - before);
        Flood {
            answered,
            per_second: f64::from(answered) / took.as_secs_f64(),
            cpu: computed / answered,
        }
    }

    fn cpu(&self) -> Duration {
        let pids = [self.relay.pid(), self.answering.pid(), std::process::id()];
        pids.into_iter().map(cpu).sum()
    }
}

/// A node of the library, in this process.
pub async fn start(folder: &Path, id: &str, relay: &str) -> Arc<Node> {
    let opened = Node::open(NodeConfig {
        id: id.parse().expect("an id"),
        name: id.to_owned(),
        researcher: relay.parse().expect("an address"),
        certificate: None,
        data: folder.join(id),
        record: None,
        compiler: None,
    });
    opened.expect("a store").start().await.expect("a node")
}

/// Has `node` set up its channel with the one that answers.
pub async fn until_answered(node: &Node) {
    let begun = Instant::now();
    let peer = peer();
    let asked = || node.ask(&peer, "EchoRequest", fields());
    while asked().await.is_ok_and(|answer| answer.is_none()) {
        assert!(begun.elapsed() < Duration::from_secs(60), "no answer");
    }
}

/// A request of `node` that is answered at once.
pub async fn ask(node: &Node) {
    let answer = node.ask(&peer(), "EchoRequest", fields()).await;
    assert_eq!(answer.expect("sent").expect("an answer").len(), SAID);
}

/// Lets a node answer such requests.
pub fn install(folder: &Folder, id: &str, suite: u8) {
    let data = folder.at(id);
    if suite == 1 {
        allow_suite_1(Path::new(&data));
    }
    enable(folder, id, "honest", HONEST);
}

/// Installs a plugin as an operator does.
pub fn enable(folder: &Folder, id: &str, name: &str, component: &[u8]) {
    let data = folder.at(id);
    let file = folder.write(&format!("{name}.wasm"), component);
    json(&["plugin", "install", &file, "--data", &data]);
    let approve = ["plugin", "approve", name, "--data", &data];
    json(&[&approve[..], &["--reason", "measured", "--by", "a bench"]].concat());
    json(&["plugin", "enable", name, "--data", &data]);
}

pub fn peer() -> NodeId {
    "b".parse().expect("an id")
}

fn fields() -> Value {
    Value::Map(vec![("text".into(), "x".repeat(SAID).into())])
}

pub fn measure() -> Vec<Row> {
    let runtime = runtime();
    let mut rows = Vec::new();
    let bare = Bare::start();
    let mut floor = runtime.block_on(bare.ping_pong(SAID, ONE_BY_ONE));
    drop(bare);
    let how = format!(
        "{ONE_BY_ONE} ping-pongs of {SAID} B on an open stream of bare tonic over TLS, two of them"
    );
    rows.push(Row::ms(
        "floor-request-p50",
        2 * quantile(&mut floor, 0.5),
        how,
    ));
    for suite in [1, 2] {
        rows.extend(runtime.block_on(in_suite(suite)));
    }
    rows
}

async fn in_suite(suite: u8) -> Vec<Row> {
    let pair = Arc::new(Pair::start(suite).await);
    for _ in 0..WARM_UP {
        pair.ask().await;
    }
    let mut one_by_one = Vec::with_capacity(ONE_BY_ONE);
    for _ in 0..ONE_BY_ONE {
        let begun = Instant::now();
        pair.ask().await;
        one_by_one.push(begun.elapsed());
    }
    let mut at_a_time = Vec::new();
    for in_flight in IN_FLIGHT {
        // Suite 1 is measured with as many as the table says.
        if suite == 2 || in_flight == TABLE {
            at_a_time.push((in_flight, pair.flood(in_flight).await));
        }
    }
    pair.asking.stop().await;
    let key = |name: &str| format!("request-{name}-suite-{suite}");
    let one = format!("{ONE_BY_ONE} requests of {SAID} B, one at a time");
    let mut rows = vec![
        Row::ms(key("p50"), quantile(&mut one_by_one, 0.5), &*one),
        Row::ms(key("p99"), quantile(&mut one_by_one, 0.99), &*one),
    ];
    for (in_flight, flood) in at_a_time {
        let how = format!(
            "{} requests, {in_flight} at a time, all three processes",
            flood.answered
        );
        let key = |name: &str| format!("request-{name}-{in_flight}-suite-{suite}");
        rows.push(Row::new(key("rate"), flood.per_second, "/s", &*how));
        rows.push(Row::ms(key("cpu"), flood.cpu, &*how));
    }
    rows
}

/// What came of many requests at a time.
struct Flood {
    answered: u32,
    per_second: f64,
    /// For each.
    cpu: Duration,
}
