use types::{Digest, Height, SignerSet};

use super::*;
use crate::bls::Bls;
use crate::fixture::{World, block, flip, other_epoch, refuses, verdict};
use crate::list::Ed25519Lists;

fn proposals<S: VoteScheme>() {
    let world = World::<S>::new(4);
    let check = |proposal| verdict(world.verifier.check_proposal(&world.epoch, proposal));
    // Signed anew after the header was spoiled: the proposer itself is the culprit.
    let check_signed = |header: Header| check(world.propose(header));
    let valid = world.proposal();
    refuses(
        &valid,
        check,
        &[
            ("proposal: bad signature", &|p| p.signature[7] ^= 1),
            ("proposal: bad signature", &|p| p.header.payload.0[0] ^= 1),
            ("proposal: bad signature", &|p| {
                p.header.proposer = ReplicaId(2)
            }),
            ("proposer is no member", &|p| {
                p.header.proposer = ReplicaId(4)
            }),
        ],
    );
    let older_qc = world.qc(1, block(1));
    refuses(
        &valid.header,
        check_signed,
        &[
            ("header: of another epoch", &|h| h.epoch = other_epoch()),
            ("height 0", &|h| h.height = Height(0)),
            ("view not above", &|h| h.view = View(2)),
            ("another view than the one before", &|h| h.view = View(6)),
            ("without a timeout certificate", &|h| h.tc = None),
            ("that it does not need", &|h| h.view = View(3)),
            ("an ordinary epoch excludes nobody", &|h| {
                h.excluded = Some(SignerSet::EMPTY);
            }),
            ("older than the highest claim", &|h| {
                h.justify = older_qc.clone()
            }),
            ("quorum certificate: bad signature", &|h| {
                h.justify.block = block(8)
            }),
            ("quorum certificate: bad signature", &|h| {
                h.justify.votes.bytes = flip(&h.justify.votes.bytes);
            }),
            ("quorum certificate: 2 signers are no quorum", &|h| {
                h.justify.votes.signers.remove(ReplicaId(0));
            }),
            ("quorum certificate: 4 signers are no quorum", &|h| {
                h.justify.votes.signers.insert(ReplicaId(9));
            }),
            ("quorum certificate: of another epoch", &|h| {
                h.justify.epoch = other_epoch()
            }),
            ("timeout certificate: bad signature", &|h| {
                let tc = h.tc.as_mut().unwrap();
                tc.claims[1].signature[0] ^= 1;
            }),
            ("timeout certificate: bad signature", &|h| {
                let tc = h.tc.as_mut().unwrap();
                tc.claims[1].high_qc_view = View(1);
            }),
            ("timeout certificate: 2 signers", &|h| {
                h.tc.as_mut().unwrap().claims.truncate(2);
            }),
            ("claims are not of members in order", &|h| {
                h.tc.as_mut().unwrap().claims.swap(0, 1);
            }),
            ("claims are not of members in order", &|h| {
                let claims = &mut h.tc.as_mut().unwrap().claims;
                claims[1] = claims[0].clone();
            }),
            ("claims are not of members in order", &|h| {
                h.tc.as_mut().unwrap().claims[2].replica = ReplicaId(77);
            }),
            ("claims a certificate of a later view", &|h| {
                h.tc.as_mut().unwrap().claims[2].high_qc_view = View(5);
            }),
            ("timeout certificate: of another epoch", &|h| {
                h.tc.as_mut().unwrap().epoch = other_epoch();
            }),
            ("car certificate: 2 signers", &|h| {
                h.cut[0].acks.signers = SignerSet(3);
            }),
            ("of no lane of the epoch", &|h| h.cut[0].lane = ReplicaId(4)),
            ("car certificate: of another epoch", &|h| {
                h.cut[0].epoch = other_epoch()
            }),
        ],
    );
    // Documented: signatures inside of a cut are not this check's business.
    let mut header = valid.header.clone();
    header.cut[0].acks.bytes = bytes::Bytes::new();
    assert_eq!(check_signed(header), "ok");
    let first = world.header(1, 1, Qc::root(&world.epoch), None);
    assert_eq!(check_signed(first), "ok");
}

#[test]
fn spoiled_proposals_are_refused() {
    proposals::<Bls>();
    proposals::<Ed25519Lists>();
}

