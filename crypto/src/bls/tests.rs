use types::CommitRule;

use super::*;
use crate::engine::Engine;
use crate::fixture::{addresses, secrets};
use crate::keys::committee_of;

fn ring(n: usize) -> (BlsRing, Vec<SecretKey>) {
    let secrets = secrets(n, 1);
    let committee = committee_of::<Bls>(&secrets, CommitRule::TwoChain, &addresses(n)).unwrap();
    let keys = secrets.iter().map(|s| Bls::secret(s.vote_seed())).collect();
    (Bls::ring(&committee.members).unwrap(), keys)
}

fn multisig(ring: &BlsRing, keys: &[SecretKey], signers: u128, statement: &[u8]) -> Multisig {
    let shares: Vec<_> = SignerSet(signers)
        .iter()
        .map(|id| (id, Bls::sign(&keys[id.index()], statement)))
        .collect();
    let sum = Bls::aggregate(ring, statement, &shares);
    assert!(sum.bad.is_empty());
    sum.multisig
}

/// A point of the curve outside of the subgroup: the first `x` that decodes and is not in it.
fn stray_signature() -> [u8; 48] {
    let mut bytes = [0; 48];
    bytes[0] = 0x80;
    for x in 0..=255 {
        bytes[47] = x;
        if Signature::uncompress(&bytes).is_ok_and(|point| point.validate(false).is_err()) {
            return bytes;
        }
    }
    panic!("half of all x are on the curve, and one point in 2^125 is in the subgroup");
}

fn stray_key() -> [u8; 96] {
    let mut bytes = [0; 96];
    bytes[0] = 0x80;
    for x in 0..=255 {
        bytes[95] = x;
        if PublicKey::uncompress(&bytes).is_ok_and(|point| point.validate().is_err()) {
            return bytes;
        }
    }
    panic!("half of all x are on the twist");
}

#[test]
fn certificates_verify_for_exactly_their_signers_and_statement() {
    let (ring, keys) = ring(7);
    for signers in [1, 0b1000000, 0b0011111, 0b1111111, 0b1010101] {
        let sum = multisig(&ring, &keys, signers, b"this");
        assert!(Bls::verify(&ring, b"this", &sum));
        assert!(!Bls::verify(&ring, b"that", &sum));
        for other in [0, signers ^ 2, 1 << 7 | signers, u128::MAX] {
            let lie = Multisig {
                signers: SignerSet(other),
                bytes: sum.bytes.clone(),
            };
            assert!(
                !Bls::verify(&ring, b"this", &lie),
                "{signers:b} as {other:b}"
            );
        }
    }
}

#[test]
fn points_outside_of_the_subgroup_are_refused() {
    let (ring, keys) = ring(4);
    let stray = Bytes::copy_from_slice(&stray_signature());
    assert!(!Bls::verify_share(&ring, ReplicaId(0), b"x", &stray));

    // A valid signature plus a stray point verifies nowhere either.
    let good = Signature::uncompress(&Bls::sign(&keys[0], b"x")).unwrap();
    let mut sum = AggregateSignature::from_signature(&good);
    sum.add_signature(&Signature::uncompress(&stray).unwrap(), false)
        .unwrap();
    let shifted = Bytes::copy_from_slice(&sum.to_signature().compress());
    assert!(!Bls::verify_share(&ring, ReplicaId(0), b"x", &shifted));
    let lone = |bytes: &Bytes| Multisig {
        signers: SignerSet(1),
        bytes: bytes.clone(),
    };
    assert!(!Bls::verify(&ring, b"x", &lone(&shifted)));
    let honest = multisig(&ring, &keys, 0b1110, b"y");
    let claim = |statement: &[u8], multisig| Claim {
        statement: statement.to_vec(),
        multisig,
    };
    let (shifted_sum, stray_sum) = (lone(&shifted), lone(&stray));
    let claims = [
        claim(b"x", &shifted_sum),
        claim(b"y", &honest),
        claim(b"x", &stray_sum),
    ];
    assert_eq!(Bls::verify_batch(&ring, &claims), [0, 2]);

    let shares: Vec<_> = keys
        .iter()
        .zip(0..)
        .map(|(key, seat)| match seat {
            2 => (ReplicaId(2), stray.clone()),
            _ => (ReplicaId(seat), Bls::sign(key, b"x")),
        })
        .collect();
    let sum = Bls::aggregate(&ring, b"x", &shares);
    assert_eq!(sum.bad, SignerSet(0b0100));
    assert!(Bls::verify(&ring, b"x", &sum.multisig));
}

#[test]
fn keys_outside_of_the_subgroup_neutral_and_uncompressed_are_refused() {
    let secrets = secrets(4, 1);
    let committee = committee_of::<Bls>(&secrets, CommitRule::TwoChain, &addresses(4)).unwrap();
    let mut infinity = vec![0; 96];
    infinity[0] = 0xc0;
    let valid = PublicKey::uncompress(&committee.members[1].vote_key).unwrap();
    for key in [
        stray_key().to_vec(),
        infinity,
        valid.serialize().to_vec(),
        vec![],
        vec![0xff; 96],
    ] {
        let mut spoiled = committee.clone();
        spoiled.members[1].vote_key = key;
        let expected = KeyError::BadKey {
            replica: ReplicaId(1),
            what: "vote_key",
        };
        assert_eq!(Engine::<Bls>::new(&spoiled, None).unwrap_err(), expected);
    }
}

