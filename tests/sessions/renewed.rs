//! Sessions end and are replaced, and no message is lost by it.

use backchannel::message::OverlayMessage;
use backchannel::sessions::{Agreed, Moment, Opened, Refused, Sealed, Suite};

use crate::stage::{HELD, MINUTE, Node, RETRY, Stage, hello};

/// Seals a message, which must go, and says whether a handshake is to go with it.
fn seal(node: &mut Node, to: &str, now: Moment) -> (OverlayMessage, Option<OverlayMessage>) {
    match node.try_seal(to, "text", now) {
        Sealed::Message { message, handshake } => (message, handshake),
        other => panic!("{other:?} is no message"),
    }
}

#[test]
fn without_a_session_nothing_is_sealed_until_a_handshake_is_through() {
    let Stage {
        mut a,
        mut b,
        mut now,
    } = Stage::new();
    let Sealed::NeedsHandshake { handshake, again } = a.try_seal("b", "text", now) else {
        panic!("there is no session");
    };
    let first = handshake.expect("begun");
    assert_eq!(again, now.running + RETRY);
    let under_way = Sealed::NeedsHandshake {
        handshake: None,
        again,
    };
    assert_eq!(a.try_seal("b", "text", now), under_way);
    let second = b.answer(&first, now);

    // The responder has nothing to seal with before it has opened something.
    let unproven = Sealed::NeedsHandshake {
        handshake: None,
        again,
    };
    assert_eq!(b.try_seal("a", "text", now), unproven);
    let proof = a.establish(&second, now);
    let message = a.seal("b", "text", now);
    // A message proves as much as the empty one does, if it comes first.
    let Ok(Opened::Message { established, .. }) = b.open(&message, now) else {
        panic!("a message");
    };
    let agreed = Agreed {
        suite: Suite::Two,
        peer: hello("a"),
        in_turn: false,
    };
    assert_eq!(established, Some(agreed));
    assert_eq!(
        b.open(&proof, now),
        Ok(Opened::Nothing { established: None })
    );
    let message = b.seal("a", "text", now);
    a.hears(&message, "text", now);
    now.running += RETRY;
    assert_eq!(a.seal("b", "text", now).dest, b.id);
}

#[test]
fn after_ten_minutes_a_handshake_goes_along_and_the_old_session_serves_until_it_is_through() {
    let mut stage = Stage::with_session();
    stage.pass(10 * MINUTE - MINUTE / 60);
    assert_eq!(seal(&mut stage.a, "b", stage.now).1, None);
    stage.pass(MINUTE / 60);
    let Stage { mut a, mut b, now } = stage;
    let (message, handshake) = seal(&mut a, "b", now);
    b.hears(&message, "text", now);
    let first = handshake.expect("due");
    assert_eq!(seal(&mut a, "b", now).1, None, "one is under way");

    let second = b.answer(&first, now);
    // Both still seal with the old one.
    let from_b = seal(&mut b, "a", now);
    assert_eq!(from_b.1, None, "the peer's is under way");
    let from_a = seal(&mut a, "b", now).0;
    let proof = a.establish(&second, now);
    a.hears(&from_b.0, "text", now);
    let late_from_b = seal(&mut b, "a", now).0;
    let Ok(Opened::Nothing { established }) = b.open(&proof, now) else {
        panic!("proven");
    };
    assert!(established.is_some_and(|agreed| agreed.in_turn));
    b.hears(&from_a, "text", now);
    a.hears(&late_from_b, "text", now);
    let new = b.seal("a", "new", now);
    assert_eq!(new.nonce[..4], first.overlay[8..12], "with the new session");
    a.hears(&new, "new", now);
}

#[test]
fn a_lost_handshake_is_begun_again_and_loses_no_message() {
    for lost in ["HS1", "HS2", "proof"] {
        let mut stage = Stage::with_session();
        stage.pass(10 * MINUTE);
        let now = stage.now;
        let first = seal(&mut stage.a, "b", now).1.expect("due");
        if lost != "HS1" {
            let second = stage.b.answer(&first, now);
            if lost == "proof" {
                stage.a.establish(&second, now);
            }
        }
        stage.talks();

        stage.pass(RETRY);
        let now = stage.now;
        let (message, again) = seal(&mut stage.a, "b", now);
        stage.b.hears(&message, "text", now);
        if let Some(first) = again {
            assert_ne!(lost, "proof", "to who began it, it is through");
            let second = stage.b.answer(&first, now);
            let proof = stage.a.establish(&second, now);
            stage.b.open(&proof, now).expect("proven");
        } else {
            assert_eq!(lost, "proof");
        }
        stage.talks();
    }
}

