use super::*;

impl Bucket {
    fn write(&mut self, record: &[u8]) {
        let key = key_of(record).expect("a key");
        let grown = self.put(record, key, slot_hash(key), u64::MAX);
        grown.expect("there is room");
    }

    fn read(&self, key: &[u8]) -> Option<&[u8]> {
        self.value(key, slot_hash(key))
    }
}

fn encoded(bucket: &Bucket) -> Vec<u8> {
    let mut bytes = Vec::new();
    bucket.encode(&mut bytes);
    assert_eq!(bytes.len(), bucket.encoded_len_bytes());
    bytes
}

#[test]
fn records_that_grow_leave_no_more_than_as_much_unused_as_used() {
    let mut bucket = Bucket::default();
    let mut copy = Bucket::default();
    let mut used_again = Bucket::default();
    used_again.write(&[2, 8, 8, 8]);
    for round in 0..400usize {
        for name in 0u8..8 {
            // Each time a little longer, so that no place is used again.
            let mut record = vec![1, name];
            record.resize(16 + round, round as u8);
            bucket.write(&record);
            let arena = &bucket.arena;
            let used = bucket.records_bytes + 8 * LEN_BYTES;
            assert!(arena.bytes.len() <= 2 * used + UNUSED_MIN + record.len());
            assert!(
                bucket
                    .read(&[name])
                    .unwrap()
                    .iter()
                    .all(|b| *b == round as u8)
            );
        }
        if round == 200 {
            copy = bucket.clone();
            used_again.copy(&bucket);
            assert_eq!(encoded(&used_again), encoded(&copy));
            assert_eq!(used_again.read(&[8, 8]), None);
        }
    }
    assert!((0u8..8).all(|name| copy.read(&[name]).unwrap()[0] == 200));
    // A shorter one stays where it is, and its room can be used again.
    let before = bucket.arena.bytes.len();
    for record in [&[1u8, 3, 9][..], &[1, 3, 8, 8, 8]] {
        bucket.write(record);
        assert_eq!(bucket.read(&[3]).unwrap(), &record[2..]);
    }
    assert_eq!(bucket.arena.bytes.len(), before);
}

#[test]
fn the_encoding_is_the_same_however_the_records_lie() {
    let mut bucket = Bucket::default();
    let check = |bucket: &Bucket, ordered: bool| {
        assert_eq!(bucket.arena.ordered, ordered);
        encoded(bucket)
    };
    for name in [5u8, 2, 9, 7] {
        bucket.write(&[1, name, 0, name]);
    }
    bucket.set_balance(3, slot_hash_of(3), 30);
    let unordered = check(&bucket, false);
    let mut copy = bucket.clone();
    assert_eq!(check(&copy, true), unordered);
    copy.write(&[1, 9, 8, 8]);
    assert_ne!(
        check(&copy, true),
        unordered,
        "another value of the same length"
    );
    copy.write(&[1, 9, 8]);
    check(&copy, false);
    copy.write(&[1, 1, 8]);
    let shorter = check(&copy, false);
    assert_eq!(check(&copy.clone(), true), shorter);
    assert_eq!(copy.clone().read(&[9]), Some(&[8][..]));
}
