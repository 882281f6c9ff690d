//! What a secure sum costs a node and the researcher: a million values of ten parties with LOM, beside the keystream that the masks are
//! made of and a plain sum; ten thousand with Joye-Libert, beside one exponentiation for each plaintext.

use std::collections::BTreeMap;
use std::hint::black_box;

use backchannel::message::NodeId;
use backchannel::primitives::chacha20_xor;
use backchannel::secure_sum::additive::ServerKey;
use backchannel::secure_sum::joye_libert::{self, Packing};
use backchannel::secure_sum::lom;
use criterion::{Criterion, criterion_group, criterion_main};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use zeroize::Zeroizing;

const PARTIES: usize = 10;
const LOM_VALUES: usize = 1_000_000;
const JOYE_LIBERT_VALUES: usize = 10_000;
/// As Fed-BioMed quantises.
const VALUE_BITS: u32 = 16;

fn parties() -> Vec<NodeId> {
    (0..PARTIES)
        .map(|n| format!("node-{n}").parse().expect("an id"))
        .collect()
}

fn lom(criterion: &mut Criterion) {
    let parties = parties();
    let secrets: BTreeMap<_, _> = parties[1..]
        .iter()
        .zip(1..)
        .map(|(peer, n)| (peer.clone(), Zeroizing::new([n; 32])))
        .collect();
    let values: Vec<u64> = (0..LOM_VALUES as u64).collect();
    let nonce = lom::nonce_from_id("run");
    let protect = || {
        let protected = lom::protect(&parties[0], &secrets, &parties, &nonce, 1, &values);
        protected.expect("protected")
    };
    let vectors = vec![protect(); PARTIES];

    let mut group = criterion.benchmark_group("LOM");
    group.sample_size(20);
    group.bench_function("protect", |bench| bench.iter(protect));
    group.bench_function("keystream alone, one core", |bench| {
        let mut mask = vec![0; LOM_VALUES * 8];
        bench.iter(|| {
            for n in 1..PARTIES {
                chacha20_xor(&[n as u8; 32], &nonce, black_box(&mut mask));
            }
        });
    });
    group.bench_function("aggregate", |bench| {
        bench.iter(|| lom::aggregate(&vectors).expect("summed"));
    });
    group.bench_function("memory read alone, one core", |bench| {
        bench.iter(|| {
            let sums = vectors
                .iter()
                .map(|vector| vector.iter().fold(0, |a, b| a ^ b));
            sums.fold(0, |a: u64, b| a ^ b)
        });
    });
    group.finish();
}

fn joye_libert(criterion: &mut Criterion) {
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let key = ServerKey::random(&mut rng);
    let packing = Packing::new(VALUE_BITS, PARTIES).expect("fits");
    let values: Vec<u64> = (0..JOYE_LIBERT_VALUES as u64).collect();

    let mut group = criterion.benchmark_group("Joye-Libert");
    group.sample_size(10);
    group.bench_function("protect", |bench| {
        bench.iter(|| joye_libert::protect(&key, packing, 1, &values).expect("protected"));
    });
    group.finish();
}

criterion_group!(benches, lom, joye_libert);
criterion_main!(benches);
