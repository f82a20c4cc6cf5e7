//! The vote schemes alone: what a vote and a certificate cost, by size of the committee.

use std::hint::black_box;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use crypto::{Bls, Claim, Ed25519Lists, VoteScheme};
use crypto_bench::World;
use types::ReplicaId;

const SIZES: [usize; 4] = [4, 7, 30, 100];

fn scheme<S: VoteScheme>(c: &mut Criterion) {
    let mut group = c.benchmark_group(S::NAME.name());
    for n in SIZES {
        let world = World::<S>::new(n, 0);
        if n == 4 {
            group.bench_function("sign", |b| b.iter(|| world.sign(black_box(1))));
            let (statement, share) = (world.statement(1), world.sign(1));
            group.bench_function("verify-share", |b| {
                b.iter(|| {
                    assert!(S::verify_share(
                        &world.ring,
                        ReplicaId(0),
                        &statement,
                        &share
                    ));
                });
            });
        }
        let (statement, multisig) = (world.statement(1), world.multisig(1));
        group.bench_function(BenchmarkId::new("verify-certificate", n), |b| {
            b.iter(|| assert!(S::verify(&world.ring, &statement, black_box(&multisig))));
        });
        for bad in [0, 1, 3] {
            let shares = world.shares(1, bad);
            if bad >= shares.len() {
                continue;
            }
            let id = BenchmarkId::new(format!("aggregate-{bad}-bad"), n);
            group.bench_function(id, |b| {
                b.iter(|| {
                    let sum = S::aggregate(&world.ring, &statement, black_box(&shares));
                    assert_eq!(sum.bad.len(), bad);
                });
            });
        }
        if n > 30 {
            continue;
        }
        for len in [2, 8] {
            let signed: Vec<_> = (0..len)
                .map(|i| (world.statement(i), world.multisig(i)))
                .collect();
            let claims: Vec<_> = signed
                .iter()
                .map(|(statement, multisig)| Claim {
                    statement: statement.clone(),
                    multisig,
                })
                .collect();
            let id = BenchmarkId::new(format!("batch-of-{len}"), n);
            group.bench_function(id, |b| {
                b.iter(|| assert!(S::verify_batch(&world.ring, black_box(&claims)).is_empty()));
            });
        }
    }
    group.finish();
}

fn all(c: &mut Criterion) {
    scheme::<Bls>(c);
    scheme::<Ed25519Lists>(c);
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(15)
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_millis(800));
    targets = all
}
criterion_main!(benches);
