//! Messages that are taken from where they belong to another relay, node or session.

use backchannel::message::OverlayMessage;
use backchannel::sessions::{Known, Refused, SealError};

use crate::stage::{LIMITS, Node, Stage, inner, known, node, researcher};

#[test]
fn a_message_of_one_relay_is_none_of_another() {
    let Stage { mut a, mut b, now } = Stage::with_session();
    let elsewhere: backchannel::message::ResearcherId = "elsewhere".parse().expect("an id");
    let moved = |message: &OverlayMessage| OverlayMessage {
        researcher_id: elsewhere.clone(),
        ..message.clone()
    };
    let data = a.seal("b", "text", now);
    assert_eq!(b.refuses(&moved(&data), now), Refused::UnknownSession);

    // Not even where the two have a session too.
    let first = a.sessions.begin(&node("b"), &elsewhere, now, &mut a.rng);
    let first = first.expect("known").expect("nothing under way there");
    let back = OverlayMessage {
        researcher_id: researcher(),
        ..first.clone()
    };
    assert_eq!(b.refuses(&back, now), Refused::Mac);
    let second = b.answer(&first, now);
    let back = OverlayMessage {
        researcher_id: researcher(),
        ..second.clone()
    };
    assert_eq!(a.refuses(&back, now), Refused::NotAwaited);
    let proof = a.establish(&second, now);
    b.open(&proof, now).expect("a session there");
    assert_eq!(b.refuses(&moved(&data), now), Refused::UnknownSession);
    let mut same_index = moved(&data);
    same_index.nonce[..4].copy_from_slice(&proof.nonce[..4]);
    same_index.nonce[15] = 1;
    assert_eq!(b.refuses(&same_index, now), Refused::Tag);
    b.hears(&data, "text", now);
}

#[test]
fn a_message_of_one_session_is_none_of_the_next() {
    let mut stage = Stage::with_session();
    let old = stage.a.seal("b", "old", stage.now);
    stage.pass(crate::stage::RETRY);
    stage.handshake();
    let Stage { mut a, mut b, now } = stage;
    let new = a.seal("b", "new", now);

    let mut moved = old.clone();
    moved.nonce = new.nonce.clone();
    assert_eq!(b.refuses(&moved, now), Refused::Tag);
    moved.nonce[..4].copy_from_slice(&old.nonce[..4]);
    moved.overlay = new.overlay.clone();
    assert_eq!(b.refuses(&moved, now), Refused::Tag);
    b.hears(&new, "new", now);
    b.hears(&old, "old", now);
}

#[test]
fn what_a_node_sent_is_refused_when_it_comes_back() {
    let Stage { mut a, mut b, now } = Stage::new();
    let swapped = |message: &OverlayMessage| OverlayMessage {
        source: message.dest.clone(),
        dest: message.source.clone(),
        ..message.clone()
    };
    let first = a.begin("b", now).expect("nothing under way");
    assert_eq!(a.refuses(&swapped(&first), now), Refused::Mac);
    assert_eq!(a.refuses(&first, now), Refused::NotForUs);
    let second = b.answer(&first, now);
    assert_eq!(b.refuses(&swapped(&second), now), Refused::NotAwaited);
    let proof = a.establish(&second, now);
    assert_eq!(a.refuses(&swapped(&proof), now), Refused::UnknownSession);
    b.open(&proof, now).expect("a session");
    let data = a.seal("b", "text", now);
    assert_eq!(b.refuses(&swapped(&data), now), Refused::NotForUs);
}

#[test]
fn a_third_node_cannot_speak_for_another() {
    let Stage { mut a, mut b, now } = Stage::with_session();
    let mut c = Node::new("c", 3);
    c.know("b", now);
    b.know("c", now);
    let first = c.begin("b", now).expect("nothing under way");
    let as_a = OverlayMessage {
        source: node("a"),
        ..first.clone()
    };
    assert_eq!(b.refuses(&as_a, now), Refused::Mac);
    let second = b.answer(&first, now);
    let proof = c.establish(&second, now);
    b.open(&proof, now).expect("a session");

    let data = c.seal("b", "text", now);
    let as_a = OverlayMessage {
        source: node("a"),
        ..data
    };
    assert_eq!(b.refuses(&as_a, now), Refused::UnknownSession);
    let of_another = inner("a", "b", "text");
    let sealed = c.sessions.seal(&researcher(), &of_another, now, &mut c.rng);
    assert_eq!(sealed, Err(SealError::Source));
    let data = a.seal("b", "text", now);
    b.hears(&data, "text", now);
}

#[test]
fn who_has_another_identity_than_is_known_gets_no_answer() {
    let Stage { mut a, b: _, now } = Stage::new();
    let first = a.begin("b", now).expect("nothing under way");
    let mut b = Node::new("b", 2);
    assert_eq!(b.refuses(&first, now), Refused::UnknownPeer);
    b.sessions.know(node("a"), known("c", LIMITS), now);
    assert_eq!(b.refuses(&first, now), Refused::Mac);

    // Nor one of another federation.
    let elsewhere = Known {
        federation: "another".parse().expect("an id"),
        ..known("a", LIMITS)
    };
    b.sessions.know(node("a"), elsewhere, now);
    assert_eq!(b.refuses(&first, now), Refused::Mac);
}

#[test]
fn a_peer_that_is_forgotten_or_known_by_another_key_has_no_session() {
    let Stage { mut a, mut b, now } = Stage::with_session();
    let data = a.seal("b", "text", now);
    b.know("a", now);
    b.hears(&data, "text", now);
    let data = a.seal("b", "text", now);
    b.sessions.know(node("a"), known("c", LIMITS), now);
    assert_eq!(b.refuses(&data, now), Refused::UnknownSession);
    b.sessions.forget(&node("a"));
    assert_eq!(b.refuses(&data, now), Refused::UnknownPeer);
    let sealed = b
        .sessions
        .seal(&researcher(), &inner("b", "a", ""), now, &mut b.rng);
    assert!(sealed.is_err());
}