#[test]
fn spoiled_timeouts_are_refused() {
    let world = World::<Bls>::new(4);
    let qc = world.qc(2, block(2));
    let vote = world.engines[3].sign_vote(&world.epoch, View(3), block(3), types::SignerSet::EMPTY);
    let valid = world.engines[3].sign_timeout(&world.epoch, View(3), qc, Some(vote));
    let newer = world.qc(4, block(4));
    refuses(
        &valid,
        |timeout| verdict(world.verifier.check_timeout(&world.epoch, timeout)),
        &[
            ("timeout: of another epoch", &|t| t.epoch = other_epoch()),
            ("timeout: bad signature", &|t| t.view = View(4)),
            ("timeout: bad signature", &|t| t.signature[0] ^= 1),
            ("timeout: bad signature", &|t| {
                (t.replica, t.last_vote) = (ReplicaId(2), None);
            }),
            ("no member", &|t| {
                (t.replica, t.last_vote) = (ReplicaId(4), None)
            }),
            ("of view 0", &|t| t.view = View(0)),
            ("certificate of a later view", &|t| {
                t.high_qc = newer.clone()
            }),
            ("timeout: bad signature", &|t| {
                t.high_qc = Qc::root(&world.epoch)
            }),
            ("quorum certificate: bad signature", &|t| {
                t.high_qc.block = block(3)
            }),
            ("last vote of another replica", &|t| {
                t.replica = ReplicaId(2)
            }),
            ("last vote of a later view", &|t| {
                t.last_vote.as_mut().unwrap().view = View(4);
            }),
            ("last vote of a timeout: of another epoch", &|t| {
                t.last_vote.as_mut().unwrap().epoch = other_epoch();
            }),
        ],
    );
    // Documented: the share itself is checked when votes are added up.
    let mut timeout = valid;
    timeout.last_vote.as_mut().unwrap().share = bytes::Bytes::new();
    assert!(world.verifier.check_timeout(&world.epoch, timeout).is_ok());
    // A certificate of the very view that is given up exists if the view ended both ways.
    let same = world.timeout(0, 4, newer);
    assert!(world.verifier.check_timeout(&world.epoch, same).is_ok());
}

#[test]
fn spoiled_new_views_are_refused() {
    let world = World::<Bls>::new(4);
    refuses(
        &world.new_view(),
        |new_view| verdict(world.verifier.check_new_view(&world.epoch, new_view)),
        &[
            ("older than the highest claim", &|n| {
                n.high_qc = Qc::root(&world.epoch)
            }),
            ("quorum certificate: bad signature", &|n| {
                n.high_qc.view = View(3)
            }),
            ("timeout certificate: bad signature", &|n| {
                n.tc.as_mut().unwrap().view = View(5);
            }),
        ],
    );
}

#[test]
fn each_car_has_a_verdict_of_its_own() {
    let world = World::<Bls>::new(4);
    let valid = [(0, 1), (0, 2), (1, 1), (3, 9)].map(|(lane, index)| world.car(lane, index));
    let check = |cars: [Car; 4]| -> String {
        let verdicts = world.verifier.check_cars(&world.epoch, cars.to_vec());
        let spoiled: Vec<_> = verdicts.into_iter().map(verdict).collect();
        match spoiled.iter().all(|verdict| verdict == "ok") {
            true => "ok".into(),
            false => spoiled.join("|"),
        }
    };
    refuses(
        &valid,
        check,
        &[
            ("ok|car: bad signature|ok|ok", &|cars| {
                cars[1].signature[5] ^= 1
            }),
            ("car: bad signature|ok|ok|ok", &|cars| {
                cars[0].batches.push(types::BatchRef {
                    digest: Default::default(),
                    len_bytes: 1,
                    txs: 1,
                });
            }),
            ("ok|ok|car: bad signature|car: bad signature", &|cars| {
                (cars[2].lane, cars[3].lane) = (ReplicaId(3), ReplicaId(1));
            }),
            ("ok|ok|ok|car: index 0", &|cars| cars[3].index = 0),
            ("car: the first car of a lane", &|cars| cars[0].index = 2),
            ("ok|ok|ok|car: the first car", &|cars| {
                cars[3].prev = CarId::ZERO
            }),
            ("ok|ok|ok|car: replica 4 is no member", &|cars| {
                cars[3].lane = ReplicaId(4);
            }),
            ("car: of another epoch|ok", &|cars| {
                cars[0].epoch = other_epoch()
            }),
        ],
    );
    assert!(world.verifier.check_cars(&world.epoch, vec![]).is_empty());
}

