//! A relay that carries what ours would refuse.

use std::time::Duration;

use backchannel::message::{OverlayMessage, ResearcherId, ToNode, ToResearcher};
use tokio::time::timeout;

use crate::harness::{Daemon, Folder, PATIENCE, RESEARCHER, until};
use crate::relay::AnyRelay;

#[tokio::test(flavor = "multi_thread")]
async fn messages_of_a_foreign_researcher_do_not_stop_the_node() {
    let folder = Folder::new();
    let mut relay = AnyRelay::start(&folder, &["n"]).await;
    let (path, address) = (folder.path().to_owned(), relay.address.clone());
    let node = tokio::task::spawn_blocking(move || Daemon::node(&path, "n", &address));
    let node = node.await.expect("a node");
    let ping = |researcher: &str, number: usize| ToNode::Ping {
        request_id: Some(format!("request_{number}").parse().expect("an id")),
        researcher_id: researcher.parse().expect("an id"),
    };
    let foreign = |setup| OverlayMessage {
        researcher_id: ResearcherId::try_from("RESEARCHER_other").expect("an id"),
        source: "p".parse().expect("an id"),
        dest: "n".parse().expect("an id"),
        overlay: vec![7; 300],
        setup,
        salt: vec![1; 32],
        nonce: vec![2; 16],
    };

    // Each foreign one before an honest one, which the node answers on the same connection.
    for number in 0..10 {
        for message in [
            ToNode::Overlay(foreign(false)),
            ToNode::Overlay(foreign(true)),
            ping("RESEARCHER_other", number),
            ping(RESEARCHER, number),
        ] {
            relay.hand("n", &message).await;
        }
        let answer = timeout(PATIENCE, relay.hear()).await;
        let answer = answer.expect("an answer in time");
        let ToResearcher::PingReply {
            request_id,
            researcher_id,
            ..
        } = answer
        else {
            panic!("{answer:?} is no answer to a ping");
        };
        assert_eq!(researcher_id.as_str(), RESEARCHER);
        assert_eq!(
            request_id.map(|id| id.to_string()),
            Some(format!("request_{number}"))
        );
    }
    // Nothing of the foreign ones went further.
    let more = timeout(Duration::from_millis(100), relay.hear()).await;
    assert!(more.is_err(), "{more:?}");
    let status = node.status();
    assert_eq!(status["dropped"], serde_json::json!({}), "{status}");
    until("each is in the log, as a line or as one left out", || {
        let module = "backchannel::transport::client";
        let (lines, left_out) = node.logged("another researcher", module);
        (lines + left_out == 30).then_some(())
    });
}
