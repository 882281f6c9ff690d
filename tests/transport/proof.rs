//! A relay that was given a roster knows its nodes: nobody else gets their messages, or speaks in their name.

use backchannel::message::{PROTOCOL_VERSION, ToNode, ToResearcher};
use backchannel::proto::researcher::feedback_message::{FeedbackType, Log};
use backchannel::proto::researcher::{FeedbackMessage, TaskRequest, TaskResult};
use backchannel::relay::{Refusal, Relay};
use backchannel::transport::chunks::cut;
use backchannel::transport::token::{self, Token};
use backchannel::transport::{Link, LinkError, ServerIdentity};
use futures::stream;
use tokio::time::timeout;
use tonic::{Code, Request, Status};

use crate::consortium::{Consortium, Prove, answer, listed, prover, secret};
use crate::harness::{Node, PATIENCE, Raw, address_of, overlay, researcher, start_relay_with};

/// A relay whose roster lists a, b and d.
async fn relay_of(folder: &tempfile::TempDir) -> (Consortium, Relay) {
    let consortium = Consortium::new(folder.path());
    consortium.publish(1, &["a", "b", "d"]);
    let listing = consortium.listing(false);
    let relay = start_relay_with(&folder.path().join("relay"), 0, listing)
        .await
        .unwrap();
    (consortium, relay)
}

/// What a poll with this token comes to. A poll that is held is given up.
async fn poll(raw: &mut Raw, id: &str, token: Option<&Token>) -> Result<(), Status> {
    let mut request = Request::new(TaskRequest {
        node: id.to_owned(),
        protocol_version: PROTOCOL_VERSION.to_owned(),
    });
    if let Some(token) = token {
        token.write(request.metadata_mut());
    }
    raw.0.get_task_unary(request).await.map(drop)
}

/// What handing over a message with this token comes to.
async fn say(raw: &mut Raw, message: ToResearcher, token: Option<&Token>) -> Result<(), Status> {
    let slices = cut(message.encode()).map(TaskResult::from);
    let mut request = Request::new(stream::iter(slices.collect::<Vec<_>>()));
    if let Some(token) = token {
        token.write(request.metadata_mut());
    }
    raw.0.reply_task(request).await.map(drop)
}

fn unproven(relay: &Relay) -> u64 {
    let refused = relay.counts().refused;
    refused.get(&Refusal::NotProven).copied().unwrap_or(0)
}

fn proven(relay: &Relay, id: &str) -> Option<bool> {
    let nodes = relay.nodes();
    let node = nodes.iter().find(|node| node.id.as_str() == id);
    node.and_then(|node| node.proven)
}

#[tokio::test]
async fn who_has_not_the_key_gets_nothing_out_of_a_nodes_mailbox() {
    let folder = tempfile::tempdir().unwrap();
    let (_consortium, relay) = relay_of(&folder).await;
    let b = listed("b", &relay);
    b.connected().await;
    b.send(overlay("b", "a", 100)).await;
    b.until(|state| state.acknowledged >= 1).await;

    for _ in 0..5 {
        let mut thief = Raw::connect(&relay).await;
        let refused = poll(&mut thief, "a", None).await.unwrap_err();
        assert!(token::is_wanted(&refused), "{refused}");
    }

    // It is seen: the first may have been a node's that did not know yet.
    assert_eq!(unproven(&relay), 4);
    let nodes = relay.nodes();
    let a = nodes.iter().find(|node| node.id.as_str() == "a").unwrap();
    assert_eq!((a.proven, a.refused, a.connected), (Some(false), 4, false));
    // And costs the node nothing.
    let mut a = listed("a", &relay);
    assert_eq!(a.next_overlay().await, overlay("b", "a", 100));
    assert_eq!(proven(&relay, "a"), Some(true));
}

