use std::sync::Arc;

use types::{CommitRule, Height, ReplicaId};

use super::fixture::{car_cert, chain, epoch, header, qc};
use crate::tree::{Misfit, Tree};

#[test]
fn headers_fit_only_onto_their_parents() {
    let epoch = epoch(4);
    let blocks = chain(&epoch, &[1, 2, 3]);
    let mut tree = Tree::new(&epoch);
    assert_eq!(put(&mut tree, blocks[1].clone()), Err(Misfit::Orphan));
    let first = put(&mut tree, blocks[0].clone()).unwrap();
    assert_eq!(put(&mut tree, blocks[0].clone()), Err(Misfit::Known));
    let wrong_height = header(&epoch, 2, 3, qc(&epoch, 1, first));
    assert_eq!(put(&mut tree, wrong_height), Err(Misfit::Invalid));
    let wrong_view = header(&epoch, 3, 2, qc(&epoch, 2, first));
    assert_eq!(
        put(&mut tree, wrong_view),
        Err(Misfit::Invalid),
        "the certificate names another view"
    );
}

#[test]
fn cuts_never_regress() {
    let epoch = epoch(4);
    let mut tree = Tree::new(&epoch);
    let mut block = chain(&epoch, &[1]).remove(0).as_ref().clone();
    block.cut = vec![car_cert(&epoch, 2, 5, 9)];
    let id = put(&mut tree, Arc::new(block)).unwrap();
    assert_eq!(tree.base(id).unwrap().cut[2].index, 5);
    for index in [4, 5] {
        let mut next = header(&epoch, 2, 2, qc(&epoch, 1, id)).as_ref().clone();
        next.cut = vec![car_cert(&epoch, 2, index, 8)];
        assert_eq!(put(&mut tree, Arc::new(next)), Err(Misfit::Invalid));
    }
    let mut next = header(&epoch, 2, 2, qc(&epoch, 1, id)).as_ref().clone();
    next.cut = vec![car_cert(&epoch, ReplicaId(7).0, 1, 8)];
    assert_eq!(
        put(&mut tree, Arc::new(next)),
        Err(Misfit::Invalid),
        "a lane that nobody owns"
    );
}

#[test]
fn committing_moves_the_tip_and_drops_dead_branches() {
    let epoch = epoch(4);
    let blocks = chain(&epoch, &[1, 2, 3]);
    let mut tree = Tree::new(&epoch);
    for block in &blocks {
        put(&mut tree, block.clone()).unwrap();
    }
    let dead = tree
        .insert(header(&epoch, 2, 1, types::Qc::root(&epoch)), false)
        .unwrap();
    let path = tree.commit(blocks[1].id()).unwrap();
    assert_eq!(path.len(), 2);
    assert_eq!(tree.tip().height, Height(2));
    assert!(tree.get(dead).is_none());
    assert!(tree.committed_at(Height(1)).is_some());
    assert!(tree.get(blocks[2].id()).is_some());
    tree.prune_below(Height(2));
    assert_eq!(tree.horizon(), Height(2));
    assert!(tree.committed_at(Height(1)).is_none());
}

#[test]
fn a_block_of_another_branch_is_a_conflict() {
    let epoch = epoch(4);
    let blocks = chain(&epoch, &[1, 3]);
    let mut tree = Tree::new(&epoch);
    put(&mut tree, blocks[0].clone()).unwrap();
    let other = tree
        .insert(header(&epoch, 2, 1, types::Qc::root(&epoch)), false)
        .unwrap();
    let child = tree
        .insert(header(&epoch, 4, 2, qc(&epoch, 2, other)), false)
        .unwrap();
    tree.commit(blocks[0].id()).unwrap();
    assert!(tree.commit(child).is_none());
}

#[test]
fn proofs_convince_and_only_of_their_block() {
    let epoch = epoch(4);
    let blocks = chain(&epoch, &[1, 2, 3, 4]);
    let mut tree = Tree::new(&epoch);
    for block in &blocks {
        put(&mut tree, block.clone()).unwrap();
    }
    for (rule, len) in [(CommitRule::TwoChain, 2), (CommitRule::ThreeChain, 3)] {
        let newest = &blocks[3];
        let proof = tree
            .proof(blocks[0].id(), &qc(&epoch, 4, newest.id()), len)
            .unwrap();
        assert_eq!(proof.check(rule, &epoch, blocks[0].id()), Ok(()));
        assert!(proof.check(rule, &epoch, blocks[1].id()).is_err());
    }
}

/// Long after the certificates of a commit are forgotten, its headers still prove it.
#[test]
fn old_commits_are_proven_from_headers() {
    let epoch = epoch(4);
    // Views 3 and 6 were given up: a three-chain commits heights 1 and 2 only with the views from 7 on.
    let blocks = chain(&epoch, &[1, 2, 4, 5, 7, 8, 9, 10]);
    let mut tree = Tree::new(&epoch);
    for block in &blocks {
        put(&mut tree, block.clone()).unwrap();
    }
    tree.commit(blocks[7].id()).unwrap();
    for (rule, len, last) in [(CommitRule::TwoChain, 2, 6), (CommitRule::ThreeChain, 3, 5)] {
        for height in 1..=last {
            let block = blocks[height as usize - 1].id();
            let proof = tree.proof_at(Height(height), len).unwrap();
            assert_eq!(proof.check(rule, &epoch, block), Ok(()), "height {height}");
        }
        assert_eq!(tree.proof_at(Height(last + 1), len), None);
        assert_eq!(tree.proof_at(Height(9), len), None);
    }
}

fn put(tree: &mut Tree, header: Arc<types::Header>) -> Result<types::BlockId, Misfit> {
    tree.insert(header, false)
}

#[test]
fn an_equivocating_leader_fills_its_view_but_keeps_no_certified_header_out() {
    let epoch = epoch(4);
    let mut tree = Tree::new(&epoch);
    let variant = |seed: u8| {
        let mut block = chain(&epoch, &[1]).remove(0).as_ref().clone();
        block.cut = vec![car_cert(&epoch, 1, u64::from(seed) + 1, seed)];
        Arc::new(block)
    };
    for seed in 0..4 {
        assert!(put(&mut tree, variant(seed)).is_ok());
    }
    assert_eq!(put(&mut tree, variant(4)), Err(Misfit::Full));
    assert!(tree.insert(variant(4), true).is_ok());
}
