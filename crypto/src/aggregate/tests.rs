use bytes::Bytes;
use proptest::prelude::*;
use types::{Digest, Height, ReplicaId, View};

use crate::bls::Bls;
use crate::fixture::{World, block};
use crate::job::{Done, Job};
use crate::list::Ed25519Lists;
use crate::scheme::VoteScheme;

fn ids(list: &[u16]) -> Vec<ReplicaId> {
    list.iter().copied().map(ReplicaId).collect()
}

fn votes<S: VoteScheme>(
    world: &World<S>,
    shares: Vec<(ReplicaId, Bytes)>,
) -> (Option<types::Qc>, Vec<ReplicaId>, Vec<ReplicaId>) {
    let job = Job::AggregateVotes {
        view: View(3),
        block: block(3),
        excluded: types::SignerSet::EMPTY,
        shares,
    };
    match world.verifier.run(&world.epoch, job) {
        Done::Votes { qc, good, bad, .. } => (qc.map(|qc| qc.into_inner()), good, bad),
        other => panic!("{other:?}"),
    }
}

/// Every way in which a share may be bad, by number.
fn spoil<S: VoteScheme>(world: &World<S>, seat: usize, how: u8) -> Bytes {
    let of = |seat: usize, view, id| {
        let vote = world.engines[seat].sign_vote(
            &world.epoch,
            View(view),
            block(id),
            types::SignerSet::EMPTY,
        );
        vote.share
    };
    match how % 6 {
        0 => of(seat, 3, 4),
        1 => of(seat, 4, 3),
        2 => of((seat + 1) % world.engines.len(), 3, 3),
        3 => Bytes::new(),
        4 => Bytes::from(vec![0xff; of(seat, 3, 3).len()]),
        _ => {
            let mut other = world.epoch;
            other.id.0 = Digest([1; 32]);
            world.engines[seat]
                .sign_vote(&other, View(3), block(3), types::SignerSet::EMPTY)
                .share
        }
    }
}

fn bad_shares_are_named<S: VoteScheme>(n: usize, bad: &[u16]) {
    let world = World::<S>::new(n);
    let mut shares = world.shares(3, block(3));
    for (how, &seat) in bad.iter().enumerate() {
        shares[usize::from(seat)].1 = spoil(&world, usize::from(seat), how as u8);
    }
    let (qc, good, named) = votes(&world, shares);
    assert_eq!(named, ids(bad));
    assert_eq!(good.len(), n - bad.len());
    assert_eq!(qc.is_some(), good.len() >= world.epoch.quorum());
    if let Some(qc) = qc {
        assert_eq!(qc.votes.signers.iter().collect::<Vec<_>>(), good);
        let stranger = World::<S>::new(n).verifier;
        stranger.verify_qc(&world.epoch, qc).unwrap();
    }
}

