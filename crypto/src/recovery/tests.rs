use types::{BlockId, CommitRule, Header, Height, Qc, ReplicaId};

use super::*;
use crate::bls::Bls;
use crate::fixture::{World, flip, other_epoch, refuses, verdict};
use crate::list::Ed25519Lists;

const N: usize = 4;
/// Three of four split the epoch; with two of them convicted the other two go on.
const CULPRITS: [u16; 2] = [1, 2];

fn signers(seats: &[u16]) -> SignerSet {
    seats.iter().map(|seat| ReplicaId(*seat)).collect()
}

fn branch<S: VoteScheme>(world: &World<S>, salt: u8, seats: &[usize]) -> Vec<Header> {
    let mut justify = Qc::root(&world.epoch);
    (1..=3)
        .map(|at| {
            let mut header = world.header(at, at, justify.clone(), None);
            header.payload = Digest([salt; 32]);
            justify = world.votes(&world.epoch, seats, &header);
            header
        })
        .collect()
}

fn conflict<S: VoteScheme>(world: &World<S>) -> Conflict {
    let proof = |salt, seats: &[usize]| {
        let headers = branch(world, salt, seats);
        world.proof(&world.epoch, seats, &headers)
    };
    Conflict {
        epoch: world.epoch.id,
        first: proof(1, &[0, 1, 2]),
        second: proof(2, &[1, 2, 3]),
    }
}

fn report<S: VoteScheme>(world: &World<S>, seat: usize, proof: Option<CommitProof>) -> ForkReport {
    let recovery = world.epoch.recovery();
    let (height, tip) = match &proof {
        Some(proof) => (proof.chain[0].height, proof.chain[0].id()),
        None => (world.epoch.root_height, world.epoch.root()),
    };
    world.engines[seat].sign_report(&recovery, height, tip, proof)
}

fn value<S: VoteScheme>(world: &World<S>) -> RecoveryValue {
    let conflict = conflict(world);
    let fraud = Fraud::DoubleVote {
        first: conflict.first.certs[0].clone(),
        second: conflict.second.certs[0].clone(),
    };
    RecoveryValue {
        excluded: signers(&CULPRITS),
        standbys: SignerSet::EMPTY,
        base: conflict.first.chain[0].id(),
        root_height: Height(2),
        frauds: vec![fraud],
        reports: vec![
            report(world, 0, Some(conflict.first)),
            report(world, 3, None),
        ],
    }
}

/// The recovery block and its child, certified by those who stay.
fn resumption<S: VoteScheme>(world: &World<S>) -> Resumption {
    resumed_with(world, value(world), |_| {})
}

fn resumed_with<S: VoteScheme>(
    world: &World<S>,
    value: RecoveryValue,
    change: impl Fn(&mut Header),
) -> Resumption {
    let recovery = world.epoch.recovery();
    let mut first = world.header(1, 1, Qc::root(&recovery), None);
    first.epoch = recovery.id;
    first.payload = value.digest();
    first.excluded = Some(value.excluded);
    change(&mut first);
    let mut second = first.clone();
    second.payload = Digest::ZERO;
    (second.view, second.height) = (first.view.next(), first.height.next());
    second.justify = world.votes(&recovery, &[0, 3], &first);
    Resumption {
        of: world.epoch.id,
        value,
        proof: world.proof(&recovery, &[0, 3], &[first, second]),
    }
}

fn conflicts<S: VoteScheme>() {
    let world = World::<S>::new(N);
    let valid = conflict(&world);
    refuses(
        &valid,
        |conflict| verdict(world.verifier.check_conflict(&world.epoch, conflict)),
        &[
            ("another epoch", &|c| c.epoch = other_epoch()),
            ("another epoch", &|c| c.epoch = world.epoch.recovery().id),
            ("with itself", &|c| c.second = c.first.clone()),
            ("different heights", &|c| {
                c.second.chain = c.second.chain.split_off(1)
            }),
            ("empty chain", &|c| c.second.chain.clear()),
            ("bad signature", &|c| {
                let votes = &mut c.second.certs[1].votes;
                votes.bytes = flip(&votes.bytes);
            }),
            ("no quorum", &|c| {
                c.first.certs[0].votes.signers.remove(ReplicaId(0));
            }),
        ],
    );
    let own = |proof| verdict(world.verifier.check_own_proof(&world.epoch, proof));
    assert_eq!(own(valid.first.clone()), "ok");
    let mut spoiled = valid.first;
    spoiled.certs.swap(0, 1);
    assert!(own(spoiled).contains("does not certify its block"));
}

