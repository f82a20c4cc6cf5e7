use std::collections::BTreeMap;

use types::{BlockId, CommitProof, Digest, Height, ReplicaId, SignerSet};

use super::Branch;
use crate::tests::fixture::{chain, core, epoch, qc};
use crate::tree::Linked;

/// A branch out of the root whose blocks stand at these views; its tip is the `tip`th of them, certified by
/// those behind it.
fn branch(views: &[u64], tip: usize) -> Branch {
    let blocks = chain(&epoch(4), views);
    let headers: Vec<Linked> = blocks.iter().map(|b| b.as_ref().clone().into()).collect();
    let top = headers.last().expect("one at least").id;
    Branch {
        tip: headers[tip - 1].id,
        tip_height: Height(tip as u64),
        top,
        next: top,
        base: Some(Height(0)),
        headers: headers.into(),
        delivery: None,
        complete: false,
        hopeless: false,
        holders: SignerSet::EMPTY,
        asked_ns: None,
        attempts: 0,
        patience: 0,
    }
}

#[test]
fn a_branch_covers_those_that_end_within_it_and_no_other() {
    let long = branch(&[1, 2, 3, 4, 5], 4);
    for tip in 1..=3 {
        let views: Vec<u64> = (1..=tip as u64 + 1).collect();
        let within = branch(&views, tip);
        assert!(long.covers(&within), "tip {tip}");
        assert!(!within.covers(&long), "tip {tip}");
    }
    assert!(!long.covers(&long), "nothing covers itself");
    let other = branch(&[1, 2, 7, 8], 3);
    assert!(!long.covers(&other), "another block at its height");
    let certifying = branch(&[1, 2, 3, 4, 5, 6], 5);
    assert!(
        !long.covers(&certifying),
        "a block that only certifies the tip is not in the branch"
    );
}

#[test]
fn a_branch_that_leads_nowhere_or_elsewhere_covers_nothing() {
    let within = branch(&[1, 2, 3], 2);
    let changed = |change: fn(&mut Branch)| {
        let mut long = branch(&[1, 2, 3, 4, 5], 4);
        change(&mut long);
        long.covers(&within)
    };
    assert!(changed(|_| {}));
    assert!(!changed(|long| long.hopeless = true));
    assert!(!changed(|long| long.base = None));
    assert!(!changed(|long| long.base = Some(Height(1))));
    assert!(!changed(|long| long.headers.clear()));
    let stranger = Branch {
        tip: BlockId(Digest([9; 32])),
        ..within
    };
    assert!(!branch(&[1, 2, 3, 4, 5], 4).covers(&stranger));
}

/// The proof for the `tip`th block of a chain at these views, by the certificates that its headers carry.
fn proof(views: &[u64], tip: usize) -> CommitProof {
    let epoch = epoch(4);
    let blocks = chain(&epoch, views);
    let last = &blocks[tip - 1..=tip];
    CommitProof {
        chain: last.iter().map(|block| block.core()).collect(),
        certs: (last.iter().map(|b| qc(&epoch, b.view.0, b.id()))).collect(),
    }
}

#[test]
fn a_proof_adds_nothing_where_a_longer_proven_chain_has_its_certificates() {
    let mut core = core(0);
    let views = [1, 2, 3, 4, 5, 6];
    for (views, tip) in [(&views[..], 5), (&views[..5], 4), (&views[..3], 2)] {
        let branch = branch(views, tip);
        core.branches.insert(branch.tip, branch);
    }
    assert_eq!(core.linked_branches(), 3);
    let (high, next, low) = (proof(&views, 5), proof(&views, 4), proof(&views, 2));
    let adds_nothing = |proof: &CommitProof, proven: &[&CommitProof]| {
        let tips = proven.iter().filter_map(|proof| proof.block());
        let tips: BTreeMap<_, _> = tips.map(|block| (block.id(), block.height)).collect();
        core.adds_nothing(proof, &tips, Height(0))
    };
    assert!(adds_nothing(&low, &[&low, &high]));
    assert!(!adds_nothing(&low, &[&low]), "nobody proved a longer one");
    assert!(!adds_nothing(&high, &[&low, &high]), "the longest");
    assert!(
        !adds_nothing(&next, &[&next, &high]),
        "the longer one's own proof certifies its tip with other signatures"
    );
    for at in 0..2 {
        let mut other = low.clone();
        other.certs[at].votes.signers = [1, 2, 3].map(ReplicaId).into_iter().collect();
        assert!(
            !adds_nothing(&other, &[&low, &high]),
            "another certificate of the same block names others: {at}"
        );
    }
    let mut elsewhere = low.clone();
    elsewhere.chain[1] = proof(&[1, 2, 7, 8], 2).chain[1].clone();
    elsewhere.certs[1].block = elsewhere.chain[1].id();
    assert!(
        !adds_nothing(&elsewhere, &[&low, &high]),
        "committed by a block of another chain"
    );
}
