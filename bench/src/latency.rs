//! The least time from a client's send to its receipt, out of what hops and signatures cost: two-chain, one
//! transaction that comes just in time for a view, nothing else to do.

use types::committee::quorum;

/// What the steps cost here, in microseconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Steps {
    pub hop_us: f64,
    /// Signing and checking what only its sender signs: cars and proposals.
    pub link_sign_us: f64,
    pub link_verify_us: f64,
    pub vote_sign_us: f64,
    pub aggregate_us: f64,
    pub verify_certificate_us: f64,
}

/// Client to owner, car to leader, proposal, vote, proposal, vote, proposal, receipt.
const HOPS: f64 = 8.0;
/// Views whose votes are cast before the transaction is final.
const VOTED_VIEWS: f64 = 2.0;

/// The bound in microseconds where all replicas share `cores`; `usize::MAX` for a core each.
///
/// The owner signs the car; each of three leaders signs a proposal; voters check it and the certificate
/// in it and sign, in two views; the next leader adds the shares up and checks the sum; whoever gives
/// the receipt checks the third proposal and its certificate. A quorum must have voted: with fewer
/// cores than voters they take turns.
#[must_use]
pub fn bound_us(n: usize, cores: usize, steps: &Steps) -> f64 {
    let checks = steps.link_verify_us + steps.verify_certificate_us;
    let voters = quorum(n) as f64;
    let turns = (voters / cores.max(1) as f64).max(1.0);
    HOPS * steps.hop_us
        + steps.link_sign_us
        + (VOTED_VIEWS + 1.0) * steps.link_sign_us
        + VOTED_VIEWS * (turns * (checks + steps.vote_sign_us) + steps.aggregate_us)
        + checks
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEPS: Steps = Steps {
        hop_us: 10.0,
        link_sign_us: 1.0,
        link_verify_us: 2.0,
        vote_sign_us: 100.0,
        aggregate_us: 300.0,
        verify_certificate_us: 200.0,
    };

    #[test]
    fn every_step_counts_once_per_view() {
        let expected = 80.0 + 4.0 + 2.0 * (302.0 + 300.0) + 202.0;
        assert!((bound_us(4, usize::MAX, &STEPS) - expected).abs() < 1e-9);
    }

    #[test]
    fn voters_take_turns_where_cores_are_few() {
        let (own, shared) = (bound_us(4, 3, &STEPS), bound_us(4, 2, &STEPS));
        assert!(
            (shared - own - 2.0 * 0.5 * 302.0).abs() < 1e-9,
            "three voters on two cores"
        );
        assert!(bound_us(30, 2, &STEPS) > bound_us(7, 2, &STEPS));
    }
}
