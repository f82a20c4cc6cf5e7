//! Groups and batches: the builder, the walk and the check agree.

use proptest::prelude::*;

use super::fixtures::{SESSION, digest, signature};
use crate::CodecError;
use crate::batch::*;
use crate::ids::ClusterId;
use crate::limits::{GROUP_TXS_MAX, TX_LEN_MAX};

type Txs = Vec<(u64, Vec<u8>)>;

fn unsigned(session: &SessionId, txs: &Txs) -> Vec<u8> {
    let mut builder = GroupBuilder::new();
    txs.iter()
        .for_each(|(seq, payload)| builder.push(*seq, payload));
    let mut out = Vec::new();
    builder.finish(session, &mut out);
    out
}

fn walk(bytes: &[u8]) -> Vec<(SessionId, Txs)> {
    let txs = |group: &Group<'_>| {
        group
            .txs()
            .map(|tx| (tx.seq, tx.payload.to_vec()))
            .collect()
    };
    groups(bytes)
        .map(|group| (group.session, txs(&group)))
        .collect()
}

#[test]
fn a_builder_starts_anew_after_each_group() {
    for mut builder in [GroupBuilder::new(), GroupBuilder::default()] {
        let mut out = Vec::new();
        builder.push(1, b"one");
        builder.push(2, b"");
        assert_eq!((builder.count(), builder.len_bytes()), (2, 4 + 15 + 12));
        builder.finish(&SESSION, &mut out);
        assert_eq!((builder.count(), builder.len_bytes()), (0, 4));
        builder.push(3, b"three");
        builder.finish(&[1; 16], &mut out);
        builder.finish(&[2; 16], &mut out);
        assert_eq!(validate(&out), Ok(3));
        let expected = [
            (SESSION, vec![(1, b"one".to_vec()), (2, Vec::new())]),
            ([1; 16], vec![(3, b"three".to_vec())]),
            ([2; 16], Vec::new()),
        ];
        assert_eq!(walk(&out), expected);
    }
}

#[test]
fn a_signed_group_carries_what_was_signed() {
    let (cluster, key) = (ClusterId(digest(1)), [7; 32]);
    let mut builder = GroupBuilder::new();
    builder.push(5, b"five");
    let (mut out, mut signed) = (Vec::new(), Vec::new());
    let sign = |bytes: &[u8]| {
        signed = bytes.to_vec();
        signature(9)
    };
    builder.finish_signed(&cluster, &key, sign, &mut out);
    let group = groups(&out).next().expect("one group");
    assert_eq!(group.session, session_of(&key));
    let auth = group.auth.expect("signed");
    assert_eq!((auth.key, auth.signature), (&key, &signature(9)));
    let bytes = signed_bytes(&cluster, &group.session, group.body);
    assert_eq!(signed, bytes);
    // Each of the three is bound.
    let other = ClusterId(digest(2));
    assert_ne!(signed_bytes(&other, &group.session, group.body), bytes);
    assert_ne!(signed_bytes(&cluster, &SESSION, group.body), bytes);
    assert_ne!(signed_bytes(&cluster, &group.session, b"body"), bytes);
    assert_eq!(builder.count(), 0);
}

#[test]
fn an_empty_batch_is_valid_and_empty() {
    assert_eq!(validate(&[]), Ok(0));
    assert_eq!(groups(&[]).count(), 0);
}

#[test]
fn malformed_groups_are_refused_and_end_the_walk() {
    let good = unsigned(&SESSION, &vec![(1, b"one".to_vec())]);
    // session[16] auth body_len:u32 count:u32 seq:u64 len:u32 payload
    let with = |at: usize, bytes: &[u8]| {
        let mut bad = good.clone();
        bad[at..at + bytes.len()].copy_from_slice(bytes);
        bad
    };
    let cases = [
        ("auth", with(16, &[2])),
        ("signed without key", with(16, &[1])),
        ("body beyond the end", with(17, &100u32.to_le_bytes())),
        ("body too short", with(17, &18u32.to_le_bytes())),
        ("more than the body holds", with(21, &2u32.to_le_bytes())),
        ("fewer than the body holds", with(21, &0u32.to_le_bytes())),
        ("payload beyond the body", with(33, &4u32.to_le_bytes())),
        ("payload too short", with(33, &2u32.to_le_bytes())),
    ];
    for (what, bad) in cases {
        let mut batch = good.clone();
        batch.extend_from_slice(&bad);
        batch.extend_from_slice(&good);
        assert!(validate(&batch).is_err(), "{what}");
        assert_eq!(walk(&batch).len(), 1, "{what}");
    }
    for cut in 1..good.len() {
        assert!(validate(&good[..cut]).is_err(), "cut at {cut}");
        assert_eq!(groups(&good[..cut]).count(), 0);
    }
}

#[test]
fn oversized_counts_and_payloads_are_refused_at_their_prefix() {
    let mut bytes = unsigned(&SESSION, &Txs::new());
    let count = GROUP_TXS_MAX as u32 + 1;
    bytes[21..25].copy_from_slice(&count.to_le_bytes());
    let error = validate(&bytes);
    assert!(matches!(
        error,
        Err(CodecError::TooLong {
            limit: GROUP_TXS_MAX,
            ..
        })
    ));

    let most = unsigned(&SESSION, &vec![(1, vec![0; TX_LEN_MAX])]);
    assert_eq!(validate(&most), Ok(1));
    let more = unsigned(&SESSION, &vec![(1, vec![0; TX_LEN_MAX + 1])]);
    let error = validate(&more);
    assert!(matches!(
        error,
        Err(CodecError::TooLong {
            limit: TX_LEN_MAX,
            ..
        })
    ));
}

#[test]
fn the_digest_of_a_batch_is_plain_blake3() {
    let expected = "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262";
    assert_eq!(crate::batch::digest(b"").to_string(), expected);
}

fn batch() -> impl Strategy<Value = Vec<(SessionId, Txs)>> {
    let payload = proptest::collection::vec(any::<u8>(), 0..30);
    let txs = proptest::collection::vec((any::<u64>(), payload), 0..8);
    proptest::collection::vec((any::<SessionId>(), txs), 0..6)
}

fn build(groups: &[(SessionId, Txs)]) -> Vec<u8> {
    let groups = groups.iter().map(|(session, txs)| unsigned(session, txs));
    groups.collect::<Vec<_>>().concat()
}

proptest! {
    #[test]
    fn what_is_built_is_walked(batch in batch()) {
        let bytes = build(&batch);
        let txs: usize = batch.iter().map(|(_, txs)| txs.len()).sum();
        prop_assert_eq!(validate(&bytes), Ok(txs as u32));
        prop_assert_eq!(walk(&bytes), batch);
    }

    /// The walk never panics, and gives every group iff the check passes.
    #[test]
    fn check_and_walk_agree_on_damage(
        batch in batch(),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let mut bytes = build(&batch);
        if !bytes.is_empty() {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let walked: Vec<u32> = groups(&bytes).map(|group| {
            assert_eq!(group.txs().count(), group.count as usize);
            group.count
        }).collect();
        match validate(&bytes) {
            Ok(txs) => prop_assert_eq!(txs, walked.iter().sum::<u32>()),
            Err(_) => prop_assert!(groups(&bytes).count() <= batch.len()),
        }
    }

    #[test]
    fn noise_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = validate(&bytes);
        let _ = groups(&bytes).map(|group| group.txs().count()).sum::<usize>();
    }
}