#[test]
fn conflicts_bls() {
    conflicts::<Bls>();
}

#[test]
fn conflicts_ed25519() {
    conflicts::<Ed25519Lists>();
}

#[test]
fn reports_are_signed_and_proven() {
    let world = World::<Ed25519Lists>::new(N);
    let check = |report| verdict(world.verifier.check_report(&world.epoch, report));
    let proof = conflict(&world).first;
    let valid = report(&world, 0, Some(proof.clone()));
    refuses(
        &valid,
        check,
        &[
            ("bad signature", &|r| r.signature[1] ^= 1),
            ("bad signature", &|r| r.replica = ReplicaId(3)),
            ("no member", &|r| r.replica = ReplicaId(4)),
            ("another epoch", &|r| r.epoch = world.epoch.id),
            ("another height", &|r| r.height = Height(2)),
            ("the block in question", &|r| {
                r.tip = BlockId(Digest([1; 32]))
            }),
            ("without a proof", &|r| r.proof = None),
            ("bad signature", &|r| {
                let votes = &mut r.proof.as_mut().expect("one").certs[0].votes;
                votes.bytes = flip(&votes.bytes);
            }),
        ],
    );
    // Whoever executed nothing reports the root, where the epoch has it.
    assert_eq!(check(report(&world, 0, None)), "ok");
    let recovery = world.epoch.recovery();
    let root = world.epoch.root();
    let elsewhere = world.engines[0].sign_report(&recovery, Height(7), root, None);
    assert!(check(elsewhere).contains("without a proof"));
    let proven_root = world.engines[0].sign_report(&recovery, Height(1), root, Some(proof));
    assert!(check(proven_root).contains("the block in question"));
}

fn values<S: VoteScheme>() {
    let world = World::<S>::new(N);
    let check = |value| verdict(world.verifier.check_value(&world.epoch, value));
    refuses(
        &value(&world),
        check,
        &[
            ("no proof convicts", &|v| v.excluded = signers(&[0, 1])),
            ("no proof convicts", &|v| v.frauds.clear()),
            ("no recovery may exclude", &|v| {
                v.excluded = signers(&[1, 2, 3])
            }),
            ("no recovery may exclude", &|v| {
                v.excluded = SignerSet::EMPTY
            }),
            ("standbys", &|v| v.standbys = signers(&[0])),
            ("standbys", &|v| v.standbys = signers(&[4])),
            ("1 signers are no quorum", &|v| drop(v.reports.pop())),
            ("members that stay", &|v| {
                v.reports[1] = report(&world, 1, None)
            }),
            ("members that stay", &|v| {
                v.reports[1] = v.reports[0].clone()
            }),
            ("bad signature", &|v| v.reports[1].signature[0] ^= 1),
            ("bad signature", &|v| {
                let Fraud::DoubleVote { first, .. } = &mut v.frauds[0] else {
                    panic!("a double vote")
                };
                first.votes.bytes = flip(&first.votes.bytes);
            }),
        ],
    );
}

#[test]
fn values_bls() {
    values::<Bls>();
}

#[test]
fn values_ed25519() {
    values::<Ed25519Lists>();
}

/// A standby takes a seat only if it has one in the committee and is no member.
#[test]
fn standbys_take_vacated_seats() {
    let mut world = World::<Ed25519Lists>::new(5);
    world.committee.standbys = 1;
    world.committee.envelope = 2;
    world.epoch = world.committee.genesis();
    let mut value = value(&world);
    let check =
        |value: &RecoveryValue| verdict(world.verifier.check_value(&world.epoch, value.clone()));
    assert_eq!(check(&value), "ok");
    value.standbys = signers(&[4]);
    assert_eq!(check(&value), "ok");
    value.standbys = signers(&[3]);
    assert!(check(&value).contains("standbys"));
}

