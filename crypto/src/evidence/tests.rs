use types::offence::culprits;
use types::{Ack, BlockId, Car, CarId, CommitRule, Digest, Qc, ReplicaId, SignerSet, Tc, View};

use super::*;
use crate::bls::Bls;
use crate::fixture::{World, block, flip, other_epoch, refuses, verdict};
use crate::list::Ed25519Lists;

fn signers(seats: &[u16]) -> SignerSet {
    seats.iter().map(|seat| ReplicaId(*seat)).collect()
}

fn vote<S: VoteScheme>(world: &World<S>, seat: usize, view: u64, block: BlockId) -> Qc {
    world.engines[seat]
        .sign_vote(&world.epoch, View(view), block, SignerSet::EMPTY)
        .alone()
        .expect("a seat")
}

fn ack<S: VoteScheme>(world: &World<S>, seat: usize, car: u8) -> Ack {
    world.engines[seat].sign_ack(&world.epoch, ReplicaId(2), 7, CarId(Digest([car; 32])))
}

/// A header that skips views and shows nothing for it.
fn unjustified<S: VoteScheme>(world: &World<S>) -> Header {
    world.header(5, 3, world.qc(2, block(2)), None)
}

/// One valid proof of each offence, with everybody whom it convicts.
fn frauds<S: VoteScheme>(world: &World<S>) -> Vec<(Fraud, SignerSet)> {
    let epoch = &world.epoch;
    let proposal = |payload: u8| {
        let mut header = world.header(3, 3, world.qc(2, block(2)), None);
        header.payload = Digest([payload; 32]);
        let proposal = world.propose(header);
        SignedCore {
            core: proposal.header.core(),
            signature: proposal.signature,
        }
    };
    let voted = world.header(3, 3, world.qc(2, block(2)), None);
    let parent = world.header(2, 2, world.qc(1, block(1)), None);
    let child = world.header(3, 3, world.votes(epoch, &[0, 1, 2], &parent), None);
    let broken = world.header(4, 1, Qc::root(epoch), None);
    let stale = |seat| world.timeout(seat, 3, world.qc(1, block(1))).alone();
    let mut timeouts: Tc = stale(1);
    timeouts.claims.extend(stale(3).claims);
    let car = |len| {
        let car = Car {
            prev: CarId(Digest([len; 32])),
            ..world.car(2, 7)
        };
        world.engines[2].sign_car(epoch, car)
    };
    let header = unjustified(world);
    let acks = |seats: [usize; 2], car| {
        let mut both = ack(world, seats[0], car).alone().expect("a seat");
        let second = ack(world, seats[1], car);
        both.acks.signers.insert(second.replica);
        both.acks.bytes = [&both.acks.bytes[..], &second.signature].concat().into();
        both
    };
    vec![
        (
            Fraud::Equivocation {
                first: proposal(1),
                second: proposal(2),
            },
            signers(&[1]),
        ),
        (
            Fraud::DoubleVote {
                first: world.qc(5, block(1)),
                second: vote(world, 2, 5, block(2)),
            },
            signers(&[2]),
        ),
        (
            Fraud::LockBreak {
                locking: world.votes(epoch, &[0, 1, 2], &child),
                child: child.core(),
                parent: parent.core(),
                breaking: world.votes(epoch, &[1, 2, 3], &broken),
                broken: broken.core(),
            },
            signers(&[1, 2]),
        ),
        (
            Fraud::StaleTimeout {
                votes: world.votes(epoch, &[0, 1], &voted),
                voted: voted.core(),
                timeouts,
            },
            signers(&[1]),
        ),
        (
            Fraud::UnjustifiedVote {
                votes: world.votes(epoch, &[0, 3], &header),
                header,
            },
            signers(&[0, 3]),
        ),
        (
            Fraud::LaneEquivocation {
                first: car(1),
                second: car(2),
            },
            signers(&[2]),
        ),
        (
            Fraud::DoubleAck {
                first: acks([0, 3], 1),
                second: acks([1, 3], 2),
            },
            signers(&[3]),
        ),
    ]
}

fn check<S: VoteScheme>(world: &World<S>) -> impl Fn(Fraud) -> String + '_ {
    |fraud| {
        let mut verdicts = world.verifier.check_frauds(&world.epoch, vec![fraud]);
        verdict(verdicts.pop().expect("one each"))
    }
}

fn every_offence_is_proven<S: VoteScheme>() {
    let world = World::<S>::new(4);
    let all = frauds(&world);
    for (fraud, names) in &all {
        let rule = match fraud {
            Fraud::LockBreak { .. } => CommitRule::ThreeChain,
            _ => CommitRule::TwoChain,
        };
        assert_eq!(culprits(rule, fraud), Ok(*names));
        assert_eq!(check(&world)(fraud.clone()), "ok", "{:?}", fraud.offence());
    }
    // In one batch as one by one; and a bad one spoils no other.
    let mut list: Vec<Fraud> = all.into_iter().map(|(fraud, _)| fraud).collect();
    let Fraud::DoubleVote { second, .. } = &mut list[1] else {
        panic!("the second offence")
    };
    second.votes.bytes = flip(&second.votes.bytes);
    let Fraud::LaneEquivocation { first, .. } = &mut list[5] else {
        panic!("the sixth offence")
    };
    first.signature[3] ^= 1;
    let fresh = World::<S>::new(4).verifier;
    let verdicts = fresh.check_frauds(&world.epoch, list);
    let bad: Vec<usize> = (0..7).filter(|&at| verdicts[at].is_err()).collect();
    assert_eq!(bad, [1, 5]);
}

