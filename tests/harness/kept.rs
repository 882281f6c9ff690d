use std::collections::BTreeMap;
use std::path::Path;

use backchannel::key_store::KeyStore;
use backchannel::key_store::records::{ChannelRecord, ContextRecord};
use backchannel::message::{NodeId, RequestId, SecaggId};
use backchannel::randomness::Randomness;

use super::Network;

/// What a node that is down has on its disk.
pub struct Kept {
    pub channels: BTreeMap<NodeId, ChannelRecord>,
    pub contexts: BTreeMap<SecaggId, ContextRecord>,
    /// The researcher's requests that have no answer.
    pub open_requests: Vec<RequestId>,
}

/// What a node of this network has.
pub fn kept(network: &Network, node: &str) -> Kept {
    kept_in(network.folder.path(), node)
}

/// A copy of a node's store.
pub fn copy_of_store(folder: &Path, node: &str) -> KeyStore {
    let (data, copy) = (folder.join(node), folder.join(format!("{node}.copy")));
    std::fs::copy(data.join("node.redb"), &copy).expect("a store");
    std::fs::copy(data.join("node.key"), copy.with_extension("key")).expect("its key");
    let lock = std::fs::read_to_string(data.join("store.key")).expect("a key");
    let (lock, id) = (lock.parse().expect("a key"), node.parse().expect("an id"));
    KeyStore::open(&copy, &id, &lock, &Randomness::from_seed(0)).expect("a whole store")
}

/// Reads a copy: what a crash has left is for the node itself to put in order.
pub fn kept_in(folder: &Path, node: &str) -> Kept {
    let store = copy_of_store(folder, node);
    Kept {
        channels: store.channels().expect("read").into_iter().collect(),
        contexts: store.contexts().expect("read").into_iter().collect(),
        open_requests: store
            .open_requests()
            .expect("read")
            .into_iter()
            .map(|(id, _)| id)
            .collect(),
    }
}
