//! Byte for byte the messages and keys of `snow`, an implementation by others.

use backchannel::noise::{Initiator, Responder};
use snow::{Builder, HandshakeState};

use crate::stage::{Handshake, Nodes};

const NAME: &str = "Noise_KK_P256_ChaChaPoly_SHA256";
const HANDSHAKES: u64 = 10_000;
/// Pairs of nodes that they are among.
const NODES: u64 = 100;

/// The same party in `snow`.
fn party(handshake: &Handshake, initiator: bool) -> HandshakeState {
    let (own, peer) = if initiator { (0, 1) } else { (1, 0) };
    let [secret, ephemeral] = [&handshake.nodes.statics[own], &handshake.ephemerals[own]];
    let (secret, ephemeral) = (secret.to_bytes(), ephemeral.to_bytes());
    let public = &handshake.nodes.publics[peer];
    let builder = Builder::new(NAME.parse().expect("a name"))
        .local_private_key(&secret)
        .and_then(|builder| builder.remote_public_key(public))
        .and_then(|builder| builder.prologue(&handshake.prologue))
        .expect("parameters")
        .fixed_ephemeral_key_for_testing_only(&ephemeral);
    let built = if initiator {
        builder.build_initiator()
    } else {
        builder.build_responder()
    };
    built.expect("a party")
}

fn write(party: &mut HandshakeState, payload: &[u8]) -> Vec<u8> {
    let mut message = vec![0; 1024];
    let length = party.write_message(payload, &mut message).expect("written");
    message.truncate(length);
    message
}

fn read(party: &mut HandshakeState, message: &[u8]) -> Vec<u8> {
    let mut payload = vec![0; 1024];
    let length = party.read_message(message, &mut payload).expect("read");
    payload.truncate(length);
    payload
}

fn is_the_same(nodes: &Nodes, seed: u64) {
    let handshake = Handshake::draw(nodes, seed);
    let [ours, theirs] = handshake.parties();
    let mut oracle = [true, false].map(|initiator| party(&handshake, initiator));
    let [first_payload, second_payload] = &handshake.payloads;
    let [first_ephemeral, second_ephemeral] = handshake.ephemerals.clone();

    let initiator = Initiator::new(ours, &handshake.prologue);
    let (first, awaiting) = initiator
        .write(first_payload, first_ephemeral)
        .expect("written");
    assert_eq!(first, write(&mut oracle[0], first_payload), "seed {seed}");
    assert_eq!(read(&mut oracle[1], &first), *first_payload, "seed {seed}");

    let responder = Responder::new(theirs, &handshake.prologue);
    let (payload, answering) = responder.read(&first).expect("read");
    assert_eq!(*payload, *first_payload, "seed {seed}");
    let (second, at_responder) = answering
        .write(second_payload, &second_ephemeral)
        .expect("written");
    assert_eq!(second, write(&mut oracle[1], second_payload), "seed {seed}");

    let (payload, at_initiator) = awaiting.read(&second).expect("read");
    assert_eq!(*payload, *second_payload, "seed {seed}");
    // Only one party of the other implementation reads to the end: this test takes long enough.
    let [_, mut oracle] = oracle;
    assert_eq!(
        at_initiator.hash,
        oracle.get_handshake_hash(),
        "seed {seed}"
    );
    assert_eq!(
        at_responder.hash,
        oracle.get_handshake_hash(),
        "seed {seed}"
    );
    let (of_initiator, of_responder) = oracle.dangerously_get_raw_split();
    assert_eq!(*at_initiator.sending, of_initiator, "seed {seed}");
    assert_eq!(*at_initiator.receiving, of_responder, "seed {seed}");
    assert_eq!(*at_responder.sending, of_responder, "seed {seed}");
    assert_eq!(*at_responder.receiving, of_initiator, "seed {seed}");
}

#[test]
fn ten_thousand_handshakes_are_those_of_snow() {
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get) as u64;
    // Nodes have their keys for long, and their sessions for minutes.
    let nodes: Vec<_> = (0..NODES).map(Nodes::draw).collect();
    std::thread::scope(|scope| {
        for first in 0..threads {
            let seeds = (first..HANDSHAKES).step_by(threads as usize);
            let nodes = nodes.iter().cycle().skip(first as usize);
            scope.spawn(move || {
                seeds
                    .zip(nodes)
                    .for_each(|(seed, nodes)| is_the_same(nodes, seed));
            });
        }
    });
}
