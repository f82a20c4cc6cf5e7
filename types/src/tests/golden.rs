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
        ]
    };
    let mut statements = [all(&epoch), all(&other)].concat();
    statements.sort();
    statements.dedup();
    assert_eq!(statements.len(), 12);
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
}
