//! Byte for byte the messages and keys of `snow`, an implementation by others.

use backchannel::noise::{Initiator, Protocol, Responder};
use backchannel::primitives::{
    KEM_CIPHERTEXT_BYTES, KEM_PUBLIC_KEY_BYTES, KemSecret, kem_encapsulate,
};
use p256::SecretKey;
use p256::elliptic_curve::Generate;
use rand_core::Rng;
use snow::params::{CipherChoice, DHChoice, HashChoice, KemChoice, NoiseParams};
use snow::resolvers::{CryptoResolver, DefaultResolver};
use snow::types::{Cipher, Dh, Hash, Kem, Random};
use snow::{Builder, Error, HandshakeState};

use crate::stage::{Handshake, Nodes};

const HANDSHAKES: u64 = 10_000;
/// Pairs of nodes that they are among.
const NODES: u64 = 100;

/// What is drawn for one party, as the protocol says in which order.
struct Drawn {
    ephemeral: SecretKey,
    /// A seed of ML-KEM, or the beginning of it from which a secret is made.
    kem: [u8; 64],
}

impl Drawn {
    fn of(handshake: &Handshake, party: usize) -> Self {
        let mut rng = handshake.rngs[party].clone();
        let ephemeral = SecretKey::generate_from_rng(&mut rng);
        let mut kem = [0; 64];
        rng.fill_bytes(&mut kem);
        Self { ephemeral, kem }
    }
}

/// ML-KEM-768 for `snow`, which has no KEM of its own here; held to Wycheproof's vectors elsewhere.
struct MlKem768 {
    drawn: [u8; 64],
    public: [u8; KEM_PUBLIC_KEY_BYTES],
}

impl Kem for MlKem768 {
    fn name(&self) -> &'static str {
        "MLKEM768"
    }

    fn pub_len(&self) -> usize {
        KEM_PUBLIC_KEY_BYTES
    }

    fn ciphertext_len(&self) -> usize {
        KEM_CIPHERTEXT_BYTES
    }

    fn shared_secret_len(&self) -> usize {
        32
    }

    fn generate(&mut self, _: &mut dyn Random) {
        self.public = KemSecret::new(&self.drawn).public();
    }

    fn pubkey(&self) -> &[u8] {
        &self.public
    }

    fn encapsulate(
        &self,
        public: &[u8],
        secret: &mut [u8],
        ciphertext: &mut [u8],
    ) -> Result<(usize, usize), Error> {
        let public = public.try_into().map_err(|_| Error::Kem)?;
        let drawn = self.drawn.first_chunk().ok_or(Error::Kem)?;
        let (sent, shared) = kem_encapsulate(public, drawn).map_err(|_| Error::Kem)?;
        secret.copy_from_slice(&*shared);
        ciphertext.copy_from_slice(&sent);
        Ok((secret.len(), ciphertext.len()))
    }

    fn decapsulate(&self, ciphertext: &[u8], secret: &mut [u8]) -> Result<usize, Error> {
        let ciphertext = ciphertext.try_into().map_err(|_| Error::Kem)?;
        let shared = KemSecret::new(&self.drawn).decapsulate(ciphertext);
        secret.copy_from_slice(&*shared);
        Ok(secret.len())
    }
}

/// `snow`'s own, and the KEM.
struct Resolver([u8; 64]);

impl CryptoResolver for Resolver {
    fn resolve_rng(&self) -> Option<Box<dyn Random>> {
        DefaultResolver.resolve_rng()
    }

    fn resolve_dh(&self, choice: &DHChoice) -> Option<Box<dyn Dh>> {
        DefaultResolver.resolve_dh(choice)
    }

    fn resolve_hash(&self, choice: &HashChoice) -> Option<Box<dyn Hash>> {
        DefaultResolver.resolve_hash(choice)
    }

    fn resolve_cipher(&self, choice: &CipherChoice) -> Option<Box<dyn Cipher>> {
        DefaultResolver.resolve_cipher(choice)
    }

    fn resolve_kem(&self, _: &KemChoice) -> Option<Box<dyn Kem>> {
        Some(Box::new(MlKem768 {
            drawn: self.0,
            public: [0; KEM_PUBLIC_KEY_BYTES],
        }))
    }
}

/// `snow` reads the name of one KEM only; what it does follows from the rest, and what it hashes is the name.
fn parameters(protocol: Protocol) -> NoiseParams {
    let readable = protocol.name().replace("MLKEM768", "Kyber1024");
    let mut parameters: NoiseParams = readable.parse().expect("a name");
    parameters.name = protocol.name().to_owned();
    parameters
}

/// The same party in `snow`.
fn party(handshake: &Handshake, initiator: bool) -> HandshakeState {
    let (own, peer) = if initiator { (0, 1) } else { (1, 0) };
    let Drawn { ephemeral, kem } = Drawn::of(handshake, own);
    let (secret, ephemeral) = (
        handshake.nodes.statics[own].to_bytes(),
        ephemeral.to_bytes(),
    );
    let public = &handshake.nodes.publics[peer];
    let resolver = Box::new(Resolver(kem));
    let builder = Builder::with_resolver(parameters(handshake.protocol), resolver)
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
    let mut message = vec![0; 4096];
    let length = party.write_message(payload, &mut message).expect("written");
    message.truncate(length);
    message
}

fn read(party: &mut HandshakeState, message: &[u8]) -> Vec<u8> {
    let mut payload = vec![0; 4096];
    let length = party.read_message(message, &mut payload).expect("read");
    payload.truncate(length);
    payload
}

fn is_the_same(protocol: Protocol, nodes: &Nodes, seed: u64) {
    let handshake = Handshake::draw(protocol, nodes, seed);
    let [ours, theirs] = handshake.parties();
    let mut oracle = [true, false].map(|initiator| party(&handshake, initiator));
    let [first_payload, second_payload] = &handshake.payloads;
    let [mut of_initiator, mut of_responder] = handshake.rngs.clone();

    let initiator = Initiator::new(protocol, ours, &handshake.prologue);
    let first = initiator.write(first_payload, &mut of_initiator);
    let (first, awaiting) = first.expect("written");
    assert_eq!(first, write(&mut oracle[0], first_payload), "seed {seed}");
    assert_eq!(read(&mut oracle[1], &first), *first_payload, "seed {seed}");

    let responder = Responder::new(protocol, theirs, &handshake.prologue);
    let (payload, answering) = responder.read(&first).expect("read");
    assert_eq!(*payload, *first_payload, "seed {seed}");
    let second = answering.write(second_payload, &mut of_responder);
    let (second, at_responder) = second.expect("written");
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

/// So many handshakes, on all cores.
fn are_the_same(protocol: Protocol, handshakes: u64) {
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get) as u64;
    // Nodes have their keys for long, and their sessions for minutes.
    let nodes: Vec<_> = (0..NODES).map(Nodes::draw).collect();
    std::thread::scope(|scope| {
        for first in 0..threads {
            let seeds = (first..handshakes).step_by(threads as usize);
            let nodes = nodes.iter().cycle().skip(first as usize);
            scope.spawn(move || {
                seeds
                    .zip(nodes)
                    .for_each(|(seed, nodes)| is_the_same(protocol, nodes, seed));
            });
        }
    });
}

#[test]
fn ten_thousand_handshakes_are_those_of_snow() {
    are_the_same(Protocol::Kk, HANDSHAKES);
}

#[test]
fn ten_thousand_hybrid_handshakes_are_those_of_snow() {
    are_the_same(Protocol::KkHfs, HANDSHAKES);
}
