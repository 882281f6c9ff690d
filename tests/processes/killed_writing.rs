//! A node that is killed while it writes its store, again and again.

use std::collections::BTreeSet;
use std::sync::mpsc;

use backchannel::key_store::records::ContextSecret;
use backchannel::message::{NodeId, SecaggId};
use serde_json::Value;

use crate::harness::{Kept, Network, Outcome, kept, until};

const KILLS: usize = 8;
/// Set-ups at a time: each is some writes.
const AT_ONCE: usize = 6;

fn contexts(network: &Network) -> usize {
    let status = network.node("a").status();
    status["contexts"].as_array().expect("a list").len()
}

/// What `outcomes` have come by now: the contexts of those that succeeded. The others have failed, and say so.
fn succeeded(outcomes: impl Iterator<Item = Outcome>) -> BTreeSet<SecaggId> {
    let mut succeeded = BTreeSet::new();
    for outcome in outcomes {
        let said: Value = serde_json::from_str(&outcome.out).expect("an object");
        if outcome.code == 0 {
            let id = said["secagg_id"].as_str().expect("an id");
            succeeded.insert(SecaggId::try_from(id).expect("an id"));
        } else {
            assert_eq!(outcome.code, 1, "{outcome:?}");
        }
    }
    succeeded
}

fn assert_has(kept: &Kept, acknowledged: &BTreeSet<SecaggId>) {
    let missing: Vec<_> = acknowledged
        .iter()
        .filter(|id| !kept.contexts.contains_key(id))
        .collect();
    assert!(missing.is_empty(), "acknowledged, and gone: {missing:?}");
}

#[test]
fn a_node_killed_while_it_writes_has_all_that_it_acknowledged() {
    let mut network = Network::start(&["a", "b"]);
    network.set_up("dh");
    let b = NodeId::try_from("b").expect("an id");
    let (ended, outcomes) = mpsc::channel();
    let mut acknowledged = BTreeSet::new();
    let mut channel = None;
    for kill in 0..KILLS {
        let before = contexts(&network);
        for _ in 0..AT_ONCE {
            let (under_way, ended) = (network.begin_set_up("dh"), ended.clone());
            std::thread::spawn(move || ended.send(under_way.outcome()));
        }
        until("some are written, others are being written", || {
            (contexts(&network) > before + kill % (AT_ONCE - 1)).then_some(())
        });
        network.node_mut("a").kill();

        let at_kill = kept(&network, "a");
        acknowledged.append(&mut succeeded(outcomes.try_iter()));
        assert_has(&at_kill, &acknowledged);
        let found = at_kill.channels[&b].clone();
        assert_eq!(*channel.get_or_insert(found.clone()), found, "one identity");

        network.node_mut("a").start_again();
        network.until_connected();
        network.set_up("dh");
    }

    drop(ended);
    acknowledged.append(&mut succeeded(outcomes.iter()));
    for node in ["a", "b"] {
        let (status, _) = network.node_mut(node).stop();
        assert!(status.success(), "{node}: {status}");
    }
    let (kept_a, kept_b) = (kept(&network, "a"), kept(&network, "b"));
    println!("{} acknowledged over {KILLS} kills", acknowledged.len());
    assert_has(&kept_a, &acknowledged);
    assert_has(&kept_b, &acknowledged);
    for id in &acknowledged {
        let (ContextSecret::Pairs(of_a), ContextSecret::Pairs(of_b)) =
            (&kept_a.contexts[id].secret, &kept_b.contexts[id].secret)
        else {
            panic!("not the scheme that was asked for");
        };
        assert!(of_a["b"] == of_b["a"], "{id}: two secrets for one pair");
    }
}
