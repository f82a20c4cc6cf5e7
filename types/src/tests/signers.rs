//! Sets of replicas against a set of integers; quorums against their definition.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::fixtures::{committee, signers};
use crate::committee::{faults, quorum};
use crate::ids::ReplicaId;
use crate::limits::REPLICAS_MAX;
use crate::*;

#[test]
fn the_full_sets_hold_exactly_their_members() {
    assert_eq!(SignerSet::all(0), SignerSet::EMPTY);
    for n in [1, 4, 64, 127, 128] {
        let all = SignerSet::all(n);
        assert_eq!(all.len(), n);
        let members: Vec<u16> = all.iter().map(|id| id.0).collect();
        assert_eq!(members, (0..n as u16).collect::<Vec<_>>());
        assert!(!all.contains(ReplicaId(n as u16)));
    }
}

#[test]
fn ids_beyond_every_committee_are_in_no_set() {
    let all = SignerSet(u128::MAX);
    for id in [128, 129, 1000, u16::MAX] {
        assert!(!all.contains(ReplicaId(id)));
        let mut set = all;
        set.remove(ReplicaId(id));
        assert_eq!(set, all);
    }
}

#[test]
#[should_panic(expected = "exceeds 128")]
fn an_id_beyond_every_committee_cannot_be_inserted() {
    SignerSet::default().insert(ReplicaId(128));
}

#[test]
#[should_panic(expected = "exceeds 128")]
fn a_committee_beyond_the_limit_has_no_set() {
    SignerSet::all(129);
}

/// `f` is the largest with `3f < n`; two quorums share more than `f` members.
#[test]
fn quorums_intersect_in_a_correct_replica() {
    for n in 1..=REPLICAS_MAX {
        let (f, q) = (faults(n), quorum(n));
        assert!(3 * f < n && 3 * (f + 1) >= n, "n = {n}");
        assert_eq!(q, n - f);
        assert!(2 * q - n > f, "n = {n}");
        assert!(q <= n - f, "the correct ones are a quorum: n = {n}");
    }
    let table = [
        (1, 1),
        (2, 2),
        (3, 3),
        (4, 3),
        (5, 4),
        (6, 5),
        (7, 5),
        (30, 21),
    ];
    for (n, q) in table {
        assert_eq!(quorum(n), q, "n = {n}");
    }
}

#[test]
fn a_quorum_is_of_members_alone() {
    let epoch = committee(4).genesis();
    assert_eq!((epoch.faults(), epoch.quorum()), (1, 3));
    assert!(epoch.is_quorum(signers(&[0, 2, 3])));
    assert!(epoch.is_quorum(SignerSet::all(4)));
    assert!(!epoch.is_quorum(signers(&[0, 2])));
    assert!(!epoch.is_quorum(signers(&[0, 1, 2, 3, 4])));
    // A smaller membership over the same seats counts its own quorum.
    let mut less = epoch;
    less.members = signers(&[1, 2, 3]);
    assert_eq!(less.quorum(), 3);
    assert!(!less.is_quorum(signers(&[0, 1, 2])));
    assert!(less.is_quorum(signers(&[1, 2, 3])));
}

#[test]
fn names_are_read_back() {
    for rule in [CommitRule::ThreeChain, CommitRule::TwoChain] {
        assert_eq!(CommitRule::from_name(rule.name()), Some(rule));
    }
    for scheme in [SchemeName::Bls, SchemeName::Ed25519] {
        assert_eq!(SchemeName::from_name(scheme.name()), Some(scheme));
    }
    // No config can ask for the simulator's scheme.
    assert_eq!(SchemeName::from_name("simulated"), None);
    assert_eq!(CommitRule::from_name("one-chain"), None);
}

fn ids() -> impl Strategy<Value = BTreeSet<u16>> {
    proptest::collection::btree_set(0..REPLICAS_MAX as u16, 0..40)
}

fn set(ids: &BTreeSet<u16>) -> SignerSet {
    ids.iter().map(|id| ReplicaId(*id)).collect()
}

proptest! {
    #[test]
    fn agrees_with_a_set_of_integers(a in ids(), b in ids(), id in 0u16..128) {
        let (x, y) = (set(&a), set(&b));
        prop_assert_eq!(x.len(), a.len());
        prop_assert_eq!(x.is_empty(), a.is_empty());
        prop_assert_eq!(x.iter().map(|id| id.0).collect::<BTreeSet<_>>(), a.clone());
        prop_assert_eq!(x.contains(ReplicaId(id)), a.contains(&id));
        prop_assert_eq!(x.union(y), set(&(&a | &b)));
        prop_assert_eq!(x.intersection(y), set(&(&a & &b)));
        prop_assert_eq!(x.difference(y), set(&(&a - &b)));
        prop_assert_eq!(x.is_subset(y), a.is_subset(&b));
        let (mut more, mut less) = (x, x);
        prop_assert_eq!(more.insert(ReplicaId(id)), !a.contains(&id));
        less.remove(ReplicaId(id));
        prop_assert!(more.contains(ReplicaId(id)) && !less.contains(ReplicaId(id)));
        prop_assert!(less.is_subset(x) && x.is_subset(more));
    }
}
