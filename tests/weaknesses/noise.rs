//! Messages that mean nothing, large ones and many.

use std::time::Instant;

use backchannel::message::{NodeId, OverlayMessage, RequestId, Value};

use crate::harness::{Network, Peer, RESEARCHER, sealed, until};
use crate::{count, set_up};

const LARGE: usize = 1 << 20;
/// What one bad message may add to the log, in bytes.
const SHORT: usize = 1024;
/// Messages in a flood.
const MANY: u64 = 2000;
/// Lines of one cause that a node logs within a second.
const LINES_PER_SECOND: u64 = 20;

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_message_of_1_mib_logs_one_short_line() {
    let network = Network::start(&["n"]);
    let known = Peer::join(&network, "known", "n").await;
    set_up(&network, "known", "run");
    let stranger = Peer::join(&network, "stranger", "n").await;
    let ids = ["known", "stranger", "n"].map(|id| NodeId::try_from(id).expect("an id"));
    let [known_id, stranger_id, n] = &ids;
    let noise = |source: &NodeId, setup: bool| OverlayMessage {
        researcher_id: RESEARCHER.parse().expect("an id"),
        source: source.clone(),
        dest: n.clone(),
        overlay: (0..LARGE).map(|i| (i % 251) as u8).collect(),
        setup,
        salt: vec![1; 32],
        nonce: vec![2; 16],
    };
    // Well sealed, of a kind that nobody treats, and a name of 1 MiB in it.
    let id = RequestId::try_from("request_1").expect("an id");
    let long = vec![(Value::from("x".repeat(LARGE).as_str()), 1.into())];
    let unknown = sealed(known.keys(), (known_id, n), "Nonsense", &id, long);

    let cases = [
        (&stranger, noise(stranger_id, false), "large from strangers"),
        (&stranger, noise(stranger_id, true), "large from strangers"),
        (&known, noise(known_id, false), "cannot be opened"),
        (&known, unknown, "unknown kind"),
    ];
    let node = network.node("n");
    for (peer, message, name) in cases {
        let (log, before) = (node.log().len(), count(node, "dropped", name));
        peer.send(message).await;
        until(name, || {
            (count(node, "dropped", name) == before + 1).then_some(())
        });
        // Whatever else the message made the node write is written when the next one is answered.
        known.latencies("run", 1).await;
        let log = node.log().split_off(log);
        println!("{name}: {} bytes of log", log.len());
        assert!(
            log.lines().count() == 1 && log.len() < SHORT,
            "{name}: {log}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_bad_messages_logs_few_lines_and_how_many_were_left_out() {
    let network = Network::start(&["n"]);
    let known = Peer::join(&network, "known", "n").await;
    set_up(&network, "known", "run");
    let node = network.node("n");
    let [known_id, n] = ["known", "n"].map(|id| NodeId::try_from(id).expect("an id"));
    let cause = "cannot be opened";
    let began = Instant::now();

    for number in 0..MANY {
        known
            .send(OverlayMessage {
                researcher_id: RESEARCHER.parse().expect("an id"),
                source: known_id.clone(),
                dest: n.clone(),
                overlay: number.to_be_bytes().repeat(40),
                setup: false,
                salt: vec![1; 32],
                nonce: vec![2; 16],
            })
            .await;
    }
    until("all are dropped, some for want of room", || {
        let at_relay = count(&network.relay, "dropped", "mailbox full");
        let at_node = count(node, "dropped", cause) + count(node, "dropped", "no room");
        // The node asks whether its peer has a new key: the answer may be dropped for want of room, too.
        (at_relay + at_node >= MANY).then_some(())
    });
    let seconds = began.elapsed().as_secs() + 1;

    until("each is in the log, as a line or as one left out", || {
        let (lines, left_out) = node.logged("cause=\"cannot be opened\"", cause);
        (lines + left_out == count(node, "dropped", cause)).then_some(())
    });
    let (lines, left_out) = node.logged("cause=\"cannot be opened\"", cause);
    println!("{MANY} bad messages in {seconds} s: {lines} lines, {left_out} left out");
    assert!(lines <= (seconds + 1) * LINES_PER_SECOND, "{lines} lines");
}
