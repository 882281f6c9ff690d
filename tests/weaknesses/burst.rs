//! More messages than a node can take.

use serde_json::Value;

use crate::harness::{Daemon, Network, Peer, until};
use crate::{count, set_up};

const BURST: u64 = 5000;
/// What a node lets wait of one kind of sender.
const ROOM: u64 = 2000;
/// By how much the node may grow, in KiB.
const GROWTH: u64 = 128 << 10;

/// What the relay has passed on and what it has dropped, and that nothing is on its way.
fn relayed(relay: &Daemon) -> (u64, u64) {
    let status = relay.status();
    let forwarded = status["forwarded"]["OverlayMessage"].as_u64();
    let dropped = status["dropped"].as_object().expect("counts").values();
    let dropped = dropped.filter_map(Value::as_u64).sum();
    (forwarded.unwrap_or_default(), dropped)
}

fn no_room(node: &Value) -> u64 {
    node["dropped"]["no room"].as_u64().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_burst_of_5000_messages_is_bounded_and_what_is_refused_is_counted() {
    let network = Network::start(&["n"]);
    let honest = Peer::join(&network, "honest", "n").await;
    set_up(&network, "honest", "run");
    let flooder = Peer::join(&network, "flooder", "n").await;
    let node = network.node("n");
    // From now on the node can read the flooder's messages: it has asked for its key.
    flooder.ask("unknown run").await;
    until("the node has the first request", || {
        (count(node, "received", "KeyRequest") == 1).then_some(())
    });
    honest.latencies("run", 100).await;
    let memory = node.memory_kib();
    let (forwarded, refused) = relayed(&network.relay);
    let received = count(node, "received", "KeyRequest");

    // None can be answered, so none leaves before its time is up.
    for number in 0..BURST {
        flooder.ask(&format!("unknown run {number}")).await;
    }
    until("the relay has dealt with all of them", || {
        let (forwarded_now, refused_now) = relayed(&network.relay);
        (forwarded_now + refused_now == forwarded + refused + BURST).then_some(())
    });
    honest.latencies("run", 1).await;

    let (_, refused_now) = relayed(&network.relay);
    let status = node.status();
    let refused = refused_now - refused + no_room(&status);
    let treated = count(node, "received", "KeyRequest") - received;
    let grown = node.memory_kib().saturating_sub(memory);
    println!("{BURST} messages: {refused} refused, {treated} begun, {grown} KiB more memory");
    assert!(refused > 0, "nothing is refused: {status}");
    assert!(
        refused + treated + ROOM >= BURST,
        "some were refused uncounted: {status}"
    );
    assert!(grown < GROWTH, "{grown} KiB more for {BURST} messages");
    honest.latencies("run", 100).await;
}