#[test]
fn spoiled_chains_are_refused() {
    let world = World::<Bls>::new(4);
    let headers = world.chain(4);
    let tip = world.qc(4, headers[3].id());
    let valid = ChainResponse {
        epoch: world.epoch.id,
        headers,
        tip: Some(tip),
        pruned: Some(world.checkpoint_cert(1)),
    };
    refuses(
        &valid,
        |chain| verdict(world.verifier.check_chain(&world.epoch, chain)),
        &[
            ("chain: of another epoch", &|c| c.epoch = other_epoch()),
            ("header: of another epoch", &|c| {
                c.headers[0].epoch = other_epoch()
            }),
            ("not the child", &|c| c.headers[0].payload.0[0] ^= 1),
            ("not the child", &|c| drop(c.headers.remove(1))),
            ("not the child", &|c| c.headers[3].height = Height(5)),
            ("not the child", &|c| c.headers.swap(0, 1)),
            ("tip does not certify", &|c| drop(c.headers.pop())),
            ("tip does not certify", &|c| c.headers[3].payload.0[0] ^= 1),
            ("tip of no headers", &|c| c.headers.clear()),
            ("quorum certificate: bad signature", &|c| {
                let tip = c.tip.as_mut().unwrap();
                tip.votes.bytes = flip(&tip.votes.bytes);
            }),
            ("checkpoint certificate: bad signature", &|c| {
                c.pruned.as_mut().unwrap().state.0[0] ^= 1;
            }),
            ("checkpoint certificate: 1 signers", &|c| {
                c.pruned.as_mut().unwrap().signatures.signers = SignerSet(1);
            }),
        ],
    );
    // Without a tip the last certificate still vouches for everything below it.
    let mut chain = valid.clone();
    chain.tip = None;
    assert_eq!(
        verdict(world.verifier.check_chain(&world.epoch, chain.clone())),
        "ok"
    );
    let votes = &mut chain.headers[3].justify.votes;
    votes.bytes = flip(&votes.bytes);
    let fresh = World::<Bls>::new(4).verifier;
    let refused = verdict(fresh.check_chain(&world.epoch, chain));
    assert!(refused.contains("bad signature"), "{refused}");
    let nothing = ChainResponse {
        headers: vec![],
        tip: None,
        ..valid
    };
    assert!(world.verifier.check_chain(&world.epoch, nothing).is_ok());
}

#[test]
fn spoiled_checkpoint_shares_are_refused() {
    let world = World::<Bls>::new(4);
    let sign = |replica: usize| {
        let engine = &world.engines[replica];
        engine.sign_checkpoint(&world.epoch, Height(5), block(1), Digest([2; 32]))
    };
    refuses(
        &sign(2),
        |share| verdict(world.verifier.check_checkpoint_share(&world.epoch, share)),
        &[
            ("bad signature", &|s| s.height = Height(6)),
            ("bad signature", &|s| s.state.0[3] ^= 1),
            ("bad signature", &|s| s.block = block(2)),
            ("bad signature", &|s| s.replica = ReplicaId(1)),
            ("no member", &|s| s.replica = ReplicaId(4)),
            ("another epoch", &|s| s.epoch = other_epoch()),
        ],
    );
}

#[test]
fn a_vote_is_no_other_kind_of_statement() {
    // An Ed25519 vote key that is also the identity key could confuse the two: kinds keep them apart.
    let world = World::<Ed25519Lists>::new(4);
    let (view, id) = (View(3), block(3));
    assert_ne!(
        statement::vote(&world.epoch, view, id, types::SignerSet::EMPTY),
        statement::proposal(&world.epoch, view, id)
    );
    let vote = world.engines[0].sign_vote(&world.epoch, view, id, types::SignerSet::EMPTY);
    assert!(
        world
            .verifier
            .check_vote(&world.epoch, vote.clone())
            .is_ok()
    );
    let mut proposal = world.propose(world.header(1, 1, Qc::root(&world.epoch), None));
    proposal.signature.copy_from_slice(&vote.share);
    assert!(
        world
            .verifier
            .check_proposal(&world.epoch, proposal)
            .is_err()
    );
}
