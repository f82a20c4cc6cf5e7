use super::*;

/// Blocks 1 to 10; block `h` is made of bytes `h`.
fn chain() -> BTreeMap<u64, LedgerRecord> {
    let record = |height: u64| LedgerRecord {
        height,
        view: height,
        epoch: [7; 8],
        block: [height as u8; 32],
        digest: [0; 32],
        txs: 5,
    };
    (1..=10).map(|height| (height, record(height))).collect()
}

fn receipt(kind: ReceiptKind, seq: u64, block: u8, height: u64) -> ReceiptRecord {
    ReceiptRecord {
        kind,
        session: 0,
        seq,
        at_ns: 0,
        epoch: [7; 8],
        block: [block; 8],
        height,
        position: seq as u32,
        outcome: [0, 0],
    }
}

fn run(records: Vec<ReceiptRecord>) -> TxCheck {
    let receipts = Receipts {
        sessions: vec![[0; 16]],
        records,
    };
    check(&[(receipts, true)], &chain(), Some(50), 50)
}

#[test]
fn receipts_stand_move_and_lose_their_effect() {
    use ReceiptKind::{Moved, Proven, Told};
    let mut rejected = receipt(Moved, 3, 0, 9);
    rejected.outcome = [1, 1];
    let check = run(vec![
        receipt(Proven, 1, 4, 4),
        receipt(Proven, 2, 0x55, 5),
        receipt(Proven, 3, 0x55, 6),
        receipt(Told, 4, 0, 8),
        receipt(Moved, 2, 0, 9),
        rejected,
    ]);
    assert_eq!((check.receipted, check.standing, check.moved), (4, 1, 1));
    assert_eq!((check.without_effect, check.told, check.lost), (1, 1, 0));
    assert_eq!((check.same_place, check.executed_twice()), (0, 0));
}

#[test]
fn a_receipt_of_an_undone_block_that_nobody_reported_is_lost() {
    let check = run(vec![
        receipt(ReceiptKind::Proven, 1, 4, 4),
        receipt(ReceiptKind::Proven, 2, 0x55, 5),
    ]);
    assert_eq!((check.standing, check.lost), (1, 1));
    assert!(check.example.unwrap().contains("transaction 2"));
    // Moved to where there is no block is lost as well, above the end nobody knows.
    let mut gap = chain();
    gap.remove(&5);
    let receipts = Receipts {
        sessions: vec![[0; 16]],
        records: vec![
            receipt(ReceiptKind::Moved, 1, 0, 5),
            receipt(ReceiptKind::Proven, 2, 11, 11),
        ],
    };
    let check = super::check(&[(receipts.clone(), true)], &gap, None, 50);
    assert_eq!((check.lost, check.beyond_end), (1, 1));
    // A generator that had ended could not be told.
    let check = super::check(&[(receipts, false)], &gap, None, 50);
    assert_eq!((check.lost, check.unheard, check.beyond_end), (0, 1, 1));
}

#[test]
fn a_duplicate_names_an_earlier_place_that_it_does_not_prove() {
    let mut duplicate = receipt(ReceiptKind::Proven, 1, 0, 4);
    duplicate.outcome = [2, 0];
    let check = run(vec![duplicate]);
    assert_eq!((check.told, check.standing, check.lost), (1, 0, 0));
}

#[test]
fn one_place_for_two_and_more_executed_than_sent_count_twice() {
    let mut other = receipt(ReceiptKind::Moved, 2, 0, 4);
    other.position = 1;
    let check = run(vec![receipt(ReceiptKind::Proven, 1, 4, 4), other]);
    assert_eq!(check.same_place, 2);
    // "Ordered before, there" names the place of its first time.
    other.outcome = [2, 0];
    let check = run(vec![receipt(ReceiptKind::Proven, 1, 4, 4), other]);
    assert_eq!(check.same_place, 0);
    assert_eq!(
        super::check(&[], &chain(), Some(51), 50).executed_twice(),
        1
    );
    assert_eq!(super::check(&[], &chain(), None, 50).executed_twice(), 0);
}
