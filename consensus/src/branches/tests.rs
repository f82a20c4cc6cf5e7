use std::collections::BTreeMap;

use types::{BlockId, Digest, Height, SignerSet};

use super::Branch;
use crate::tests::fixture::{chain, core, epoch};
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

#[test]
fn a_tip_is_within_another_one_that_is_proven_too() {
    let mut core = core(0);
    let (long, short) = (branch(&[1, 2, 3, 4, 5], 4), branch(&[1, 2, 3], 2));
    let (high, low) = ((long.tip, Height(4)), (short.tip, Height(2)));
    core.branches.insert(long.tip, long);
    core.branches.insert(short.tip, short);
    assert_eq!(core.linked_branches(), 2);
    let is_within = |tip: BlockId, tips: &[(BlockId, Height)]| {
        let tips: BTreeMap<BlockId, Height> = tips.iter().copied().collect();
        core.is_within(tip, &tips, Height(0))
    };
    assert!(is_within(low.0, &[low, high]));
    assert!(!is_within(high.0, &[low, high]));
    assert!(!is_within(low.0, &[low]), "nobody proved the longer one");
    let root = (core.config.epoch.root(), Height(0));
    assert!(
        !is_within(root.0, &[root, high]),
        "another chain is not looked at"
    );
}
