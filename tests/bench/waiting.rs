//! Requests that wait at a node for material which has not been published: what memory they take, and what they cost others.

use std::io::{BufRead, BufReader, Lines, Read};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use backchannel::message::Value;
use backchannel::node::Node;
use futures::future::join_all;

use crate::bare::runtime;
use crate::harness::{Daemon, Folder, introduce};
use crate::process::memory_mib;
use crate::requests::{ask, install, peer, start, until_answered};
use crate::row::{Row, quantile};

/// The argument that makes this program nodes that ask: what follows is their folder, the relay's address and their ids.
pub const ASK: &str = "ask-in-vain";
/// Processes that ask. One has no room for the address space of more nodes.
const PROCESSES: usize = 5;
const NODES: usize = 10;
/// The requests of each node: as many as one treats at a time for one peer.
const EACH: u32 = 200;
/// Between two of a node: a mailbox has room for 1000, and they come from all.
const BETWEEN: Duration = Duration::from_millis(30);
/// Requests of another node, one at a time, before and meanwhile.
const OTHERS: usize = 2000;
/// So long a request waits.
const WAIT: Duration = Duration::from_secs(30);
const ALL_WAIT: Duration = Duration::from_secs(20);

/// A process of nodes that ask.
struct Asking {
    child: Child,
    said: Lines<BufReader<ChildStdout>>,
}

impl Asking {
    fn start(folder: &Path, relay: &str, ids: &[String]) -> Self {
        let program = std::env::current_exe().expect("this program");
        let mut child = Command::new(program)
            .arg(ASK)
            .args([folder.as_os_str(), relay.as_ref()])
            .args(ids)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts");
        let said = BufReader::new(child.stdout.take().expect("its output")).lines();
        let mut asking = Self { child, said };
        // One after the other: a relay bounds how many connections one address begins at a time.
        asking.until("started");
        asking
    }

    fn until(&mut self, what: &str) {
        let said = self.said.next().expect("a line").expect("a line");
        assert_eq!(said, what);
    }

    fn go(&mut self) {
        drop(self.child.stdin.take());
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Starts nodes, has their channels set up, and when the standard input ends asks for what is not there.
pub fn serve(arguments: &[String]) {
    let [folder, relay, ids @ ..] = arguments else {
        panic!("a folder, an address and ids");
    };
    runtime().block_on(async {
        let peer = peer();
        let mut nodes = Vec::with_capacity(ids.len());
        for id in ids {
            nodes.push(start(Path::new(folder), id, relay).await);
        }
        println!("started");
        let ask = |run: String| {
            let fields = Value::Map(vec![("secagg_id".into(), run.into())]);
            nodes
                .iter()
                .map(|node| node.ask(&peer, "KeyRequest", fields.clone()))
                .collect::<Vec<_>>()
        };
        for answer in join_all(ask("first".to_owned())).await {
            assert!(answer.expect("sent").is_none());
        }
        println!("ready");
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        let asking = (0..EACH).map(|n| {
            let asked = ask(format!("run-{n}"));
            async move {
                tokio::time::sleep(BETWEEN * n).await;
                join_all(asked).await
            }
        });
        join_all(asking).await;
    });
}

pub fn measure() -> Vec<Row> {
    runtime().block_on(waited())
}

async fn waited() -> Vec<Row> {
    let folder = Folder::new();
    let ids: Vec<_> = (0..PROCESSES * NODES)
        .map(|n| format!("asks-{n}"))
        .collect();
    for id in ["a", "b"] {
        install(&folder, id, 2);
    }
    for id in ids.iter().map(String::as_str).chain(["a"]) {
        introduce(&folder, &["b", id]);
    }
    let relay = Daemon::relay(folder.path(), "relay");
    let answering = Daemon::secure_node(folder.path(), "b", &relay.address);
    let other = start(folder.path(), "a", &relay.address).await;
    until_answered(&other).await;
    let mut asking: Vec<_> = ids
        .chunks(NODES)
        .map(|ids| Asking::start(folder.path(), &relay.address, ids))
        .collect();
    asking.iter_mut().for_each(|one| one.until("ready"));
    let requested = || {
        let received = &answering.status()["received"]["KeyRequest"];
        received.as_u64().unwrap_or_default() as usize
    };
    let mut alone = answered(&other).await;
    let (before, earlier) = (memory_mib(answering.pid()), requested());

    let begun = Instant::now();
    asking.iter_mut().for_each(Asking::go);
    while requested() - earlier < PROCESSES * NODES * EACH as usize {
        let waiting = requested() - earlier;
        assert!(begun.elapsed() < ALL_WAIT, "only {waiting} have come");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let memory = memory_mib(answering.pid()) - before;
    let mut meanwhile = answered(&other).await;
    assert!(
        begun.elapsed() < WAIT,
        "some have ended: {:?}",
        begun.elapsed()
    );
    drop(asking);
    other.stop().await;

    let p99 = [&mut alone, &mut meanwhile].map(|times| quantile(times, 0.99));
    let how = format!("{OTHERS} requests of another node, one at a time");
    vec![
        Row::new(
            "waiting-memory",
            memory,
            "MiB",
            format!(
                "what the node that is asked takes more than before: {} nodes with {EACH} requests each, all of which wait",
                ids.len()
            ),
        ),
        Row::ms("others-p99-alone", p99[0], how),
        Row::ms("others-p99-meanwhile", p99[1], "the same while those wait"),
        Row::new(
            "waiting-p99-ratio",
            p99[1].as_secs_f64() / p99[0].as_secs_f64(),
            "",
            "the one to the other",
        ),
    ]
}

/// How long requests take that are answered at once.
async fn answered(node: &Node) -> Vec<Duration> {
    let mut times = Vec::with_capacity(OTHERS);
    for _ in 0..OTHERS {
        let begun = Instant::now();
        ask(node).await;
        times.push(begun.elapsed());
    }
    times
}