#[tokio::test]
async fn who_has_not_the_key_says_nothing_in_a_nodes_name() {
    let folder = tempfile::tempdir().unwrap();
    let (_consortium, relay) = relay_of(&folder).await;
    let (a, mut b) = (listed("a", &relay), listed("b", &relay));
    a.connected().await;
    b.connected().await;
    let token_of_d = Prove::connect(&relay)
        .await
        .token("d", relay.certificate())
        .await;
    // One that is not listed is served, and is nobody else by that.
    let mut thief = Raw::connect(&relay).await;
    thief.greeted("c").await;

    let reply = ToResearcher::Error {
        request_id: Some("request_1".parse().unwrap()),
        researcher_id: researcher(),
        node_id: "a".parse().unwrap(),
        node_name: "a".to_owned(),
        extra_msg: String::new(),
        errnum: None,
    };
    let made_up = Token::from_bytes(&[7; 32]).unwrap();
    for token in [None, Some(&made_up), Some(&token_of_d)] {
        for message in [ToResearcher::Overlay(overlay("a", "b", 66)), reply.clone()] {
            let mut thief = Raw::connect(&relay).await;
            let refused = say(&mut thief, message, token).await.unwrap_err();
            assert!(token::is_wanted(&refused), "{refused}");
        }
    }
    let log = FeedbackMessage {
        feedback_type: Some(FeedbackType::Log(Log {
            node_id: "a".to_owned(),
            ..Log::default()
        })),
        ..FeedbackMessage::default()
    };
    let refused = thief.0.feedback(log).await.unwrap_err();
    assert!(token::is_wanted(&refused), "{refused}");

    let counts = relay.counts();
    assert_eq!(counts.refused[&Refusal::NotProven], 6);
    assert_eq!(counts.forwarded.get("OverlayMessage"), None);
    assert!(counts.dropped.is_empty(), "{counts:?}");
    a.send(overlay("a", "b", 7)).await;
    assert_eq!(b.next_overlay().await, overlay("a", "b", 7));
}

#[tokio::test]
async fn a_node_with_another_key_than_the_roster_is_refused_and_hears_why() {
    let folder = tempfile::tempdir().unwrap();
    let (_consortium, relay) = relay_of(&folder).await;
    for wrong in ["z", "b"] {
        let prover = prover("a", secret(wrong));
        let certificate = relay.certificate().clone();
        let node = Node::start_proving("a", address_of(&relay), certificate, Some(prover));

        let error = node.not_connected().await;

        assert!(matches!(*error, LinkError::ProofRefused(_)), "{error}");
        assert!(error.to_string().contains("no proof by the key"), "{error}");
        assert!(error.advice().unwrap().contains("identity show"));
    }
    assert!(unproven(&relay) >= 2);
    assert_eq!(proven(&relay, "a"), Some(false));
}

#[tokio::test]
async fn a_node_that_can_prove_nothing_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let (_consortium, relay) = relay_of(&folder).await;
    let error = Node::start("a", &relay).not_connected().await;
    assert!(matches!(*error, LinkError::ProofWanted(_)), "{error}");
}

#[tokio::test]
async fn a_proof_serves_once_and_a_later_one_ends_those_before() {
    let folder = tempfile::tempdir().unwrap();
    let (_consortium, relay) = relay_of(&folder).await;
    let mut client = Prove::connect(&relay).await;
    let (earlier, challenge) = (client.challenge("a").await, client.challenge("a").await);
    let [first, proof] = [&earlier, &challenge]
        .map(|challenge| answer("a", secret("a"), relay.certificate(), challenge));
    let token = client.prove("a", &challenge, proof).await.unwrap();

    let mut thief = Prove::connect(&relay).await;
    for (challenge, proof) in [(&challenge, proof), (&earlier, first)] {
        let refused = thief.prove("a", challenge, proof).await.unwrap_err();
        assert_eq!(refused.code(), Code::Unauthenticated);
        assert!(refused.message().contains("used or over"), "{refused}");
    }

    assert_eq!(unproven(&relay), 2);
    let mut raw = Raw::connect(&relay).await;
    let next = client.token("a", relay.certificate()).await;
    assert!(poll(&mut raw, "a", Some(&token)).await.is_err());
    poll(&mut raw, "a", Some(&next)).await.unwrap();
}

#[tokio::test]
async fn a_copy_of_a_node_that_is_here_changes_nothing_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let (_consortium, relay) = relay_of(&folder).await;
    let (a, mut b) = (listed("a", &relay), listed("b", &relay));
    a.connected().await;
    b.connected().await;

    let mut copy = Prove::connect(&relay).await;
    let refused = timeout(PATIENCE, async {
        loop {
            // Let in only if it comes between two polls of the node.
            let challenge = copy.challenge("a").await;
            let proof = answer("a", secret("a"), relay.certificate(), &challenge);
            if let Err(refused) = copy.prove("a", &challenge, proof).await {
                return refused;
            }
        }
    });
    assert_eq!(refused.await.unwrap().code(), Code::AlreadyExists);

    a.send(overlay("a", "b", 10)).await;
    assert_eq!(b.next_overlay().await, overlay("a", "b", 10));
    assert_eq!(unproven(&relay), 0);
    // And when the node has gone, its copy comes in.
    a.transport.stop().await;
    listed("a", &relay).connected().await;
}

