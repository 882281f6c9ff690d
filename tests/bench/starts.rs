//! A node's start, and what it takes while it has nothing to do.

use std::time::{Duration, Instant};

use backchannel::randomness::Randomness;
use backchannel::relay::{Relay, RelayConfig};
use tokio::runtime::Runtime;

use crate::bare::runtime;
use crate::harness::{Daemon, Folder, PATIENCE, RESEARCHER};
use crate::process::memory_mib;
use crate::row::{Row, quantile};

const TIMES: usize = 15;
/// After so long a node has nothing left to do of its start.
const IDLE_AFTER: Duration = Duration::from_secs(3);
/// After so long without the others' processes.
const SHARED_NO_MORE: Duration = Duration::from_millis(500);

/// A relay that sees nodes come and go.
pub struct Watch {
    relay: Relay,
    pub address: String,
    _runtime: Runtime,
}

impl Watch {
    pub fn start(folder: &Folder) -> Self {
        let runtime = runtime();
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
        Self {
            address: relay.local_addr().to_string(),
            relay,
            _runtime: runtime,
        }
    }

    /// Waits until a node polls, or is forgotten to have.
    pub fn until(&self, id: &str, connected: bool) {
        let begun = Instant::now();
        let is = || {
            let nodes = self.relay.nodes();
            let node = nodes.iter().find(|node| node.id.as_str() == id);
            node.is_some_and(|node| node.connected)
        };
        while is() != connected {
            assert!(begun.elapsed() < PATIENCE, "{id} connected: {}", !connected);
            std::thread::sleep(Duration::from_micros(200));
        }
    }
}

pub fn measure() -> Vec<Row> {
    let folder = Folder::new();
    let watch = Watch::start(&folder);
    let start = |id: &str| {
        let begun = Instant::now();
        // The daemon's own "ready" comes when it has begun to connect.
        let node = Daemon::secure_node(folder.path(), id, &watch.address);
        watch.until(id, true);
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
    nodes.truncate(1);
    std::thread::sleep(SHARED_NO_MORE);
    let after_first = memory_mib(nodes[0].pid());
    drop(nodes);
    // What it has compiled is kept; under another id the relay sees it come.
    let (mut later, mut after_later) = (Vec::new(), 0.0);
    for n in 0..TIMES {
        let id = format!("n{n}");
        watch.until(&id, false);
        let (node, took) = start(&id);
        later.push(took);
        if n + 1 == TIMES {
            std::thread::sleep(IDLE_AFTER);
            after_later = memory_mib(node.pid());
        }
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
            after_later,
            "MiB",
            "proportional set size of a node that has nothing to do, alone on the machine",
        ),
        Row::new(
            "node-idle-after-first",
            after_first,
            "MiB",
            "the same after its first start, for which it compiled its plugins",
        ),
        Row::new(
            "node-idle-of-many",
            memory[TIMES / 2],
            "MiB",
            format!("the same of each of {TIMES}, which share their program"),
        ),
    ]
}
