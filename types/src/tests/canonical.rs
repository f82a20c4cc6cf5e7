//! Decoding is total, canonical and exact: no input panics, what decodes encodes to the same bytes,
//! and no proper prefix or extension of an encoding decodes.

use bytes::Bytes;
use proptest::prelude::*;

use super::{fixtures, strategies};
use crate::client::*;
use crate::ids::*;
use crate::message::*;
use crate::*;

/// Whatever decodes must encode to the same bytes.
fn canonical<T: Wire>(bytes: &Bytes) {
    if let Ok(value) = T::decode(bytes.clone()) {
        assert_eq!(value.encode(), bytes, "{}", std::any::type_name::<T>());
    }
}

macro_rules! canonical_for_all {
    ($bytes:expr, $($wire:ty),* $(,)?) => {
        $(canonical::<$wire>($bytes);)*
    };
}

fn canonical_everywhere(bytes: &Bytes) {
    canonical_for_all!(
        bytes,
        u8,
        u16,
        u32,
        u64,
        u128,
        [u8; 16],
        Digest,
        ClusterId,
        EpochId,
        BlockId,
        CarId,
        BatchDigest,
        View,
        Height,
        ReplicaId,
        SignerSet,
        Option<Qc>,
        Option<SignerSet>,
        Mode,
        Multisig,
        Qc,
        Tc,
        TimeoutClaim,
        CarCert,
        CheckpointCert,
        Checkpoint,
        Header,
        HeaderCore,
        Proposal,
        Vote,
        Timeout,
        NewView,
        BatchRef,
        Car,
        Ack,
        ChainRequest,
        ChainResponse,
        CarRequest,
        CheckpointShare,
        SnapshotRequest,
        SnapshotChunk,
        Message,
        CommitProof,
        Request,
        Outcome,
        Entry,
        SessionEntries,
        Receipts,
        Refusal,
        Response,
        Epoch,
        EpochKind,
        SignedCore,
        Fraud,
        Notice,
        ProofRequest,
        Conflict,
        BranchRequest,
        Branch,
        ForkReport,
        ValueCore,
        RecoveryValue,
        Resumption,
        EpochChange,
    );
}

fn round_trip<T: Wire + PartialEq + std::fmt::Debug>(value: &T) {
    let bytes = value.encode();
    assert_eq!(T::decode(bytes).as_ref(), Ok(value));
}

/// True where the value ends in a tail whose length the frame alone tells.
fn has_open_end(message: &Message) -> bool {
    matches!(message, Message::Batch(_) | Message::BatchResponse(_))
}

fn no_prefix_and_no_extension<T: Wire>(bytes: &Bytes) {
    let name = std::any::type_name::<T>();
    for cut in 0..bytes.len() {
        assert!(
            T::decode(bytes.slice(..cut)).is_err(),
            "{name} cut at {cut}"
        );
    }
    let longer = Bytes::from([&bytes[..], &[0]].concat());
    let found = T::decode(longer).err();
    assert_eq!(found, Some(CodecError::Trailing { left: 1 }), "{name}");
}

#[test]
fn every_truncation_and_every_extension_fails() {
    for message in fixtures::messages() {
        round_trip(&message);
        if !has_open_end(&message) {
            no_prefix_and_no_extension::<Message>(&message.encode());
        }
    }
    for (name, request) in fixtures::requests() {
        round_trip(&request);
        if name != "submit" {
            no_prefix_and_no_extension::<Request>(&request.encode());
        }
    }
    for (_, response) in fixtures::responses() {
        round_trip(&response);
        no_prefix_and_no_extension::<Response>(&response.encode());
    }
    for fraud in fixtures::frauds() {
        round_trip(&fraud);
        no_prefix_and_no_extension::<Fraud>(&fraud.encode());
    }
    no_prefix_and_no_extension::<HeaderCore>(&fixtures::header().core().encode());
    assert!(Message::decode(Bytes::new()).is_err());
    assert!(Request::decode(Bytes::new()).is_err());
}

