//! The predicates at their edges: one step further convicts nobody.

use super::fixtures::{car, car_cert, digest, frauds, header, qc, signature, signers};
use crate::ids::*;
use crate::offence::{NoFraud, convicted, culprits, is_miscast};
use crate::*;

const THREE: CommitRule = CommitRule::ThreeChain;
const TWO: CommitRule = CommitRule::TwoChain;

fn core(view: u64, justify_view: u64, parent: BlockId) -> HeaderCore {
    HeaderCore {
        view: View(view),
        justify_view: View(justify_view),
        parent,
        ..header().core()
    }
}

fn votes(core: &HeaderCore, by: &[u16]) -> Qc {
    Qc {
        view: core.view,
        block: core.id(),
        votes: Multisig {
            signers: signers(by),
            ..qc().votes
        },
        ..qc()
    }
}

type Case<'a> = (NoFraud, &'a dyn Fn(&mut Fraud));

/// Each change of a convicting proof makes it convict nobody, for the reason beside it.
fn edges(rule: CommitRule, fraud: &Fraud, names: &[u16], cases: &[Case<'_>]) {
    assert_eq!(culprits(rule, fraud), Ok(signers(names)));
    for (at, (why, change)) in cases.iter().enumerate() {
        let mut changed = fraud.clone();
        change(&mut changed);
        assert_eq!(culprits(rule, &changed), Err(*why), "case {at}");
    }
}

macro_rules! part {
    ($fraud:ident, $kind:ident, $field:ident) => {
        match $fraud {
            Fraud::$kind { $field, .. } => $field,
            other => panic!("{other:?}"),
        }
    };
}

#[test]
fn e1_is_two_headers_of_one_proposer_at_one_view() {
    let signed = |payload: u8| SignedCore {
        core: HeaderCore {
            payload: digest(payload),
            ..header().core()
        },
        signature: signature(1),
    };
    let fraud = Fraud::Equivocation {
        first: signed(1),
        second: signed(2),
    };
    edges(
        TWO,
        &fraud,
        &[3],
        &[
            (NoFraud::Apart("epochs"), &|f| {
                part!(f, Equivocation, second).core.epoch = EpochId(digest(9));
            }),
            (NoFraud::Apart("views"), &|f| {
                part!(f, Equivocation, second).core.view = View(9);
            }),
            (NoFraud::Apart("proposers"), &|f| {
                part!(f, Equivocation, second).core.proposer = ReplicaId(2);
            }),
            (NoFraud::Same, &|f| {
                // Signatures may be made twice.
                *part!(f, Equivocation, second) = SignedCore {
                    signature: signature(2),
                    ..signed(1)
                };
            }),
        ],
    );
}

#[test]
fn e2_is_two_votes_at_one_view() {
    let first = votes(&core(7, 6, BlockId::ZERO), &[0, 1, 2]);
    let second = Qc {
        block: BlockId(digest(9)),
        ..votes(&core(7, 6, BlockId::ZERO), &[2, 3])
    };
    let fraud = Fraud::DoubleVote {
        first: first.clone(),
        second,
    };
    edges(
        THREE,
        &fraud,
        &[2],
        &[
            (NoFraud::Apart("epochs"), &|f| {
                part!(f, DoubleVote, second).epoch = EpochId(digest(9));
            }),
            (NoFraud::Apart("views"), &|f| {
                part!(f, DoubleVote, second).view = View(8);
            }),
            (NoFraud::Same, &|f| {
                part!(f, DoubleVote, second).block = first.block;
            }),
            (NoFraud::Nobody, &|f| {
                part!(f, DoubleVote, second).votes.signers = signers(&[3]);
            }),
        ],
    );
    // One block, but another `B` stated beside it.
    let second = Qc {
        excluded: signers(&[9]),
        ..first.clone()
    };
    let fraud = Fraud::DoubleVote { first, second };
    assert_eq!(culprits(THREE, &fraud), Ok(signers(&[0, 1, 2])));
}

/// `b` at view 3, `b'` at 5, `b''` at 8; `c` at 9 over something of view 2.
fn lock_break() -> Fraud {
    let parent = core(5, 3, BlockId(digest(1)));
    let child = core(8, 5, parent.id());
    let broken = core(9, 2, BlockId(digest(2)));
    Fraud::LockBreak {
        locking: votes(&child, &[0, 1, 2]),
        child,
        parent,
        breaking: votes(&broken, &[1, 2, 3]),
        broken,
    }
}

fn rebroken(fraud: &mut Fraud, view: u64, justify_view: u64) {
    let Fraud::LockBreak {
        breaking, broken, ..
    } = fraud
    else {
        panic!("a lock violation")
    };
    *broken = core(view, justify_view, BlockId(digest(2)));
    *breaking = votes(broken, &[1, 2, 3]);
}

fn relocked(fraud: &mut Fraud, child: (u64, u64), parent: (u64, u64)) {
    let Fraud::LockBreak {
        locking,
        child: child_core,
        parent: parent_core,
        ..
    } = fraud
    else {
        panic!("a lock violation")
    };
    *parent_core = core(parent.0, parent.1, BlockId(digest(1)));
    *child_core = core(child.0, child.1, parent_core.id());
    *locking = votes(child_core, &[0, 1, 2]);
}

#[test]
fn e3_is_a_later_vote_strictly_below_the_lock() {
    edges(
        THREE,
        &lock_break(),
        &[1, 2],
        &[
            // At the lock's own view it may be the locked block.
            (NoFraud::LockKept, &|f| rebroken(f, 9, 3)),
            (NoFraud::LockKept, &|f| rebroken(f, 9, 4)),
            // Before the lock, or at its view (that is `E2`).
            (NoFraud::LockKept, &|f| rebroken(f, 7, 2)),
            (NoFraud::LockKept, &|f| rebroken(f, 8, 2)),
            // Views that do not ascend lock nothing.
            (NoFraud::LockKept, &|f| relocked(f, (5, 5), (5, 3))),
            (NoFraud::LockKept, &|f| relocked(f, (8, 5), (3, 3))),
            (NoFraud::Apart("chains"), &|f| {
                part!(f, LockBreak, parent).payload = digest(99);
            }),
            (NoFraud::NotItsVotes, &|f| {
                part!(f, LockBreak, locking).view = View(7);
            }),
            (NoFraud::NotItsVotes, &|f| {
                part!(f, LockBreak, breaking).block = BlockId(digest(99));
            }),
            (NoFraud::NotItsVotes, &|f| {
                part!(f, LockBreak, broken).payload = digest(99);
            }),
            (NoFraud::Apart("epochs"), &|f| {
                part!(f, LockBreak, breaking).epoch = EpochId(digest(99));
            }),
            (NoFraud::Nobody, &|f| {
                part!(f, LockBreak, breaking).votes.signers = signers(&[3]);
            }),
        ],
    );
    assert_eq!(culprits(TWO, &lock_break()), Err(NoFraud::OtherRule));
    let mut just_above = lock_break();
    relocked(&mut just_above, (8, 5), (5, 4));
    rebroken(&mut just_above, 9, 3);
    assert_eq!(culprits(THREE, &just_above), Ok(signers(&[1, 2])));
}

fn stale_timeout() -> Fraud {
    let voted = core(8, 7, BlockId(digest(1)));
    let claim = |replica, view| TimeoutClaim {
        replica: ReplicaId(replica),
        high_qc_view: View(view),
        signature: signature(1),
    };
    Fraud::StaleTimeout {
        votes: votes(&voted, &[0, 1, 2]),
        voted,
        timeouts: Tc {
            epoch: qc().epoch,
            view: View(8),
            excluded: SignerSet::EMPTY,
            claims: vec![claim(0, 7), claim(1, 6), claim(2, 8), claim(3, 0)],
        },
    }
}

#[test]
fn e4_is_a_claim_below_what_was_voted_upon() {
    edges(
        TWO,
        &stale_timeout(),
        &[1],
        &[
            (NoFraud::ClaimsFit, &|f| {
                part!(f, StaleTimeout, timeouts).view = View(7);
            }),
            (NoFraud::ClaimsFit, &|f| {
                let tc = part!(f, StaleTimeout, timeouts);
                tc.claims.iter_mut().for_each(|c| c.high_qc_view = View(7));
            }),
            (NoFraud::Nobody, &|f| {
                part!(f, StaleTimeout, timeouts).claims.remove(1);
            }),
            (NoFraud::NotItsVotes, &|f| {
                part!(f, StaleTimeout, voted).justify_view = View(9);
            }),
            (NoFraud::NotItsVotes, &|f| {
                part!(f, StaleTimeout, votes).view = View(7);
            }),
            (NoFraud::Apart("epochs"), &|f| {
                part!(f, StaleTimeout, timeouts).epoch = EpochId(digest(9));
            }),
        ],
    );
    assert_eq!(culprits(THREE, &stale_timeout()), Err(NoFraud::OtherRule));
    let mut later = stale_timeout();
    let fraud = &mut later;
    part!(fraud, StaleTimeout, timeouts).view = View(9000);
    assert_eq!(culprits(TWO, &later), Ok(signers(&[1])));
}

#[test]
fn e5_names_the_voters_for_exactly_this_header() {
    let header = header();
    let fraud = Fraud::UnjustifiedVote {
        votes: votes(&header.core(), &[0, 3]),
        header: header.clone(),
    };
    edges(
        TWO,
        &fraud,
        &[0, 3],
        &[
            (NoFraud::NotItsVotes, &|f| {
                part!(f, UnjustifiedVote, header).payload = digest(99);
            }),
            (NoFraud::NotItsVotes, &|f| {
                part!(f, UnjustifiedVote, header).justify.votes.signers = signers(&[0]);
            }),
        ],
    );
    let fits = Qc {
        excluded: header.excluded_set(),
        ..votes(&header.core(), &[0])
    };
    assert!(!is_miscast(&fits, &header));
    let changed = |change: fn(&mut Qc)| {
        let mut votes = fits.clone();
        change(&mut votes);
        is_miscast(&votes, &header)
    };
    assert!(changed(|votes| votes.view = View(1)));
    assert!(changed(|votes| votes.epoch = EpochId(digest(9))));
    assert!(changed(|votes| votes.excluded = SignerSet::EMPTY));
}

#[test]
fn e6_is_two_cars_at_one_index() {
    let other = Car {
        prev: CarId(digest(99)),
        ..car()
    };
    let fraud = Fraud::LaneEquivocation {
        first: car(),
        second: other,
    };
    edges(
        TWO,
        &fraud,
        &[2],
        &[
            (NoFraud::Apart("epochs"), &|f| {
                part!(f, LaneEquivocation, second).epoch = EpochId(digest(9));
            }),
            (NoFraud::Apart("lanes"), &|f| {
                part!(f, LaneEquivocation, second).lane = ReplicaId(1);
            }),
            (NoFraud::Apart("indices"), &|f| {
                part!(f, LaneEquivocation, second).index += 1;
            }),
            (NoFraud::Same, &|f| {
                let mut same = car();
                same.signature = signature(9);
                *part!(f, LaneEquivocation, second) = same;
            }),
        ],
    );
}

#[test]
fn e7_is_acknowledging_two_cars_at_one_index() {
    let cert = |car: u8, by: &[u16]| CarCert {
        car: CarId(digest(car)),
        acks: Multisig {
            signers: signers(by),
            ..qc().votes
        },
        ..car_cert(2)
    };
    let fraud = Fraud::DoubleAck {
        first: cert(1, &[0, 1]),
        second: cert(2, &[1, 2]),
    };
    edges(
        TWO,
        &fraud,
        &[1],
        &[
            (NoFraud::Apart("epochs"), &|f| {
                part!(f, DoubleAck, second).epoch = EpochId(digest(9));
            }),
            (NoFraud::Apart("lanes"), &|f| {
                part!(f, DoubleAck, second).lane = ReplicaId(1);
            }),
            (NoFraud::Apart("indices"), &|f| {
                part!(f, DoubleAck, second).index += 1
            }),
            (NoFraud::Same, &|f| {
                part!(f, DoubleAck, second).car = CarId(digest(1));
            }),
            (NoFraud::Nobody, &|f| {
                part!(f, DoubleAck, second).acks.signers = signers(&[2]);
            }),
        ],
    );
}

/// `B` is the union of whom the proofs convict; a proof that convicts nobody adds nobody.
#[test]
fn proofs_add_up() {
    let list = [stale_timeout(), lock_break(), frauds().remove(5)];
    assert_eq!(convicted(TWO, &list), signers(&[1, 2]));
    assert_eq!(convicted(TWO, &list[..2]), signers(&[1]));
    assert_eq!(convicted(TWO, []), SignerSet::EMPTY);
}

/// A single statement is a list of one, and of nobody that no committee has.
#[test]
fn single_statements_are_lists_of_one() {
    let mut vote = super::fixtures::vote();
    assert_eq!(vote.alone(), None, "index 3085");
    vote.voter = ReplicaId(5);
    let votes = vote.alone().expect("a seat");
    assert_eq!(votes.votes.signers, signers(&[5]));
    assert_eq!(votes.votes.bytes, vote.share);
    assert_eq!((votes.view, votes.block), (vote.view, vote.block));
    assert_eq!((votes.epoch, votes.excluded), (vote.epoch, vote.excluded));
    let ack = super::fixtures::ack();
    let cert = ack.alone().expect("a seat");
    assert_eq!(cert.acks.signers, signers(&[1]));
    assert_eq!(cert.acks.bytes, ack.signature[..]);
    assert_eq!(
        (cert.lane, cert.index, cert.car),
        (ack.lane, ack.index, ack.car)
    );
    let timeout = super::fixtures::timeout();
    let tc = timeout.alone();
    assert_eq!(tc.view, timeout.view);
    assert_eq!(tc.high_qc_view(), timeout.high_qc.view);
    assert_eq!(tc.signers(), signers(&[2]));
}
