use bytes::Bytes;
use types::{
    Ack, BlockId, Car, CarId, CommitRule, Digest, EpochId, Fraud, Offence, Proposal, Qc, ReplicaId,
    SignerSet, Timeout, View, Vote,
};

use crate::accountability::{Watch, culprits};
use crate::tests::fixture::{epoch, header, qc};

fn vote(voter: u16, view: u64, block: u8) -> Vote {
    Vote {
        epoch: epoch(4).id,
        view: View(view),
        block: BlockId(Digest([block; 32])),
        excluded: SignerSet::EMPTY,
        voter: ReplicaId(voter),
        share: Bytes::from_static(b"share"),
    }
}

fn ack(replica: u16, lane: u16, index: u64, car: u8) -> Ack {
    Ack {
        epoch: epoch(4).id,
        lane: ReplicaId(lane),
        index,
        car: CarId(Digest([car; 32])),
        replica: ReplicaId(replica),
        signature: [replica as u8; 64],
    }
}

fn car(lane: u16, index: u64, prev: u8) -> Car {
    Car {
        epoch: epoch(4).id,
        lane: ReplicaId(lane),
        index,
        prev: CarId(Digest([prev; 32])),
        batches: Vec::new(),
        signature: [lane as u8; 64],
    }
}

fn proposal(view: u64, payload: u8) -> Proposal {
    let epoch = epoch(4);
    let mut header = header(&epoch, view, 1, Qc::root(&epoch)).as_ref().clone();
    header.payload = Digest([payload; 32]);
    let signature = [payload; 64];
    Proposal { header, signature }
}

fn watch() -> Watch {
    Watch::new(&epoch(4))
}

fn convicts(fraud: Option<Fraud>, offence: Offence, who: u16) {
    let fraud = fraud.expect("a contradiction");
    assert_eq!(fraud.offence(), offence);
    let names = [ReplicaId(who)].into_iter().collect();
    assert_eq!(culprits(CommitRule::TwoChain, &fraud), Ok(names));
}

#[test]
fn contradictions_are_noticed() {
    let mut watch = watch();
    assert_eq!(watch.proposal(&proposal(5, 1)), None);
    assert_eq!(watch.vote(&vote(2, 5, 1)), None);
    assert_eq!(watch.car(&car(3, 9, 1)), None);
    assert_eq!(watch.ack(&ack(1, 3, 9, 1)), None);
    convicts(watch.proposal(&proposal(5, 2)), Offence::E1, 1);
    convicts(watch.vote(&vote(2, 5, 2)), Offence::E2, 2);
    convicts(watch.car(&car(3, 9, 2)), Offence::E6, 3);
    convicts(watch.ack(&ack(1, 3, 9, 2)), Offence::E7, 1);
    let mut excluding = vote(2, 5, 1);
    excluding.excluded = [ReplicaId(0)].into_iter().collect();
    convicts(watch.vote(&excluding), Offence::E2, 2);
}

#[test]
fn a_timeout_betrays_its_last_vote() {
    let mut watch = watch();
    assert_eq!(watch.vote(&vote(2, 5, 1)), None);
    let timeout = Timeout {
        epoch: epoch(4).id,
        view: View(6),
        replica: ReplicaId(2),
        high_qc: qc(&epoch(4), 4, BlockId::ZERO),
        last_vote: Some(vote(2, 5, 2)),
        signature: [0; 64],
    };
    convicts(watch.timeout(&timeout), Offence::E2, 2);
}

#[test]
fn repetition_and_difference_in_place_are_no_offence() {
    let mut watch = watch();
    for _ in 0..2 {
        assert_eq!(watch.proposal(&proposal(5, 1)), None);
        assert_eq!(watch.proposal(&proposal(6, 2)), None);
        assert_eq!(watch.vote(&vote(2, 5, 1)), None);
        assert_eq!(watch.vote(&vote(2, 6, 2)), None);
        assert_eq!(watch.vote(&vote(3, 5, 3)), None);
        assert_eq!(watch.car(&car(3, 9, 1)), None);
        assert_eq!(watch.car(&car(3, 10, 2)), None);
        assert_eq!(watch.car(&car(2, 9, 3)), None);
        assert_eq!(watch.ack(&ack(1, 3, 9, 1)), None);
        assert_eq!(watch.ack(&ack(1, 2, 9, 2)), None);
        assert_eq!(watch.ack(&ack(1, 3, 10, 3)), None);
        assert_eq!(watch.ack(&ack(2, 3, 9, 4)), None);
    }
    let mut resigned = proposal(5, 1);
    resigned.signature = [7; 64];
    assert_eq!(watch.proposal(&resigned), None, "the same proposal");
}

/// Another epoch's statements, and strangers, are not remembered.
#[test]
fn only_members_of_the_epoch_are_watched() {
    let mut watch = watch();
    let mut elsewhere = vote(2, 5, 1);
    elsewhere.epoch = EpochId(Digest([9; 32]));
    assert_eq!(watch.vote(&elsewhere), None);
    assert_eq!(watch.vote(&vote(2, 5, 2)), None);
    assert_eq!(watch.vote(&vote(77, 5, 1)), None);
    assert_eq!(watch.vote(&vote(77, 5, 2)), None);
}

/// Who says a lot hides what it said before, but nothing of anybody else.
#[test]
fn memory_is_bounded_per_replica() {
    let mut watch = watch();
    assert_eq!(watch.vote(&vote(1, 5, 1)), None);
    assert_eq!(watch.vote(&vote(2, 5, 1)), None);
    for view in 0..1000 {
        assert_eq!(watch.vote(&vote(1, 100 + view, 1)), None);
    }
    assert_eq!(watch.vote(&vote(1, 5, 2)), None, "forgotten");
    convicts(watch.vote(&vote(2, 5, 2)), Offence::E2, 2);
    convicts(watch.vote(&vote(1, 1099, 2)), Offence::E2, 1);
}
