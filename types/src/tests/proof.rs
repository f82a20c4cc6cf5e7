//! The commit proof: good ones pass, and each clause refuses what breaks it alone.

use bytes::Bytes;

use super::fixtures::{committee, digest, signers};
use crate::ids::*;
use crate::*;

const N: usize = 4;

fn epoch() -> Epoch {
    committee(N).genesis()
}

/// `len` blocks from view 10, height 20 on, the last `certs` of them certified.
fn proof(len: usize, certs: usize) -> CommitProof {
    let epoch = epoch();
    let mut chain: Vec<HeaderCore> = Vec::new();
    for i in 0..len as u64 {
        let (parent, justify_view) = match chain.last() {
            Some(last) => (last.id(), last.view),
            None => (BlockId(digest(1)), View(9)),
        };
        chain.push(HeaderCore {
            epoch: epoch.id,
            view: View(10 + i),
            height: Height(20 + i),
            justify_view,
            parent,
            certificates: digest(2),
            cut: digest(3),
            payload: Digest::ZERO,
            proposer: ReplicaId(0),
            checkpoint: Checkpoint::default(),
            excluded: None,
        });
    }
    let mut proof = CommitProof {
        chain,
        certs: Vec::new(),
    };
    certify(&mut proof, certs);
    proof
}

fn certify(proof: &mut CommitProof, certs: usize) {
    let certify = |core: &HeaderCore| Qc {
        epoch: core.epoch,
        view: core.view,
        block: core.id(),
        excluded: SignerSet::EMPTY,
        votes: Multisig {
            signers: signers(&[0, 1, 3]),
            bytes: Bytes::from_static(b"unchecked here"),
        },
    };
    let first = proof.chain.len() - certs;
    proof.certs = proof.chain[first..].iter().map(certify).collect();
}

/// Mends parent links, justify views and certificates after a change to the chain.
fn relink(proof: &mut CommitProof, certs: usize) {
    for at in 1..proof.chain.len() {
        let (parent, view) = (proof.chain[at - 1].id(), proof.chain[at - 1].view);
        (proof.chain[at].parent, proof.chain[at].justify_view) = (parent, view);
    }
    certify(proof, certs);
}

fn check(rule: CommitRule, proof: &CommitProof) -> Result<(), ProofError> {
    proof.check(rule, &epoch(), proof.chain[0].id())
}

/// Checks a change to a good two-chain proof of four blocks.
fn changed(change: impl FnOnce(&mut CommitProof)) -> Result<(), ProofError> {
    let mut proof = proof(4, 2);
    change(&mut proof);
    check(CommitRule::TwoChain, &proof)
}

#[test]
fn good_proofs_pass_under_their_rule_and_no_other() {
    for len in 2..6 {
        assert_eq!(check(CommitRule::TwoChain, &proof(len, 2)), Ok(()));
        let error = check(CommitRule::ThreeChain, &proof(len, 2));
        assert_eq!(error, Err(ProofError::Shape { expected: 3 }));
    }
    for len in 3..6 {
        assert_eq!(check(CommitRule::ThreeChain, &proof(len, 3)), Ok(()));
        let error = check(CommitRule::TwoChain, &proof(len, 3));
        assert_eq!(error, Err(ProofError::Shape { expected: 2 }));
    }
    let decoded = CommitProof::decode(proof(5, 3).encode()).expect("canonical");
    assert_eq!(check(CommitRule::ThreeChain, &decoded), Ok(()));
}

#[test]
fn shape() {
    let expected = Err(ProofError::Shape { expected: 2 });
    assert_eq!(changed(|p| drop(p.certs.pop())), expected);
    assert_eq!(changed(|p| p.certs.push(p.certs[1].clone())), expected);
    assert_eq!(changed(|p| p.chain.truncate(1)), expected);
    let empty = CommitProof {
        chain: Vec::new(),
        certs: Vec::new(),
    };
    for rule in [CommitRule::TwoChain, CommitRule::ThreeChain] {
        let error = empty.check(rule, &epoch(), BlockId::ZERO);
        assert!(matches!(error, Err(ProofError::Shape { .. })));
    }
}

