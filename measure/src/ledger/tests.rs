use proptest::prelude::*;

use super::*;

fn record(height: u64) -> LedgerRecord {
    LedgerRecord {
        height,
        view: height + 3,
        epoch: *b"epoch-00",
        block: [height as u8; 32],
        digest: [!(height as u8); 32],
        txs: 7,
    }
}

fn write(path: &Path, heights: std::ops::Range<u64>) {
    let mut writer = LedgerWriter::open(path).unwrap();
    for height in heights {
        writer.append(&record(height)).unwrap();
    }
    writer.flush().unwrap();
}

#[test]
fn bytes_are_pinned() {
    let bytes = record(1).encode();
    assert_eq!(bytes[..8], [1, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(bytes[8..16], [4, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(&bytes[16..24], b"epoch-00");
    assert_eq!(bytes[24..56], [1; 32]);
    assert_eq!(bytes[56..88], [0xfe; 32]);
    assert_eq!(bytes[88..92], [7, 0, 0, 0]);
    assert_eq!(bytes[92..], blake3::hash(&bytes[..92]).as_bytes()[..4]);
    assert_eq!(header(), *b"RFLEDGR1\x60\0\0\0\0\0\0\0");
}

#[test]
fn reopening_continues_after_the_last_whole_record() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ledger.bin");
    write(&path, 1..101);
    // A kill in the middle of a write.
    let len_bytes = std::fs::metadata(&path).unwrap().len();
    let file = OpenOptions::new().write(true).open(&path).unwrap();
    file.set_len(len_bytes - 10).unwrap();
    let torn = Ledger::read(&path).unwrap();
    assert_eq!(torn.records.len(), 99);
    assert_eq!(torn.torn_bytes, 86);
    assert!(!torn.damaged);

    write(&path, 100..103);
    let ledger = Ledger::read(&path).unwrap();
    assert_eq!(ledger.torn_bytes, 0);
    assert_eq!(ledger.records, (1..103).map(record).collect::<Vec<_>>());
}

#[test]
fn damage_in_the_middle_is_told_from_a_torn_tail() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ledger.bin");
    write(&path, 1..11);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[HEADER_LEN_BYTES + 4 * RECORD_LEN_BYTES + 30] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let ledger = Ledger::read(&path).unwrap();
    assert_eq!(ledger.records.len(), 4);
    assert!(ledger.damaged);
}

#[test]
fn another_file_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ledger.bin");
    std::fs::write(&path, "this is no ledger at all").unwrap();
    assert!(matches!(
        Ledger::read(&path),
        Err(MeasureError::Malformed { .. })
    ));
    assert!(LedgerWriter::open(&path).is_err());
}

proptest! {
    #[test]
    fn decode_inverts_encode_and_notices_every_flipped_bit(
        height: u64, view: u64, txs: u32, block: [u8; 32], digest: [u8; 32], epoch: [u8; 8],
        bit in 0usize..RECORD_LEN_BYTES * 8,
    ) {
        let record = LedgerRecord { height, view, epoch, block, digest, txs };
        let mut bytes = record.encode();
        prop_assert_eq!(LedgerRecord::decode(&bytes), Some(record));
        bytes[bit / 8] ^= 1 << (bit % 8);
        prop_assert_eq!(LedgerRecord::decode(&bytes), None);
    }
}

#[test]
fn a_marker_undoes_what_is_above_it_and_nothing_else() {
    let other = |height| LedgerRecord {
        epoch: *b"epoch-01",
        block: [0xee; 32],
        ..record(height)
    };
    let ledger = Ledger {
        records: vec![
            record(1),
            record(2),
            record(3),
            record(4),
            LedgerRecord::rollback(2, *b"epoch-00"),
            other(3),
        ],
        torn_bytes: 0,
        damaged: false,
    };
    let chain: Vec<_> = ledger.chain().into_values().collect();
    assert_eq!(chain, [record(1), record(2), other(3)]);
}
