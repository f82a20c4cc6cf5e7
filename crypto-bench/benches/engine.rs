//! What the node pays per message: the engine's jobs over Ed25519, by size of the committee or batch.

use std::hint::black_box;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use crypto::{ClientKey, Done, Ed25519Lists, Engine, Job};
use crypto_bench::World;
use types::batch::GroupBuilder;
use types::{BatchDigest, Car, CarId, Digest, Qc, ReplicaId, Tc, TimeoutClaim, View};

type Lists = World<Ed25519Lists>;

fn car(world: &Lists, lane: usize, index: u64) -> Car {
    let car = Car {
        epoch: world.epoch.id,
        lane: ReplicaId(lane as u16),
        index,
        prev: CarId(Digest([1; 32])),
        batches: vec![],
        signature: [0; 64],
    };
    world.engines[lane].sign_car(&world.epoch, car)
}

fn cars(c: &mut Criterion) {
    let world = Lists::new(4, 4);
    let mut group = c.benchmark_group("cars");
    for len in [1u64, 4, 16, 128] {
        group.throughput(Throughput::Elements(len));
        let one: Vec<_> = (0..len).map(|i| car(&world, 0, 2 + i)).collect();
        let mixed: Vec<_> = (0..len)
            .map(|i| car(&world, i as usize % 4, 2 + i))
            .collect();
        for (name, cars) in [("one-lane", one), ("all-lanes", mixed)] {
            group.bench_function(BenchmarkId::new(name, len), |b| {
                b.iter(|| {
                    let verdicts =
                        world.engines[0].check_cars(&world.epoch, black_box(cars.clone()));
                    assert!(verdicts.iter().all(Result::is_ok));
                });
            });
        }
    }
    group.finish();
}

fn timeout_certificates(c: &mut Criterion) {
    let mut group = c.benchmark_group("timeout-certificate");
    for n in [4, 7, 30, 100] {
        let world = Lists::new(n, n);
        let verifier = Engine::<Ed25519Lists>::new(&world.committee, None).expect("valid keys");
        let make = |view| {
            let claim = |engine: &Engine<Ed25519Lists>| {
                let root = Qc::root(&world.epoch);
                let timeout = engine.sign_timeout(&world.epoch, View(view), root, None);
                TimeoutClaim {
                    replica: timeout.replica,
                    high_qc_view: View(0),
                    signature: timeout.signature,
                }
            };
            Tc {
                epoch: world.epoch.id,
                view: View(view),
                excluded: types::SignerSet::EMPTY,
                claims: world.engines[..world.epoch.quorum()]
                    .iter()
                    .map(claim)
                    .collect(),
            }
        };
        // More than the engine remembers, in turn: otherwise the bench would look hashes up.
        let tcs: Vec<Tc> = (1..=2100).map(make).collect();
        let mut next = 0;
        group.bench_function(BenchmarkId::from_parameter(n), |b| {
            b.iter(|| {
                next = (next + 1) % tcs.len();
                verifier
                    .verify_tc(&world.epoch, tcs[next].clone())
                    .expect("valid");
            });
        });
    }
    group.finish();
}

fn client_groups(c: &mut Criterion) {
    let world = Lists::new(1, 1);
    let mut group = c.benchmark_group("client-groups");
    for len in [1u64, 64, 512] {
        let mut batch = Vec::new();
        for client in 0..len {
            let mut seed = [3; 32];
            seed[..8].copy_from_slice(&client.to_le_bytes());
            let key = ClientKey::from_seed(&seed);
            let mut builder = GroupBuilder::new();
            builder.push(1, &[0; 512]);
            let cluster = &world.epoch.cluster;
            builder.finish_signed(cluster, key.public(), |bytes| key.sign(bytes), &mut batch);
        }
        let batch = bytes::Bytes::from(batch);
        group.throughput(Throughput::Elements(len));
        group.bench_function(BenchmarkId::from_parameter(len), |b| {
            b.iter(|| {
                let job = Job::Groups {
                    digest: BatchDigest::ZERO,
                    batch: black_box(batch.clone()),
                };
                let done = world.engines[0].run(&world.epoch, job);
                assert!(matches!(done, Done::Groups { ok: Ok(_), .. }));
            });
        });
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(15)
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_millis(800));
    targets = cars, timeout_certificates, client_groups
}
criterion_main!(benches);