#[test]
fn bad_shares_are_named_and_the_rest_is_a_certificate() {
    for bad in [
        &[][..],
        &[0],
        &[6],
        &[2, 5],
        &[0, 1, 2],
        &[0, 1, 2, 3, 4, 5],
        &[0, 1, 2, 3, 4, 5, 6],
    ] {
        bad_shares_are_named::<Bls>(7, bad);
        bad_shares_are_named::<Ed25519Lists>(7, bad);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn any_set_of_bad_shares_is_named(n in 1usize..12, mask: u16, lists: bool) {
        let bad: Vec<u16> = (0..n as u16).filter(|seat| mask >> seat & 1 == 1).collect();
        match lists {
            true => bad_shares_are_named::<Ed25519Lists>(n, &bad),
            false => bad_shares_are_named::<Bls>(n, &bad),
        }
    }
}

fn strangers_and_repeats<S: VoteScheme>() {
    let world = World::<S>::new(4);
    let mut shares = world.shares(3, block(3));
    shares.reverse();
    shares.push((ReplicaId(4), shares[0].1.clone()));
    shares.push((ReplicaId(999), shares[0].1.clone()));
    // The second share of replica 3 is bad, and does not count.
    shares.push((ReplicaId(3), Bytes::from_static(b"bad")));
    let (qc, good, bad) = votes(&world, shares);
    assert!(qc.is_some());
    assert_eq!((good, bad), (ids(&[0, 1, 2, 3]), ids(&[4, 999])));
    assert_eq!(votes(&world, vec![]), (None, vec![], vec![]));
}

#[test]
fn strangers_are_bad_and_repeats_count_once() {
    strangers_and_repeats::<Bls>();
    strangers_and_repeats::<Ed25519Lists>();
}

#[test]
fn members_outside_of_the_epoch_do_not_count() {
    let world = World::<Bls>::new(7);
    let mut epoch = world.epoch;
    epoch.members.remove(ReplicaId(2));
    let job = Job::AggregateVotes {
        view: View(3),
        block: block(3),
        excluded: types::SignerSet::EMPTY,
        shares: world.shares(3, block(3)),
    };
    match world.verifier.run(&epoch, job) {
        Done::Votes { qc, bad, .. } => {
            assert_eq!(bad, ids(&[2]));
            assert_eq!(qc.unwrap().votes.signers, epoch.members);
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn two_wrong_by_opposite_amounts_add_up_to_a_valid_certificate() {
    // The documented case: the sum is what both would have signed.
    use blst::min_sig::{AggregateSignature, Signature};
    let world = World::<Bls>::new(4);
    let mut shares = world.shares(3, block(3));
    let parse = |share: &Bytes| Signature::uncompress(share).unwrap();
    let (a, b) = (parse(&shares[0].1), parse(&shares[1].1));
    let mut sum = AggregateSignature::from_signature(&a);
    sum.add_signature(&b, true).unwrap();
    // 0 sends everything, and 1 the neutral element.
    let mut infinity = [0; 48];
    infinity[0] = 0xc0;
    shares[0].1 = Bytes::copy_from_slice(&sum.to_signature().compress());
    shares[1].1 = Bytes::copy_from_slice(&infinity);
    let (qc, good, bad) = votes(&world, shares.clone());
    assert_eq!((good.len(), bad.len()), (4, 0));
    let fresh = World::<Bls>::new(4).verifier;
    fresh.verify_qc(&world.epoch, qc.unwrap()).unwrap();
    // One of them without the other is found.
    shares.remove(0);
    let (qc, _, bad) = votes(&world, shares);
    assert_eq!((qc, bad), (None, ids(&[1])));
}

#[test]
fn acknowledgements_and_checkpoints_name_the_bad() {
    let world = World::<Bls>::new(4);
    let cert = world.car_cert(2, 5);
    let mut shares = world.acks(2, 5, cert.car);
    shares[1].1[3] ^= 1;
    let job = Job::AggregateAcks {
        lane: ReplicaId(2),
        index: 5,
        car: cert.car,
        shares,
    };
    match world.verifier.run(&world.epoch, job) {
        Done::Acks {
            cert: Some(cert),
            good,
            bad,
            ..
        } => {
            assert_eq!((good, bad), (ids(&[0, 2, 3]), ids(&[1])));
            let fresh = World::<Bls>::new(4).verifier;
            let verdicts = fresh.check_car_certs(&world.epoch, vec![cert.into_inner()]);
            assert!(verdicts[0].is_ok());
        }
        other => panic!("{other:?}"),
    }

    let sign = |replica: usize, state: u8| {
        let engine = &world.engines[replica];
        let share = engine.sign_checkpoint(&world.epoch, Height(8), block(1), Digest([state; 32]));
        (share.replica, share.signature)
    };
    let job = Job::AggregateCheckpoint {
        height: Height(8),
        block: block(1),
        state: Digest([4; 32]),
        shares: vec![sign(0, 4), sign(1, 5), sign(2, 5), sign(3, 4)],
    };
    match world.verifier.run(&world.epoch, job) {
        Done::CheckpointVotes {
            cert, good, bad, ..
        } => {
            assert_eq!(cert, None);
            assert_eq!((good, bad), (ids(&[0, 3]), ids(&[1, 2])));
        }
        other => panic!("{other:?}"),
    }
}
