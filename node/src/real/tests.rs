use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;

use storage::MemoryJournal;
use transport::{Backend, LocalAddrs, PeerConfig, Received, ServerConfig, TransportError, Waker};
use types::client::{Entry, Outcome};
use types::{BlockId, CommitProof, EpochId, Height, Mode, SchemeName};

use super::*;
use crate::crypto_pool::CostModel;

/// What a transport was asked to do, and what it will report.
#[derive(Default)]
struct Net {
    events: VecDeque<Event>,
    sent: Vec<(u16, Class, Received)>,
    replies: Vec<(ConnId, Received)>,
    timeouts: Vec<Duration>,
    down: bool,
}

struct Fake(Rc<RefCell<Net>>);

impl Transport for Fake {
    fn poll(
        &mut self,
        timeout: Option<Duration>,
        events: &mut Vec<Event>,
    ) -> Result<(), TransportError> {
        let mut wire = self.0.borrow_mut();
        wire.timeouts.push(timeout.unwrap());
        events.extend(wire.events.drain(..));
        Ok(())
    }
    fn send(&mut self, peer: u16, class: Class, frame: Frame) -> Result<(), SendError> {
        let mut wire = self.0.borrow_mut();
        if wire.down {
            return Err(SendError::Down);
        }
        wire.sent.push((peer, class, Received::from_frame(&frame)));
        Ok(())
    }
    fn reply(&mut self, conn: ConnId, frame: Frame) -> Result<(), SendError> {
        let received = Received::from_frame(&frame);
        self.0.borrow_mut().replies.push((conn, received));
        Ok(())
    }
    fn connect(&mut self, _: &ServerConfig) -> Result<ConnId, TransportError> {
        unimplemented!("a replica's platform never connects")
    }
    fn close(&mut self, _: ConnId) {}
    fn waker(&self) -> Waker {
        Waker::from_fn(|| {})
    }
    fn queued_bytes(&self, _: u16, _: Class) -> usize {
        0
    }
    fn queued_bytes_conn(&self, _: ConnId) -> usize {
        0
    }
    fn is_up(&self, _: u16) -> bool {
        !self.0.borrow().down
    }
    fn stats(&self) -> transport::Stats {
        transport::Stats::default()
    }
    fn backend(&self) -> Backend {
        Backend::Epoll
    }
    fn local_addrs(&self) -> LocalAddrs {
        LocalAddrs::default()
    }
    fn set_shape(&mut self, _: u16, _: Shape) {}
    fn set_peer(&mut self, _: u16, _: Option<PeerConfig>) {}
}

fn epoch() -> types::Epoch {
    types::Epoch {
        cluster: types::ClusterId::ZERO,
        id: types::EpochId::ZERO,
        n: 4,
        members: types::SignerSet::all(4),
        standbys: types::SignerSet::EMPTY,
        kind: types::EpochKind::Ordinary,
        envelope: 2,
        root_height: types::Height(0),
    }
}

fn rig() -> (RealPlatform, Rc<RefCell<Net>>) {
    let wire = Rc::new(RefCell::new(Net::default()));
    let work: crate::crypto_pool::Work = Arc::new(|_: &types::Epoch, job| match job {
        Job::Groups { digest, .. } => crypto::Done::Groups { digest, ok: Ok(3) },
        other => panic!("no such job here: {other:?}"),
    });
    let cost = CostModel::new(SchemeName::Bls);
    let pool = CryptoPool::new(0, cost, work, Waker::from_fn(|| {})).unwrap();
    let journal = Box::new(MemoryJournal::new(Box::new(|| {})));
    let transport = Box::new(Fake(wire.clone()));
    (RealPlatform::new(transport, journal, pool, 4), wire)
}

fn polled(platform: &mut RealPlatform) -> Vec<NodeEvent> {
    let mut events = Vec::new();
    platform.poll(Duration::from_secs(1), &mut events).unwrap();
    events
}

#[test]
fn a_broadcast_shares_the_bytes_of_its_body() {
    let (mut platform, wire) = rig();
    let body = Bytes::from(vec![7; 100_000]);
    let batch = Message::Batch(body);
    platform.broadcast(SignerSet(0b1110), &batch);
    let wire = wire.borrow();
    assert_eq!(wire.sent.len(), 3);
    for (at, (peer, class, received)) in wire.sent.iter().enumerate() {
        assert_eq!((usize::from(*peer), *class), (at + 1, Class::Bulk));
        assert_eq!(Message::decode(received.bytes.clone()).unwrap(), batch);
    }
}

#[test]
fn long_messages_without_a_body_get_through() {
    let (mut platform, wire) = rig();
    let request = Message::BatchRequest(vec![types::BatchDigest::ZERO; 64]);
    platform.send(ReplicaId(1), &request);
    let chunk = Message::SnapshotChunk(types::message::SnapshotChunk {
        cert: types::CheckpointCert {
            epoch: EpochId::ZERO,
            height: Height(1),
            block: BlockId::ZERO,
            state: types::Digest::ZERO,
            signatures: types::Multisig::default(),
        },
        total_bytes: 1 << 20,
        offset: 0,
        bytes: Bytes::from(vec![1; 1 << 20]),
    });
    platform.send(ReplicaId(1), &chunk);
    let wire = wire.borrow();
    assert_eq!(
        Message::decode(wire.sent[0].2.bytes.clone()).unwrap(),
        request
    );
    assert_eq!(wire.sent[0].1, Class::Control);
    assert_eq!(
        Message::decode(wire.sent[1].2.bytes.clone()).unwrap(),
        chunk
    );
    assert_eq!(wire.sent[1].1, Class::Bulk);
}

