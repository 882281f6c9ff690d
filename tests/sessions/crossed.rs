//! Both begin at once.

use backchannel::sessions::{Opened, Refused};

use crate::stage::{RETRY, Stage};

/// Both have begun; the frames of `a`, whose id is lower, and of `b`.
fn both_begun() -> (Stage, [backchannel::message::OverlayMessage; 2]) {
    let mut stage = Stage::new();
    let now = stage.now;
    let of_a = stage.a.begin("b", now).expect("nothing under way");
    let of_b = stage.b.begin("a", now).expect("nothing under way");
    (stage, [of_a, of_b])
}

#[test]
fn the_handshake_of_the_lower_id_goes_on_whichever_comes_first() {
    for a_first in [true, false] {
        let (stage, [of_a, of_b]) = both_begun();
        let Stage { mut a, mut b, now } = stage;
        let answer = if a_first {
            let answer = b.answer(&of_a, now);
            assert_eq!(a.refuses(&of_b, now), Refused::OursGoesFirst);
            answer
        } else {
            assert_eq!(a.refuses(&of_b, now), Refused::OursGoesFirst);
            b.answer(&of_a, now)
        };
        let proof = a.establish(&answer, now);
        b.open(&proof, now).expect("proven");
        let mut stage = Stage { a, b, now };
        stage.talks();
    }
}

#[test]
fn the_answer_to_what_was_dropped_is_refused() {
    let (stage, [of_a, of_b]) = both_begun();
    let Stage {
        mut a,
        mut b,
        mut now,
    } = stage;
    let answer = b.answer(&of_a, now);
    // Held back until the lower id's own is old: then it is answered, and that is dropped.
    now.running += RETRY;
    let to_dropped = a.answer(&of_b, now);
    assert_eq!(b.refuses(&to_dropped, now), Refused::NotAwaited);
    assert_eq!(a.refuses(&answer, now), Refused::NotAwaited);

    // Neither has a session, and the next handshake makes one.
    now.running += RETRY;
    let first = b.begin("a", now).expect("nothing under way");
    let second = a.answer(&first, now);
    let proof = b.establish(&second, now);
    a.open(&proof, now).expect("proven");
    Stage { a, b, now }.talks();
}

#[test]
fn a_lost_frame_of_the_lower_id_holds_nobody_up_for_longer_than_a_retry() {
    let (stage, [_lost, of_b]) = both_begun();
    let Stage {
        mut a,
        mut b,
        mut now,
    } = stage;
    assert_eq!(a.refuses(&of_b, now), Refused::OursGoesFirst);
    now.running += RETRY;
    let again = b.begin("a", now).expect("the first was not answered");
    let second = a.answer(&again, now);
    let proof = b.establish(&second, now);
    assert!(matches!(
        a.open(&proof, now),
        Ok(Opened::Nothing {
            established: Some(_)
        })
    ));
    Stage { a, b, now }.talks();
}

#[test]
fn crossing_while_there_is_a_session_leaves_both_on_the_same_new_one() {
    let mut stage = Stage::with_session();
    stage.pass(RETRY);
    let Stage { mut a, mut b, now } = stage;
    let of_a = a.begin("b", now).expect("nothing under way");
    let of_b = b.begin("a", now).expect("nothing under way");
    let before = [a.seal("b", "1", now), a.seal("b", "2", now)];
    b.hears(&before[0], "1", now);
    let answer = b.answer(&of_a, now);
    assert_eq!(a.refuses(&of_b, now), Refused::OursGoesFirst);
    let proof = a.establish(&answer, now);
    b.open(&proof, now).expect("proven");
    b.hears(&before[1], "2", now);

    let [to_b, to_a] = [a.seal("b", "3", now), b.seal("a", "4", now)];
    assert_eq!(to_b.nonce[..4], answer.overlay[8..12]);
    assert_eq!(to_a.nonce[..4], of_a.overlay[8..12]);
    b.hears(&to_b, "3", now);
    a.hears(&to_a, "4", now);
}