#[tokio::test]
async fn a_proof_for_another_relay_proves_nothing_here() {
    let folder = tempfile::tempdir().unwrap();
    let (_consortium, relay) = relay_of(&folder).await;
    let mut middle = Prove::connect(&relay).await;
    // A node's own researcher, who means harm: it passes this relay's challenge on, under a certificate that the node has pinned.
    let others = [
        ServerIdentity::make("localhost", &researcher()).unwrap(),
        ServerIdentity::make("localhost", &"another".parse().unwrap()).unwrap(),
    ];
    for other in &others {
        let challenge = middle.challenge("a").await;
        let proof = answer("a", secret("a"), other.certificate(), &challenge);
        let refused = middle.prove("a", &challenge, proof).await.unwrap_err();
        assert!(
            refused.message().contains("no proof by the key"),
            "{refused}"
        );
    }

    // A challenge of another relay, with the same roster.
    let elsewhere = tempfile::tempdir().unwrap();
    let (_consortium, other) = relay_of(&elsewhere).await;
    let challenge = Prove::connect(&other).await.challenge("a").await;
    let proof = answer("a", secret("a"), relay.certificate(), &challenge);
    let refused = middle.prove("a", &challenge, proof).await.unwrap_err();
    assert!(refused.message().contains("no challenge"), "{refused}");
    assert_eq!(proven(&relay, "a"), Some(false));
}

#[tokio::test]
async fn a_node_is_no_other_node() {
    let folder = tempfile::tempdir().unwrap();
    let (_consortium, relay) = relay_of(&folder).await;
    let mut client = Prove::connect(&relay).await;
    let here = relay.certificate();

    // b answers a's challenge in its own name, then in a's; and its own in a's.
    let (of_a, of_b) = (client.challenge("a").await, client.challenge("b").await);
    for (name, said, challenge) in [
        ("a", "b", &of_a),
        ("b", "b", &of_a),
        ("a", "a", &of_a),
        ("a", "a", &of_b),
        ("a", "b", &of_b),
    ] {
        let proof = answer(said, secret("b"), here, challenge);
        let refused = client.prove(name, challenge, proof).await.unwrap_err();
        assert_eq!(refused.code(), Code::Unauthenticated, "{name} {said}");
    }
    let token = client.token("b", here).await;
    let mut raw = Raw::connect(&relay).await;
    let refused = poll(&mut raw, "a", Some(&token)).await.unwrap_err();
    assert!(token::is_wanted(&refused), "{refused}");
    poll(&mut raw, "b", Some(&token)).await.unwrap();
}

#[tokio::test]
async fn nodes_that_are_not_listed_are_served_as_they_come() {
    let folder = tempfile::tempdir().unwrap();
    let (_consortium, relay) = relay_of(&folder).await;
    let (mut a, mut foreign) = (listed("a", &relay), Node::start("fedbiomed", &relay));
    a.connected().await;
    foreign.connected().await;

    a.send(overlay("a", "fedbiomed", 10)).await;
    assert_eq!(foreign.next_overlay().await, overlay("a", "fedbiomed", 10));
    foreign.send(overlay("fedbiomed", "a", 11)).await;
    assert_eq!(a.next_overlay().await, overlay("fedbiomed", "a", 11));

    assert_eq!(proven(&relay, "fedbiomed"), None);
    let mut client = Prove::connect(&relay).await;
    let challenge = client.challenge("fedbiomed").await;
    let proof = answer("fedbiomed", secret("f"), relay.certificate(), &challenge);
    let refused = client.prove("fedbiomed", &challenge, proof).await;
    assert_eq!(refused.unwrap_err().code(), Code::Unauthenticated);
}

