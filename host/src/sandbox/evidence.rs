//! What a run left behind, as plain data: all that the invariants are checked on.

use std::collections::BTreeMap;
use std::time::Duration;

use super::asking::Asked;
use super::copies::PutBack;
use super::network::{Most, Network, SimulatedNode};
use super::ran::Ran;
use super::relay::Seen;
use super::researcher::Outcome;
use super::scenario::Scenario;
use crate::handlers::Limit;
use crate::key_store::records::ContextSecret;
use crate::key_store::{KeyStore, Quota, StoreError};
use crate::message::{NodeId, SecaggId};
use crate::trace::{Event, Session};

/// What a run left behind.
pub(super) struct Evidence<'a> {
    /// What was simulated.
    pub(super) scenario: &'a Scenario,
    /// What happened.
    pub(super) events: &'a [Event],
    /// Every instance of a plugin.
    pub(super) sessions: &'a [Session],
    /// What the relay saw.
    pub(super) seen: &'a Seen,
    /// What the researcher heard, set-up by set-up.
    pub(super) outcomes: &'a [Outcome],
    /// Of these, the ones that were begun after healing.
    pub(super) healed: &'a [SecaggId],
    /// What it heard of the protocols that it had run.
    pub(super) ran: &'a [Ran],
    /// What nodes asked each other for the scenario.
    pub(super) asked: &'a [Asked],
    /// The nodes.
    pub(super) nodes: &'a [Left],
}

/// What is left of a node.
#[derive(Default)]
pub(super) struct Left {
    pub(super) id: String,
    /// Whether it works.
    pub(super) alive: bool,
    /// Whether it came back as another once, with a seed that it was not given first.
    pub(super) is_another: bool,
    /// Copies of its store that were put back.
    pub(super) put_back: Vec<PutBack>,
    /// Why its store cannot be read, if it cannot.
    pub(super) unreadable: Option<String>,
    /// Its seed and its own channel keys, each with what it is.
    pub(super) keys: Vec<(String, Vec<u8>)>,
    pub(super) contexts: BTreeMap<SecaggId, ContextSecret>,
    /// Requests to peers that wait for an answer still.
    pub(super) pending: usize,
    /// Tasks that it has still.
    pub(super) tasks: usize,
    pub(super) most: Most,
    /// The size of its store, in bytes.
    pub(super) bytes: u64,
    /// What each plugin has stored and what it may, in bytes and keys.
    pub(super) quotas: BTreeMap<String, (Quota, Quota)>,
    /// What plugins have stored, by plugin and key.
    pub(super) entries: BTreeMap<(String, String), Vec<u8>>,
}

impl Left {
    /// Whether what it had stored at that time may be gone, with a copy of its store that was put back.
    pub(super) fn may_have_lost(&self, stored: Duration) -> bool {
        self.put_back.iter().any(|put_back| put_back.takes(stored))
    }

    /// What is left of each node of a network.
    pub(super) fn of(network: &Network) -> Vec<Self> {
        network.nodes.iter().map(Self::of_node).collect()
    }

    fn of_node(node: &SimulatedNode) -> Self {
        let mut left = Self {
            id: node.id.to_string(),
            most: node.most,
            is_another: node.is_another,
            put_back: node.copies.put_back.clone(),
            bytes: node.disk.len(),
            ..Self::default()
        };
        let Some(life) = node.life.as_ref().filter(|_| node.is_alive()) else {
            return left;
        };
        left.alive = true;
        left.pending = life.wiring.requests.pending();
        left.tasks = life.wiring.in_work();
        if let Err(error) = left.read(&life.store, node) {
            left.unreadable = Some(error.to_string());
        }
        left
    }

    fn read(&mut self, store: &KeyStore, node: &SimulatedNode) -> Result<(), StoreError> {
        self.keys
            .push(("its seed".into(), store.seed().as_bytes().to_vec()));
        for (peer, channel) in store.channels()? {
            let what = format!("its key for {peer}");
            self.keys.push((what, channel.own.as_bytes().to_vec()));
        }
        for (run, context) in store.contexts()? {
            self.contexts.insert(run, context.secret);
        }
        for (name, plugin) in node.plugins().all() {
            let may = Quota {
                bytes: plugin.limits().get(Limit::StoreKib) << 10,
                keys: plugin.limits().get(Limit::StoreKeys),
            };
            let has = store.plugin_total(name)?;
            self.quotas.insert(name.to_owned(), (has, may));
            for key in store.plugin_keys(name, "")? {
                if let Some(value) = store.plugin_entry(name, &key)? {
                    self.entries.insert((name.to_owned(), key), value.to_vec());
                }
            }
        }
        Ok(())
    }
}

/// The node of that name among `nodes`.
pub(super) fn node<'a>(nodes: &'a [Left], id: &NodeId) -> Option<&'a Left> {
    nodes.iter().find(|node| node.id == id.as_str())
}

/// Whether what a party of a set-up reported may be gone, as [`Left::may_have_lost`].
pub(super) fn may_be_gone(nodes: &[Left], outcome: &Outcome, party: &NodeId) -> bool {
    let (node, reported) = (node(nodes, party), outcome.reported.get(party));
    let both = node.zip(reported);
    both.is_some_and(|(node, reported)| node.may_have_lost(*reported))
}