#[test]
fn another_block() {
    let proof = proof(4, 2);
    for block in [proof.chain[1].id(), BlockId::ZERO] {
        let error = proof.check(CommitRule::TwoChain, &epoch(), block);
        assert_eq!(error, Err(ProofError::Block));
    }
}

#[test]
fn another_epoch() {
    let good = proof(4, 2);
    let mut other = epoch();
    other.id = EpochId(digest(99));
    let error = good.check(CommitRule::TwoChain, &other, good.chain[0].id());
    assert_eq!(error, Err(ProofError::Epoch));
    // One block of another epoch inside of an otherwise sound chain.
    let error = changed(|p| {
        p.chain[1].epoch = other.id;
        relink(p, 2);
    });
    assert_eq!(error, Err(ProofError::Epoch));
}

#[test]
fn links() {
    let foreign = changed(|p| {
        p.chain[3].parent = BlockId(digest(99));
        certify(p, 2);
    });
    assert_eq!(foreign, Err(ProofError::Link { at: 2 }));
    let justify_view = changed(|p| {
        p.chain[3].justify_view = View(5);
        certify(p, 2);
    });
    assert_eq!(justify_view, Err(ProofError::Link { at: 2 }));
    for height in [20, 21, 23] {
        let height = changed(|p| {
            p.chain[2].height = Height(height);
            relink(p, 2);
        });
        assert_eq!(height, Err(ProofError::Link { at: 1 }));
    }
    let left_out = changed(|p| {
        p.chain.remove(1);
    });
    assert_eq!(left_out, Err(ProofError::Link { at: 0 }));
}

#[test]
fn certificates_of_something_else() {
    let expected = |at| Err(ProofError::Certificate { at });
    let other = EpochId(digest(99));
    assert_eq!(changed(|p| p.certs[0].epoch = other), expected(0));
    assert_eq!(changed(|p| p.certs[1].view = View(99)), expected(1));
    assert_eq!(changed(|p| p.certs[1].block = BlockId::ZERO), expected(1));
    assert_eq!(changed(|p| p.certs.swap(0, 1)), expected(0));
    // Certified too early in the chain: the end of it is not certified at all.
    let early = changed(|p| {
        let last = p.chain[3].clone();
        p.chain.pop();
        certify(p, 2);
        p.chain.push(last);
    });
    assert_eq!(early, expected(0));
}

#[test]
fn quorums() {
    let few = changed(|p| p.certs[1].votes.signers = signers(&[0, 1]));
    assert_eq!(few, Err(ProofError::Quorum { at: 1 }));
    let none = changed(|p| p.certs[0].votes = Multisig::default());
    assert_eq!(none, Err(ProofError::Quorum { at: 0 }));
    let strangers = changed(|p| p.certs[0].votes.signers = signers(&[0, 1, 2, 4]));
    assert_eq!(strangers, Err(ProofError::Quorum { at: 0 }));
    let all = changed(|p| p.certs[0].votes.signers = SignerSet::all(N));
    assert_eq!(all, Ok(()));
}

#[test]
fn views_with_a_gap() {
    let gap = changed(|p| {
        p.chain[3].view = View(14);
        relink(p, 2);
    });
    assert_eq!(gap, Err(ProofError::Views));
    // A gap below the certified blocks is no matter.
    let lower = changed(|p| {
        p.chain[0].view = View(3);
        relink(p, 2);
    });
    assert_eq!(lower, Ok(()));
    // Three-chain: the gap may not be at either place.
    for at in [2, 3] {
        let mut proof = proof(4, 3);
        for (i, core) in proof.chain.iter_mut().enumerate().skip(at) {
            core.view = View(20 + i as u64);
        }
        relink(&mut proof, 3);
        let error = check(CommitRule::ThreeChain, &proof);
        assert_eq!(error, Err(ProofError::Views), "gap before block {at}");
    }
}

#[test]
fn the_root_needs_no_votes_but_is_one_value() {
    let epoch = epoch();
    let root = Qc::root(&epoch);
    assert!(root.is_root(&epoch));
    let other = committee(5).genesis();
    assert!(!root.is_root(&other));
    let mut claimed = root.clone();
    claimed.block = BlockId(digest(1));
    assert!(!claimed.is_root(&epoch));
    let mut later = root;
    later.view = View(1);
    assert!(!later.is_root(&epoch));
}