#[tokio::test]
async fn nodes_that_are_not_listed_are_refused_where_only_listed_ones_are_served() {
    let folder = tempfile::tempdir().unwrap();
    let consortium = Consortium::new(folder.path());
    consortium.publish(1, &["a"]);
    let listing = consortium.listing(true);
    let relay = start_relay_with(&folder.path().join("relay"), 0, listing)
        .await
        .unwrap();
    let a = listed("a", &relay);
    a.connected().await;

    let mut raw = Raw::connect(&relay).await;
    let refused = poll(&mut raw, "fedbiomed", None).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
    let message = ToResearcher::Overlay(overlay("fedbiomed", "a", 10));
    let refused = say(&mut raw, message, None).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);

    assert_eq!(relay.counts().refused[&Refusal::NotListed], 2);
    assert_eq!(relay.nodes().len(), 1);
}

#[tokio::test]
async fn a_restarted_relay_is_shown_anew_and_no_message_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let (consortium, relay) = relay_of(&folder).await;
    let port = relay.local_addr().port();
    let (mut a, b) = (listed("a", &relay), listed("b", &relay));
    a.connected().await;
    b.connected().await;

    relay.stop().await;
    for length in 1..50 {
        b.send(overlay("b", "a", length)).await;
    }
    let listing = consortium.listing(false);
    let relay = start_relay_with(&folder.path().join("relay"), port, listing)
        .await
        .unwrap();

    let mut lengths = Vec::new();
    for _ in 1..50 {
        lengths.push(a.next_overlay().await.overlay.len());
    }
    lengths.sort_unstable();
    assert_eq!(lengths, (1..50).collect::<Vec<_>>());
    let state = b.until(|state| state.unacknowledged == 0).await;
    assert_eq!((state.expired, state.refused), (0, 0));
    // Nodes that come back are no thieves.
    assert_eq!(unproven(&relay), 0);
    for id in ["a", "b"] {
        assert_eq!(proven(&relay, id), Some(true));
    }
}

#[tokio::test]
async fn who_listens_under_an_id_that_becomes_listed_is_cut_off() {
    let folder = tempfile::tempdir().unwrap();
    let (consortium, relay) = relay_of(&folder).await;
    // It has c's mailbox, as anybody may.
    let mut thief = Raw::connect(&relay).await;
    thief.greeted("c").await;
    let mut held = thief.poll("c").await.unwrap();
    let b = listed("b", &relay);
    b.connected().await;

    consortium.publish(2, &["a", "b", "c", "d"]);
    let roster = relay.read_roster_again().unwrap().unwrap();
    assert_eq!((roster.version, roster.nodes), (2, 4));
    b.send(overlay("b", "c", 10)).await;

    let ended = timeout(PATIENCE, held.message()).await.unwrap();
    assert_eq!(ended.unwrap_err().code(), Code::Aborted);
    assert!(poll(&mut thief, "c", None).await.is_err());
    let mut c = listed("c", &relay);
    assert_eq!(c.next_overlay().await, overlay("b", "c", 10));
}

#[tokio::test]
async fn a_key_that_the_next_roster_takes_away_opens_nothing_any_more() {
    let folder = tempfile::tempdir().unwrap();
    let (consortium, relay) = relay_of(&folder).await;
    let (a, mut b) = (listed("a", &relay), listed("b", &relay));
    a.connected().await;
    b.connected().await;

    // The key was lost: a has another one.
    let keys = [("a", secret("n").public()), ("b", secret("b").public())];
    consortium.publish_keys(2, &keys);
    relay.read_roster_again().unwrap();

    // First it hears that its poll is over.
    let refused = |link: &Link| match link {
        Link::Disconnected { error, .. } => matches!(**error, LinkError::ProofRefused(_)),
        _ => false,
    };
    a.until(|state| refused(&state.link)).await;
    let prover = prover("a", secret("n"));
    let certificate = relay.certificate().clone();
    let a = Node::start_proving("a", address_of(&relay), certificate, Some(prover));
    a.connected().await;
    a.send(overlay("a", "b", 10)).await;
    assert_eq!(b.next_overlay().await, overlay("a", "b", 10));
}

#[tokio::test]
async fn a_relay_without_a_roster_asks_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let relay = start_relay_with(folder.path(), 0, None).await.unwrap();
    let mut a = listed("a", &relay);
    assert!(matches!(a.next().await, ToNode::Ping { .. }));
    assert_eq!((proven(&relay, "a"), relay.roster()), (None, None));
    assert_eq!(relay.read_roster_again().unwrap(), None);
}
