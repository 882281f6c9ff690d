//! A node that is killed in the middle of a set-up.

use std::time::{Duration, Instant};

use backchannel::key_store::records::{ChannelRecord, ContextSecret};
use backchannel::message::{NodeId, SecaggId};
use p256::SecretKey;
use p256::elliptic_curve::sec1::ToSec1Point;
use serde_json::Value;

use crate::harness::{Network, kept, until};

fn public_key(channel: &ChannelRecord) -> Vec<u8> {
    let own = SecretKey::from_slice(channel.own.as_bytes()).expect("a key");
    own.public_key().to_sec1_point(false).as_bytes().to_vec()
}

fn count(status: &Value, list: &str, kind: &str) -> u64 {
    status[list][kind].as_u64().unwrap_or_default()
}

fn knows(status: &Value, peer: &str) -> bool {
    status["channels"]
        .as_array()
        .expect("a list")
        .iter()
        .any(|channel| channel["peer"] == peer)
}

/// Kills `a` while a set-up with `b` is under way, as soon as `moment` says so; then starts it again and sets up again.
fn survives_a_kill(name: &str, mut network: Network, moment: impl FnOnce(&Network)) {
    let under_way = network.begin_set_up("dh");
    moment(&network);
    network.node_mut("a").kill();
    network.node("b").resume();
    drop(under_way);
    let at_kill = kept(&network, "a");
    let b_at_kill = network.node("b").status();

    network.node_mut("a").start_again();
    network.until_connected();
    let id = network.set_up("dh");

    let (a, b) = (network.node("a").status(), network.node("b").status());
    for node in ["a", "b"] {
        let (status, _) = network.node_mut(node).stop();
        assert!(status.success(), "{name}: {status}");
    }
    let (kept_a, kept_b) = (kept(&network, "a"), kept(&network, "b"));
    let [id_a, id_b] = ["a", "b"].map(|id| NodeId::try_from(id).expect("an id"));
    println!(
        "{name}: a had {} channels and {} contexts",
        at_kill.channels.len(),
        at_kill.contexts.len()
    );

    // Whoever had the channel keeps it. If both had it, nobody asks again; if one had, that one may: a peer that has to
    // ask for a key could as well have lost its store (see `Post::asked_for_own_key`).
    if let Some(channel) = at_kill.channels.get(&id_b) {
        assert_eq!(kept_a.channels[&id_b], *channel, "{name}");
        if knows(&b_at_kill, "a") {
            let asked = |status| count(status, "sent", "ChannelSetupRequest");
            assert_eq!(asked(&a), 0, "{name}");
            assert_eq!(asked(&b), asked(&b_at_kill), "{name}");
        }
    }
    for (secagg_id, context) in &at_kill.contexts {
        assert_eq!(kept_a.contexts[secagg_id], *context, "{name}");
    }
    // Each believes what the other has: also a key that `a` had told before it was killed.
    assert_eq!(
        Some(public_key(&kept_a.channels[&id_b])),
        kept_b.channels[&id_a].peer,
        "{name}"
    );
    assert_eq!(
        Some(public_key(&kept_b.channels[&id_a])),
        kept_a.channels[&id_b].peer,
        "{name}"
    );
    // And they agree on the pair's secret.
    let id = SecaggId::try_from(id).expect("an id");
    let (ContextSecret::Pairs(of_a), ContextSecret::Pairs(of_b)) =
        (&kept_a.contexts[&id].secret, &kept_b.contexts[&id].secret)
    else {
        panic!("{name}: not the scheme that was asked for");
    };
    assert!(of_a["b"] == of_b["a"], "{name}: two secrets for one pair");
}

#[test]
fn a_node_killed_at_any_moment_of_a_set_up_keeps_its_channel_keys() {
    let measured = Network::start(&["a", "b"]);
    let began = Instant::now();
    measured.set_up("dh");
    let whole = began.elapsed();
    drop(measured);

    // Each moment has its network. They run at once: where a message dies with the node, the other waits 10 s.
    const MOMENTS: u32 = 6;
    std::thread::scope(|scope| {
        for moment in 0..MOMENTS {
            let network = Network::start(&["a", "b"]);
            let delay: Duration = whole * moment / (MOMENTS - 1);
            let name = format!("killed after {delay:?} of {whole:?}");
            scope.spawn(move || survives_a_kill(&name, network, |_| std::thread::sleep(delay)));
        }
    });
}

#[test]
fn a_node_killed_while_it_asks_for_a_key_has_told_its_own() {
    let network = Network::start(&["a", "b"]);
    network.node("b").pause();
    survives_a_kill("waiting for the channel", network, |network| {
        until("a asks b for its key", || {
            (count(&network.node("a").status(), "sent", "ChannelSetupRequest") > 0).then_some(())
        });
    });
}

#[test]
fn a_node_killed_between_request_and_reply_sets_no_channel_up_again() {
    let network = Network::start(&["a", "b"]);
    network.set_up("dh");
    network.node("b").pause();
    survives_a_kill("waiting for a reply", network, |network| {
        until("a asks b for its key of the run", || {
            (count(&network.node("a").status(), "sent", "KeyRequest") > 1).then_some(())
        });
    });
}
