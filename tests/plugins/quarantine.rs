//! A plugin that the node took out of service by itself.

use backchannel::message::RequestId;
use backchannel::randomness::Randomness;

use crate::component::{changed, echo};
use crate::harness::{Network, Peer, sealed, until};
use crate::{echoed, plugin, row_of, set_to_work};

/// Has the attacker crash, and waits until that is counted.
async fn crash(network: &Network, peer: &Peer) {
    let crashed = || crate::dropped(network, "n", "plugin stopped");
    let before = crashed();
    let (node, id) = ("n".parse().expect("an id"), "p".parse().expect("an id"));
    let fields = vec![
        ("attack".into(), "recurse".into()),
        ("argument".into(), backchannel::message::Value::Bin(vec![])),
    ];
    let request = RequestId::fresh(&mut Randomness::from_system().expect("randomness"));
    peer.send(sealed(
        peer.keys(),
        (&id, &node),
        "AttackRequest",
        &request,
        fields,
    ))
    .await;
    until("it has crashed", || (crashed() > before).then_some(()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_in_quarantine_is_shown_with_its_reason_and_let_out_by_enabling_it() {
    let mut network = Network::start(&["n"]);
    let data = network.node("n").data().to_owned();
    let peer = Peer::join(&network, "p", "n").await;
    set_to_work(&network.folder, &data, &echo("1.0.0"));
    let attacker = changed(backchannel_test_guests::ATTACKER, &serde_json::json!({}));
    let digest = crate::install(&network.folder, &data, &attacker);
    plugin(
        &data,
        &["approve", &digest, "--all-declared", "--reason", "trial"],
    );
    plugin(&data, &["enable", "attacker"]);

    for _ in 0..5 {
        crash(&network, &peer).await;
    }
    let row = row_of(&data, &digest);
    assert!(
        row["quarantine"]
            .as_str()
            .is_some_and(|why| why.contains("attacker")),
        "{row}"
    );
    assert_eq!(echoed(&peer, "unharmed").await, "unharmed");

    let released = plugin(&data, &["enable", "attacker"]);
    assert_eq!(released["changes"][0], "attacker is out of quarantine");
    assert_eq!(
        row_of(&data, &digest)["quarantine"],
        serde_json::Value::Null
    );

    // The same on a node that does not run: it would be in quarantine when it starts again.
    for _ in 0..5 {
        crash(&network, &peer).await;
    }
    drop(peer);
    network.node_mut("n").stop();
    plugin(&data, &["enable", "attacker"]);
    network.node_mut("n").start_again();
    assert_eq!(
        row_of(&data, &digest)["quarantine"],
        serde_json::Value::Null
    );
}
