//! A relay with its nodes, in a folder that goes with them.

use std::path::{Path, PathBuf};

use serde_json::Value;
use tempfile::TempDir;

use super::{Daemon, Running, Wire, finished, json, until};

/// A temporary folder. Its path is short: a control socket's may have no more than 107 bytes.
pub struct Folder(TempDir);

impl Folder {
    pub fn new() -> Self {
        Self(
            tempfile::Builder::new()
                .prefix("bc")
                .tempdir_in("/tmp")
                .expect("a folder"),
        )
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Writes a file into it and gives its path.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        let path = self.path().join(name);
        std::fs::write(&path, content).expect("written");
        path.to_str().expect("text").to_owned()
    }

    /// The path of something in it, there or not.
    pub fn at(&self, name: &str) -> String {
        self.path().join(name).to_str().expect("text").to_owned()
    }
}

/// Pins the nodes, which do not run, in each other, as their operators do who telephone. With [`Daemon::secure_node`] they talk in
/// suite 2 then.
pub fn introduce(folder: &Folder, ids: &[&str]) {
    let exported: Vec<_> = ids
        .iter()
        .map(|id| {
            let (data, file) = (folder.at(id), folder.at(&format!("{id}.toml")));
            let export = ["identity", "export", "--data", &data, "--id", id];
            let exported = json(&[&export[..], &["--to", &file]].concat());
            let fingerprint = exported["fingerprint"].as_str().expect("a text");
            (*id, file, fingerprint.to_owned())
        })
        .collect();
    for id in ids {
        let data = folder.at(id);
        let others = exported.iter().filter(|(other, ..)| other != id);
        for (other, file, fingerprint) in others {
            let pin = ["peer", "pin", other, file, "--fingerprint", fingerprint];
            json(&[&pin[..], &["--data", &data]].concat());
        }
    }
}

/// A relay and nodes, all connected when it has started.
pub struct Network {
    // Dropped in this order: the processes before their folder.
    pub relay: Daemon,
    pub nodes: Vec<Daemon>,
    pub folder: Folder,
}

impl Network {
    /// Starts a relay, and a node `id` that reaches it through a wire that can be held.
    pub fn start_wired(id: &str) -> (Self, Wire) {
        let folder = Folder::new();
        let relay = Daemon::relay(folder.path(), "relay");
        let wire = Wire::to(&relay.address);
        let nodes = vec![Daemon::node(folder.path(), id, &wire.address)];
        let network = Self {
            relay,
            nodes,
            folder,
        };
        network.until_connected();
        (network, wire)
    }

    /// Starts a relay and a node for each id.
    pub fn start(ids: &[&str]) -> Self {
        Self::start_in(Folder::new(), ids)
    }

    /// Starts a relay and a node for each id. The nodes talk in suite 2.
    pub fn start_secure(ids: &[&str]) -> Self {
        let folder = Folder::new();
        introduce(&folder, ids);
        let relay = Daemon::relay(folder.path(), "relay");
        let node = |id: &&str| Daemon::secure_node(folder.path(), id, &relay.address);
        let nodes = ids.iter().map(node).collect();
        let network = Self {
            relay,
            nodes,
            folder,
        };
        network.until_connected();
        network
    }

    /// The same as [`Self::start`] in a folder that has something in it already: a node's policy, say.
    pub fn start_in(folder: Folder, ids: &[&str]) -> Self {
        let relay = Daemon::relay(folder.path(), "relay");
        let nodes = ids
            .iter()
            .map(|id| Daemon::node(folder.path(), id, &relay.address))
            .collect();
        let network = Self {
            relay,
            nodes,
            folder,
        };
        network.until_connected();
        network
    }

    /// Waits until the relay holds a poll of every node.
    pub fn until_connected(&self) {
        until("all nodes are connected", || {
            let status = self.relay.status();
            let here = |node: &Daemon| {
                let listed = status["nodes"].as_array().expect("a list");
                listed
                    .iter()
                    .any(|one| one["id"] == node.id && one["connected"] == true)
            };
            self.nodes.iter().all(here).then_some(())
        });
    }

    pub fn node(&self, id: &str) -> &Daemon {
        self.nodes
            .iter()
            .find(|node| node.id == id)
            .expect("a node of the network")
    }

    pub fn node_mut(&mut self, id: &str) -> &mut Daemon {
        self.nodes
            .iter_mut()
            .find(|node| node.id == id)
            .expect("a node of the network")
    }

    /// All ids, as `--parties` takes them.
    pub fn parties(&self) -> String {
        let ids: Vec<_> = self.nodes.iter().map(|node| node.id.as_str()).collect();
        ids.join(",")
    }

    /// Begins a set-up among all nodes.
    pub fn begin_set_up(&self, scheme: &str) -> Running {
        let parties = self.parties();
        Running::start(&[
            "secagg",
            "setup",
            "--relay",
            self.relay.data(),
            "--scheme",
            scheme,
            "--parties",
            &parties,
            "-o",
            "json",
        ])
    }

    /// Sets up among all nodes; gives the id.
    pub fn set_up(&self, scheme: &str) -> String {
        let done = finished(self.begin_set_up(scheme));
        done["secagg_id"].as_str().expect("an id").to_owned()
    }

    /// What a node protected, in a file that `secagg aggregate` takes.
    pub fn protect(&self, node: &str, id: &str, round: u64, csv: &str, column: &str) -> String {
        let round = round.to_string();
        let protected: Value = json(&[
            "secagg",
            "protect",
            "--node",
            self.node(node).data(),
            "--id",
            id,
            "--round",
            &round,
            "--data",
            csv,
            "--column",
            column,
        ]);
        self.folder
            .write(&format!("{node}-{round}.json"), protected.to_string())
    }

    /// Where a node keeps its keys.
    pub fn store(&self, node: &str) -> PathBuf {
        self.folder.path().join(node).join("node.redb")
    }
}