#[test]
fn every_unknown_tag_fails() {
    for tag in 0..=255u8 {
        let bytes = Bytes::from(vec![tag, 0, 0, 0]);
        let bad = |known: u8, found: Option<CodecError>| {
            let unknown = matches!(found, Some(CodecError::BadTag { found, .. }) if found == tag);
            assert_eq!(unknown, tag >= known, "tag {tag}: {found:?}");
        };
        bad(28, Message::decode(bytes.clone()).err());
        bad(4, Request::decode(bytes.clone()).err());
        bad(10, Response::decode(bytes.clone()).err());
        bad(2, EpochKind::decode(bytes.slice(..1)).err());
        bad(4, Mode::decode(bytes.slice(..1)).err());
        bad(4, Refusal::decode(bytes.slice(..1)).err());
        bad(2, Option::<Qc>::decode(bytes.clone()).err());
        bad(5, Outcome::decode(Bytes::from(vec![tag, 0])).err());
        // Offences count from 1.
        let fraud = Fraud::decode(bytes.clone()).err();
        let unknown = matches!(fraud, Some(CodecError::BadTag { found, .. }) if found == tag);
        assert_eq!(unknown, tag == 0 || tag > 7, "offence {tag}: {fraud:?}");
        // Only a rejection has a code.
        let outcome = Outcome::decode(Bytes::from(vec![tag, 1]));
        assert_eq!(outcome.is_ok(), tag == 1);
    }
}

#[test]
fn lists_out_of_order_fail() {
    let mut header = fixtures::header();
    header.cut.swap(0, 1);
    assert!(Header::decode(header.encode()).is_err());
    header.cut[1].lane = header.cut[0].lane;
    assert!(Header::decode(header.encode()).is_err());
    let mut tc = fixtures::tc();
    tc.claims.swap(0, 1);
    assert!(Tc::decode(tc.encode()).is_err());
    tc.claims[1].replica = tc.claims[0].replica;
    assert!(Tc::decode(tc.encode()).is_err());
    let mut tc = fixtures::tc();
    tc.claims[1].replica = ReplicaId(128);
    assert!(Tc::decode(tc.encode()).is_err());
    let mut value = fixtures::value();
    value.reports.swap(0, 1);
    assert!(RecoveryValue::decode(value.encode()).is_err());
    value.reports[1].replica = value.reports[0].replica;
    assert!(RecoveryValue::decode(value.encode()).is_err());
}

/// An encoding with a few bytes changed: gets deeper into the decoders than noise does.
fn damaged(valid: impl Strategy<Value = Bytes>) -> impl Strategy<Value = Bytes> {
    let damage = proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4);
    (valid, damage).prop_map(|(bytes, damage)| {
        let mut bytes = bytes.to_vec();
        for (at, byte) in damage {
            if !bytes.is_empty() {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
        }
        Bytes::from(bytes)
    })
}

proptest! {
    #[test]
    fn messages_round_trip(message in strategies::message()) {
        round_trip(&message);
        prop_assert_eq!(message.encode()[0], message.tag());
    }

    #[test]
    fn requests_and_responses_round_trip(
        request in strategies::request(),
        response in strategies::response(),
    ) {
        round_trip(&request);
        round_trip(&response);
    }

    #[test]
    fn the_rest_round_trips(
        header in strategies::header(),
        proof in strategies::commit_proof(),
        set in strategies::signer_set(),
        fraud in strategies::fraud(),
        value in strategies::value(),
    ) {
        round_trip(&header);
        round_trip(&header.core());
        round_trip(&proof);
        round_trip(&set);
        round_trip(&fraud);
        round_trip(&value);
        round_trip(&value.core());
    }

    #[test]
    fn noise_never_panics_and_decodes_canonically(bytes in strategies::bytes(400)) {
        canonical_everywhere(&bytes);
    }

    #[test]
    fn short_noise_never_panics_and_decodes_canonically(bytes in strategies::bytes(20)) {
        canonical_everywhere(&bytes);
    }

    #[test]
    fn damaged_messages_decode_canonically_or_fail(
        bytes in damaged(strategies::message().prop_map(|m| m.encode())),
    ) {
        canonical::<Message>(&bytes);
    }

    #[test]
    fn damaged_frames_of_clients_decode_canonically_or_fail(
        request in damaged(strategies::request().prop_map(|r| r.encode())),
        response in damaged(strategies::response().prop_map(|r| r.encode())),
    ) {
        canonical::<Request>(&request);
        canonical::<Response>(&response);
    }

    #[test]
    fn any_cut_of_a_message_fails(
        message in strategies::message(),
        cut in any::<prop::sample::Index>(),
    ) {
        prop_assume!(!has_open_end(&message));
        let bytes = message.encode();
        let cut = bytes.slice(..cut.index(bytes.len()));
        prop_assert!(Message::decode(cut).is_err());
    }
}
