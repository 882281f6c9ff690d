//! Frames that were changed on their way: all refused, and nothing is changed by them.

use backchannel::message::OverlayMessage;
use backchannel::sessions::{FrameError, Moment, Opened, Refused, Suite};

use crate::stage::{Node, RETRY, Stage};

/// How many of [`fields`] are ids.
const IDS: usize = 3;

fn fields(message: &OverlayMessage) -> [&[u8]; 6] {
    [
        message.researcher_id.as_str().as_bytes(),
        message.source.as_str().as_bytes(),
        message.dest.as_str().as_bytes(),
        &message.overlay,
        &message.salt,
        &message.nonce,
    ]
}

/// Each message that differs in one bit of what a relay passes on, and can be read still: the frame, salt, nonce, ids and flag.
fn flipped(message: &OverlayMessage) -> Vec<OverlayMessage> {
    let bytes = message.encode();
    let read = (0..bytes.len() * 8).filter_map(|bit| {
        let mut changed = bytes.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        OverlayMessage::decode(&changed).ok()
    });
    // What is left are bits of the protocol's version that make no other of it.
    let all: Vec<_> = read.filter(|changed| changed != message).collect();

    for (at, field) in fields(message).into_iter().enumerate() {
        let changed = all.iter().filter(|to| fields(to)[at] != field).count();
        // The highest bit of a letter makes no text.
        let bits = if at < IDS { 7 } else { 8 } * field.len();
        assert!(changed >= bits, "{changed} of {bits} in field {at}");
    }
    assert!(all.iter().any(|to| to.setup != message.setup));
    all
}

/// Each message that is cut off or goes on.
fn cut(message: &OverlayMessage) -> Vec<OverlayMessage> {
    let mut all = Vec::new();
    let lengths = |bytes: &[u8]| -> Vec<Vec<u8>> {
        let shorter = (0..bytes.len()).map(|length| bytes[..length].to_vec());
        shorter.chain([[bytes, &[0]].concat()]).collect()
    };
    for overlay in lengths(&message.overlay) {
        all.push(OverlayMessage {
            overlay,
            ..message.clone()
        });
    }
    for salt in lengths(&message.salt) {
        all.push(OverlayMessage {
            salt,
            ..message.clone()
        });
    }
    for nonce in lengths(&message.nonce) {
        all.push(OverlayMessage {
            nonce,
            ..message.clone()
        });
    }
    all
}

fn refuses_all_but(node: &mut Node, message: &OverlayMessage, now: Moment) {
    let (flipped, cut) = (flipped(message), cut(message));
    let [suite, kind] = [4, 5].map(|at| message.overlay[at]);
    println!(
        "suite {suite}, type {kind}: {} flipped, {} cut",
        flipped.len(),
        cut.len()
    );
    for changed in flipped.iter().chain(&cut) {
        node.refuses(changed, now);
    }
}

#[test]
fn every_bit_and_byte_of_each_frame_counts() {
    Suite::ALL.into_iter().for_each(every_bit_and_byte_counts);
}

fn every_bit_and_byte_counts(suite: Suite) {
    let Stage { mut a, mut b, now } = Stage::of(suite);
    // Ids that one bit makes of the peers' are known too: what stops such a frame is not that its sender is a stranger.
    for other in ["c", "e", "q", "`"] {
        b.know(other, now);
        a.know(other, now);
    }

    let first = a.begin("b", now).expect("nothing under way");
    refuses_all_but(&mut b, &first, now);
    let second = b.answer(&first, now);
    refuses_all_but(&mut a, &second, now);
    let proof = a.establish(&second, now);
    refuses_all_but(&mut b, &proof, now);
    assert!(matches!(b.open(&proof, now), Ok(Opened::Nothing { .. })));
    let data = b.seal("a", "text", now);
    refuses_all_but(&mut a, &data, now);
    a.hears(&data, "text", now);
    let close = b.close("a", now).expect("a session");
    refuses_all_but(&mut a, &close, now);
    assert_eq!(a.open(&close, now), Ok(Opened::Closed));
}

#[test]
fn every_bit_and_byte_counts_while_a_session_is_renewed_too() {
    Suite::ALL
        .into_iter()
        .for_each(every_bit_and_byte_counts_at_renewal);
}

fn every_bit_and_byte_counts_at_renewal(suite: Suite) {
    let mut stage = Stage::with_session_of(suite);
    let old = stage.a.seal("b", "old", stage.now);
    let never_came = stage.b.seal("a", "never came", stage.now);
    stage.pass(RETRY);
    let Stage { mut a, mut b, now } = stage;

    let first = a.begin("b", now).expect("nothing under way");
    refuses_all_but(&mut b, &first, now);
    let second = b.answer(&first, now);
    refuses_all_but(&mut a, &second, now);
    let proof = a.establish(&second, now);
    refuses_all_but(&mut b, &proof, now);
    b.open(&proof, now).expect("proven");
    // Of the session before, which opens what is still on its way.
    refuses_all_but(&mut b, &old, now);
    b.hears(&old, "old", now);
    refuses_all_but(&mut a, &never_came, now);
    let data = a.seal("b", "new", now);
    refuses_all_but(&mut b, &data, now);
    b.hears(&data, "new", now);
    a.hears(&never_came, "never came", now);
}

#[test]
fn no_part_of_a_message_fits_into_another() {
    let Stage { mut a, mut b, now } = Stage::with_session();
    let [one, two] = ["one", "two"].map(|text| a.seal("b", text, now));
    for parts in 1u8..31 {
        // Every mixture of the two: sealed text, tag, salt, receiver index and counter.
        let from = |part: u8| if parts & (1 << part) == 0 { &one } else { &two };
        let body = from(0).overlay.len() - 16;
        let mut mixed = one.clone();
        mixed.overlay = [&from(0).overlay[..body], &from(1).overlay[body..]].concat();
        mixed.salt = from(2).salt.clone();
        mixed.nonce = [&from(3).nonce[..4], &from(4).nonce[4..]].concat();
        // The receiver's index is the same in both.
        if mixed == one || mixed == two {
            continue;
        }
        assert_eq!(b.refuses(&mixed, now), Refused::Tag, "{parts:05b}");
    }
    b.hears(&two, "two", now);
    b.hears(&one, "one", now);
}

#[test]
fn a_frame_is_none_of_another_type() {
    let Stage { mut a, mut b, now } = Stage::with_session();
    let message = a.seal("b", "text", now);
    let empty = a.close("b", now).expect("a session");
    for kind in [0, 1, 2, 4, 5, 0xff] {
        let mut other = message.clone();
        other.overlay[5] = kind;
        b.refuses(&other, now);
        other.setup = true;
        b.refuses(&other, now);
    }
    let mut message = empty;
    message.overlay[5] = 3;
    assert_eq!(b.refuses(&message, now), Refused::Tag);
    message.overlay[4] = 1;
    let suite = Refused::Frame(FrameError::Suite(1));
    assert_eq!(b.refuses(&message, now), suite);
}
