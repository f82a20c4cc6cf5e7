use types::{CommitRule, Multisig};

use super::*;
use crate::engine::Engine;
use crate::fixture::{World, addresses, block, secrets};
use crate::keys::committee_of;

#[test]
fn lists_verify_for_exactly_their_signers_in_their_order() {
    let world = World::<Ed25519Lists>::new(7);
    let qc = world.qc(3, block(3));
    let ring = &world.verifier.ring;
    let statement = types::statement::vote(&world.epoch, qc.view, qc.block, qc.excluded);
    let check = |signers: u128, bytes: &[u8]| {
        let multisig = Multisig {
            signers: SignerSet(signers),
            bytes: Bytes::copy_from_slice(bytes),
        };
        Ed25519Lists::verify(ring, &statement, &multisig)
    };
    let bytes = &qc.votes.bytes[..];
    assert_eq!(bytes.len(), 5 * 64);
    assert!(check(0b11111, bytes));
    assert!(!check(0b111110, bytes));
    assert!(!check(0b1111, bytes));
    assert!(!check(0b1111, &bytes[..4 * 64 + 1]));
    assert!(check(0b1111, &bytes[..4 * 64]));
    assert!(!check(0, &[]));
    assert!(!check(1 << 100 | 0b1111, bytes));
    let swapped = [&bytes[64..128], &bytes[..64], &bytes[128..]].concat();
    assert!(!check(0b11111, &swapped));
}

#[test]
fn several_lists_share_a_batch_and_no_blame() {
    let world = World::<Ed25519Lists>::new(4);
    let mut qcs: Vec<_> = (1..6)
        .map(|view| world.qc(view, block(view as u8)))
        .collect();
    qcs[1].block = block(9);
    qcs[3].votes.bytes = qcs[3].votes.bytes.slice(1..);
    let claims: Vec<_> = qcs
        .iter()
        .map(|qc| Claim {
            statement: types::statement::vote(&world.epoch, qc.view, qc.block, qc.excluded),
            multisig: &qc.votes,
        })
        .collect();
    assert_eq!(
        Ed25519Lists::verify_batch(&world.verifier.ring, &claims),
        [1, 3]
    );
}

#[test]
fn a_possession_where_none_belongs_and_bad_keys_are_refused() {
    let secrets = secrets(4, 1);
    let committee =
        committee_of::<Ed25519Lists>(&secrets, CommitRule::TwoChain, &addresses(4)).unwrap();
    let replica = ReplicaId(2);
    let mut with_proof = committee.clone();
    with_proof.members[2].possession = vec![1];
    assert_eq!(
        Engine::<Ed25519Lists>::new(&with_proof, None).unwrap_err(),
        KeyError::Possession { replica }
    );
    for key in [vec![], vec![0; 32], vec![1; 31], vec![0xff; 32]] {
        let mut spoiled = committee.clone();
        spoiled.members[2].vote_key = key;
        let expected = KeyError::BadKey {
            replica,
            what: "vote_key",
        };
        assert_eq!(
            Engine::<Ed25519Lists>::new(&spoiled, None).unwrap_err(),
            expected
        );
    }
}
