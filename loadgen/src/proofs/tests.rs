use bytes::Bytes;
use types::client::{Outcome, Receipts, Response, SessionEntries};

use super::*;
use crate::claims::Judge;
use crate::testkit::{Chain, FakeEngine, RULE, epoch};

fn receipts(chain: &Chain, height: u64, signature: &'static str) -> Receipts {
    let entry = |seq| Entry {
        seq,
        height: Height(height),
        position: seq as u32,
        outcome: Outcome::Applied,
    };
    Receipts {
        epoch: chain.epoch.id,
        block: chain.id(height),
        height: Height(height),
        mode: Mode::Nominal,
        proof: chain.proof(height, signature),
        sessions: vec![SessionEntries {
            session: [1; 16],
            entries: (1..=3).map(entry).collect(),
        }],
    }
}

fn frame(receipts: Receipts, slot: usize) -> ReceiptsFrame {
    let bytes: Bytes = Response::Receipts(receipts).encode();
    ReceiptsFrame::take(Reader::new(bytes.slice(1..)), slot, 5).unwrap()
}

fn settle_all(book: &mut ProofBook, judge: &mut Judge) -> Vec<Ruling> {
    let mut rulings = Vec::new();
    while book.has_claims() {
        let claims = book.take_claims();
        let verdicts = judge.judge(&FakeEngine::default(), &claims);
        for (claim, verdict) in claims.into_iter().zip(verdicts) {
            book.settle(claim, verdict, &mut rulings);
        }
    }
    assert!(book.is_settled());
    rulings
}

fn setup() -> (ProofBook, Judge) {
    let epoch = epoch();
    (ProofBook::new(epoch.id, false), Judge::new(RULE, epoch))
}

#[test]
fn frames_wait_for_one_check_of_their_block() {
    let (mut book, mut judge) = setup();
    let chain = Chain::new(10, 99, 0);
    assert!(book.admit(frame(receipts(&chain, 3, "good"), 0)).is_none());
    assert!(book.admit(frame(receipts(&chain, 3, "good"), 1)).is_none());
    let rulings = settle_all(&mut book, &mut judge);
    assert_eq!(rulings.len(), 2);
    assert!(rulings.iter().all(|r| matches!(r, Ruling::Good(_))));
    assert_eq!(book.verdicts, [1, 0, 0]);
    // From now on the block needs no check.
    let third = book.admit(frame(receipts(&chain, 3, "bad"), 2)).unwrap();
    let Ruling::Good(third) = third else {
        panic!("{third:?}")
    };
    let mut seqs = Vec::new();
    third
        .entries(|session, e| seqs.push((session[0], e.seq)))
        .unwrap();
    assert_eq!(seqs, [(1, 1), (1, 2), (1, 3)]);
}

#[test]
fn a_bad_proof_fails_its_own_frame_and_no_other() {
    let (mut book, mut judge) = setup();
    let chain = Chain::new(10, 99, 0);
    assert!(book.admit(frame(receipts(&chain, 3, "bad"), 0)).is_none());
    assert!(book.admit(frame(receipts(&chain, 3, "good"), 1)).is_none());
    let rulings = settle_all(&mut book, &mut judge);
    assert!(matches!(&rulings[0], Ruling::Bad(f, why) if f.slot == 0 && why == "bad signature"));
    assert!(matches!(&rulings[1], Ruling::Good(f) if f.slot == 1));
    assert_eq!(book.verdicts, [1, 0, 1]);
}

#[test]
fn other_epochs_modes_and_heights_are_refused() {
    let (mut book, mut judge) = setup();
    let chain = Chain::new(10, 99, 0);
    let mut other = receipts(&chain, 3, "good");
    other.epoch = EpochId::ZERO;
    assert!(matches!(book.admit(frame(other, 0)), Some(Ruling::Bad(..))));
    let mut degraded = receipts(&chain, 3, "good");
    degraded.mode = Mode::DegradedSafe;
    assert!(matches!(
        book.admit(frame(degraded, 0)),
        Some(Ruling::Bad(..))
    ));
    let mut height = receipts(&chain, 3, "good");
    height.height = Height(4);
    assert!(book.admit(frame(height.clone(), 0)).is_none());
    let rulings = settle_all(&mut book, &mut judge);
    assert!(matches!(rulings[..], [Ruling::Bad(..)]));
    // The same lie about a block that was proven meanwhile, at a height that is known.
    assert!(book.admit(frame(receipts(&chain, 3, "good"), 0)).is_none());
    assert!(book.admit(frame(receipts(&chain, 4, "good"), 0)).is_none());
    settle_all(&mut book, &mut judge);
    assert!(matches!(
        book.admit(frame(height, 0)),
        Some(Ruling::Bad(..))
    ));
}

#[test]
fn two_final_blocks_of_one_height_are_evidence() {
    let (mut book, mut judge) = setup();
    let (left, right) = (Chain::new(10, 3, 1), Chain::new(10, 3, 2));
    book.admit(frame(receipts(&left, 2, "good"), 0));
    book.admit(frame(receipts(&left, 3, "good"), 0));
    settle_all(&mut book, &mut judge);
    assert!(book.take_conflicts().is_empty());
    book.admit(frame(receipts(&right, 3, "good"), 1));
    settle_all(&mut book, &mut judge);
    let conflicts = book.take_conflicts();
    let [conflict] = &conflicts[..] else {
        panic!("{conflicts:?}")
    };
    assert_eq!(conflict.height, 3);
    assert_eq!(conflict.first.0, left.id(3));
    assert_eq!(conflict.second.0, right.id(3));
    let first = conflict.first.1.as_ref().unwrap();
    assert_eq!(first.check(RULE, &epoch(), left.id(3)), Ok(()));
    let second = conflict.second.1.as_ref().unwrap();
    assert_eq!(second.check(RULE, &epoch(), right.id(3)), Ok(()));
}

#[test]
fn with_trust_nothing_is_checked_but_contradictions_are_still_seen() {
    let mut book = ProofBook::new(epoch().id, true);
    let (left, right) = (Chain::new(10, 3, 1), Chain::new(10, 3, 2));
    let first = book.admit(frame(receipts(&left, 3, "bad"), 0));
    assert!(matches!(first, Some(Ruling::Good(_))));
    assert!(!book.has_claims());
    book.admit(frame(receipts(&right, 3, "bad"), 1));
    let conflicts = book.take_conflicts();
    assert_eq!(conflicts.len(), 1);
    assert!(conflicts[0].first.1.is_none() && conflicts[0].second.1.is_none());
}