#[test]
fn what_is_not_sent_is_counted() {
    let (mut platform, wire) = rig();
    wire.borrow_mut().down = true;
    platform.broadcast(SignerSet(0b1110), &Message::BatchRequest(Vec::new()));
    assert_eq!(platform.stats().unsent.peer_down, 3);
}

#[test]
fn events_keep_their_bytes_and_their_order() {
    let (mut platform, wire) = rig();
    let bytes = Bytes::from_static(b"frame");
    let frame = |peer| Event::Frame {
        conn: ConnId(9),
        peer,
        frame: Received {
            bytes: bytes.clone(),
            head_len: 5,
            body_hash: None,
        },
    };
    wire.borrow_mut().events.extend([
        Event::Up {
            conn: ConnId(9),
            peer: Peer::Replica(2),
        },
        frame(Peer::Replica(2)),
        frame(Peer::Client(ConnId(5))),
        Event::Woken,
        Event::Down {
            conn: ConnId(9),
            peer: Peer::Replica(2),
            reason: DownReason::PeerClosed,
        },
    ]);
    let events = polled(&mut platform);
    let NodeEvent::Peer { from, frame, .. } = &events[1] else {
        panic!("{events:?}")
    };
    assert_eq!(*from, ReplicaId(2));
    assert_eq!(frame.as_ptr(), bytes.as_ptr(), "copied");
    assert!(matches!(events[0], NodeEvent::PeerUp(ReplicaId(2))));
    assert!(matches!(
        events[2],
        NodeEvent::Client {
            client: ClientId(5),
            ..
        }
    ));
    assert!(matches!(events[3], NodeEvent::PeerDown(ReplicaId(2))));
    assert_eq!(events.len(), 4);
}

#[test]
fn refusals_are_kept_until_the_link_comes_up() {
    let (mut platform, wire) = rig();
    let refused = Event::Refused {
        peer: 3,
        reason: DownReason::WrongCluster,
    };
    wire.borrow_mut().events.push_back(refused);
    assert!(polled(&mut platform).is_empty());
    assert_eq!(
        platform.stats().peers_refused[3],
        Some(DownReason::WrongCluster)
    );
    wire.borrow_mut().events.push_back(Event::Up {
        conn: ConnId(1),
        peer: Peer::Replica(3),
    });
    polled(&mut platform);
    assert_eq!(platform.stats().peers_refused[3], None);
}

#[test]
fn answers_of_journal_and_crypto_do_not_wait_for_the_network() {
    let (mut platform, wire) = rig();
    let record = Record::new(1, [0; 32], [Bytes::from_static(b"x")]).unwrap();
    platform.append(record);
    let token = platform.sync();
    platform.submit(
        42,
        &epoch(),
        Job::Groups {
            digest: types::BatchDigest::ZERO,
            batch: Bytes::new(),
        },
    );
    let events = polled(&mut platform);
    assert_eq!(wire.borrow().timeouts, [Duration::ZERO]);
    assert!(matches!(events[0], NodeEvent::Done { tag: 42, .. }));
    assert!(matches!(&events[1], NodeEvent::Synced(synced) if *synced == token));
    assert_eq!(events.len(), 2);
    assert!(polled(&mut platform).is_empty());
    assert_eq!(wire.borrow().timeouts[1], Duration::from_secs(1));
    assert!(platform.is_durable().unwrap());
}

#[test]
fn long_receipts_are_split_and_none_is_lost() {
    let (mut platform, wire) = rig();
    let entry = |seq| Entry {
        seq,
        height: Height(1),
        position: seq as u32,
        outcome: Outcome::Applied,
    };
    let session = |byte: u8, seqs: std::ops::Range<u64>| SessionEntries {
        session: [byte; 16],
        entries: seqs.map(entry).collect(),
    };
    let receipts = Receipts {
        epoch: EpochId::ZERO,
        block: BlockId::ZERO,
        height: Height(1),
        mode: Mode::Nominal,
        proof: CommitProof {
            chain: Vec::new(),
            certs: Vec::new(),
        },
        sessions: vec![
            session(1, 0..100_000),
            session(2, 0..10),
            session(3, 0..60_000),
        ],
    };
    platform.reply(ClientId(1), &Response::Receipts(receipts));
    let mut seen = 0;
    for (_, received) in &wire.borrow().replies {
        assert!(received.bytes.len() <= REPLY_FRAME_LEN_MAX);
        let Response::Receipts(part) = Response::decode(received.bytes.clone()).unwrap() else {
            panic!("not receipts")
        };
        seen += part.sessions.iter().map(|s| s.entries.len()).sum::<usize>();
    }
    assert_eq!(seen, 160_010);
}
