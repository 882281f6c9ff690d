//! Which suite two nodes come to, and more handshakes than one needs.

use std::collections::VecDeque;
use std::time::Duration;

use backchannel::message::{Inner, Value};
use backchannel::sessions::{Limits, Opened, Refused, SealError, Suite};

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

const fn up_to(highest: u8, lowest: u8) -> Limits {
    Limits { highest, lowest }
}

#[test]
fn a_suite_below_what_both_have_is_refused() {
    // Who begins offers a later suite than this program has, and somebody took that away: its handshake comes in suite 3.
    let (four, three) = (up_to(4, 2), up_to(3, 2));
    assert!(matches!(answers(four, three), Ok(Opened::Answer(_))));
    assert_eq!(answers(four, four), Err(Refused::Downgrade));
}

#[test]
fn two_nodes_talk_in_the_highest_suite_that_both_offer_whoever_begins() {
    for (a, b, agreed) in [
        (LIMITS, LIMITS, Some(2)),
        (up_to(2, 1), LIMITS, Some(2)),
        (up_to(3, 2), LIMITS, Some(2)),
        (up_to(3, 2), up_to(3, 2), Some(3)),
        (up_to(3, 3), up_to(3, 2), Some(3)),
        (up_to(3, 1), up_to(3, 3), Some(3)),
        (up_to(4, 3), up_to(3, 1), Some(3)),
        (up_to(3, 3), LIMITS, None),
        (up_to(3, 3), up_to(2, 1), None),
    ] {
        for (one, other) in [(a, b), (b, a)] {
            for crossed in [false, true] {
                let what = format!("{one:?} begins, {other:?} too: {crossed}");
                assert_eq!(talk_in(one, other, crossed), agreed, "{what}");
            }
        }
    }
}

/// In which suite two nodes come to talk, if at all; when the first begins alone, or both at the same time.
fn talk_in(a_limits: Limits, b_limits: Limits, crossed: bool) -> Option<u8> {
    let now = first_moment();
    let mut nodes = [("a", 1), ("b", 2)].map(|(name, seed)| Node::new(name, seed));
    let [a, b] = &mut nodes;
    a.sessions.know(node("b"), known("b", a_limits), now);
    b.sessions.know(node("a"), known("a", b_limits), now);
    let mut on_their_way = VecDeque::from([a.begin("b", now).expect("nothing under way")]);
    if crossed {
        on_their_way.extend(b.begin("a", now));
    }
    // A loop of refusals would not end.
    for _ in 0..10 {
        let Some(message) = on_their_way.pop_front() else {
            break;
        };
        let receiver = nodes.iter_mut().find(|node| node.id == message.dest);
        let receiver = receiver.expect("one of the two");
        match receiver.open(&message, now) {
            Ok(Opened::Answer(answer)) => on_their_way.push_back(answer),
            Ok(Opened::Established { proof, .. }) => on_their_way.push_back(proof),
            Err(refused) if refused.suggests_handshake() => {
                on_their_way.extend(receiver.begin(message.source.as_str(), now));
            }
            Err(Refused::NoCommonSuite { .. } | Refused::OursGoesFirst) | Ok(_) => {}
            Err(refused) => panic!("{refused}"),
        }
    }
    let peers = ["b", "a"];
    let suites = nodes.iter_mut().zip(peers).map(|(own, peer)| {
        let session = own.sessions.session(&node(peer), &researcher(), now);
        session.map(Suite::number)
    });
    let suites: Vec<_> = suites.collect();
    assert_eq!(suites[0], suites[1], "both know the same");
    suites[0]
}

#[test]
fn a_handshake_that_is_not_answered_is_begun_again_in_no_lower_suite() {
    let mut now = first_moment();
    let mut a = Node::new("a", 1);
    a.sessions.know(node("b"), known("b", up_to(3, 2)), now);
    for _ in 0..5 {
        let first = a.begin("b", now).expect("nothing under way");
        assert_eq!(first.overlay[4], 3);
        now.running += RETRY;
        now.wall += RETRY;
    }
}

#[test]
fn once_a_suite_was_spoken_no_lower_one_is_whatever_the_peer_offers_then() {
    let now = first_moment();
    let [mut a, mut b] = [("a", 1), ("b", 2)].map(|(name, seed)| Node::new(name, seed));
    a.sessions.know(node("b"), known("b", up_to(3, 2)), now);
    b.sessions.know(node("a"), known("a", up_to(3, 2)), now);
    let first = a.begin("b", now).expect("nothing under way");
    let second = b.answer(&first, now);
    let proof = a.establish(&second, now);
    assert!(matches!(b.open(&proof, now), Ok(Opened::Nothing { .. })));

    // Each in turn meets one that has the other's identity key, and offers suite 2 alone.
    for (own, other) in [(&mut a, "b"), (&mut b, "a")] {
        let mut later = now;
        later.running += RETRY;
        later.wall += RETRY;
        let mut lesser = Node::new(other, 3);
        let own_id = own.id.as_str().to_owned();
        lesser.know(&own_id, later);
        let first = lesser.begin(&own_id, later).expect("nothing under way");
        let refused = own.refuses(&first, later);
        assert!(
            matches!(refused, Refused::NoCommonSuite { .. }),
            "{refused}"
        );
        // Nor after the same is said once more of what is offered.
        own.sessions
            .know(node(other), known(other, up_to(3, 2)), later);
        let refused = own.refuses(&first, later);
        assert!(
            matches!(refused, Refused::NoCommonSuite { .. }),
            "{refused}"
        );
    }
}

#[test]
fn when_a_suite_is_demanded_what_there_is_in_a_lower_one_is_forgotten_and_nothing_else() {
    let (offered, demanded) = (up_to(3, 2), up_to(3, 3));
    for (suite, before, stays) in [(Suite::Two, LIMITS, false), (Suite::Three, offered, true)] {
        let mut stage = Stage::of(suite);
        stage
            .a
            .sessions
            .know(node("b"), known("b", before), stage.now);
        stage.handshake();
        let message = stage.b.seal("a", "sealed before", stage.now);

        let known = known("b", demanded);
        stage.a.sessions.know(node("b"), known, stage.now);

        let session = stage
            .a
            .sessions
            .session(&node("b"), &researcher(), stage.now);
        assert_eq!(session.is_some(), stays);
        match stays {
            true => stage.a.hears(&message, "sealed before", stage.now),
            false => {
                let refused = stage.a.refuses(&message, stage.now);
                assert_eq!(refused, Refused::UnknownSession);
            }
        }
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
