//! The bytes of every wire type, and every hash and signed statement, pinned in `golden.txt`. To
//! change one is to change the protocol: raise `PROTOCOL_VERSION`.

use std::fmt::Write;

use super::fixtures::*;
use crate::batch::{session_of, signed_bytes};
use crate::ids::*;
use crate::*;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut out, byte| {
        write!(out, "{byte:02x}").expect("a string takes everything");
        out
    })
}

fn lines() -> Vec<(String, Vec<u8>)> {
    let mut out: Vec<(String, Vec<u8>)> = Vec::new();
    let mut add = |name: String, bytes: &[u8]| out.push((name, bytes.to_vec()));
    for message in messages() {
        add(format!("message {}", message.name()), &message.encode());
    }
    for (name, request) in requests() {
        add(format!("request {name}"), &request.encode());
    }
    for (name, response) in responses() {
        add(format!("response {name}"), &response.encode());
    }
    for fraud in frauds() {
        let name = fraud.offence().name();
        add(format!("fraud {name}"), &fraud.encode());
        add(format!("digest {name}"), &fraud.digest().0);
    }
    add("value-core".into(), &value().core().encode());
    add("header-core".into(), &header().core().encode());
    for mode in Mode::ALL {
        add(format!("mode {}", mode.name()), &mode.encode());
    }
    for refusal in client::Refusal::ALL {
        add(format!("refusal {}", refusal.name()), &refusal.encode());
    }
    let mut bare = header();
    (bare.tc, bare.excluded, bare.cut) = (None, None, Vec::new());
    add("header without options".into(), &bare.encode());

    let committee = committee(4);
    let epoch = committee.genesis();
    let (view, block, car_id) = (View(3), BlockId(digest(60)), CarId(digest(61)));
    let (height, state, lane) = (Height(4), digest(62), ReplicaId(2));
    add("id block".into(), &header().id().0.0);
    add("id car".into(), &car().id().0.0);
    add("id cluster".into(), &epoch.cluster.0.0);
    add("id genesis epoch".into(), &epoch.id.0.0);
    add("id root".into(), &epoch.root().0.0);
    add("epoch".into(), &epoch.encode());
    let recovery = epoch.recovery();
    add("epoch recovery".into(), &recovery.encode());
    let (leave, enter) = (signers(&[1]), signers(&[9]));
    let resumed = recovery.resumed(value().digest(), leave, enter, Height(96));
    add("epoch resumed".into(), &resumed.encode());
    let evicted = epoch.evicted(block, leave, enter, Height(96));
    add("epoch evicted".into(), &evicted.encode());
    add("digest value".into(), &value().digest().0);
    add("id batch".into(), &crate::batch::digest(b"batch").0.0);
    add("id session".into(), &session_of(&[63; 32]));
    add(
        "statement group".into(),
        &signed_bytes(&epoch.cluster, &SESSION, b"body"),
    );
    add(
        "statement vote".into(),
        &statement::vote(&epoch, view, block, signers(&[1, 4])),
    );
    add(
        "statement proposal".into(),
        &statement::proposal(&epoch, view, block),
    );
    add(
        "statement timeout".into(),
        &statement::timeout(&epoch, view, View(2)),
    );
    add(
        "statement car".into(),
        &statement::car(&epoch, lane, 5, car_id),
    );
    add(
        "statement ack".into(),
        &statement::ack(&epoch, lane, 5, car_id),
    );
    add(
        "statement checkpoint".into(),
        &statement::checkpoint(&epoch, height, block, state),
    );
    add(
        "statement report".into(),
        &statement::report(&epoch, height, block),
    );
    out
}

#[test]
fn bytes_are_pinned() {
    let lines = lines();
    let found = lines.iter().fold(String::new(), |out, (name, bytes)| {
        format!("{out}{name}: {}\n", hex(bytes))
    });
    let pinned = include_str!("golden.txt");
    let pairs = pinned.lines().zip(found.lines());
    let first = pairs.into_iter().find(|(pinned, found)| pinned != found);
    assert_eq!(first, None, "all found:\n{found}");
    assert_eq!(pinned, found, "lines were added or removed");
}

#[test]
fn tags_and_names_of_messages_agree() {
    let messages = messages();
    assert_eq!(messages.len(), Message::NAMES.len());
    for (tag, message) in messages.iter().enumerate() {
        assert_eq!(usize::from(message.tag()), tag);
        assert_eq!(message.encode()[0], message.tag());
        assert_eq!(message.name(), Message::NAMES[tag]);
    }
}

#[test]
fn what_tells_of_a_split_is_known_by_its_tag() {
    let of_split = [
        "notice",
        "proof-request",
        "proof",
        "conflict",
        "branch-request",
        "branch",
        "frauds",
        "fork-report",
        "value-request",
        "value",
        "resumption",
    ];
    for tag in 0..=u8::MAX {
        let name = Message::NAMES.get(usize::from(tag));
        let expected = name.is_some_and(|name| of_split.contains(name));
        assert_eq!(
            Message::tells_of_split(tag),
            expected,
            "tag {tag}: {name:?}"
        );
    }
}

#[test]
fn parts_of_a_message_join_to_its_encoding() {
    for message in messages() {
        let (head, body) = message.to_parts();
        let joined = [&head[..], &body.unwrap_or_default()].concat();
        assert_eq!(joined, message.encode(), "{}", message.name());
    }
}

