use types::{CommitRule, Multisig, ReplicaId};

use super::*;
use crate::bls::Bls;
use crate::fixture::{World, block, flip, other_epoch, refuses, verdict};
use crate::list::Ed25519Lists;

#[test]
fn a_forged_root_is_refused() {
    let world = World::<Ed25519Lists>::new(4);
    let check = |qc| verdict(world.verifier.verify_qc(&world.epoch, qc));
    refuses(
        &Qc::root(&world.epoch),
        check,
        &[
            ("view 0", &|qc| qc.block = block(1)),
            ("view 0", &|qc| qc.votes.signers = SignerSet(0b111)),
            ("another epoch", &|qc| qc.epoch = other_epoch()),
            ("0 signers are no quorum", &|qc| qc.view = View(1)),
        ],
    );
}

#[test]
fn each_car_certificate_has_a_verdict_of_its_own() {
    let world = World::<Bls>::new(4);
    let valid = [
        world.car_cert(0, 1),
        world.car_cert(1, 7),
        world.car_cert(3, 2),
    ];
    let check = |certs: [CarCert; 3]| -> String {
        // A verifier of its own each time, so that nothing is remembered.
        let fresh = World::<Bls>::new(4).verifier;
        let verdicts = fresh.check_car_certs(&world.epoch, certs.to_vec());
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
            ("ok|car certificate: bad signature|ok", &|certs| {
                certs[1].index = 8
            }),
            ("ok|car certificate: bad signature|ok", &|certs| {
                certs[1].lane = ReplicaId(2)
            }),
            ("ok|ok|car certificate: bad signature", &|certs| {
                certs[2].acks.bytes = flip(&certs[2].acks.bytes);
            }),
            ("car certificate: bad signature|ok|ok", &|certs| {
                certs[0].acks.signers = SignerSet(0b0111);
            }),
            (
                "car certificate: 2 signers are no quorum of members, 3 are needed|ok|ok",
                &|c| {
                    c[0].acks.signers = SignerSet(0b0011);
                },
            ),
            ("of another epoch", &|certs| certs[0].epoch = other_epoch()),
            ("of no lane", &|certs| certs[0].index = 0),
        ],
    );
}

#[test]
fn what_was_verified_is_not_verified_again_and_nothing_else() {
    let world = World::<Bls>::new(4);
    let qc = world.qc(2, block(2));
    let key = qc_key(&qc);
    assert!(!world.verifier.seen.contains(&key));
    world.verifier.verify_qc(&world.epoch, qc.clone()).unwrap();
    assert!(world.verifier.seen.contains(&key));
    // Every field is part of the name, so a spoiled copy is looked at again.
    let mut spoiled = qc.clone();
    spoiled.votes = Multisig {
        signers: SignerSet(0b1111),
        ..qc.votes.clone()
    };
    let refused = verdict(world.verifier.verify_qc(&world.epoch, spoiled.clone()));
    assert!(refused.contains("bad signature"));
    assert!(!world.verifier.seen.contains(&qc_key(&spoiled)));
    // A smaller membership applies to remembered certificates too.
    let mut evicted = world.epoch;
    evicted.members.remove(ReplicaId(0));
    assert!(world.verifier.verify_qc(&evicted, qc).is_err());
}

/// Same keys, another cluster (another rule) or another epoch: not one signature carries over.
fn domains<S: VoteScheme>() {
    let world = World::<S>::new(4);
    let mut other_rule = world.committee.clone();
    other_rule.rule = CommitRule::ThreeChain;
    let mut renamed = other_rule.genesis();
    assert_ne!(renamed.cluster, world.epoch.cluster);
    // Even where only the cluster differs and the epoch's id is the same.
    renamed.id = world.epoch.id;
    let mut evicted = world.epoch;
    evicted.members.remove(ReplicaId(1));

    let proposal = world.propose(world.header(1, 1, Qc::root(&world.epoch), None));
    let qc = world.qc(2, block(2));
    let timeout = world.timeout(1, 3, Qc::root(&world.epoch));
    let vote = world.engines[1].sign_vote(&world.epoch, View(2), block(2), types::SignerSet::EMPTY);
    for (epoch, text) in [(&renamed, "bad signature"), (&evicted, "no")] {
        let fresh = World::<S>::new(4).verifier;
        for refused in [
            verdict(fresh.check_proposal(epoch, proposal.clone())),
            verdict(fresh.verify_qc(epoch, qc.clone())),
            verdict(fresh.check_timeout(epoch, timeout.clone())),
            verdict(fresh.check_vote(epoch, vote.clone())),
            verdict(fresh.verify_tc(epoch, world.tc(3, &qc))),
            verdict(fresh.check_cars(epoch, vec![world.car(1, 2)]).remove(0)),
            verdict(
                fresh
                    .check_car_certs(epoch, vec![world.car_cert(1, 2)])
                    .remove(0),
            ),
            verdict(fresh.check_checkpoint_cert(epoch, {
                let mut cert = world.checkpoint_cert(4);
                if epoch.members.len() == 3 {
                    cert.signatures.signers = SignerSet(0b0011);
                }
                cert
            })),
        ] {
            assert!(
                refused.contains(text),
                "expected `{text}`, found `{refused}`"
            );
        }
    }
}

#[test]
fn nothing_carries_over_to_another_cluster_or_membership() {
    domains::<Bls>();
    domains::<Ed25519Lists>();
}
