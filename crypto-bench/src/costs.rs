//! What each signature operation of a view costs on this machine, on one core.

use std::hint::black_box;
use std::time::{Duration, Instant};

use crypto::VoteScheme;
use measure::median;
use serde::Serialize;
use types::ReplicaId;

use crate::World;

/// Medians, in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Costs {
    /// One vote share.
    pub sign_us: f64,
    /// One share, checked alone.
    pub verify_share_us: f64,
    /// A quorum's shares added up and checked together, none of them bad.
    pub aggregate_us: f64,
    /// A certificate.
    pub verify_certificate_us: f64,
}

/// Measures the scheme at a committee of `n`, each operation for about `time`.
#[must_use]
pub fn costs<S: VoteScheme>(n: usize, time: Duration) -> Costs {
    let world = World::<S>::new(n, 0);
    let (statement, share) = (world.statement(1), world.sign(1));
    let (shares, multisig) = (world.shares(1, 0), world.multisig(1));
    let ring = &world.ring;
    Costs {
        sign_us: median_us(time, || {
            black_box(world.sign(black_box(1)));
        }),
        verify_share_us: median_us(time, || {
            let share = black_box(&share);
            assert!(S::verify_share(ring, ReplicaId(0), &statement, share));
        }),
        aggregate_us: median_us(time, || {
            let sum = S::aggregate(ring, &statement, black_box(&shares));
            assert!(sum.bad.is_empty());
        }),
        verify_certificate_us: median_us(time, || {
            assert!(S::verify(ring, &statement, black_box(&multisig)));
        }),
    }
}

/// Of at least three calls.
fn median_us(time: Duration, mut operation: impl FnMut()) -> f64 {
    let begun = Instant::now();
    let mut times = Vec::new();
    while times.len() < 3 || begun.elapsed() < time {
        let start = Instant::now();
        operation();
        times.push(start.elapsed().as_secs_f64() * 1e6);
    }
    median(&times)
}