#[test]
fn every_offence_is_proven_bls() {
    every_offence_is_proven::<Bls>();
}

#[test]
fn every_offence_is_proven_ed25519() {
    every_offence_is_proven::<Ed25519Lists>();
}

fn forged_statements_prove_nothing<S: VoteScheme>() {
    let world = World::<S>::new(4);
    let all: Vec<Fraud> = frauds(&world).into_iter().map(|(f, _)| f).collect();
    let bad = "bad signature";
    refuses(
        &all[0],
        check(&world),
        &[
            (bad, &|f| first_core(f).signature[0] ^= 1),
            (bad, &|f| first_core(f).core.height.0 += 1),
            (bad, &|f| first_core(f).core.proposer = ReplicaId(0)),
            ("no member", &|f| first_core(f).core.proposer = ReplicaId(4)),
            ("another epoch", &|f| {
                first_core(f).core.epoch = other_epoch()
            }),
        ],
    );
    let outsider = World::<S>::salted(4, 9);
    refuses(
        &all[1],
        check(&world),
        &[
            (bad, &|f| votes_of(f).view = View(6)),
            (bad, &|f| votes_of(f).block = block(9)),
            (bad, &|f| votes_of(f).excluded = signers(&[1])),
            (bad, &|f| {
                votes_of(f).votes.signers = signers(&[2, 3]);
            }),
            ("no member", &|f| {
                votes_of(f).votes.signers = signers(&[2, 9]);
            }),
            ("of nobody", &|f| {
                votes_of(f).votes.signers = SignerSet::EMPTY
            }),
            ("another epoch", &|f| votes_of(f).epoch = other_epoch()),
            (bad, &|f| {
                *votes_of(f) = {
                    let foreign = outsider.engines[2].sign_vote(
                        &world.epoch,
                        View(5),
                        block(2),
                        SignerSet::EMPTY,
                    );
                    foreign.alone().expect("a seat")
                }
            }),
        ],
    );
    refuses(
        &all[3],
        check(&world),
        &[
            (bad, &|f| timeouts_of(f).view = View(4)),
            (bad, &|f| timeouts_of(f).claims[0].high_qc_view = View(0)),
            (bad, &|f| timeouts_of(f).claims[0].replica = ReplicaId(0)),
            ("no member", &|f| {
                timeouts_of(f).claims[1].replica = ReplicaId(8)
            }),
            ("of nobody", &|f| timeouts_of(f).claims.clear()),
        ],
    );
    refuses(
        &all[6],
        check(&world),
        &[
            (bad, &|f| acks_of(f).index = 8),
            (bad, &|f| acks_of(f).car = CarId(Digest([3; 32]))),
            ("no member", &|f| acks_of(f).acks.signers = signers(&[0, 5])),
            ("of nobody", &|f| acks_of(f).acks.signers = SignerSet::EMPTY),
        ],
    );
}

#[test]
fn forged_statements_prove_nothing_bls() {
    forged_statements_prove_nothing::<Bls>();
}

#[test]
fn forged_statements_prove_nothing_ed25519() {
    forged_statements_prove_nothing::<Ed25519Lists>();
}

fn first_core(fraud: &mut Fraud) -> &mut SignedCore {
    match fraud {
        Fraud::Equivocation { first, .. } => first,
        other => panic!("{other:?}"),
    }
}

fn votes_of(fraud: &mut Fraud) -> &mut Qc {
    match fraud {
        Fraud::DoubleVote { second, .. } => second,
        other => panic!("{other:?}"),
    }
}

fn timeouts_of(fraud: &mut Fraud) -> &mut Tc {
    match fraud {
        Fraud::StaleTimeout { timeouts, .. } => timeouts,
        other => panic!("{other:?}"),
    }
}

fn acks_of(fraud: &mut Fraud) -> &mut types::CarCert {
    match fraud {
        Fraud::DoubleAck { first, .. } => first,
        other => panic!("{other:?}"),
    }
}

