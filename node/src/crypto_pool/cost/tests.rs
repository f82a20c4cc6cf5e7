use types::{BlockId, EpochId, Multisig, ReplicaId, SignerSet, View};

use super::*;

fn votes(signers: usize) -> Qc {
    Qc {
        epoch: EpochId::ZERO,
        view: View(1),
        block: BlockId::ZERO,
        excluded: SignerSet::EMPTY,
        votes: Multisig {
            signers: SignerSet::all(signers),
            bytes: bytes::Bytes::new(),
        },
    }
}

fn frauds(count: usize) -> Vec<Fraud> {
    let one = Fraud::DoubleVote {
        first: votes(3),
        second: votes(3),
    };
    vec![one; count]
}

fn report() -> ForkReport {
    ForkReport {
        epoch: EpochId::ZERO,
        replica: ReplicaId(0),
        height: types::Height(1),
        tip: BlockId::ZERO,
        proof: Some(proof()),
        signature: [0; 64],
    }
}

fn proof() -> CommitProof {
    CommitProof {
        chain: Vec::new(),
        certs: vec![votes(3), votes(3)],
    }
}

fn value() -> RecoveryValue {
    RecoveryValue {
        excluded: SignerSet::EMPTY,
        standbys: SignerSet::EMPTY,
        base: BlockId::ZERO,
        root_height: types::Height(1),
        frauds: frauds(2),
        reports: vec![report(), report()],
    }
}

/// Whoever recovers waits for nothing else: these jobs go before bulk, and what holds certificates is
/// worth a hand-off under BLS.
#[test]
fn jobs_about_a_split_are_urgent_and_cost_what_they_hold() {
    let model = CostModel::new(SchemeName::Bls);
    let estimate = |job: &Job| {
        let estimate = model.of(job);
        assert!(!estimate.bulk, "{job:?}");
        estimate.us
    };
    let pairing = BLS_VERIFY_US;
    assert_eq!(estimate(&Job::Frauds(frauds(3))), 6 * pairing);
    assert_eq!(checks(&Job::Frauds(frauds(3))), 6);
    assert_eq!(estimate(&Job::CommitProof(proof())), 2 * pairing);
    let conflict = types::Conflict {
        epoch: EpochId::ZERO,
        first: proof(),
        second: proof(),
    };
    assert_eq!(estimate(&Job::Conflict(Box::new(conflict))), 4 * pairing);
    let of_report = ED25519_US + 2 * pairing;
    assert_eq!(estimate(&Job::Report(Box::new(report()))), of_report);
    let of_value = 4 * pairing + 2 * of_report;
    assert_eq!(estimate(&Job::Value(Box::new(value()))), of_value);
    assert_eq!(checks(&Job::Value(Box::new(value()))), 10);
    let resumption = types::Resumption {
        of: EpochId::ZERO,
        value: value(),
        proof: proof(),
    };
    let job = Job::Resumption(Box::new(resumption));
    assert_eq!(estimate(&job), of_value + 2 * pairing);
    assert_eq!(checks(&job), 12);
}
