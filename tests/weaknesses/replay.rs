//! Messages that come twice.

use crate::harness::{Network, Peer, until};
use crate::{count, set_up};

#[tokio::test(flavor = "multi_thread")]
async fn a_replayed_request_gets_no_second_reply() {
    let network = Network::start(&["n"]);
    let peer = Peer::join(&network, "p", "n").await;
    set_up(&network, "p", "run");
    let node = network.node("n");
    let replies = count(node, "sent", "KeyReply");

    // At once, and again when the reply has come.
    let (id, request) = peer.request("run");
    peer.send(request.clone()).await;
    peer.send(request.clone()).await;
    peer.until_answered(&[id]).await;
    peer.send(request).await;
    until("both copies are counted", || {
        (count(node, "dropped", "repeated") == 2).then_some(())
    });

    // The next request's reply shows that no other was on its way: the peer fails when it is answered twice.
    peer.latencies("run", 1).await;
    assert_eq!(count(node, "sent", "KeyReply") - replies, 2);
}
