//! Length prefixes beyond their limit are refused as such, before anything is reserved for them:
//! the inputs here end right after the prefix.

use bytes::Bytes;

use super::fixtures;
use crate::client::*;
use crate::limits::*;
use crate::message::*;
use crate::*;

/// `head`, then the length `limit + 1` and nothing else.
fn too_long<T: Wire>(head: &[u8], limit: usize) {
    let mut bytes = head.to_vec();
    for found in [limit + 1, u32::MAX as usize] {
        bytes.truncate(head.len());
        bytes.extend_from_slice(&(found as u32).to_le_bytes());
        let error = T::decode(Bytes::from(bytes.clone())).err();
        let refused = matches!(
            error,
            Some(CodecError::TooLong { found: f, limit: l, .. }) if (f, l) == (found, limit)
        );
        assert!(refused, "{}: {error:?}", std::any::type_name::<T>());
    }
    // The limit itself passes the prefix and fails for want of bytes.
    bytes.truncate(head.len());
    bytes.extend_from_slice(&(limit as u32).to_le_bytes());
    let error = T::decode(Bytes::from(bytes)).err();
    assert!(
        matches!(error, Some(CodecError::Short { .. })),
        "{}: {error:?}",
        std::any::type_name::<T>()
    );
}

/// The encoding up to, without, the first occurrence of a tail that begins with a length.
fn before(whole: Bytes, tail_len_bytes: usize) -> Vec<u8> {
    whole[..whole.len() - tail_len_bytes].to_vec()
}

#[test]
fn oversized_prefixes_are_refused() {
    too_long::<Multisig>(&[0; 16], MULTISIG_LEN_MAX);
    too_long::<Tc>(&[0; 32 + 8 + 16], REPLICAS_MAX);
    too_long::<Vote>(&before(fixtures::vote().encode(), 9), SIGNATURE_LEN_MAX);
    too_long::<Car>(&[0; 32 + 2 + 8 + 32], CAR_BATCHES_MAX);
    too_long::<ChainResponse>(&[0; 32], CHAIN_HEADERS_MAX);
    too_long::<CommitProof>(&[], PROOF_CHAIN_MAX);
    too_long::<CommitProof>(&[0; 4], 3);
    too_long::<Branch>(&[0; 32], CHAIN_HEADERS_MAX);
    too_long::<RecoveryValue>(&[0; 16 + 16 + 32 + 8], FRAUDS_MAX);
    too_long::<RecoveryValue>(&[0; 16 + 16 + 32 + 8 + 4], REPLICAS_MAX);
    let core = fixtures::value().core().encode().len();
    too_long::<EpochChange>(&vec![0; 32 + core], FRAUDS_MAX);
    too_long::<Message>(&[23], FRAUDS_MAX);
    too_long::<Message>(&[11], CARS_MAX);
    too_long::<Message>(&[12], BATCH_REQUEST_MAX);
    too_long::<Request>(&[1, 0, 0, 0, 0, 0, 0, 0, 0], TX_LEN_MAX);
    too_long::<SessionEntries>(&[0; 16], RECEIPTS_MAX);
    too_long::<Response>(&before(refused(), 4 + 16), GROUP_TXS_MAX);
    too_long::<Response>(&[4; 17], TX_LEN_MAX);

    let mut header = fixtures::header();
    header.tc = None;
    let cut_at = 32 + 8 + 8 + header.justify.encode().len() + 1;
    too_long::<Header>(&header.encode()[..cut_at], REPLICAS_MAX);

    let receipts = receipts();
    let sessions_at = 1 + 32 + 32 + 8 + 1 + fixtures::proof().encode().len();
    too_long::<Response>(&receipts[..sessions_at], RECEIPTS_MAX);

    let chunk = SnapshotChunk {
        cert: fixtures::checkpoint_cert(),
        total_bytes: 1,
        offset: 0,
        bytes: Bytes::new(),
    };
    too_long::<SnapshotChunk>(&before(chunk.encode(), 4), SNAPSHOT_CHUNK_LEN_MAX);
}

fn refused() -> Bytes {
    let found = fixtures::responses().into_iter();
    let found = found.map(|(_, response)| response);
    let mut found = found.filter(|response| matches!(response, Response::Refused { .. }));
    found.next().expect("one of each").encode()
}

fn receipts() -> Bytes {
    let found = fixtures::responses().into_iter();
    let found = found.map(|(_, response)| response);
    let mut found = found.filter(|response| matches!(response, Response::Receipts(_)));
    found.next().expect("one of each").encode()
}

#[test]
fn batches_and_submissions_end_where_their_limit_does() {
    for tag in [4, 13] {
        let mut frame = vec![0; 1 + BATCH_LEN_MAX];
        frame[0] = tag;
        assert!(Message::decode(Bytes::from(frame.clone())).is_ok());
        frame.push(0);
        let error = Message::decode(Bytes::from(frame)).err();
        assert!(matches!(error, Some(CodecError::TooLong { .. })));
    }
    let mut frame = vec![0; 1 + CLIENT_FRAME_LEN_MAX];
    assert!(Request::decode(Bytes::from(frame.clone())).is_ok());
    frame.push(0);
    let error = Request::decode(Bytes::from(frame)).err();
    assert!(matches!(error, Some(CodecError::TooLong { .. })));
    let mut batch = fixtures::car().batches[0];
    batch.len_bytes = BATCH_LEN_MAX as u32;
    assert_eq!(BatchRef::decode(batch.encode()), Ok(batch));
    batch.len_bytes += 1;
    assert!(BatchRef::decode(batch.encode()).is_err());
}

/// Decoded byte strings point into the frame: no copy per batch, query or share.
#[test]
fn byte_strings_share_the_frame() {
    let frame = Message::Batch(fixtures::batch()).encode();
    let Ok(Message::Batch(batch)) = Message::decode(frame.clone()) else {
        panic!("a batch")
    };
    assert_eq!(batch.as_ptr(), frame[1..].as_ptr());
    let frame = fixtures::vote().encode();
    let share = Vote::decode(frame.clone()).expect("a vote").share;
    assert_eq!(share.as_ptr(), frame[frame.len() - 5..].as_ptr());
}
