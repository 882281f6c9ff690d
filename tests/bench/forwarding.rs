//! What a relay forwards, beside a bare tonic server that does nothing but pass on what comes on one stream to another.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use backchannel::transport::{Certificate, ServerAddress, fetch_certificate};
use tokio::sync::Notify;

use crate::bare::{Bare, runtime};
use crate::harness::{Daemon, Folder};
use crate::process::cpu;
use crate::row::Row;
use crate::wire::{WINDOW, Wire, message};

/// Of ciphertext, in bytes.
const SEALED: usize = 560;
const FOR: Duration = Duration::from_secs(6);

pub fn measure() -> Vec<Row> {
    let runtime = runtime();
    runtime.block_on(async {
        let bare = Bare::start();
        let floor = forwarded(&bare.address, &bare.certificate().await, bare.pid()).await;
        drop(bare);
        let folder = Folder::new();
        let relay = Daemon::relay(folder.path(), "relay");
        let address: ServerAddress = relay.address.parse().expect("an address");
        let certificate = fetch_certificate(&address).await.expect("a certificate");
        let ours = forwarded(&address, &certificate, relay.pid()).await;
        let how = format!(
            "messages of {SEALED} B from one node to another in {} s, {WINDOW} under way, both clients in one process and the server in another",
            FOR.as_secs()
        );
        vec![
            Row::new("floor-forwarded", floor.0, "/s", format!("bare tonic: {how}")),
            Row::new("floor-forwarded-cpu", floor.1, "us", "computing time of the server for each"),
            Row::new("forwarded", ours.0, "/s", how),
            Row::new("forwarded-cpu", ours.1, "us", "computing time of the relay for each"),
        ]
    })
}

/// Messages per second, and µs of computing of the server's process for each.
async fn forwarded(address: &ServerAddress, certificate: &Certificate, server: u32) -> (f64, f64) {
    let sender = Wire::open(address, certificate, "a").await;
    let mut receiver = Wire::open(address, certificate, "b").await;
    // A relay takes messages for nodes that have polled.
    receiver.hear_greeting().await;
    let (arrived, more) = (receiver.received.clone(), Arc::new(Notify::new()));
    let message = message("a", "b", SEALED);
    let before = arrived.load(Ordering::Relaxed);
    let (computed, begun) = (cpu(server), Instant::now());
    let hearing = tokio::spawn({
        let more = more.clone();
        async move {
            loop {
                receiver.hear().await;
                more.notify_one();
                // What it has heard it says now and then.
                if receiver.received.load(Ordering::Relaxed) % (WINDOW / 2) == 0 {
                    receiver.say(Default::default()).await;
                }
            }
        }
    });
    let Wire {
        said, mut heard, ..
    } = sender;
    let acknowledged =
        tokio::spawn(
            async move { while heard.message().await.is_ok_and(|frame| frame.is_some()) {} },
        );
    let mut sent = 0;
    while begun.elapsed() < FOR {
        while sent - (arrived.load(Ordering::Relaxed) - before) >= WINDOW {
            more.notified().await;
        }
        let frame = backchannel::proto::relay::FromNode {
            message: message.clone(),
            ..Default::default()
        };
        said.send(frame).await.expect("open");
        sent += 1;
    }
    let (took, computed) = (begun.elapsed(), cpu(server) - computed);
    let count = arrived.load(Ordering::Relaxed) - before;
    hearing.abort();
    acknowledged.abort();
    let each = |total: Duration| total.as_secs_f64() / count as f64;
    (1.0 / each(took), each(computed) * 1e6)
}
