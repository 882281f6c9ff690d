//! Suites below what both have, and more handshakes than one needs.

use std::time::Duration;

use backchannel::message::{Inner, Value};
use backchannel::sessions::{Limits, Opened, Refused, SealError};

use crate::stage::{LIMITS, Node, RETRY, Stage, first_moment, inner, known, node, researcher};

/// What `b` says to a handshake of `a`, with the limits of each.
fn answers(a_limits: Limits, b_limits: Limits) -> Result<Opened, Refused> {
    let now = first_moment();
    let [mut a, mut b] = [Node::new("a", 1), Node::new("b", 2)];
    a.sessions.know(node("b"), known("b", a_limits), now);
    b.sessions.know(node("a"), known("a", b_limits), now);
    let first = a.begin("b", now).expect("nothing under way");
    b.open(&first, now)
}

#[test]
fn a_suite_below_what_both_have_is_refused() {
    let limits = |highest, lowest| Limits { highest, lowest };
    for (a, b) in [
        (LIMITS, LIMITS),
        (limits(2, 1), LIMITS),
        (limits(3, 2), LIMITS),
        (LIMITS, limits(3, 1)),
    ] {
        assert!(
            matches!(answers(a, b), Ok(Opened::Answer(_))),
            "{a:?} {b:?}"
        );
    }
    // Both have suite 3: somebody took its handshake away.
    for (a, b) in [
        (limits(3, 2), limits(3, 2)),
        (limits(4, 1), limits(3, 1)),
        (limits(2, 2), limits(3, 3)),
    ] {
        assert_eq!(answers(a, b), Err(Refused::Downgrade), "{a:?} {b:?}");
    }
}

#[test]
fn both_must_have_the_same_idea_of_the_limits() {
    let now = first_moment();
    let [mut a, mut b] = [Node::new("a", 1), Node::new("b", 2)];
    a.know("b", now);
    b.know("a", now);
    let first = a.begin("b", now).expect("nothing under way");
    let second = b.answer(&first, now);
    // The same node with other limits takes no answer to a handshake with these.
    let limits = Limits {
        lowest: 1,
        ..LIMITS
    };
    a.sessions.know(node("b"), known("b", limits), now);
    assert_eq!(a.refuses(&second, now), Refused::NotAwaited);
}

#[test]
fn a_peer_has_so_many_handshakes_treated_and_the_session_stays() {
    let mut stage = Stage::with_session();
    let recorded: Vec<_> = (0..30)
        .map(|_| {
            stage.pass(RETRY);
            stage.a.begin("b", stage.now).expect("not answered")
        })
        .collect();
    stage.restart_b();
    let treated = |stage: &mut Stage| {
        let opened = recorded.iter().map(|first| stage.b.open(first, stage.now));
        let refused = opened
            .filter(|opened| *opened == Err(Refused::TooMany))
            .count();
        recorded.len() - refused
    };
    assert_eq!(treated(&mut stage), 10);
    stage.pass(Duration::from_secs(3));
    assert_eq!(treated(&mut stage), 3, "one more each second");
    stage.pass(RETRY);
    stage.handshake();
    stage.talks();
}

#[test]
fn forged_handshakes_do_not_use_up_what_the_peer_has() {
    let Stage { mut a, mut b, now } = Stage::new();
    let first = a.begin("b", now).expect("nothing under way");
    for byte in 0..100 {
        let mut forged = first.clone();
        forged.overlay[20 + byte] ^= 1;
        assert_eq!(b.refuses(&forged, now), Refused::Mac);
    }
    b.answer(&first, now);
}

#[test]
fn messages_of_one_size_class_are_of_one_size() {
    let Stage { mut a, mut b, now } = Stage::with_session();
    let sizes: Vec<_> = [0, 1, 100, 200]
        .map(|length| a.seal("b", &"x".repeat(length), now).overlay.len())
        .to_vec();
    assert_eq!(sizes, vec![8 + 512 + 16; 4]);
    let large = "x".repeat(1_000_000);
    let message = a.seal("b", &large, now);
    b.hears(&message, &large, now);
}

#[test]
fn what_nobody_could_open_is_not_sealed() {
    let Stage { mut a, b: _, now } = Stage::with_session();
    let fields = vec![("bytes".into(), Value::Bin(vec![0; 99 << 20]))];
    let large = Inner::new(
        node("a"),
        node("b"),
        None,
        "SiteGreeting",
        Value::Map(fields),
    );
    let large = large.expect("a message");
    let sealed = a.sessions.seal(&researcher(), &large, now, &mut a.rng);
    assert!(matches!(sealed, Err(SealError::TooLarge(_))));
    let stranger = inner("a", "stranger", "text");
    let sealed = a.sessions.seal(&researcher(), &stranger, now, &mut a.rng);
    assert_eq!(sealed, Err(SealError::UnknownPeer(node("stranger"))));
}

#[test]
fn nothing_of_it_can_be_printed() {
    let stage = Stage::with_session();
    assert_eq!(format!("{:?}", stage.a.sessions), "Sessions { .. }");
}
