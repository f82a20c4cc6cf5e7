use types::{CommitRule, SchemeName};

use super::*;
use crate::bls::Bls;
use crate::fixture::{World, addresses, block, secrets};
use crate::keys::{committee_of, keygen};
use crate::list::Ed25519Lists;

#[test]
fn committees_of_the_wrong_size_or_scheme_are_refused() {
    let world = World::<Bls>::new(4);
    let refused = Engine::<Ed25519Lists>::new(&world.committee, None).unwrap_err();
    assert_eq!(
        refused,
        KeyError::Scheme {
            found: SchemeName::Bls,
            expected: SchemeName::Ed25519
        }
    );
    let mut empty = world.committee.clone();
    empty.members.clear();
    let refused = Engine::<Bls>::new(&empty, None).unwrap_err();
    assert!(matches!(refused, KeyError::CommitteeSize { found: 0, .. }));
    assert!(matches!(
        keygen(SchemeName::Bls, CommitRule::TwoChain, &addresses(129)),
        Err(KeyError::CommitteeSize { found: 129, .. })
    ));
    assert!(keygen(SchemeName::Simulated, CommitRule::TwoChain, &addresses(4)).is_err());
}

#[test]
fn nobody_shares_a_key() {
    for spoil in 0..3 {
        let mut all = secrets(4, 1);
        let (a, b) = (all[1].clone(), all[3].clone());
        let pick = |key: usize, get: fn(&Secrets) -> &[u8; 32]| match key == spoil {
            true => *get(&a),
            false => *get(&b),
        };
        all[3] = Secrets::from_seeds(
            pick(0, Secrets::vote_seed),
            pick(1, Secrets::identity_seed),
            pick(2, Secrets::link_secret),
        );
        let committee = committee_of::<Bls>(&all, CommitRule::TwoChain, &addresses(4)).unwrap();
        let expected = KeyError::Duplicate {
            first: ReplicaId(1),
            second: ReplicaId(3),
            what: ["vote_key", "identity_key", "link_key"][spoil],
        };
        assert_eq!(Engine::<Bls>::new(&committee, None).unwrap_err(), expected);
    }
}

#[test]
fn secrets_must_be_those_of_the_seat() {
    let world = World::<Ed25519Lists>::new(4);
    let new = |seat, secrets: &Secrets| {
        Engine::<Ed25519Lists>::new(&world.committee, Some((ReplicaId(seat), secrets.clone())))
    };
    assert_eq!(new(2, &world.secrets[2]).unwrap().me(), Some(ReplicaId(2)));
    assert!(matches!(
        new(1, &world.secrets[2]).unwrap_err(),
        KeyError::Mismatch {
            what: "vote key",
            ..
        }
    ));
    assert!(matches!(
        new(4, &world.secrets[2]).unwrap_err(),
        KeyError::NoSuchReplica { n: 4, .. }
    ));
    let (own, other) = (&world.secrets[1], &world.secrets[2]);
    let mixed = |identity: &Secrets, link: &Secrets| {
        Secrets::from_seeds(
            *own.vote_seed(),
            *identity.identity_seed(),
            *link.link_secret(),
        )
    };
    for (secrets, what) in [
        (mixed(other, own), "identity key"),
        (mixed(own, other), "link key"),
    ] {
        let replica = ReplicaId(1);
        assert_eq!(
            new(1, &secrets).unwrap_err(),
            KeyError::Mismatch { replica, what }
        );
    }
}

#[test]
fn one_bad_identity_key_spoils_the_committee() {
    let mut world = World::<Ed25519Lists>::new(4);
    world.committee.members[3].identity_key = [0; 32];
    assert_eq!(
        Engine::<Ed25519Lists>::new(&world.committee, None).unwrap_err(),
        KeyError::BadKey {
            replica: ReplicaId(3),
            what: "identity_key"
        }
    );
}

#[test]
#[should_panic(expected = "this one only verifies")]
fn a_verifier_signs_nothing() {
    let world = World::<Ed25519Lists>::new(1);
    world
        .verifier
        .sign_vote(&world.epoch, View(1), block(1), types::SignerSet::EMPTY);
}

#[test]
fn nothing_secret_is_printed() {
    let world = World::<Ed25519Lists>::new(1);
    let printed = format!("{:?} {:?}", world.secrets, world.engines);
    let seed = crate::hex::encode(world.secrets[0].vote_seed());
    assert!(printed.contains("redacted") && !printed.contains(&seed[..8]));
    let seed = format!("{:?}", world.secrets[0].vote_seed());
    assert!(!printed.contains(&seed[1..20]));
}

#[test]
fn generated_keys_differ_and_work() {
    for scheme in [SchemeName::Bls, SchemeName::Ed25519] {
        let (committee, secrets) = keygen(scheme, CommitRule::ThreeChain, &addresses(2)).unwrap();
        assert_ne!(secrets[0], secrets[1]);
        let me = Some((ReplicaId(1), secrets[1].clone()));
        match scheme {
            SchemeName::Bls => assert!(Engine::<Bls>::new(&committee, me).is_ok()),
            _ => assert!(Engine::<Ed25519Lists>::new(&committee, me).is_ok()),
        }
    }
}

/// RFC 7748, section 6.1.
#[test]
fn link_keys_are_x25519() {
    let unhex = |text: &str| <[u8; 32]>::try_from(crate::hex::decode(text).unwrap()).unwrap();
    let secret = unhex("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a");
    let public = unhex("8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a");
    let secrets = Secrets::from_seeds([1; 32], [2; 32], secret);
    assert_eq!(secrets.link_public(), public);
}
