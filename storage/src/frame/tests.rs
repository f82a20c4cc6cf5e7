use super::*;
use crate::testing::record;

fn head() -> SegmentHead {
    SegmentHead {
        owner: [0xab; 32],
        segment: 3,
        salt: 0x0102_0304_0506_0708,
        first_seq: 9,
        prev: 77,
        base_records: Some(2),
    }
}

#[test]
fn the_segment_head_is_pinned() {
    let (bytes, checksum) = head().encode();
    let expected = concat!(
        "52464a4f55524e4c",
        "01000000",
        "01000000",
        "abababababababababababababababababababababababababababababababab",
        "0300000000000000",
        "0807060504030201",
        "0900000000000000",
        "4d00000000000000",
        "0200000000000000",
        "2cb7a150d7237af2",
    );
    assert_eq!(crate::error::hex(&bytes), expected);
    assert_eq!(bytes[88..], checksum.to_le_bytes());
}

#[test]
fn the_frame_is_pinned() {
    let record = Record::new(5, [0xcd; 32], [bytes::Bytes::from_static(b"hello")]).unwrap();
    let (bytes, _) = encode_frame(&record, 42, 0x1111, 300, 298);
    let expected = concat!(
        "3b891e4396047965",
        "1111000000000000",
        "2c01000000000000",
        "02000000",
        "05000000",
        "05000000",
        "3c089b53",
        "cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd",
    );
    assert_eq!(crate::error::hex(&bytes), expected);
    assert_eq!(frame_bytes(5), 80);
    assert_eq!(frame_bytes(8), 80);
    assert_eq!(frame_bytes(9), 88);
}

#[test]
fn heads_read_back_and_refuse_what_is_not_theirs() {
    let (bytes, _) = head().encode();
    assert_eq!(SegmentHead::decode(&bytes, &[0xab; 32]), Ok(head()));
    assert_eq!(
        SegmentHead::decode(&bytes, &[1; 32]),
        Err(HeadError::Owner([0xab; 32]))
    );
    for at in 0..SEGMENT_HEAD_USED {
        let mut damaged = bytes;
        damaged[at] ^= 4;
        assert!(
            SegmentHead::decode(&damaged, &[0xab; 32]).is_err(),
            "byte {at}"
        );
    }
}

#[test]
fn every_bit_of_a_frame_counts() {
    let record = record(1, 100);
    let payload = record.bytes();
    let (bytes, checksum) = encode_frame(&record, 42, 7, 10, 10 - 3);
    let head = decode_frame_head(&bytes, 42).unwrap();
    assert_eq!(
        (head.checksum, head.prev, head.seq, head.durable_seq),
        (checksum, 7, 10, 7)
    );
    assert!(payload_matches(&bytes, &payload, 42));
    assert!(decode_frame_head(&bytes, 43).is_none(), "another salt");
    let valid = |bytes: &FrameBytes, payload: &[u8]| {
        decode_frame_head(bytes, 42).is_some() && payload_matches(bytes, payload, 42)
    };
    for bit in 0..FRAME_HEAD_BYTES * 8 {
        let mut damaged = bytes;
        damaged[bit / 8] ^= 1 << (bit % 8);
        assert!(!valid(&damaged, &payload), "head bit {bit}");
    }
    for bit in 0..payload.len() * 8 {
        let mut damaged = payload.to_vec();
        damaged[bit / 8] ^= 1 << (bit % 8);
        assert!(!valid(&bytes, &damaged), "payload bit {bit}");
    }
}

#[test]
fn a_length_above_the_limit_is_refused_even_with_a_valid_check() {
    let (mut bytes, _) = encode_frame(&record(1, 10), 42, 7, 10, 9);
    bytes[28..32].copy_from_slice(&(RECORD_BYTES_MAX as u32 + 1).to_le_bytes());
    let check = head_check(&bytes, 42);
    bytes[36..40].copy_from_slice(&check.to_le_bytes());
    assert!(decode_frame_head(&bytes, 42).is_none());
}
