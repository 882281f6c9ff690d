//! Many nodes on one relay, each of which asks one other: what a message costs the relay then.

use std::time::{Duration, Instant};

use backchannel::transport::{Certificate, ServerAddress, fetch_certificate};
use futures::future::join_all;

use crate::bare::{Bare, runtime};
use crate::harness::{Daemon, Folder};
use crate::process::{cpu, memory_mib};
use crate::row::Row;
use crate::wire::{Wire, message};

/// Of ciphertext, in bytes.
const SEALED: usize = 560;
const NODES: [usize; 5] = [FEW, 30, 100, 300, FULL];
const FEW: usize = 10;
const FULL: usize = 1000;
/// Exchanges in all, however many nodes there are.
const EXCHANGES: usize = 40_000;

pub fn measure() -> Vec<Row> {
    let runtime = runtime();
    let measured = NODES.map(|nodes| (nodes, runtime.block_on(through_a_relay(nodes))));
    let floor = [FEW, FULL].map(|nodes| (nodes, runtime.block_on(through_bare_tonic(nodes))));
    let ratio = measured[NODES.len() - 1].1.cpu / measured[0].1.cpu;
    let mut rows = Vec::new();
    for (nodes, measured) in measured {
        let how = format!(
            "{EXCHANGES} exchanges of {SEALED} B in all among {nodes} nodes, each with one other"
        );
        rows.push(Row::new(
            format!("nodes-{nodes}-cpu"),
            measured.cpu,
            "us",
            format!("computing time of the relay for a message: {how}"),
        ));
        rows.push(Row::new(
            format!("nodes-{nodes}-rate"),
            measured.rate,
            "/s",
            format!("messages, all nodes in one process: {how}"),
        ));
        rows.push(Row::new(
            format!("nodes-{nodes}-memory"),
            measured.memory,
            "MiB",
            "proportional set size of the relay after it",
        ));
    }
    for (nodes, measured) in &floor {
        rows.push(Row::new(
            format!("floor-nodes-{nodes}-cpu"),
            measured.cpu,
            "us",
            "the same of a bare tonic server",
        ));
    }
    rows.push(Row::new(
        "floor-nodes-1000-to-10",
        floor[1].1.cpu / floor[0].1.cpu,
        "",
        "computing time of a bare tonic server for a message, of 1000 nodes to that of 10",
    ));
    rows.push(Row::new(
        "nodes-1000-to-10",
        ratio,
        "",
        "computing time of the relay for a message, of 1000 nodes to that of 10",
    ));
    rows
}

struct Measured {
    cpu: f64,
    rate: f64,
    memory: f64,
}

async fn through_a_relay(nodes: usize) -> Measured {
    let folder = Folder::new();
    let relay = Daemon::relay(folder.path(), "relay");
    let address: ServerAddress = relay.address.parse().expect("an address");
    let certificate = fetch_certificate(&address).await.expect("a certificate");
    exchanged(nodes, &address, &certificate, relay.pid()).await
}

async fn through_bare_tonic(nodes: usize) -> Measured {
    let bare = Bare::start();
    exchanged(nodes, &bare.address, &bare.certificate().await, bare.pid()).await
}

async fn exchanged(
    nodes: usize,
    address: &ServerAddress,
    certificate: &Certificate,
    server: u32,
) -> Measured {
    let mut wires = Vec::with_capacity(nodes);
    for n in 0..nodes {
        let mut wire = Wire::open(address, certificate, &format!("node-{n}")).await;
        wire.hear_greeting().await;
        wires.push(wire);
    }
    let (computed, begun) = (cpu(server), Instant::now());
    // An even one asks, the odd one after it answers.
    let each = EXCHANGES / (nodes / 2);
    let talks = wires.into_iter().enumerate().map(|(n, mut wire)| {
        let (own, other) = (format!("node-{n}"), format!("node-{}", n ^ 1));
        tokio::spawn(async move {
            let message = message(&own, &other, SEALED);
            for _ in 0..each {
                if n % 2 == 0 {
                    wire.say(message.clone()).await;
                    wire.hear().await;
                } else {
                    wire.hear().await;
                    wire.say(message.clone()).await;
                }
            }
            // Its end must not come before its last word has gone.
            wire
        })
    });
    let wires = join_all(talks).await;
    let (took, computed) = (begun.elapsed(), cpu(server) - computed);
    let memory = memory_mib(server);
    drop(wires);
    let messages = (2 * each * (nodes / 2)) as f64;
    let per = |total: Duration| total.as_secs_f64() / messages;
    Measured {
        cpu: per(computed) * 1e6,
        rate: 1.0 / per(took),
        memory,
    }
}
