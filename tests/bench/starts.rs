//! A node's start, and what it takes while it has nothing to do.

use std::time::{Duration, Instant};

use backchannel::randomness::Randomness;
use backchannel::relay::{Relay, RelayConfig};

use crate::bare::runtime;
use crate::harness::{Daemon, Folder, PATIENCE, RESEARCHER};
use crate::process::memory_mib;
use crate::row::{Row, quantile};

const TIMES: usize = 15;
/// After so long a node has nothing left to do of its start.
const IDLE_AFTER: Duration = Duration::from_secs(3);

pub fn measure() -> Vec<Row> {
    let (runtime, folder) = (runtime(), Folder::new());
    let relay = runtime.block_on(Relay::start(
        RelayConfig {
            listen: ([127, 0, 0, 1], 0).into(),
            host: "127.0.0.1".to_owned(),
            researcher_id: RESEARCHER.parse().expect("an id"),
            data_dir: folder.path().join("relay"),
            identity: None,
            listing: None,
        },
        Randomness::from_system().expect("randomness"),
    ));
    let relay = relay.expect("a relay");
    let address = relay.local_addr().to_string();
    let start = |id: &str| {
        let begun = Instant::now();
        // The daemon's own "ready" comes when it has begun to connect.
        let node = Daemon::secure_node(folder.path(), id, &address);
        let polls = || {
            relay
                .nodes()
                .iter()
                .any(|known| known.connected && known.id.as_str() == id)
        };
        while !polls() {
            assert!(begun.elapsed() < PATIENCE, "{id} does not poll");
            std::thread::sleep(Duration::from_micros(200));
        }
        (node, begun.elapsed())
    };
    let mut first = Vec::new();
    let mut nodes = Vec::new();
    for n in 0..TIMES {
        let (node, took) = start(&format!("n{n}"));
        first.push(took);
        nodes.push(node);
    }
    std::thread::sleep(IDLE_AFTER);
    let mut memory: Vec<_> = nodes.iter().map(|node| memory_mib(node.pid())).collect();
    memory.sort_by(f64::total_cmp);
    let alone = {
        nodes.truncate(1);
        std::thread::sleep(Duration::from_millis(500));
        memory_mib(nodes[0].pid())
    };
    drop(nodes);
    // What it has compiled is kept; under another id the relay sees it come.
    let mut later = Vec::new();
    for n in 0..TIMES {
        let id = format!("n{n}");
        let forgotten = || {
            !relay
                .nodes()
                .iter()
                .any(|known| known.connected && known.id.as_str() == id)
        };
        let begun = Instant::now();
        while !forgotten() {
            assert!(begun.elapsed() < PATIENCE, "{id} does not go");
            std::thread::sleep(Duration::from_millis(50));
        }
        later.push(start(&id).1);
    }
    vec![
        Row::ms(
            "node-first-start",
            quantile(&mut first, 0.5),
            format!(
                "from the start of the process to its first poll, with an empty data directory, median of {TIMES}"
            ),
        ),
        Row::ms(
            "node-start",
            quantile(&mut later, 0.5),
            format!("the same on data that is there, median of {TIMES}"),
        ),
        Row::new(
            "node-idle",
            alone,
            "MiB",
            "proportional set size of a node that has nothing to do, alone on the machine",
        ),
        Row::new(
            "node-idle-of-many",
            memory[TIMES / 2],
            "MiB",
            format!("the same of each of {TIMES}, which share their program"),
        ),
    ]
}
