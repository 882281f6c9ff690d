//! Frames that are repeated, at once or after a restart, and messages that come in another order.

use backchannel::sessions::{Opened, Refused};

use crate::stage::{RETRY, Stage};

/// How far behind the latest a message may come.
const WINDOW: usize = 2048;

#[test]
fn nothing_is_taken_twice() {
    let Stage { mut a, mut b, now } = Stage::new();
    let first = a.begin("b", now).expect("nothing under way");
    let second = b.answer(&first, now);
    assert_eq!(b.refuses(&first, now), Refused::Stale);
    let proof = a.establish(&second, now);
    assert_eq!(a.refuses(&second, now), Refused::NotAwaited);
    b.open(&proof, now).expect("a session");
    assert_eq!(b.refuses(&proof, now), Refused::Spent);
    let data = a.seal("b", "text", now);
    b.hears(&data, "text", now);
    assert_eq!(b.refuses(&data, now), Refused::Spent);
    assert_eq!(b.refuses(&first, now), Refused::Stale);
    let close = b.close("a", now).expect("a session");
    assert_eq!(a.open(&close, now), Ok(Opened::Closed));
    assert_eq!(a.refuses(&close, now), Refused::Spent);
}

#[test]
fn after_a_restart_nothing_from_before_is_taken() {
    let mut stage = Stage::new();
    let now = stage.now;
    let first = stage.a.begin("b", now).expect("nothing under way");
    let second = stage.b.answer(&first, now);
    let proof = stage.a.establish(&second, now);
    let unopened = stage.a.seal("b", "unopened", now);
    stage.b.open(&proof, now).expect("a session");
    let data = stage.a.seal("b", "opened", now);
    stage.b.hears(&data, "opened", now);
    let close = stage.a.close("b", now).expect("a session");

    stage.restart_b();
    for message in [&proof, &unopened, &data, &close] {
        assert_eq!(stage.b.refuses(message, now), Refused::UnknownSession);
    }
    // A repeated handshake gets an answer, which nobody can use: what the peer sent in the session of then is none of this one.
    let answer = stage.b.answer(&first, now);
    for message in [&proof, &unopened, &data, &close] {
        assert_eq!(stage.b.refuses(message, now), Refused::UnknownSession);
    }
    assert_eq!(stage.a.refuses(&answer, now), Refused::NotAwaited);
    let mut moved = unopened.clone();
    moved.nonce[..4].copy_from_slice(&answer.overlay[8..12]);
    assert_eq!(stage.b.refuses(&moved, now), Refused::Tag);

    stage.restart_a();
    for message in [&second, &answer] {
        assert_eq!(stage.a.refuses(message, now), Refused::NotAwaited);
    }
    stage.pass(RETRY);
    stage.handshake();
    stage.talks();
    assert_eq!(stage.b.refuses(&first, stage.now), Refused::Stale);
}

#[test]
fn messages_come_in_any_order_within_the_window_and_not_beyond() {
    let Stage { mut a, mut b, now } = Stage::with_session();
    let texts: Vec<_> = (0..WINDOW + 3).map(|number| number.to_string()).collect();
    let messages: Vec<_> = texts.iter().map(|text| a.seal("b", text, now)).collect();
    let latest = WINDOW + 1;

    b.hears(&messages[latest], &texts[latest], now);
    assert_eq!(
        b.refuses(&messages[0], now),
        Refused::Spent,
        "too far behind"
    );
    for number in [1, 3, 2, 1000, 700, WINDOW] {
        b.hears(&messages[number], &texts[number], now);
        assert_eq!(b.refuses(&messages[number], now), Refused::Spent);
    }
    b.hears(&messages[latest + 1], &texts[latest + 1], now);
    b.hears(&messages[4], &texts[4], now);
}

#[test]
fn a_gap_of_any_length_does_not_make_a_receiver_deaf() {
    let Stage { mut a, mut b, now } = Stage::with_session();
    for _ in 0..3 * WINDOW {
        a.seal("b", "lost", now);
    }
    let message = a.seal("b", "after that", now);
    b.hears(&message, "after that", now);
}

#[test]
fn a_number_that_is_far_ahead_is_refused_and_changes_nothing() {
    let Stage { mut a, mut b, now } = Stage::with_session();
    let message = a.seal("b", "text", now);
    for counter in [2, 1 << 16, (1 << 17) - 1] {
        let mut ahead = message.clone();
        ahead.nonce[8..].copy_from_slice(&u64::to_be_bytes(counter));
        assert_eq!(b.refuses(&ahead, now), Refused::Tag);
    }
    for counter in [1 << 17, u64::MAX] {
        let mut ahead = message.clone();
        ahead.nonce[8..].copy_from_slice(&u64::to_be_bytes(counter));
        assert_eq!(b.refuses(&ahead, now), Refused::Spent);
    }
    b.hears(&message, "text", now);
}