fn resumptions<S: VoteScheme>() {
    let world = World::<S>::new(N);
    let check = |resumption| verdict(world.verifier.check_resumption(&world.epoch, resumption));
    let changed = |change: &dyn Fn(&mut Header)| resumed_with(&world, value(&world), change);
    refuses(
        &resumption(&world),
        check,
        &[
            ("another epoch", &|r| r.of = other_epoch()),
            ("of another value", &|r| r.value.root_height = Height(9)),
            ("of another value", &|r| {
                r.value.reports[0].signature[0] ^= 1
            }),
            ("not the first", &|r| {
                r.proof.chain = r.proof.chain.split_off(1)
            }),
            ("empty chain", &|r| r.proof.chain.clear()),
            ("bad signature", &|r| {
                let votes = &mut r.proof.certs[0].votes;
                votes.bytes = flip(&votes.bytes);
            }),
            ("no quorum", &|r| {
                r.proof.certs[1].votes.signers = signers(&[0, 1]);
            }),
            ("not the first", &|r| {
                *r = changed(&|h| h.justify.view = View(1));
                r.proof.chain[0].view = View(1);
            }),
            ("not the first", &|r| {
                *r = changed(&|h| h.justify.block = BlockId::ZERO)
            }),
            ("excludes others", &|r| {
                *r = changed(&|h| h.excluded = Some(signers(&[1, 3])))
            }),
            ("of another value", &|r| {
                *r = changed(&|h| h.payload = Digest::ZERO)
            }),
            ("the proof is of another epoch", &|r| {
                *r = changed(&|h| h.epoch = other_epoch());
            }),
            // What a block of the epoch itself may do without a recovery is less.
            ("more than f members", &|r| {
                *r = changed(&|h| h.epoch = world.epoch.id);
            }),
        ],
    );
}

#[test]
fn resumptions_bls() {
    resumptions::<Bls>();
}

#[test]
fn resumptions_ed25519() {
    resumptions::<Ed25519Lists>();
}

/// A client follows with the committee file alone, and arrives at the epoch of the replicas.
#[test]
fn clients_follow_a_recovery() {
    let world = World::<Ed25519Lists>::new(N);
    let resumption = resumption(&world);
    let change = resumption.change();
    let working = world.verifier.check_epoch_change(&world.epoch, &change);
    let value = &resumption.value;
    let expected = world.epoch.recovery().resumed(
        value.digest(),
        value.excluded,
        value.standbys,
        value.root_height,
    );
    assert_eq!(working, Ok(expected));
    assert_eq!(expected.members, signers(&[0, 3]));
    let check =
        |change: EpochChange| verdict(world.verifier.check_epoch_change(&world.epoch, &change));
    refuses(
        &change,
        check,
        &[
            ("another epoch", &|c| c.of = other_epoch()),
            ("other proofs of fraud", &|c| c.frauds.clear()),
            ("of another value", &|c| c.core.root_height = Height(9)),
            ("no recovery may exclude", &|c| {
                c.core.excluded = signers(&[1, 2, 3])
            }),
            ("no proof convicts", &|c| c.core.excluded = signers(&[0, 3])),
            ("bad signature", &|c| {
                let votes = &mut c.proof.certs[0].votes;
                votes.bytes = flip(&votes.bytes);
            }),
        ],
    );
}

/// One culprit of four, evicted by a block of the epoch itself: at most `f`, so nothing is split.
fn eviction<S: VoteScheme>(world: &World<S>) -> Resumption {
    let Fraud::DoubleVote { first, second } = value(world).frauds.remove(0) else {
        panic!("a double vote")
    };
    let alone = |votes: Qc| {
        let header = branch(world, 1, &[2])[0].clone();
        let vote =
            world.engines[2].sign_vote(&world.epoch, header.view, votes.block, SignerSet::EMPTY);
        vote.alone().expect("a seat")
    };
    let fraud = Fraud::DoubleVote {
        first: alone(first),
        second: alone(second),
    };
    let value = RecoveryValue {
        excluded: signers(&[2]),
        standbys: SignerSet::EMPTY,
        base: BlockId::ZERO,
        root_height: Height(0),
        frauds: vec![fraud],
        reports: Vec::new(),
    };
    evicted_with(world, value, |_| {})
}

