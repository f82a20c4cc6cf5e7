use super::*;

fn record(height: u64) -> LedgerRecord {
    LedgerRecord {
        height,
        view: height,
        epoch: [0; 8],
        block: [height as u8; 32],
        digest: [height as u8 ^ 0x55; 32],
        txs: 10,
    }
}

fn ledger(heights: impl IntoIterator<Item = u64>) -> Ledger {
    Ledger {
        records: heights.into_iter().map(record).collect(),
        torn_bytes: 0,
        damaged: false,
    }
}

#[test]
fn prefixes_of_one_history_agree() {
    let result = compare(&[
        (0, ledger(1..=9)),
        (1, ledger(1..=7)),
        // Restarted: heights 3 and 4 are told twice.
        (2, ledger((1..=4).chain(3..=6))),
        // Joined by a snapshot.
        (3, ledger(5..=8)),
    ]);
    assert_eq!(result.divergence, None);
    assert_eq!(result.height_max, 9);
    assert_eq!(result.heights_shared, 8);
    assert_eq!(result.txs, Some(90));
}

#[test]
fn every_field_that_may_not_differ_is_compared() {
    type Change = fn(&mut LedgerRecord);
    let change: [(&str, Change); 4] = [
        ("block", |r| r.block[31] ^= 1),
        ("digest", |r| r.digest[0] ^= 1),
        ("epoch", |r| r.epoch[7] ^= 1),
        ("txs", |r| r.txs += 1),
    ];
    for (field, change) in change {
        let mut other = ledger(1..=5);
        change(&mut other.records[3]);
        let result = compare(&[(0, ledger(1..=5)), (2, other)]);
        let divergence = result.divergence.unwrap();
        assert_eq!(divergence.field, field);
        assert_eq!((divergence.one, divergence.other), (0, 2));
        assert_eq!((divergence.height, result.divergent_heights), (4, 1));
    }
    // The view in which a replica saw the commit may differ.
    let mut other = ledger(1..=5);
    other.records[3].view += 1;
    assert_eq!(compare(&[(0, ledger(1..=5)), (1, other)]).divergence, None);
}

#[test]
fn a_replica_can_contradict_itself() {
    let mut own = ledger((1..=4).chain(3..=5));
    own.records[4].digest[0] ^= 1;
    let divergence = compare(&[(1, own)]).divergence.unwrap();
    assert_eq!((divergence.one, divergence.other), (1, 1));
    assert_eq!(divergence.height, 3);
}

#[test]
fn the_lowest_contradiction_is_told() {
    let mut other = ledger(1..=9);
    for index in [7, 2] {
        other.records[index].block[0] ^= 1;
    }
    let result = compare(&[(0, ledger(1..=9)), (1, other)]);
    assert_eq!(result.divergence.unwrap().height, 3);
    assert_eq!(result.divergent_heights, 2);
}

#[test]
fn without_shared_heights_nothing_is_shared() {
    let result = compare(&[(0, ledger(1..=3)), (1, ledger(5..=6))]);
    assert_eq!(result.heights_shared, 0);
    assert_eq!(result.txs, None, "height 4 is missing");
    assert_eq!(compare(&[]), Consistency::default());
    // One replica telling a height twice is still one witness.
    assert_eq!(compare(&[(0, ledger([1, 2, 1, 2]))]).heights_shared, 0);
}

/// A ledger that undoes everything above `keep` and goes on with other blocks up to `height`.
fn recovered(tip: u64, keep: u64, height: u64) -> Ledger {
    let mut ledger = ledger(1..=tip);
    for record in &mut ledger.records[keep as usize..] {
        record.block[0] = 0x55;
    }
    ledger.records.push(LedgerRecord::rollback(keep, [7; 8]));
    ledger
        .records
        .extend(self::ledger(keep + 1..=height).records);
    ledger
}

#[test]
fn what_a_recovery_undid_contradicts_nothing() {
    let result = compare(&[(0, ledger(1..=9)), (1, recovered(7, 4, 9))]);
    assert_eq!(result.divergence, None);
    assert_eq!((result.rollbacks, result.blocks_undone), (1, 3));
    assert_eq!((result.heights_shared, result.height_max), (9, 9));
    assert_eq!(result.txs, compare(&[(0, ledger(1..=9))]).txs);
}

#[test]
fn a_difference_without_a_marker_and_one_that_stays_are_contradictions() {
    // The same records, but nobody says that the first ones are undone.
    let mut silent = recovered(7, 4, 9);
    silent.records.retain(|record| !record.is_rollback());
    let divergence = compare(&[(1, silent)]).divergence.unwrap();
    assert_eq!(
        (divergence.one, divergence.other, divergence.height),
        (1, 1, 5)
    );
    // Undone too little: height 4 stays as it was on the losing side.
    let mut short = recovered(7, 4, 9);
    short.records[3].block[0] = 0x55;
    let divergence = compare(&[(0, ledger(1..=9)), (1, short)])
        .divergence
        .unwrap();
    assert_eq!((divergence.height, divergence.field.as_str()), (4, "block"));
    // A replica that never came back from its side of the split.
    let mut stuck = recovered(7, 4, 9);
    stuck.records.truncate(7);
    let divergence = compare(&[(0, ledger(1..=9)), (1, stuck)])
        .divergence
        .unwrap();
    assert_eq!(divergence.height, 5);
}
