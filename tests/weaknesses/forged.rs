//! Senders that are not who they say.

use std::collections::BTreeSet;

use backchannel::message::{NodeId, RequestId, Value};
use backchannel::overlay::ChannelKeys;
use backchannel::primitives::derive_secret_key;
use futures::future::join_all;
use serde_json::json;

use crate::harness::{Network, Peer, Running, kept, pem, sealed, until};
use crate::{command, count, set_up};

const FORGED: usize = 300;
/// How many of them answer no set-up request. The node waits for them 10 s.
const SILENT: usize = 50;

#[tokio::test(flavor = "multi_thread")]
async fn three_hundred_forged_senders_create_no_stored_channels() {
    let mut network = Network::start(&["n", "m"]);
    let ids: Vec<_> = (0..FORGED)
        .map(|number| format!("forged-{number}"))
        .collect();
    let mut forgers = Vec::with_capacity(FORGED);
    for some in ids.chunks(50) {
        let joining = some.iter().map(|id| Peer::join(&network, id, "n"));
        forgers.extend(join_all(joining).await);
    }
    for silent in &forgers[..SILENT] {
        silent.fall_silent();
    }

    // Each has the node ask for its key, to read the request.
    for forger in &forgers {
        forger.ask("unknown run").await;
    }
    let node = network.node("n");
    let answering = (FORGED - SILENT) as u64;
    until("the requests of those that answer can be read", || {
        (count(node, "received", "KeyRequest") == answering).then_some(())
    });
    until("the others are given up", || {
        (count(node, "dropped", "unsent") == SILENT as u64).then_some(())
    });
    assert_eq!(node.status()["channels"], json!([]));

    network.set_up("dh");
    assert_eq!(
        network.node("n").status()["channels"],
        json!([{ "peer": "m", "suite": 1 }])
    );
    let (status, _) = network.node_mut("n").stop();
    assert!(status.success(), "{status}");
    let stored: BTreeSet<_> = kept(&network, "n").channels.into_keys().collect();
    assert_eq!(stored, BTreeSet::from(["m".parse().expect("an id")]));
}

/// The fields of a reply with somebody else's key.
fn key_of_a_liar(run: &str) -> Vec<(Value, Value)> {
    let key = derive_secret_key(&[66; 32], b"liar").public_key();
    vec![
        ("public_key".into(), pem(&key)),
        ("secagg_id".into(), run.into()),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn no_reply_but_the_asked_peers_own_completes_a_request() {
    let mut network = Network::start(&["n"]);
    let asked = Peer::join(&network, "asked", "n").await;
    let liar = Peer::join(&network, "liar", "n").await;
    set_up(&network, "liar", "another run");
    asked.hold();
    let words = command(&network, "n,asked", "run");
    let under_way = Running::start(&[&words[..], &["-o", "json"]].concat());
    until("the node asks", || (asked.held().len() == 1).then_some(()));
    let id = asked.held()[0].request_id.clone().expect("a request's id");
    let node = network.node("n");
    let dropped = |name: &str| count(node, "dropped", name);
    let [n, asked_id, liar_id] =
        ["n", "asked", "liar"].map(|id| NodeId::try_from(id).expect("an id"));

    // The liar knows the request's id, and answers in its own name, ...
    let reply = |keys: &ChannelKeys, source: &NodeId| {
        sealed(keys, (source, &n), "KeyReply", &id, key_of_a_liar("run"))
    };
    liar.send(reply(liar.keys(), &liar_id)).await;
    until("its own reply is dropped", || {
        (dropped("not asked for") == 1).then_some(())
    });
    // ... in the asked peer's name, ...
    liar.send(reply(liar.keys(), &asked_id)).await;
    until("the forged one is dropped", || {
        (dropped("cannot be opened") == 1).then_some(())
    });
    // ... and under the key that everyone has.
    let published = ChannelKeys::published().expect("the published key");
    let own = published.own_secret_key();
    let mut set_up = reply(&ChannelKeys::new(&own, &own.public_key()), &asked_id);
    set_up.setup = true;
    liar.send(set_up).await;
    until("the published key's is dropped", || {
        (dropped("cannot be opened") == 2).then_some(())
    });
    // Or it says that the asked peer has another key.
    let other = RequestId::try_from("request_of-nobody").expect("an id");
    let key = key_of_a_liar("run").swap_remove(0);
    liar.send(sealed(
        published,
        (&asked_id, &n),
        "ChannelSetupReply",
        &other,
        vec![key],
    ))
    .await;
    until("the forged key is dropped", || {
        (dropped("not asked for") == 2).then_some(())
    });

    let status = node.status();
    let runs: Vec<_> = status["contexts"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|context| &context["secagg_id"])
        .collect();
    assert_eq!(runs, ["another run"], "completed by a liar");
    assert_eq!(status["pending"], 1, "{status}");

    // The asked peer's own reply still counts.
    asked.release().await;
    let outcome = under_way.outcome();
    assert_eq!(outcome.code, 0, "{outcome:?}");
    let (status, _) = network.node_mut("n").stop();
    assert!(status.success(), "{status}");
    let channels = kept(&network, "n").channels;
    assert_eq!(channels[&asked_id].peer, Some(asked.public_key()));
}
