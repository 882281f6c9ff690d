//! A node with many plugins: its start, and the memory it takes.

use std::time::{Duration, Instant};

use backchannel_test_guests::HONEST;

use crate::harness::{Daemon, Folder};
use crate::process::memory_mib;
use crate::requests::enable;
use crate::row::Row;
use crate::starts::Watch;

/// Beside the three that come with the host.
const PLUGINS: [usize; 4] = [1, 10, 30, 100];
const IDLE_AFTER: Duration = Duration::from_secs(3);

pub fn measure() -> Vec<Row> {
    let folder = Folder::new();
    let watch = Watch::start(&folder);
    let address = &watch.address;
    let mut rows = Vec::new();
    let (id, mut installed) = ("has", 0);
    for plugins in PLUGINS {
        for n in installed..plugins {
            install(&folder, id, n);
        }
        installed = plugins;
        // Compiles them.
        drop(Daemon::secure_node(folder.path(), id, address));
        watch.until(id, false);
        let begun = Instant::now();
        let node = Daemon::secure_node(folder.path(), id, address);
        watch.until(id, true);
        let took = begun.elapsed();
        std::thread::sleep(IDLE_AFTER);
        rows.push(Row::ms(
            format!("plugins-{plugins}-start"),
            took,
            format!("to the first poll of a node with {plugins} plugins, compiled before"),
        ));
        rows.push(Row::new(
            format!("plugins-{plugins}-idle"),
            memory_mib(node.pid()),
            "MiB",
            "what it takes then",
        ));
    }
    rows
}

/// The echo as another plugin of another kind: names of the same length in place of its own.
fn install(folder: &Folder, id: &str, n: usize) {
    let name = format!("hon{n:03}");
    let names: [(&[u8], String); 3] = [
        (b"EchoRequest", format!("Ech{n:03}Query")),
        (b"EchoReply", format!("Ech{n:03}Say")),
        (b"honest", name.clone()),
    ];
    let mut component = HONEST.to_vec();
    for (own, other) in names {
        assert_eq!(own.len(), other.len());
        for at in 0..component.len() - own.len() {
            if component[at..].starts_with(own) {
                component[at..][..own.len()].copy_from_slice(other.as_bytes());
            }
        }
    }
    enable(folder, id, &name, &component);
}
