use bytes::Bytes;
use types::{BlockId, Digest, ReplicaId, SignerSet, View, Vote};

use super::fixture::epoch;
use crate::votes::{Quorum, Votes};

fn vote(voter: u16, view: u64, block: u8) -> Vote {
    Vote {
        epoch: epoch(4).id,
        view: View(view),
        excluded: SignerSet::EMPTY,
        block: BlockId(Digest([block; 32])),
        voter: ReplicaId(voter),
        share: Bytes::from_static(b"share"),
    }
}

#[test]
fn a_quorum_is_taken_once_and_again_after_bad_shares_are_gone() {
    let epoch = epoch(4);
    let mut votes = Votes::default();
    for voter in 0..3 {
        assert!(votes.add(&epoch, View(5), vote(voter, 5, 1)));
    }
    let Quorum { block, shares, .. } = votes.take_quorum(&epoch, View(5)).unwrap();
    assert_eq!(shares.len(), 3);
    assert!(
        votes.take_quorum(&epoch, View(5)).is_none(),
        "being checked"
    );
    votes.failed(View(5), block, &[ReplicaId(1)]);
    assert!(
        votes.take_quorum(&epoch, View(5)).is_none(),
        "too few are left"
    );
    assert!(votes.offenders.contains(ReplicaId(1)));
    assert!(
        !votes.add(&epoch, View(5), vote(1, 5, 1)),
        "whoever gave a bad share is not counted again"
    );
    assert!(!votes.add(&epoch, View(6), vote(1, 6, 1)));
    assert!(votes.add(&epoch, View(5), vote(3, 5, 1)));
    assert_eq!(votes.take_quorum(&epoch, View(5)).unwrap().shares.len(), 3);
}

#[test]
fn a_second_vote_in_a_view_counts_for_nothing_and_is_noted() {
    let epoch = epoch(4);
    let mut votes = Votes::default();
    assert!(votes.add(&epoch, View(5), vote(2, 5, 1)));
    assert!(!votes.add(&epoch, View(5), vote(2, 5, 1)));
    assert!(votes.offenders.is_empty(), "the same again is no offence");
    assert!(!votes.add(&epoch, View(5), vote(2, 5, 2)));
    assert!(votes.offenders.contains(ReplicaId(2)));
}

#[test]
fn votes_far_ahead_or_behind_or_by_strangers_are_not_kept() {
    let epoch = epoch(4);
    let mut votes = Votes::default();
    assert!(!votes.add(&epoch, View(10), vote(0, 7, 1)));
    assert!(!votes.add(&epoch, View(10), vote(0, 75, 1)));
    assert!(!votes.add(&epoch, View(10), vote(4, 10, 1)));
    assert!(!votes.add(&epoch, View(10), vote(0, u64::MAX, 1)));
}
