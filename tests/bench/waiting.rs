//! Requests that wait at a node for material which has not been published: what memory they take, and what they cost others.

use std::time::{Duration, Instant};

use backchannel::message::Value;
use backchannel::node::Node;
use futures::future::join_all;

use crate::bare::runtime;
use crate::harness::{Daemon, Folder, introduce};
use crate::process::memory_mib;
use crate::requests::{ask, install, peer, start, until_answered};
use crate::row::{Row, quantile};

/// Nodes that ask, and the requests of each: as many as a node treats at a time for one peer.
const ASKING: usize = 50;
const EACH: usize = 200;
/// Requests of another node, one at a time, before and meanwhile.
const OTHERS: usize = 2000;
/// A request waits 30 s at most.
const ALL_WAIT: Duration = Duration::from_secs(20);

pub fn measure() -> Vec<Row> {
    runtime().block_on(waited())
}

async fn waited() -> Vec<Row> {
    let folder = Folder::new();
    let ids: Vec<_> = (0..ASKING).map(|n| format!("asks-{n}")).collect();
    for id in ["a", "b"] {
        install(&folder, id, 2);
    }
    for id in ids.iter().map(String::as_str).chain(["a"]) {
        introduce(&folder, &["b", id]);
    }
    let relay = Daemon::relay(folder.path(), "relay");
    let answering = Daemon::secure_node(folder.path(), "b", &relay.address);
    let other = start(&folder, "a", &relay).await;
    until_answered(&other).await;
    let asking = join_all(ids.iter().map(|id| start(&folder, id, &relay))).await;
    // Sets up the channels: what is asked for is not there.
    let peer = peer();
    let first = asking
        .iter()
        .map(|node| node.ask(&peer, "KeyRequest", run(0)));
    for answer in join_all(first).await {
        assert!(answer.expect("sent").is_none());
    }
    let requested = || {
        let received = &answering.status()["received"]["KeyRequest"];
        received.as_u64().unwrap_or_default() as usize
    };
    let mut alone = answered(&other).await;
    let (before, earlier) = (memory_mib(answering.pid()), requested());

    let begun = Instant::now();
    let requests: Vec<_> = asking
        .iter()
        .flat_map(|node| (0..EACH).map(move |n| (node.clone(), n)))
        .map(|(node, n)| {
            let peer = peer.clone();
            tokio::spawn(async move { node.ask(&peer, "KeyRequest", run(n)).await })
        })
        .collect();
    while requested() - earlier < ASKING * EACH {
        let waiting = requested() - earlier;
        assert!(begun.elapsed() < ALL_WAIT, "only {waiting} have come");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let memory = memory_mib(answering.pid()) - before;
    let mut meanwhile = answered(&other).await;
    let ended = requests.iter().filter(|request| request.is_finished());
    assert_eq!(
        ended.count(),
        0,
        "some have ended, after {:?}",
        begun.elapsed()
    );

    requests.iter().for_each(|request| request.abort());
    join_all(asking.iter().chain([&other]).map(|node| node.stop())).await;
    let p99 = [&mut alone, &mut meanwhile].map(|times| quantile(times, 0.99));
    let how = format!("{OTHERS} requests of another node, one at a time");
    vec![
        Row::new(
            "waiting-memory",
            memory,
            "MiB",
            format!(
                "what the node that is asked takes more than before: {ASKING} nodes with {EACH} requests each, all of which wait"
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

/// What is asked for of a run of which nothing is published.
fn run(n: usize) -> Value {
    Value::Map(vec![("secagg_id".into(), format!("run-{n}").into())])
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
