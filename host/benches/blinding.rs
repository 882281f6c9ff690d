//! How long ids and points take to be blinded, a thousand at a time, beside the multiplication that nobody can do without.

use backchannel::curve::{Blind, Domain, Points, Stop};
use backchannel::randomness::Randomness;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use p256::elliptic_curve::Generate;
use p256::{NonZeroScalar, ProjectivePoint};

const MANY: usize = 1000;

fn blinding(criterion: &mut Criterion) {
    let mut randomness = Randomness::from_seed(1);
    let (blind, stop) = (Blind::random(&mut randomness), Stop::default());
    let domain = Domain::of_run("patient-overlap", "run");
    let ids: Vec<_> = (0..MANY).map(|n| format!("patient {n}")).collect();
    let points = blind.ids(&ids, &domain, &stop).expect("blinded");
    let bytes = points.to_bytes();
    let scalar = NonZeroScalar::generate_from_rng(&mut randomness);

    let mut group = criterion.benchmark_group("blinding");
    group.throughput(Throughput::Elements(MANY as u64));
    group.sample_size(20);
    group.bench_function("ids, on all cores", |bench| {
        bench.iter(|| blind.ids(&ids, &domain, &stop).expect("blinded").to_bytes());
    });
    group.bench_function("points, on all cores", |bench| {
        bench.iter(|| {
            let points = Points::read(&bytes, &stop).expect("points");
            let blinded = blind.points(&points, &stop).expect("blinded");
            blinded.shuffled(&mut randomness).to_bytes()
        });
    });
    group.bench_function("points read only, on all cores", |bench| {
        bench.iter(|| Points::read(&bytes, &stop).expect("points"));
    });
    group.bench_function("multiplications, on one core", |bench| {
        bench.iter(|| (0..MANY).fold(ProjectivePoint::GENERATOR, |point, _| point * *scalar));
    });
    group.finish();
}

criterion_group!(benches, blinding);
criterion_main!(benches);
