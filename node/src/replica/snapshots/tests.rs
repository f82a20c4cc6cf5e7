use super::*;
use types::EpochId;

fn cert(height: u64) -> CheckpointCert {
    CheckpointCert {
        epoch: EpochId(Digest::ZERO),
        height: Height(height),
        block: BlockId(Digest::ZERO),
        state: Digest::ZERO,
        signatures: Default::default(),
    }
}

/// States at these heights, certified up to `certified`.
fn kept(deep: bool, heights: impl Iterator<Item = u64>, certified: u64, floor: u64) -> Vec<u64> {
    let mut executor = Executor::new(AppKind::Null);
    let mut snapshots = Snapshots::new(deep);
    for height in heights {
        if height > 0 {
            executor.execute_block(Height(height), &[], &mut |_, _, _| {});
        }
        snapshots.take(&executor, &[]);
        if height > 0 && height <= certified {
            snapshots.certified(&cert(height));
        }
        snapshots.let_go(Height(floor));
    }
    let orphan = |at: &Height| !snapshots.kept.contains_key(at);
    assert!(!snapshots.certified.keys().any(orphan));
    snapshots.kept.keys().map(|at| at.0).collect()
}

#[test]
fn states_for_rollbacks_are_few_and_reach_back_to_the_oldest_block() {
    let left = kept(true, (0..=100).map(|at| at * 10), 1000, 0);
    assert_eq!(left.len(), DEEP_MAX);
    assert_eq!((left[0], left[DEEP_MAX - 1]), (0, 1000));
    let widest = left.windows(2).map(|pair| pair[1] - pair[0]).max();
    assert!(widest <= Some(750), "one gap takes all: {left:?}");
}

#[test]
fn what_blocks_no_longer_lead_up_from_goes() {
    let left = kept(true, (0..=100).map(|at| at * 10), 1000, 600);
    assert!(left[0] >= 600 && left.ends_with(&[1000]), "{left:?}");
}

#[test]
fn states_wait_for_their_certificates_but_not_without_bound() {
    let left = kept(true, (0..=6).map(|at| at * 10), 20, 0);
    assert_eq!(left, [0, 10, 20, 30, 40, 50, 60]);
    let left = kept(true, (0..=100).map(|at| at * 10), 20, 0);
    assert_eq!(left[..3], [0, 10, 20]);
    assert_eq!(left.len(), 3 + KEPT_MAX);
    assert_eq!(left[3], 1010 - 10 * KEPT_MAX as u64, "the newest of them");
}

#[test]
fn without_recovery_the_newest_certified_ones_serve_transfers() {
    let left = kept(false, (0..=100).map(|at| at * 10), 1000, 0);
    assert_eq!(left, [980, 990, 1000]);
}