fn evicted_with<S: VoteScheme>(
    world: &World<S>,
    value: RecoveryValue,
    change: impl Fn(&mut Header),
) -> Resumption {
    let epoch = &world.epoch;
    let mut first = world.header(1, 1, Qc::root(epoch), None);
    first.payload = value.digest();
    change(&mut first);
    let certified = world.votes(epoch, &[0, 1, 3], &first);
    let second = world.header(2, 2, certified, None);
    Resumption {
        of: epoch.id,
        value,
        proof: world.proof(epoch, &[0, 1, 3], &[first, second]),
    }
}

#[test]
fn evictions_end_an_epoch_by_its_own_block() {
    let world = World::<Ed25519Lists>::new(N);
    let valid = eviction(&world);
    let check = |resumption| verdict(world.verifier.check_resumption(&world.epoch, resumption));
    refuses(
        &valid,
        check,
        &[
            ("another epoch", &|r| r.of = other_epoch()),
            ("of another value", &|r| {
                r.value.base = BlockId(Digest([9; 32]))
            }),
            ("no proof convicts", &|r| {
                let mut value = valid.value.clone();
                value.excluded = signers(&[1]);
                *r = evicted_with(&world, value, |_| {});
            }),
            ("of nobody", &|r| {
                let mut value = valid.value.clone();
                value.excluded = SignerSet::EMPTY;
                *r = evicted_with(&world, value, |_| {});
            }),
            ("more than f", &|r| r.value = value(&world)),
            ("standbys", &|r| {
                let mut value = valid.value.clone();
                value.standbys = signers(&[3]);
                *r = evicted_with(&world, value, |_| {});
            }),
            ("bad signature", &|r| {
                let votes = &mut r.proof.certs[0].votes;
                votes.bytes = flip(&votes.bytes);
            }),
            ("bad signature", &|r| {
                let mut value = valid.value.clone();
                let Fraud::DoubleVote { first, .. } = &mut value.frauds[0] else {
                    panic!("a double vote")
                };
                first.votes.bytes = flip(&first.votes.bytes);
                *r = evicted_with(&world, value, |_| {});
            }),
        ],
    );
    // A client arrives at the same epoch, which begins right above the block.
    let change = valid.change();
    let block = &valid.proof.chain[0];
    let expected = world.epoch.evicted(
        block.id(),
        signers(&[2]),
        SignerSet::EMPTY,
        block.height.next(),
    );
    let working = world.verifier.check_epoch_change(&world.epoch, &change);
    assert_eq!(working, Ok(expected));
    let mut other = change;
    other.frauds.clear();
    let refused = world.verifier.check_epoch_change(&world.epoch, &other);
    assert!(verdict(refused).contains("other proofs of fraud"));
}

/// Two convicted replicas cannot turn the tables: a value that excludes correct ones needs proofs
/// against those, whoever certifies it.
#[test]
fn culprits_cannot_exclude_the_others() {
    let world = World::<Ed25519Lists>::new(N);
    let mut value = value(&world);
    value.excluded = signers(&[0, 3]);
    value.reports = vec![report(&world, 1, None), report(&world, 2, None)];
    let recovery = world.epoch.recovery();
    let mut turned = resumed_with(&world, value, |_| {});
    let certs = &mut turned.proof.certs;
    let headers = &turned.proof.chain;
    for (cert, core) in certs.iter_mut().zip(headers) {
        let shares: Vec<_> = [1, 2]
            .map(|seat: usize| {
                let excluded = signers(&[0, 3]);
                world.engines[seat].sign_vote(&recovery, core.view, core.id(), excluded)
            })
            .into_iter()
            .map(|vote| (vote.voter, vote.share))
            .collect();
        let statement = statement::vote(&recovery, core.view, core.id(), signers(&[0, 3]));
        cert.votes = Ed25519Lists::aggregate(&world.verifier.ring, &statement, &shares).multisig;
    }
    let change = turned.change();
    let first = turned.proof.chain[0].id();
    let rule = CommitRule::TwoChain;
    let proof = world
        .verifier
        .check_commit_proof(&recovery, rule, &change.proof, first);
    assert_eq!(proof, Ok(()), "their proof by itself is fine");
    let client = world.verifier.check_epoch_change(&world.epoch, &change);
    assert!(verdict(client).contains("no proof convicts"));
    let replica = world.verifier.check_resumption(&world.epoch, turned);
    assert!(verdict(replica).contains("no proof convicts"));
}
