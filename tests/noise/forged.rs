//! Messages that are not quite those of the other party: refused, and nothing is changed by them.

use backchannel::noise::{Initiator, NoiseError, PUBLIC_KEY_BYTES, Protocol, Responder};
use backchannel::primitives::KemSecret;

use crate::stage::{Handshake, Nodes};

const PROTOCOLS: [Protocol; 2] = [Protocol::Kk, Protocol::KkHfs];

fn draw(protocol: Protocol, seed: u64) -> Handshake {
    Handshake::draw(protocol, &Nodes::draw(seed), seed)
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
    PROTOCOLS.into_iter().for_each(every_bit_counts);
}

fn every_bit_counts(protocol: Protocol) {
    let handshake = draw(protocol, 1);
    let [ours, theirs] = handshake.parties();
    let [mut of_initiator, mut of_responder] = handshake.rngs.clone();
    let initiator = Initiator::new(protocol, ours, &handshake.prologue);
    let responder = Responder::new(protocol, theirs, &handshake.prologue);
    let first = initiator.write(b"first", &mut of_initiator);
    let (first, awaiting) = first.expect("written");
    assert_eq!(first.len(), 5 + protocol.first_overhead());

    for forged in spoilt(&first) {
        assert_eq!(responder.read(&forged).err(), Some(NoiseError));
    }
    let (_, answering) = responder.read(&first).expect("read all the same");
    let second = answering.write(b"second", &mut of_responder);
    let (second, at_responder) = second.expect("written");
    assert_eq!(second.len(), 6 + protocol.second_overhead());
    for forged in spoilt(&second) {
        assert_eq!(awaiting.read(&forged).err(), Some(NoiseError));
    }
    let (_, at_initiator) = awaiting.read(&second).expect("read all the same");

    assert_eq!(at_initiator.hash, at_responder.hash);
    assert_eq!(at_initiator.sending, at_responder.receiving);
    assert_eq!(at_initiator.receiving, at_responder.sending);
}

#[test]
fn who_expects_another_peer_another_prologue_or_another_protocol_reads_nothing() {
    for protocol in PROTOCOLS {
        let [handshake, other] = [1, 2].map(|seed| draw(protocol, seed));
        let ([ours, theirs], [stranger, _]) = (handshake.parties(), other.parties());
        let [mut rng, _] = handshake.rngs.clone();
        let initiator = Initiator::new(protocol, ours, b"prologue");
        let (first, _) = initiator.write(b"", &mut rng).expect("written");

        let responder = Responder::new(protocol, theirs.clone(), b"another prologue");
        assert_eq!(responder.read(&first).err(), Some(NoiseError));
        let initiator = Initiator::new(protocol, stranger, b"prologue");
        let (by_stranger, _) = initiator.write(b"", &mut rng).expect("written");
        let responder = Responder::new(protocol, theirs.clone(), b"prologue");
        assert_eq!(responder.read(&by_stranger).err(), Some(NoiseError));
        for other in PROTOCOLS.into_iter().filter(|other| *other != protocol) {
            let responder = Responder::new(other, theirs.clone(), b"prologue");
            assert_eq!(responder.read(&first).err(), Some(NoiseError));
        }
    }
}

#[test]
fn a_message_whose_key_is_no_point_or_is_compressed_is_refused() {
    for protocol in PROTOCOLS {
        let [_, theirs] = draw(protocol, 1).parties();
        let responder = Responder::new(protocol, theirs, b"");
        for tag in [0, 2, 3, 4, 6] {
            for coordinate in [0, 1, 0xff] {
                let mut message = vec![coordinate; protocol.first_overhead()];
                message[..PUBLIC_KEY_BYTES][0] = tag;
                assert_eq!(
                    responder.read(&message).err(),
                    Some(NoiseError),
                    "{tag} {coordinate}"
                );
            }
        }
    }
}

#[test]
fn neither_keys_nor_what_came_of_them_can_be_printed() {
    let handshake = draw(Protocol::KkHfs, 1);
    let [ours, theirs] = handshake.parties();
    let [mut rng, mut reply] = handshake.rngs.clone();
    let initiator = Initiator::new(Protocol::KkHfs, ours.clone(), b"");
    let (first, _) = initiator.write(b"", &mut rng).expect("written");
    let responder = Responder::new(Protocol::KkHfs, theirs, b"");
    let (_, answering) = responder.read(&first).expect("read");
    let (_, transport) = answering.write(b"", &mut reply).expect("written");
    let kem = KemSecret::new(&[1; 64]);

    assert_eq!(
        format!("{ours:?} {transport:?} {kem:?}"),
        "Statics { .. } Transport { .. } KemSecret { .. }"
    );
}
