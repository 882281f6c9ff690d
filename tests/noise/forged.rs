//! Messages that are not quite those of the other party: refused, and nothing is changed by them.

use backchannel::noise::{Initiator, NoiseError, PUBLIC_KEY_BYTES, Responder, TAG_BYTES};

use crate::stage::{Handshake, Nodes};

fn draw(seed: u64) -> Handshake {
    Handshake::draw(&Nodes::draw(seed), seed)
}

/// Each message that differs in one bit, is cut off, or has a byte more.
fn spoilt(message: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    let flipped = (0..message.len() * 8).map(|bit| {
        let mut flipped = message.to_vec();
        flipped[bit / 8] ^= 1 << (bit % 8);
        flipped
    });
    let cut = (0..message.len()).map(|length| message[..length].to_vec());
    flipped.chain(cut).chain([[message, &[0]].concat()])
}

#[test]
fn every_bit_of_both_messages_counts_and_a_forged_one_changes_nothing() {
    let handshake = draw(1);
    let [ours, theirs] = handshake.parties();
    let [first_ephemeral, second_ephemeral] = handshake.ephemerals.clone();
    let initiator = Initiator::new(ours, &handshake.prologue);
    let responder = Responder::new(theirs, &handshake.prologue);
    let (first, awaiting) = initiator.write(b"first", first_ephemeral).expect("written");

    for forged in spoilt(&first) {
        assert_eq!(responder.read(&forged).err(), Some(NoiseError));
    }
    let (_, answering) = responder.read(&first).expect("read all the same");
    let (second, at_responder) = answering
        .write(b"second", &second_ephemeral)
        .expect("written");
    for forged in spoilt(&second) {
        assert_eq!(awaiting.read(&forged).err(), Some(NoiseError));
    }
    let (_, at_initiator) = awaiting.read(&second).expect("read all the same");

    assert_eq!(at_initiator.hash, at_responder.hash);
    assert_eq!(at_initiator.sending, at_responder.receiving);
    assert_eq!(at_initiator.receiving, at_responder.sending);
}

#[test]
fn who_expects_another_peer_or_another_prologue_reads_nothing() {
    let [handshake, other] = [1, 2].map(draw);
    let ([ours, theirs], [stranger, _]) = (handshake.parties(), other.parties());
    let [ephemeral, _] = handshake.ephemerals.clone();
    let initiator = Initiator::new(ours, b"prologue");
    let (first, _) = initiator.write(b"", ephemeral.clone()).expect("written");

    let responder = Responder::new(theirs.clone(), b"another prologue");
    assert_eq!(responder.read(&first).err(), Some(NoiseError));
    let initiator = Initiator::new(stranger, b"prologue");
    let (first, _) = initiator.write(b"", ephemeral).expect("written");
    let responder = Responder::new(theirs, b"prologue");
    assert_eq!(responder.read(&first).err(), Some(NoiseError));
}

#[test]
fn a_message_whose_key_is_no_point_or_is_compressed_is_refused() {
    let handshake = draw(1);
    let [_, theirs] = handshake.parties();
    let responder = Responder::new(theirs, b"");
    let length = PUBLIC_KEY_BYTES + TAG_BYTES;
    for tag in [0, 2, 3, 4, 6] {
        for coordinate in [0, 1, 0xff] {
            let mut message = vec![coordinate; length];
            message[0] = tag;
            assert_eq!(
                responder.read(&message).err(),
                Some(NoiseError),
                "{tag} {coordinate}"
            );
        }
    }
}

#[test]
fn neither_keys_nor_what_came_of_them_can_be_printed() {
    let handshake = draw(1);
    let [ours, theirs] = handshake.parties();
    let [ephemeral, reply] = handshake.ephemerals.clone();
    let (first, _) = Initiator::new(ours.clone(), b"")
        .write(b"", ephemeral)
        .expect("written");
    let (_, answering) = Responder::new(theirs, b"").read(&first).expect("read");
    let (_, transport) = answering.write(b"", &reply).expect("written");

    assert_eq!(
        format!("{ours:?} {transport:?}"),
        "Statics { .. } Transport { .. }"
    );
}
