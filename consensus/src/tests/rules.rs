use types::View;

use super::fixture::{chain, epoch, header, qc, tc};
use crate::rules::{Rules, ThreeChain, TwoChain};
use crate::safety::{Lock, Safety};

#[test]
fn a_vote_is_fresh_once_and_never_after_giving_up() {
    let epoch = epoch(4);
    let mut safety = Safety::fresh(&epoch);
    let block = chain(&epoch, &[5]).remove(0);
    assert!(ThreeChain.is_fresh(&safety, &block));
    safety.record_vote(View(5), block.id());
    assert!(!ThreeChain.is_fresh(&safety, &block), "twice in a view");
    let mut safety = Safety::fresh(&epoch);
    safety.timeout_view = View(5);
    assert!(
        !TwoChain.is_fresh(&safety, &block),
        "in a view that was given up"
    );
    safety.timeout_view = View(4);
    assert!(TwoChain.is_fresh(&safety, &block));
}

#[test]
fn three_chain_locks_the_grandparent_and_never_moves_back() {
    let epoch = epoch(4);
    let blocks = chain(&epoch, &[1, 2, 3, 4]);
    let mut safety = Safety::fresh(&epoch);
    let lock = ThreeChain.lock_after(&safety, &blocks[2], Some(&blocks[1]));
    assert_eq!(
        lock,
        Lock {
            view: View(1),
            block: blocks[0].id()
        }
    );
    safety.lock = Lock {
        view: View(1),
        block: chain(&epoch, &[9])[0].id(),
    };
    assert_eq!(
        ThreeChain.lock_after(&safety, &blocks[2], Some(&blocks[1])),
        safety.lock,
        "an equal view never replaces"
    );
    assert_eq!(
        ThreeChain.lock_after(&safety, &blocks[0], None),
        safety.lock,
        "over the root"
    );
}

#[test]
fn three_chain_votes_only_over_its_lock() {
    let epoch = epoch(4);
    let mut safety = Safety::fresh(&epoch);
    let locked = chain(&epoch, &[3]).remove(0);
    safety.lock = Lock {
        view: View(3),
        block: locked.id(),
    };
    let over = |view: u64, block| header(&epoch, 9, 4, qc(&epoch, view, block));
    let other = chain(&epoch, &[1, 3]).remove(1).id();
    assert!(ThreeChain.lock_allows(&safety, &over(3, locked.id())));
    assert!(
        !ThreeChain.lock_allows(&safety, &over(3, other)),
        "same view, another block"
    );
    assert!(!ThreeChain.lock_allows(&safety, &over(2, other)));
    assert!(ThreeChain.lock_allows(&safety, &over(4, other)));
}

#[test]
fn two_chain_needs_the_view_before_or_a_sufficient_timeout_certificate() {
    let epoch = epoch(4);
    let safety = Safety::fresh(&epoch);
    let parent = chain(&epoch, &[4]).remove(0);
    let mut next = header(&epoch, 5, 2, qc(&epoch, 4, parent.id()))
        .as_ref()
        .clone();
    assert!(TwoChain.lock_allows(&safety, &next));
    next.view = View(7);
    assert!(
        !TwoChain.lock_allows(&safety, &next),
        "a gap without a certificate"
    );
    next.tc = Some(tc(&epoch, 6, &[4, 3, 1]));
    assert!(TwoChain.lock_allows(&safety, &next));
    next.tc = Some(tc(&epoch, 6, &[4, 5, 1]));
    assert!(
        !TwoChain.lock_allows(&safety, &next),
        "somebody knows a newer certificate"
    );
    next.tc = Some(tc(&epoch, 5, &[4, 3, 1]));
    assert!(!TwoChain.lock_allows(&safety, &next), "of another view");
}

#[test]
fn commits_need_consecutive_certified_views() {
    let epoch = epoch(4);
    let commits = |rules: &dyn Rules, views: &[u64]| {
        let blocks = chain(&epoch, views);
        let newest: Vec<_> = blocks.iter().rev().map(|b| b.as_ref()).collect();
        let last = blocks.last().unwrap();
        rules.commits(&qc(&epoch, last.view.0, last.id()), &newest)
    };
    assert_eq!(commits(&TwoChain, &[1, 2]), Some(1));
    assert_eq!(commits(&TwoChain, &[1, 3]), None);
    assert_eq!(commits(&TwoChain, &[2]), None);
    assert_eq!(commits(&ThreeChain, &[1, 2, 3]), Some(2));
    assert_eq!(commits(&ThreeChain, &[1, 2, 4]), None);
    assert_eq!(commits(&ThreeChain, &[1, 3, 4]), None);
    assert_eq!(commits(&ThreeChain, &[2, 3]), None);
}
