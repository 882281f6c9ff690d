//! What nobody can do without: the primitives that a message in suite 1 or 2 takes, alone.

use backchannel::primitives::{
    SigningKey, VerifyingKey, chacha20_poly1305_seal, chacha20_xor, derive_secret_key, ecdh,
};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use sha2::{Digest, Sha256};

const SIZES: [(&str, usize); 2] = [("512 B", 512), ("1 MiB", 1 << 20)];

fn curve(criterion: &mut Criterion) {
    let secret = derive_secret_key(&[1; 32], b"key");
    let signing = SigningKey::new(&secret);
    let verifying = VerifyingKey::new(&signing.public_key());
    let message = [7; 512];
    let signature = signing.sign(&message).expect("signed");
    let mut rng = ChaCha20Rng::seed_from_u64(1);

    let mut group = criterion.benchmark_group("P-256");
    group.bench_function("sign", |bench| bench.iter(|| signing.sign(&message)));
    group.bench_function("sign, by p256", |bench| {
        bench.iter(|| signing.sign_with(&message, &mut rng));
    });
    group.bench_function("verify", |bench| {
        bench.iter(|| assert!(verifying.accepts(&message, &signature)));
    });
    group.bench_function("verify, by p256", |bench| {
        use p256::ecdsa::signature::Verifier;
        let verifying = p256::ecdsa::VerifyingKey::from(signing.public_key());
        let signature = p256::ecdsa::Signature::from_der(&signature).expect("a signature");
        bench.iter(|| verifying.verify(&message, &signature).expect("good"));
    });
    group.bench_function("ECDH", |bench| {
        bench.iter(|| ecdh(&secret, &signing.public_key()));
    });
    group.finish();
}

fn bytes(criterion: &mut Criterion) {
    for (name, length) in SIZES {
        let mut buffer = vec![7; length];
        let mut group = criterion.benchmark_group(name);
        group.throughput(Throughput::Bytes(length as u64));
        group.bench_function("ChaCha20", |bench| {
            bench.iter(|| chacha20_xor(&[1; 32], &[2; 16], &mut buffer));
        });
        group.bench_function("ChaCha20-Poly1305", |bench| {
            bench.iter(|| chacha20_poly1305_seal(&[1; 32], &[2; 12], &[], &mut buffer));
        });
        group.bench_function("SHA-256", |bench| {
            bench.iter(|| Sha256::digest(&buffer));
        });
        group.finish();
    }
}

criterion_group!(benches, curve, bytes);
criterion_main!(benches);
