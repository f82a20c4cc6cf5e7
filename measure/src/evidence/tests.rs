use super::*;

fn record(kind: EvidenceKind, byte: u8) -> EvidenceRecord {
    EvidenceRecord {
        kind,
        at_ns: 0x0102_0304_0506_0708,
        payload: vec![byte; 3],
    }
}

fn written(path: &Path, records: &[EvidenceRecord]) {
    let mut writer = EvidenceWriter::open(path).unwrap();
    for record in records {
        writer.append(record).unwrap();
    }
}

fn three() -> Vec<EvidenceRecord> {
    vec![
        record(EvidenceKind::Conflict, 1),
        record(EvidenceKind::Fraud, 2),
        record(EvidenceKind::Mode, 3),
    ]
}

/// Layout: pinned. Another one is another magic.
#[test]
fn bytes_are_pinned() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("evidence.bin");
    written(&path, &[record(EvidenceKind::Fraud, 0xaa)]);
    let bytes = std::fs::read(&path).unwrap();
    assert_eq!(&bytes[..16], b"RFEVIDN1\0\0\0\0\0\0\0\0");
    assert_eq!(&bytes[16..20], [12, 0, 0, 0]);
    let body = [2, 8, 7, 6, 5, 4, 3, 2, 1, 0xaa, 0xaa, 0xaa];
    assert_eq!(&bytes[36..], body);
    let chained = [&bytes[..16], &body].concat();
    assert_eq!(&bytes[20..36], &blake3::hash(&chained).as_bytes()[..16]);
    let kinds = EvidenceKind::ALL.map(EvidenceKind::byte);
    assert_eq!(kinds, [1, 2, 3, 4, 5]);
}

#[test]
fn what_is_appended_is_read_in_order_over_restarts() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("evidence.bin");
    written(&path, &three()[..1]);
    written(&path, &three()[1..]);
    let evidence = Evidence::read(&path).unwrap();
    assert_eq!(evidence.records, three());
    assert_eq!((evidence.torn_bytes, evidence.damaged), (0, false));
}

#[test]
fn every_torn_tail_is_cut_off_and_appended_to() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("evidence.bin");
    written(&path, &three());
    let whole = std::fs::read(&path).unwrap();
    let record_len = (whole.len() - HEADER_LEN_BYTES) / 3;
    for cut in 1..record_len {
        std::fs::write(&path, &whole[..whole.len() - cut]).unwrap();
        let evidence = Evidence::read(&path).unwrap();
        assert_eq!(evidence.records, three()[..2], "cut {cut}");
        assert!(!evidence.damaged, "cut {cut}");
        written(&path, &three()[2..]);
        assert_eq!(std::fs::read(&path).unwrap(), whole, "cut {cut}");
    }
}

/// A changed byte, a record left out, two that changed places: damaged, and nothing is appended.
#[test]
fn nothing_in_the_middle_changes_unnoticed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("evidence.bin");
    written(&path, &three());
    let whole = std::fs::read(&path).unwrap();
    let len = (whole.len() - HEADER_LEN_BYTES) / 3;
    let at = |number: usize| HEADER_LEN_BYTES + number * len;
    let part = |number: usize| whole[at(number)..at(number + 1)].to_vec();
    let head = whole[..HEADER_LEN_BYTES].to_vec();
    let left_out = [head.clone(), part(0), part(2)].concat();
    let swapped = [head, part(1), part(0), part(2)].concat();
    let mut damages = vec![left_out, swapped];
    for place in at(1)..at(2) {
        let mut changed = whole.clone();
        changed[place] ^= 0x80;
        damages.push(changed);
    }
    for (number, bytes) in damages.iter().enumerate() {
        std::fs::write(&path, bytes).unwrap();
        let evidence = Evidence::read(&path).unwrap();
        // A changed length may look like a record that was cut off; nothing behind it counts then.
        assert!(evidence.records.len() < 2, "damage {number}");
        assert!(evidence.torn_bytes > 0, "damage {number}");
        if evidence.damaged {
            assert!(EvidenceWriter::open(&path).is_err(), "damage {number}");
            assert_eq!(&std::fs::read(&path).unwrap(), bytes, "damage {number}");
        }
    }
    for certain in &damages[..2] {
        std::fs::write(&path, certain).unwrap();
        assert!(Evidence::read(&path).unwrap().damaged);
    }
}

#[test]
fn other_files_are_no_evidence() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("evidence.bin");
    std::fs::write(&path, b"RFLEDGR1 and then some more bytes").unwrap();
    assert!(Evidence::read(&path).is_err());
    assert!(EvidenceWriter::open(&path).is_err());
    assert!(Evidence::read(&folder.path().join("missing")).is_err());
    let path = folder.path().join("long.bin");
    let mut writer = EvidenceWriter::open(&path).unwrap();
    let mut long = record(EvidenceKind::Fraud, 1);
    long.payload = vec![0; BODY_LEN_MAX];
    assert!(writer.append(&long).is_err());
}