/// `E5` convicts exactly the voters for what no correct replica accepts as a proposal; and whatever
/// passes as one convicts nobody.
#[test]
fn no_voter_for_a_proposal_that_passes_is_convicted() {
    let world = World::<Ed25519Lists>::new(4);
    let valid = world.proposal().header;
    let e5 = |header: &Header| {
        let votes = world.votes(&world.epoch, &[0, 2], header);
        let header = header.clone();
        check(&world)(Fraud::UnjustifiedVote { votes, header })
    };
    let passes = |header: &Header| {
        let proposal = world.propose(header.clone());
        world
            .verifier
            .check_proposal(&world.epoch, proposal)
            .is_ok()
    };
    assert!(passes(&valid));
    assert!(e5(&valid).contains("the header justifies it"));
    type Change<'a> = &'a dyn Fn(&mut Header);
    let qc = world.qc(1, block(1));
    let refuted: [Change; 11] = [
        &|h| h.tc = None,
        &|h| h.view = View(6),
        &|h| h.view = View(2),
        &|h| h.view = View(1),
        &|h| h.justify = qc.clone(),
        &|h| h.justify.votes.bytes = flip(&h.justify.votes.bytes),
        &|h| h.justify.votes.signers = signers(&[0, 1]),
        &|h| h.excluded = Some(SignerSet::EMPTY),
        &|h| h.tc.as_mut().expect("one").claims[0].signature[0] ^= 1,
        &|h| h.tc.as_mut().expect("one").claims.truncate(2),
        &|h| h.epoch = other_epoch(),
    ];
    for (at, change) in refuted.iter().enumerate() {
        let mut header = valid.clone();
        change(&mut header);
        assert!(!passes(&header), "{at}");
        assert_eq!(e5_of(&world, header), "ok", "{at}");
    }
    // Refused for what an honest voter may see otherwise, or for no reason of its own: no offence.
    let unpunished: [Change; 3] = [&|h| h.cut[0].index = 0, &|h| h.height.0 = 0, &|h| {
        h.checkpoint.height.0 = 9
    }];
    for (at, change) in unpunished.iter().enumerate() {
        let mut header = valid.clone();
        change(&mut header);
        assert!(e5(&header).contains("the header justifies it"), "{at}");
    }
}

fn e5_of(world: &World<Ed25519Lists>, header: Header) -> String {
    let votes = world.votes(&world.epoch, &[0, 2], &header);
    check(world)(Fraud::UnjustifiedVote { votes, header })
}

/// Votes that state another view, or another `B`, than the header for which they are.
#[test]
fn votes_cast_elsewhere_than_their_header_says_are_an_offence() {
    let world = World::<Ed25519Lists>::new(4);
    let header = world.proposal().header;
    let cast = |view: u64, excluded: SignerSet| {
        let vote = world.engines[3].sign_vote(&world.epoch, View(view), header.id(), excluded);
        let votes = vote.alone().expect("a seat");
        let header = header.clone();
        check(&world)(Fraud::UnjustifiedVote { votes, header })
    };
    assert!(cast(5, SignerSet::EMPTY).contains("justifies"));
    assert_eq!(cast(6, SignerSet::EMPTY), "ok");
    assert_eq!(cast(5, signers(&[1])), "ok");
}

/// In a recovery epoch `B` is stated, satisfies Eq. 1, and covers what the timeouts declare.
#[test]
fn headers_of_a_recovery_are_justified_by_their_own_epoch() {
    let world = World::<Ed25519Lists>::new(7);
    let recovery = world.epoch.recovery();
    let mut header = world.header(1, 1, Qc::root(&recovery), None);
    header.epoch = recovery.id;
    header.excluded = Some(signers(&[4, 5, 6]));
    let justified = |header: &Header| world.verifier.is_justified(&recovery, header);
    assert!(justified(&header));
    let second = |excluded: &[u16], certified_by: &[usize]| {
        let mut child = header.clone();
        child.justify = world.votes(&recovery, certified_by, &header);
        (child.view, child.excluded) = (View(2), Some(signers(excluded)));
        child
    };
    // q(4) = 3 of those who stay.
    assert!(justified(&second(&[4, 5, 6], &[0, 1, 2])));
    assert!(!justified(&second(&[4, 5, 6], &[0, 1])));
    assert!(!justified(&second(&[4, 5, 6], &[0, 1, 6])));
    let with = |excluded: Option<&[u16]>| {
        let excluded = excluded.map(signers);
        justified(&Header {
            excluded,
            ..header.clone()
        })
    };
    assert!(!with(None), "B is stated");
    assert!(!with(Some(&[6])), "Eq. 1 does not hold for one of seven");
    assert!(!with(Some(&[2, 3, 4, 5, 6])), "beyond the envelope");
    assert!(!with(Some(&[7, 8, 9])), "no members");

    let mut skips = header.clone();
    skips.view = View(2);
    let claims = (0..3).map(|seat| {
        let qc = Qc::root(&recovery);
        let timeout = world.engines[seat].sign_timeout(&recovery, View(1), qc, None);
        timeout.alone().claims[0].clone()
    });
    skips.tc = Some(Tc {
        epoch: recovery.id,
        view: View(1),
        excluded: signers(&[4, 5, 6]),
        claims: claims.collect(),
    });
    assert!(justified(&skips));
    skips.excluded = Some(signers(&[3, 5, 6]));
    assert!(!justified(&skips), "the timeouts exclude somebody else");

    // Proofs of the recovery epoch are checked by whoever works in the epoch that it recovers.
    let votes = world.votes(&recovery, &[1, 2], &skips);
    let fraud = Fraud::UnjustifiedVote {
        votes,
        header: skips,
    };
    assert_eq!(check(&world)(fraud), "ok");
}
