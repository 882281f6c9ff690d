//! Large messages that mean nothing.

use backchannel::message::{NodeId, OverlayMessage, RequestId, Value};

use crate::harness::{Network, Peer, RESEARCHER, sealed, until};
use crate::{count, set_up};

const LARGE: usize = 1 << 20;
/// What one bad message may add to the log, in bytes.
const SHORT: usize = 1024;

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
