//! The identity keys of simulated nodes: made of their names, as if each was restored from a backup when its disk is lost.

use std::collections::BTreeMap;

use super::scenario::{Scenario, Suite};
use crate::message::{FederationId, NodeId};
use crate::primitives::derive_secret_key;
use crate::secure_channels::{Identities, SuiteWith};
use crate::sessions::{self, Hello, Known, Limits};

/// What each node knows, in the order of the scenario: itself, and in suite 2 or 3 all others.
pub(super) fn of_nodes(scenario: &Scenario) -> Vec<Identities> {
    let key = |node: &NodeId| derive_secret_key(&[0; 32], node.as_str().as_bytes());
    let (nodes, suite) = match scenario.suite {
        Suite::One => (&[][..], sessions::Suite::LOWEST),
        Suite::Secure(suite) => (&scenario.nodes[..], suite),
    };
    let limits = Limits {
        highest: suite.number(),
        lowest: suite.number(),
    };
    let known: BTreeMap<_, _> = nodes
        .iter()
        .map(|node| {
            let known = Known {
                identity: key(node).public_key(),
                federation: FederationId::default(),
                limits,
            };
            let confirmed = true;
            (node.clone(), SuiteWith::Secure { known, confirmed })
        })
        .collect();
    let each = scenario.nodes.iter().map(|node| {
        let mut peers = known.clone();
        peers.remove(node);
        Identities {
            own: key(node),
            hello: Hello::default(),
            peers,
            others: SuiteWith::Suite1,
        }
    });
    each.collect()
}
