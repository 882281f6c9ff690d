//! Nodes lose their memory at any step, and find back to each other.

use std::time::Duration;

use backchannel::message::OverlayMessage;
use backchannel::sessions::{Opened, Refused, Sealed};

use crate::stage::{HELD, RETRY, Stage};

/// What was done when somebody crashed.
const STEPS: usize = 7;

/// Goes so many steps from nothing to a message of each; what was sent and is not opened yet.
fn after(steps: usize) -> (Stage, Vec<OverlayMessage>) {
    let mut stage = Stage::new();
    let mut on_its_way = Vec::new();
    for step in 0..steps {
        let Stage { a, b, now } = &mut stage;
        let last = on_its_way.pop();
        let last = |what: &str| last.clone().unwrap_or_else(|| panic!("no {what}"));
        let next = match step {
            0 => a.begin("b", *now),
            1 => Some(b.answer(&last("HS1"), *now)),
            2 => Some(a.establish(&last("HS2"), *now)),
            3 => {
                b.open(&last("proof"), *now).expect("proven");
                None
            }
            4 => Some(a.seal("b", "text", *now)),
            5 => {
                b.hears(&last("message"), "text", *now);
                Some(b.seal("a", "text", *now))
            }
            _ => {
                a.hears(&last("message"), "text", *now);
                None
            }
        };
        on_its_way.extend(next);
    }
    (stage, on_its_way)
}

/// Has `a`, or else `b`, say something to the other, with the handshake that it takes; whatever either refuses is lost.
fn says_something(stage: &mut Stage, from_a: bool) {
    let Stage { a, b, now } = stage;
    let (from, to) = if from_a { (a, b) } else { (b, a) };
    let name = to.id.to_string();
    for _ in 0..4 {
        let (message, handshake) = match from.try_seal(&name, "back again", *now) {
            Sealed::Message { message, handshake } => (Some(message), handshake),
            Sealed::NeedsHandshake { handshake, again } => {
                if handshake.is_none() {
                    now.running = now.running.max(again);
                    now.wall += RETRY;
                }
                (None, handshake)
            }
        };
        match message.as_ref().map(|message| to.open(message, *now)) {
            Some(Ok(Opened::Message { .. })) => return,
            // The receiver knows no such session, and begins one.
            Some(Err(refused)) => {
                assert!(refused.suggests_handshake(), "{refused:?}");
                if let Some(first) = to.begin(from.id.as_str(), *now) {
                    let second = from.answer(&first, *now);
                    let proof = to.establish(&second, *now);
                    from.open(&proof, *now).expect("proven");
                }
            }
            Some(other) => panic!("{other:?}"),
            None => {}
        }
        let Some(first) = handshake else { continue };
        if let Ok(Opened::Answer(second)) = to.open(&first, *now) {
            let proof = from.establish(&second, *now);
            to.open(&proof, *now).expect("proven");
        }
    }
    panic!("nothing came through");
}

#[test]
fn whoever_crashes_at_whichever_step_both_talk_again() {
    for step in 0..=STEPS {
        for a_crashes in [true, false] {
            for from_a in [true, false] {
                let (mut stage, on_its_way) = after(step);
                stage.pass(Duration::from_millis(1));
                if a_crashes {
                    stage.restart_a();
                } else {
                    stage.restart_b();
                }
                // What was on its way comes to who can do nothing with it, or can.
                for message in &on_its_way {
                    let to_a = message.dest == stage.a.id;
                    let node = if to_a { &mut stage.a } else { &mut stage.b };
                    drop(node.open(message, stage.now));
                }
                says_something(&mut stage, from_a);
                says_something(&mut stage, !from_a);
            }
        }
    }
}

#[test]
fn a_node_that_lost_its_sessions_is_told_so_by_what_it_cannot_open() {
    let mut stage = Stage::with_session();
    stage.restart_b();
    let Stage { mut a, mut b, now } = stage;
    let lost = a.seal("b", "lost", now);
    let refused = b.refuses(&lost, now);
    assert_eq!(refused, Refused::UnknownSession);
    assert!(refused.suggests_handshake());

    // However many of these come, there is one handshake in five seconds.
    let first = b.begin("a", now).expect("nothing under way");
    assert_eq!(b.begin("a", now), None);
    let second = a.answer(&first, now);
    let proof = b.establish(&second, now);
    // Who sent what was lost hears that there is a new session, and can send it again.
    assert!(matches!(
        a.open(&proof, now),
        Ok(Opened::Nothing {
            established: Some(_)
        })
    ));
    let again = a.seal("b", "lost", now);
    b.hears(&again, "lost", now);
}

#[test]
fn a_clock_that_was_set_back_keeps_nobody_apart() {
    let mut stage = Stage::with_session();
    stage.now.wall -= Duration::from_secs(10 * 365 * 86_400);
    stage.restart_a();
    let Stage { mut a, mut b, now } = stage;
    let first = a.begin("b", now).expect("nothing under way");
    let refused = b.refuses(&first, now);
    assert_eq!(refused, Refused::Stale);
    assert!(refused.suggests_handshake());

    let of_b = b.begin("a", now).expect("nothing under way");
    // Of the two, the lower id's goes on as long as it is young.
    assert_eq!(a.refuses(&of_b, now), Refused::OursGoesFirst);
    let mut later = now;
    later.running += RETRY;
    let of_b = b.begin("a", later).expect("not answered");
    let second = a.answer(&of_b, later);
    let proof = b.establish(&second, later);
    a.open(&proof, later).expect("proven");
    let mut stage = Stage { a, b, now: later };
    stage.talks();

    // Without a restart a node's timestamps go on from where they were.
    stage.now.wall -= Duration::from_secs(86_400);
    stage.pass(HELD);
    let first = stage.b.begin("a", stage.now).expect("nothing under way");
    stage.a.answer(&first, stage.now);
}

#[test]
fn a_handshake_never_takes_a_working_session_away() {
    let mut stage = Stage::with_session();
    let recorded: Vec<_> = (0..5)
        .map(|_| {
            stage.pass(RETRY);
            stage.a.begin("b", stage.now).expect("not answered")
        })
        .collect();
    for first in &recorded {
        stage.b.answer(first, stage.now);
        stage.talks();
    }
    // None was proven; the peer's own next one is.
    stage.pass(RETRY);
    stage.handshake();
    stage.talks();
}
