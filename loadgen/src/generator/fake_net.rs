//! Replicas and a network without time or sockets, for tests of the core.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use transport::*;
use types::batch::{self, SessionId};
use types::client::{Entry, Outcome, Receipts, Request, Response, SessionEntries};
use types::ids::*;
use types::{Mode, Wire};

use crate::testkit::{Chain, epoch};

/// A transaction as a fake replica got it.
pub type Tx = (SessionId, u64, Vec<u8>);

/// One fake replica: what it was sent, what it says.
#[derive(Default)]
pub struct Replica {
    pub conn: Option<ConnId>,
    /// Refuses connections.
    pub down: bool,
    /// Takes submissions, says nothing.
    pub silent: bool,
    /// Submissions without an answer.
    pub inbox: Vec<Tx>,
    /// Everything it was ever sent.
    pub seen: Vec<Tx>,
    /// Conflicts handed in.
    pub conflicts: Vec<types::Conflict>,
}

#[derive(Default)]
pub struct FakeNet {
    pub replicas: Vec<Replica>,
    pub events: VecDeque<Event>,
    pub full: bool,
    /// What receipts say; absent: `NOMINAL`.
    pub mode: Option<Mode>,
    /// What becomes of transactions; absent: `Applied`.
    pub outcome: Option<Outcome>,
    /// This replica says that it is another one.
    pub lies: Option<usize>,
    next: u64,
}

impl FakeNet {
    pub fn new(n: usize) -> FakeNet {
        FakeNet {
            replicas: (0..n).map(|_| Replica::default()).collect(),
            ..FakeNet::default()
        }
    }

    pub fn say(&mut self, at: usize, response: &Response) {
        let Some(conn) = self.replicas[at].conn else {
            return;
        };
        let bytes: Bytes = response.encode();
        self.events.push_back(Event::Frame {
            conn,
            peer: Peer::Server,
            frame: Received {
                head_len: bytes.len(),
                bytes,
                body_hash: None,
            },
        });
    }

    /// Receipts for everything in the inbox of `at`, all in block `height`.
    pub fn receipts(&mut self, at: usize, chain: &Chain, height: u64, signature: &'static str) {
        let txs = std::mem::take(&mut self.replicas[at].inbox);
        if txs.is_empty() {
            return;
        }
        let outcome = self.outcome.unwrap_or(Outcome::Applied);
        let entry = |(position, (session, seq, _)): (usize, Tx)| SessionEntries {
            session,
            entries: vec![Entry {
                seq,
                height: Height(height),
                position: position as u32,
                outcome,
            }],
        };
        let receipts = Receipts {
            epoch: chain.epoch.id,
            block: chain.id(height),
            height: Height(height),
            mode: self.mode.unwrap_or(Mode::Nominal),
            proof: chain.proof(height, signature),
            sessions: txs.into_iter().enumerate().map(entry).collect(),
        };
        self.say(at, &Response::Receipts(receipts));
    }

    pub fn crash(&mut self, at: usize) {
        self.replicas[at].down = true;
        self.replicas[at].inbox.clear();
        if let Some(conn) = self.replicas[at].conn.take() {
            self.events.push_back(Event::Down {
                conn,
                peer: Peer::Server,
                reason: DownReason::PeerClosed,
            });
        }
    }
}

impl Transport for FakeNet {
    fn poll(&mut self, _: Option<Duration>, events: &mut Vec<Event>) -> Result<(), TransportError> {
        events.extend(self.events.drain(..));
        Ok(())
    }
    fn reply(&mut self, conn: ConnId, frame: Frame) -> Result<(), SendError> {
        if self.full {
            return Err(SendError::Full);
        }
        let mut replicas = self.replicas.iter_mut();
        let Some(replica) = replicas.find(|r| r.conn == Some(conn)) else {
            return Err(SendError::Down);
        };
        let bytes = Received::from_frame(&frame).bytes;
        let groups = match Request::decode(bytes) {
            Ok(Request::Submit(groups)) => groups,
            Ok(Request::Conflict { conflict, .. }) => {
                replica.conflicts.push(*conflict);
                return Ok(());
            }
            other => panic!("expected a submission or a conflict, found {other:?}"),
        };
        batch::validate(&groups).expect("well-formed groups");
        for group in batch::groups(&groups) {
            for tx in group.txs() {
                let tx = (group.session, tx.seq, tx.payload.to_vec());
                replica.inbox.push(tx.clone());
                replica.seen.push(tx);
            }
        }
        Ok(())
    }
    fn connect(&mut self, server: &ServerConfig) -> Result<ConnId, TransportError> {
        let at = usize::from(server.addr.port());
        self.next += 1;
        let conn = ConnId(self.next);
        if self.replicas[at].down {
            self.events.push_back(Event::Down {
                conn,
                peer: Peer::Server,
                reason: DownReason::ConnectFailed,
            });
            return Ok(conn);
        }
        self.replicas[at].conn = Some(conn);
        let epoch = epoch();
        let hello = Response::Hello {
            cluster: epoch.cluster,
            epoch: epoch.id,
            replica: ReplicaId(at as u16 + u16::from(self.lies == Some(at))),
            mode: Mode::Nominal,
        };
        self.say(at, &hello);
        Ok(conn)
    }
    fn close(&mut self, conn: ConnId) {
        let mut replicas = self.replicas.iter_mut();
        if let Some(replica) = replicas.find(|r| r.conn == Some(conn)) {
            replica.conn = None;
        }
    }
    fn waker(&self) -> Waker {
        Waker::from_fn(|| {})
    }
    fn queued_bytes_conn(&self, _: ConnId) -> usize {
        0
    }
    fn send(&mut self, _: u16, _: Class, _: Frame) -> Result<(), SendError> {
        Err(SendError::Unknown)
    }
    fn queued_bytes(&self, _: u16, _: Class) -> usize {
        0
    }
    fn is_up(&self, _: u16) -> bool {
        false
    }
    fn stats(&self) -> Stats {
        Stats::default()
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