#[test]
fn a_rogue_key_has_no_proof_of_possession() {
    let secrets = secrets(4, 1);
    let mut committee = committee_of::<Bls>(&secrets, CommitRule::TwoChain, &addresses(4)).unwrap();
    // Replica 3 presents `its own key - the others'`, so that it alone could sign for all four.
    let own = Bls::secret(secrets[3].vote_seed());
    let mut rogue = AggregatePublicKey::from_public_key(&own.sk_to_pk());
    for member in &committee.members[..3] {
        let key = PublicKey::uncompress(&member.vote_key).unwrap();
        rogue.sub_aggregate(&AggregatePublicKey::from_public_key(&key));
    }
    let rogue = rogue.to_public_key();

    // The attack works against a ring that skips the proof: one signer speaks for everybody.
    let honest = committee.members[..3]
        .iter()
        .map(|member| PublicKey::uncompress(&member.vote_key).unwrap());
    let keys: Vec<PublicKey> = honest.chain([rogue]).collect();
    let forged = Multisig {
        signers: SignerSet(0b1111),
        bytes: Bls::sign(&own, b"x"),
    };
    assert!(Bls::verify(&BlsRing::new(keys).unwrap(), b"x", &forged));

    committee.members[3].vote_key = rogue.compress().to_vec();
    let refused = KeyError::Possession {
        replica: ReplicaId(3),
    };
    let identity_key = committee.members[3].identity_key;
    for proof in [
        Bls::prove_possession(&own, &identity_key),
        committee.members[0].possession.clone(),
        vec![],
    ] {
        committee.members[3].possession = proof;
        let refusal = Engine::<Bls>::new(&committee, None).unwrap_err();
        assert_eq!(refusal, refused);
    }
}

#[test]
fn a_proof_of_possession_is_neither_a_vote_nor_anybody_elses() {
    let secrets = secrets(2, 1);
    let mut committee = committee_of::<Bls>(&secrets, CommitRule::TwoChain, &addresses(2)).unwrap();
    let key = Bls::secret(secrets[0].vote_seed());
    let member = committee.members[0].clone();
    let message = possession_message(&member.vote_key, &member.identity_key);
    let (ring, _) = ring(2);
    assert!(!Bls::verify_share(
        &ring,
        ReplicaId(0),
        &message,
        &member.possession
    ));
    // Nor does a vote over the same bytes prove possession.
    committee.members[0].possession = Bls::sign(&key, &message).to_vec();
    assert!(Bls::ring(&committee.members).is_err());
    // With another identity key the copied vote key and proof are worth nothing.
    committee.members[0] = member.clone();
    committee.members[0].identity_key = committee.members[1].identity_key;
    assert!(Bls::ring(&committee.members).is_err());
}

#[test]
fn a_mixed_batch_names_exactly_the_bad() {
    let (ring, keys) = ring(4);
    let statements: Vec<Vec<u8>> = (0..9u8).map(|i| vec![i; 40]).collect();
    let good: Vec<Multisig> = statements
        .iter()
        .zip(0..)
        .map(|(statement, i)| multisig(&ring, &keys, [0b0111, 0b1111, 0b1011][i % 3], statement))
        .collect();
    for bad in [
        &[][..],
        &[0],
        &[8],
        &[3, 4],
        &[0, 2, 4, 6, 8],
        &[0, 1, 2, 3, 4, 5, 6, 7, 8],
    ] {
        let mut sums = good.clone();
        for (kind, &at) in bad.iter().enumerate() {
            match kind % 4 {
                0 => sums[at].bytes = good[(at + 1) % 9].bytes.clone(),
                1 => sums[at].signers = SignerSet(sums[at].signers.0 ^ 1),
                2 => sums[at].bytes = Bytes::from_static(b"no signature"),
                _ => sums[at].signers = SignerSet::EMPTY,
            }
        }
        let claims: Vec<_> = statements
            .iter()
            .zip(&sums)
            .map(|(statement, multisig)| Claim {
                statement: statement.clone(),
                multisig,
            })
            .collect();
        assert_eq!(Bls::verify_batch(&ring, &claims), bad);
    }
    assert!(Bls::verify_batch(&ring, &[]).is_empty());
}

#[test]
fn opposite_errors_do_not_cancel_in_a_batch() {
    // Swapped by a fixed point: without coefficients the two errors would cancel.
    let (ring, keys) = ring(4);
    let delta = Signature::uncompress(&Bls::sign(&keys[0], b"delta")).unwrap();
    let shifted = |statement: &[u8], negative: bool| {
        let sum = multisig(&ring, &keys, 0b0111, statement);
        let mut point =
            AggregateSignature::from_signature(&Signature::uncompress(&sum.bytes).unwrap());
        let mut bytes = delta.compress();
        bytes[0] ^= if negative { 0x20 } else { 0 };
        point
            .add_signature(&Signature::uncompress(&bytes).unwrap(), true)
            .unwrap();
        Multisig {
            signers: sum.signers,
            bytes: Bytes::copy_from_slice(&point.to_signature().compress()),
        }
    };
    let (up, down) = (shifted(b"one", false), shifted(b"two", true));
    let claims = [(b"one", &up), (b"two", &down)].map(|(statement, multisig)| Claim {
        statement: statement.to_vec(),
        multisig,
    });
    assert_eq!(Bls::verify_batch(&ring, &claims), [0, 1]);
}

#[test]
fn encodings_are_pinned() {
    let key = Bls::secret(&[1; 32]);
    let hash = |bytes: &[u8]| blake3::hash(bytes).to_hex()[..16].to_owned();
    let golden = [
        hash(&Bls::public_key(&key)),
        hash(&Bls::sign(&key, b"golden")),
        hash(&Bls::prove_possession(&key, &[2; 32])),
    ];
    assert_eq!(
        golden,
        ["e04a783914764198", "09d1e96c647ec3d8", "4ee92eaf8c5d5d5d"]
    );
}
