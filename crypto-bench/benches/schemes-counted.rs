//! Instruction counts of the vote schemes, for `just gate`: they do not depend on the neighbours.

// The macros of gungraun make what they make.
#![allow(missing_debug_implementations)]

use std::hint::black_box;

use bytes::Bytes;
use crypto::{Bls, Claim, Ed25519Lists, VoteScheme};
use crypto_bench::World;
use gungraun::{library_benchmark, library_benchmark_group, main};
use types::{Multisig, ReplicaId};

/// Everything that is signed before the count begins.
struct Case<S: VoteScheme> {
    world: World<S>,
    statement: Vec<u8>,
    shares: Vec<(ReplicaId, Bytes)>,
    shares_one_bad: Vec<(ReplicaId, Bytes)>,
    multisig: Multisig,
    batch: Vec<(Vec<u8>, Multisig)>,
}

fn case<S: VoteScheme>(n: usize) -> Case<S> {
    let world = World::<S>::new(n, 0);
    Case {
        statement: world.statement(1),
        shares: world.shares(1, 0),
        shares_one_bad: world.shares(1, 1),
        multisig: world.multisig(1),
        batch: (0..4)
            .map(|i| (world.statement(i), world.multisig(i)))
            .collect(),
        world,
    }
}

#[library_benchmark]
#[bench::bls(case::<Bls>(4))]
#[bench::ed25519(case::<Ed25519Lists>(4))]
fn sign<S: VoteScheme>(case: Case<S>) -> (Bytes, Case<S>) {
    (black_box(case.world.sign(1)), case)
}

#[library_benchmark]
#[bench::bls(case::<Bls>(4))]
#[bench::ed25519(case::<Ed25519Lists>(4))]
fn verify_share<S: VoteScheme>(case: Case<S>) -> Case<S> {
    let (signer, share) = &case.shares[0];
    assert!(S::verify_share(
        &case.world.ring,
        *signer,
        &case.statement,
        black_box(share)
    ));
    case
}

#[library_benchmark]
#[bench::bls_n4(case::<Bls>(4))]
#[bench::bls_n7(case::<Bls>(7))]
#[bench::ed25519_n4(case::<Ed25519Lists>(4))]
#[bench::ed25519_n7(case::<Ed25519Lists>(7))]
fn verify_certificate<S: VoteScheme>(case: Case<S>) -> Case<S> {
    assert!(S::verify(
        &case.world.ring,
        &case.statement,
        black_box(&case.multisig)
    ));
    case
}

#[library_benchmark]
#[bench::bls_n4(case::<Bls>(4))]
#[bench::bls_n7(case::<Bls>(7))]
#[bench::ed25519_n4(case::<Ed25519Lists>(4))]
#[bench::ed25519_n7(case::<Ed25519Lists>(7))]
fn aggregate<S: VoteScheme>(case: Case<S>) -> Case<S> {
    let sum = S::aggregate(&case.world.ring, &case.statement, black_box(&case.shares));
    assert!(sum.bad.is_empty());
    case
}

#[library_benchmark]
#[bench::bls_n4(case::<Bls>(4))]
#[bench::bls_n7(case::<Bls>(7))]
#[bench::ed25519_n4(case::<Ed25519Lists>(4))]
#[bench::ed25519_n7(case::<Ed25519Lists>(7))]
fn aggregate_one_bad<S: VoteScheme>(case: Case<S>) -> Case<S> {
    let sum = S::aggregate(
        &case.world.ring,
        &case.statement,
        black_box(&case.shares_one_bad),
    );
    assert_eq!(sum.bad.len(), 1);
    case
}

#[library_benchmark]
#[bench::bls_n4(case::<Bls>(4))]
#[bench::bls_n7(case::<Bls>(7))]
#[bench::ed25519_n4(case::<Ed25519Lists>(4))]
#[bench::ed25519_n7(case::<Ed25519Lists>(7))]
fn verify_batch_of_4<S: VoteScheme>(case: Case<S>) -> Case<S> {
    let claims: Vec<_> = case
        .batch
        .iter()
        .map(|(statement, multisig)| Claim {
            statement: statement.clone(),
            multisig,
        })
        .collect();
    assert!(S::verify_batch(&case.world.ring, black_box(&claims)).is_empty());
    case
}

library_benchmark_group!(
    name = schemes,
    benchmarks = [
        sign,
        verify_share,
        verify_certificate,
        aggregate,
        aggregate_one_bad,
        verify_batch_of_4
    ]
);
main!(library_benchmark_groups = schemes);
