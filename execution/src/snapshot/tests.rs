use proptest::prelude::*;
use types::batch::{GroupBuilder, digest};

use super::*;
use crate::executor::BatchInput;
use crate::kv::format;

fn executor(keys: u64) -> Executor {
    let mut executor = Executor::new(AppKind::Kv);
    let mut group = GroupBuilder::new();
    let mut payload = Vec::new();
    for seq in 0..keys {
        payload.clear();
        format::put(&seq.to_le_bytes(), &[seq as u8; 20], &mut payload);
        group.push(seq, &payload);
        payload.clear();
        format::transfer(seq, seq + 1, seq, &mut payload);
        group.push(4_000 + seq, &payload);
    }
    let mut bytes = Vec::new();
    group.finish(&[1; 16], &mut bytes);
    block(&mut executor, 1, bytes);
    executor
}

fn block(executor: &mut Executor, height: u64, bytes: Vec<u8>) {
    let batch = BatchInput {
        digest: digest(&bytes),
        bytes: Bytes::from(bytes),
        receipts: false,
    };
    executor.execute_block(Height(height), &[batch], &mut |_, _, _| {});
}

#[test]
fn chunks_of_any_length_add_up_to_the_encoding() {
    let snapshot = executor(50).snapshot();
    let whole = snapshot.encode();
    assert_eq!(snapshot.len_bytes(), whole.len() as u64);
    for len in [1000, 4096, 100_000, usize::MAX] {
        let mut joined = Vec::new();
        loop {
            let chunk = snapshot.encode_chunk(joined.len() as u64, len);
            assert!(chunk.len() <= len);
            if chunk.is_empty() {
                break;
            }
            joined.extend_from_slice(&chunk);
        }
        assert_eq!(joined, whole);
    }
    assert!(snapshot.encode_chunk(u64::MAX, 10).is_empty());
    assert!(snapshot.encode_chunk(0, 0).is_empty());
    assert_eq!(snapshot.encode_chunk(47, 3), whole.slice(47..50));
}

#[test]
fn a_snapshot_is_digested_elsewhere_while_execution_goes_on() {
    let mut executor = executor(200);
    let expected = executor.clone().state_digest();
    let snapshot = executor.snapshot();
    let worker = std::thread::spawn(move || (snapshot.digest(), snapshot.encode()));
    for height in 2..50u64 {
        let mut group = GroupBuilder::new();
        let mut payload = Vec::new();
        format::put(&height.to_le_bytes(), b"other", &mut payload);
        group.push(5_000 + height, &payload);
        let mut bytes = Vec::new();
        group.finish(&[1; 16], &mut bytes);
        block(&mut executor, height, bytes);
    }
    let (digest, bytes) = worker.join().unwrap();
    assert_eq!(digest, expected);
    assert_ne!(executor.state_digest(), expected);
    let old = Executor::restore(&bytes, expected).unwrap();
    assert_eq!((old.height(), old.state_digest()), (Height(1), expected));
}

#[test]
fn a_restored_executor_says_the_same() {
    let original = executor(30);
    let snapshot = original.snapshot();
    let restored = Executor::restore(&snapshot.encode(), snapshot.digest()).unwrap();
    assert_eq!(restored.height(), original.height());
    assert_eq!(restored.ledger(), original.ledger());
    assert_eq!(restored.kind(), AppKind::Kv);
    assert_eq!(restored.snapshot().encode(), snapshot.encode());
    let mut query = Vec::new();
    format::get(&7u64.to_le_bytes(), &mut query);
    assert_eq!(restored.query(&query), original.query(&query));
    assert_eq!(restored.query(&query)[..2], [1, 7]);

    let null = Executor::new(AppKind::Null).snapshot();
    let restored = Executor::restore(&null.encode(), null.digest()).unwrap();
    assert_eq!(restored.kind(), AppKind::Null);
}

#[test]
fn every_truncation_and_every_extension_is_refused() {
    let snapshot = executor(3).snapshot();
    let (bytes, digest) = (snapshot.encode(), snapshot.digest());
    // Most of the bytes are counts of empty parts: look closely at the rest.
    let steps = (0..bytes.len()).filter(|cut| *cut < 200 || cut % 997 == 0);
    for cut in steps.chain([bytes.len() - 1]) {
        let result = Executor::restore(&bytes[..cut], digest);
        assert!(
            matches!(result, Err(RestoreError::Short { .. })),
            "cut at {cut}: {:?}",
            result.err()
        );
    }
    let longer = [&bytes[..], &[0]].concat();
    assert!(Executor::restore(&longer, digest).is_err());
    assert!(matches!(
        Executor::restore(&bytes, Digest::ZERO),
        Err(RestoreError::Digest { .. })
    ));
}

/// Content that the digest binds: a flipped bit anywhere is refused.
#[test]
fn every_flipped_byte_is_refused() {
    let snapshot = executor(3).snapshot();
    let (bytes, digest) = (snapshot.encode().to_vec(), snapshot.digest());
    let busy = (0..bytes.len()).filter(|at| bytes[*at] != 0);
    let quiet = (0..bytes.len()).step_by(2003);
    for at in busy.chain(quiet) {
        let mut bad = bytes.clone();
        bad[at] ^= 1;
        assert!(Executor::restore(&bad, digest).is_err(), "byte {at}");
    }
}

proptest! {
    #[test]
    fn noise_never_restores(tag in 0u8..4, tail in proptest::collection::vec(any::<u8>(), 0..500)) {
        prop_assert!(Executor::restore(&tail, Digest::ZERO).is_err());
        let bytes = [&MAGIC[..], &[VERSION, tag], &tail].concat();
        prop_assert!(Executor::restore(&bytes, Digest::ZERO).is_err());
    }
}
