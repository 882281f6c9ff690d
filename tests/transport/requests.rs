//! What a researcher asks through its relay.

use std::collections::BTreeSet;
use std::time::Duration;

use backchannel::message::{NodeId, ToNode, ToResearcher};
use backchannel::relay::{Answers, Request, Run};

use crate::harness::{Node, PATIENCE, start_relay};

fn ids(ids: &[&str]) -> BTreeSet<NodeId> {
    ids.iter().map(|id| id.parse().unwrap()).collect()
}

/// Answers every ping, and every set-up with an error.
async fn serve(mut node: Node) {
    loop {
        let (id, name) = (node.id.clone(), node.id.to_string());
        let reply = match node.next().await {
            ToNode::Ping {
                request_id,
                researcher_id,
            } => ToResearcher::PingReply {
                request_id,
                researcher_id,
                node_id: id,
                node_name: name,
            },
            ToNode::SecaggSetup(setup) => ToResearcher::Error {
                request_id: setup.request_id,
                researcher_id: setup.researcher_id,
                node_id: id,
                node_name: name,
                extra_msg: "silent: b".to_owned(),
                errnum: Some("FB318".to_owned()),
            },
            other => panic!("unexpected: {other:?}"),
        };
        node.outgoing.send(reply.into()).await.unwrap();
    }
}

#[tokio::test]
async fn says_who_answered_who_failed_who_is_silent_and_who_is_not_there() {
    let folder = tempfile::tempdir().unwrap();
    let relay = start_relay(folder.path(), 0).await.unwrap();
    let (mut a, mut silent) = (Node::start("a", &relay), Node::start("silent", &relay));
    a.greeted().await;
    silent.greeted().await;
    let a = tokio::spawn(serve(a));

    let all = ids(&["a", "silent", "away"]);
    let answers = relay
        .ask(&Request::Ping, &all, Duration::from_secs(3))
        .await;
    assert_eq!(
        answers.answered.keys().cloned().collect::<BTreeSet<_>>(),
        ids(&["a"])
    );
    assert_eq!(answers.silent, ids(&["silent"]));
    assert_eq!(answers.not_connected, ids(&["away"]));
    assert!(answers.failed.is_empty());

    let run = Run {
        secagg_id: "secagg_1".parse().unwrap(),
        experiment_id: "exp_1".parse().unwrap(),
        parties: vec!["a".parse().unwrap(), "silent".parse().unwrap()],
    };
    let answers = relay
        .ask(&Request::PairSecrets(run), &ids(&["a"]), PATIENCE)
        .await;
    let Answers { failed, .. } = &answers;
    assert_eq!(failed.values().next().unwrap().text, "silent: b");
    assert!(answers.answered.is_empty() && answers.silent.is_empty());
    a.abort();
}

#[tokio::test]
async fn lists_the_nodes_it_knows() {
    let folder = tempfile::tempdir().unwrap();
    let relay = start_relay(folder.path(), 0).await.unwrap();
    assert!(relay.nodes().is_empty());
    let (mut b, mut a) = (Node::start("b", &relay), Node::start("a", &relay));
    a.greeted().await;
    b.greeted().await;

    let nodes = relay.nodes();

    assert_eq!(
        nodes
            .iter()
            .map(|node| node.id.as_str())
            .collect::<Vec<_>>(),
        ["a", "b"]
    );
    assert!(
        nodes
            .iter()
            .all(|node| node.connected && node.last_seen.is_some() && node.address.is_some())
    );
}
