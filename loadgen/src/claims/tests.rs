use std::sync::atomic::Ordering::Relaxed;

use super::*;
use crate::testkit::{Chain, FakeEngine, RULE, epoch};

fn claim(chain: &Chain, height: u64, signature: &'static str) -> Claim {
    Claim {
        epoch: chain.epoch.id,
        block: chain.id(height),
        height: Height(height),
        proof: chain.proof(height, signature),
    }
}

#[test]
fn adjacent_blocks_cost_one_check_and_gaps_one_more() {
    let (chain, engine) = (Chain::new(20, 99, 0), FakeEngine::default());
    let mut judge = Judge::new(RULE, epoch());
    let claims: Vec<Claim> = [1, 2, 3, 7, 8].map(|h| claim(&chain, h, "good")).into();
    use Verdict::{Linked, Signed};
    let expected = [Linked, Linked, Signed, Linked, Signed];
    assert_eq!(judge.judge(&engine, &claims), expected);
    assert_eq!(engine.asked.load(Relaxed), 2);
    // Over batches as well: 6 is the parent of 7, which is final.
    assert_eq!(judge.judge(&engine, &[claim(&chain, 6, "good")]), [Linked]);
    assert_eq!(engine.asked.load(Relaxed), 2);
}

#[test]
fn a_bad_head_does_not_condemn_or_vouch_for_its_ancestors() {
    let (chain, engine) = (Chain::new(20, 99, 0), FakeEngine::default());
    let mut judge = Judge::new(RULE, epoch());
    let claims = [
        claim(&chain, 4, "bad"),
        claim(&chain, 5, "good"),
        claim(&chain, 6, "bad"),
    ];
    let verdicts = judge.judge(&engine, &claims);
    assert_eq!(verdicts[0], Verdict::Linked);
    assert_eq!(verdicts[1], Verdict::Signed);
    assert_eq!(verdicts[2], Verdict::Bad("bad signature".into()));
    // Alone, a bad one below nothing final stays bad.
    let mut judge = Judge::new(RULE, epoch());
    let verdicts = judge.judge(&engine, &[claim(&chain, 4, "bad")]);
    assert!(matches!(verdicts[0], Verdict::Bad(_)));
}

#[test]
fn structure_is_checked_without_asking_for_signatures() {
    let (chain, engine) = (Chain::new(20, 99, 0), FakeEngine::default());
    let mut judge = Judge::new(RULE, epoch());
    let mut height = claim(&chain, 4, "good");
    height.height = Height(5);
    let mut block = claim(&chain, 4, "good");
    block.block = chain.id(5);
    let mut short = claim(&chain, 4, "good");
    short.proof.certs.pop();
    let mut empty = claim(&chain, 4, "good");
    empty.proof.chain.clear();
    for verdict in judge.judge(&engine, &[height, block, short, empty]) {
        assert!(matches!(verdict, Verdict::Bad(_)), "{verdict:?}");
    }
    assert_eq!(engine.asked.load(Relaxed), 0);
}

#[test]
fn both_sides_of_a_fork_are_checked_by_their_own_signatures() {
    let (left, right) = (Chain::new(20, 4, 1), Chain::new(20, 4, 2));
    let engine = FakeEngine::default();
    let mut judge = Judge::new(RULE, epoch());
    let verdicts = judge.judge(
        &engine,
        &[claim(&left, 6, "good"), claim(&right, 6, "good")],
    );
    assert_eq!(verdicts, [Verdict::Signed, Verdict::Signed]);
    assert_eq!(engine.asked.load(Relaxed), 2);
}