#[test]
fn nothing_is_sealed_that_may_come_too_late_and_what_was_sealed_comes_in_time() {
    let mut stage = Stage::with_session();
    stage.pass(15 * MINUTE - MINUTE / 60);
    let from_a = seal(&mut stage.a, "b", stage.now).0;
    let from_b = seal(&mut stage.b, "a", stage.now).0;
    stage.pass(MINUTE / 60);
    let Stage { a, b, now } = &mut stage;
    for (node, to) in [(a, "b"), (b, "a")] {
        let sealed = node.try_seal(to, "text", *now);
        assert!(
            matches!(sealed, Sealed::NeedsHandshake { .. }),
            "{sealed:?}"
        );
    }

    stage.pass(HELD - MINUTE / 60);
    let Stage {
        mut a,
        mut b,
        mut now,
    } = stage;
    a.hears(&from_b, "text", now);
    b.hears(&from_a, "text", now);
    let message = from_a;
    now.running += MINUTE / 60;
    assert_eq!(
        b.refuses(&message, now),
        Refused::UnknownSession,
        "after 20 minutes"
    );
}

#[test]
fn a_previous_session_opens_what_a_relay_may_hold_and_no_longer() {
    let mut stage = Stage::with_session();
    let now = stage.now;
    let on_time = stage.a.seal("b", "on time", now);
    let too_late = stage.a.seal("b", "too late", now);
    stage.pass(MINUTE);
    stage.handshake();
    stage.talks();
    stage.pass(HELD - MINUTE / 60);
    stage.b.hears(&on_time, "on time", stage.now);
    stage.pass(MINUTE / 60);
    let refused = stage.b.refuses(&too_late, stage.now);
    assert_eq!(refused, Refused::UnknownSession);
}

#[test]
fn who_began_keeps_the_old_session_until_the_peer_is_heard_on_the_new_one() {
    let mut stage = Stage::with_session();
    let Stage { a, b, now } = &mut stage;
    let first = a.begin("b", *now).expect("nothing under way");
    let second = b.answer(&first, *now);
    a.establish(&second, *now);

    // The proof is lost, and the peer goes on with the old session for long.
    stage.pass(2 * HELD);
    let now = stage.now;
    let late = stage.b.seal("a", "late", now);
    stage.a.hears(&late, "late", now);
    let message = stage.a.seal("b", "the proof now", now);
    stage.b.hears(&message, "the proof now", now);
    stage.talks();
}

#[test]
fn each_handshake_that_was_answered_may_be_the_one_that_the_peer_has() {
    let mut stage = Stage::with_session();
    let Stage { a, b, now } = &mut stage;
    let first = a.begin("b", *now).expect("nothing under way");
    let second = b.answer(&first, *now);
    a.establish(&second, *now);
    let on_its_way = a.seal("b", "on its way", *now);
    // Its proof is lost, and the next is never answered.
    for _ in 0..3 {
        stage.pass(RETRY);
        let unanswered = stage.a.begin("b", stage.now).expect("not answered");
        stage.b.answer(&unanswered, stage.now);
    }
    let Stage { a, b, now } = &mut stage;
    b.hears(&on_its_way, "on its way", *now);
    let answer = b.seal("a", "with the same", *now);
    assert_eq!(answer.nonce[..4], first.overlay[8..12]);
    a.hears(&answer, "with the same", *now);
    stage.pass(2 * HELD);
    stage.talks();
}

#[test]
fn a_session_that_was_closed_seals_nothing_and_opens_what_is_on_its_way() {
    let Stage { mut a, mut b, now } = Stage::with_session();
    let overtaken = a.seal("b", "overtaken", now);
    let close = a.close("b", now).expect("a session");
    assert_eq!(a.close("b", now), None);
    assert!(matches!(
        a.try_seal("b", "", now),
        Sealed::NeedsHandshake { .. }
    ));

    assert_eq!(b.open(&close, now), Ok(Opened::Closed));
    assert!(matches!(
        b.try_seal("a", "", now),
        Sealed::NeedsHandshake { .. }
    ));
    b.hears(&overtaken, "overtaken", now);
}

#[test]
fn time_alone_makes_a_node_forget_its_keys() {
    let mut stage = Stage::with_session();
    let empty = Stage::new().b.sessions.digest();
    stage.pass(20 * MINUTE);
    let message = stage.a.sessions.digest();
    stage.a.sessions.tidy(stage.now);
    stage.b.sessions.tidy(stage.now);
    assert_ne!(stage.a.sessions.digest(), message);
    // What is left is the time of the peer's latest handshake.
    let mut other = Stage::with_session();
    other.pass(20 * MINUTE);
    other.b.sessions.tidy(other.now);
    assert_eq!(stage.b.sessions.digest(), other.b.sessions.digest());
    assert_ne!(stage.b.sessions.digest(), empty);
}