/// Statements of different kinds, or of different epochs, never coincide.
#[test]
fn statements_are_domains_of_their_own() {
    let epoch = committee(4).genesis();
    let mut other = committee(4);
    other.rule = CommitRule::ThreeChain;
    let other = other.genesis();
    let id = digest(60);
    let all = |epoch| {
        vec![
            statement::vote(epoch, View(3), BlockId(id), SignerSet::EMPTY),
            statement::proposal(epoch, View(3), BlockId(id)),
            statement::timeout(epoch, View(3), View(3)),
            statement::car(epoch, ReplicaId(0), 3, CarId(id)),
            statement::ack(epoch, ReplicaId(0), 3, CarId(id)),
            statement::checkpoint(epoch, Height(3), BlockId(id), id),
            statement::report(epoch, Height(3), BlockId(id)),
        ]
    };
    let recovery = epoch.recovery();
    let mut statements = [all(&epoch), all(&other), all(&recovery)].concat();
    statements.sort();
    statements.dedup();
    assert_eq!(statements.len(), 21);
}

/// The id of a block binds every field of the header, those behind digests included.
#[test]
fn the_block_id_binds_every_field() {
    let changes: Vec<fn(&mut Header)> = vec![
        |h| h.epoch = EpochId(digest(99)),
        |h| h.view = View(99),
        |h| h.height = Height(99),
        |h| h.justify.block = BlockId(digest(99)),
        |h| h.justify.view = View(99),
        |h| h.justify.votes.bytes = bytes::Bytes::from_static(b"other"),
        |h| h.justify.votes.signers = signers(&[0]),
        |h| h.tc = None,
        |h| h.cut[0].index = 99,
        |h| h.cut.clear(),
        |h| h.payload = digest(99),
        |h| h.proposer = ReplicaId(99),
        |h| h.checkpoint.state = digest(99),
        |h| h.excluded = None,
        |h| h.excluded = Some(SignerSet::EMPTY),
        |h| h.justify.excluded = SignerSet::EMPTY,
        |h| h.tc.as_mut().expect("one").excluded = SignerSet::EMPTY,
    ];
    let mut ids = vec![header().id()];
    for change in changes {
        let mut header = header();
        change(&mut header);
        assert!(!ids.contains(&header.id()));
        ids.push(header.id());
    }
}

#[test]
fn the_cluster_id_binds_keys_and_parameters_but_no_address() {
    let id = committee(4).cluster();
    let changed = |change: fn(&mut Committee)| {
        let mut committee = committee(4);
        change(&mut committee);
        committee.cluster()
    };
    assert_eq!(changed(|c| c.members[1].peer_addr = "moved:1".into()), id);
    assert_ne!(changed(|c| c.members[1].vote_key = vec![9; 3]), id);
    assert_ne!(changed(|c| c.members[1].identity_key = [9; 32]), id);
    assert_ne!(changed(|c| c.members[1].link_key = [9; 32]), id);
    assert_ne!(changed(|c| c.members.swap(0, 1)), id);
    assert_ne!(changed(|c| c.scheme = SchemeName::Ed25519), id);
    assert_ne!(changed(|c| c.rule = CommitRule::ThreeChain), id);
    assert_ne!(changed(|c| drop(c.members.pop())), id);
    assert_ne!(changed(|c| c.envelope = 1), id);
    assert_ne!(changed(|c| c.standbys = 1), id);
}

/// What a value says is bound by its digest, proofs and reports included: the recovery block's
/// payload is that digest, and the next epoch's id.
#[test]
fn the_digest_of_a_value_binds_every_field() {
    let changes: Vec<fn(&mut RecoveryValue)> = vec![
        |v| v.excluded = signers(&[1]),
        |v| v.standbys = SignerSet::EMPTY,
        |v| v.base = BlockId(digest(99)),
        |v| v.root_height = Height(99),
        |v| v.frauds.clear(),
        |v| v.reports[1].tip = BlockId(digest(99)),
        |v| v.reports[1].proof = None,
        |v| v.reports[1].signature = signature(99),
        |v| drop(v.reports.pop()),
    ];
    let mut digests = vec![value().digest()];
    for change in changes {
        let mut value = value();
        change(&mut value);
        assert!(!digests.contains(&value.digest()));
        digests.push(value.digest());
    }
}

/// Epochs are named by their history: another start, another committee or another kind is another
/// epoch.
#[test]
fn epochs_are_named_by_their_history() {
    let genesis = committee(7).genesis();
    let recovery = genesis.recovery();
    let (out, nobody) = (signers(&[1, 2, 3]), SignerSet::EMPTY);
    let ids = [
        genesis.id,
        recovery.id,
        recovery.recovery().id,
        recovery.resumed(digest(1), out, nobody, Height(9)).id,
        recovery.resumed(digest(2), out, nobody, Height(9)).id,
        recovery.resumed(digest(1), nobody, nobody, Height(9)).id,
        genesis.resumed(digest(1), out, nobody, Height(9)).id,
        recovery
            .evicted(BlockId(digest(1)), out, nobody, Height(9))
            .id,
    ];
    let distinct: std::collections::BTreeSet<_> = ids.iter().collect();
    assert_eq!(distinct.len(), ids.len());
    let resumed = recovery.resumed(digest(1), out, signers(&[7]), Height(9));
    assert_eq!(resumed.members, signers(&[0, 4, 5, 6, 7]));
    assert!(!resumed.is_recovery());
    assert_eq!(resumed.root_height, Height(9));
}
