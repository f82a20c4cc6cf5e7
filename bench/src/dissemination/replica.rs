//! One replica: packs, hashes, sends, and keeps the last bytes, as a store would.

use std::collections::{HashMap, VecDeque};
use std::net::TcpListener;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use transport::{
    Body, Class, ConnId, Event, Frame, Listen, Peer, Received, ReplicaConfig, SendError, Transport,
    TransportConfig,
};

use super::{CLUSTER, Plan, Seat, Shared};
use crate::BenchError;

const BATCH: u8 = 1;
const HELD: u8 = 2;
/// Bytes kept, as a store would.
const KEPT_BYTES: usize = 32 << 20;
const WAIT: Duration = Duration::from_millis(20);

struct Replica<'a> {
    plan: &'a Plan,
    index: u16,
    net: Box<dyn Transport>,
    buffer: Vec<u8>,
    /// Who gets credit for how many bytes of the next batch.
    credit: Vec<(ConnId, u32)>,
    next: u64,
    /// Batches that not everybody holds yet.
    open: HashMap<u64, Open>,
    kept: VecDeque<Bytes>,
    kept_bytes: usize,
    shared: &'a Shared,
}

struct Open {
    missing: u16,
    bytes: usize,
    credit: Vec<(ConnId, u32)>,
}

pub(super) fn run(
    plan: &Plan,
    index: u16,
    seats: &[Seat],
    (peers, clients): (TcpListener, TcpListener),
    shared: &Shared,
) -> Result<(), BenchError> {
    let seat = ReplicaConfig {
        index,
        private_key: seats[usize::from(index)].private_key,
        committee: seats.iter().map(|seat| Some(seat.peer())).collect(),
        peer_listen: Listen::Bound(peers),
        client_listen: Some(Listen::Bound(clients)),
    };
    let config = TransportConfig::replica(plan.backend, CLUSTER, plan.encryption, seat);
    let (net, _) = transport::open(config)?;
    let mut replica = Replica {
        plan,
        index,
        net,
        buffer: Vec::with_capacity(2 * plan.batch_bytes),
        credit: Vec::new(),
        next: 0,
        open: HashMap::new(),
        kept: VecDeque::new(),
        kept_bytes: 0,
        shared,
    };
    let (mut events, mut up) = (Vec::new(), 0);
    while !shared.stop.load(Ordering::Acquire) {
        replica.net.poll(Some(WAIT), &mut events)?;
        for event in events.drain(..) {
            match event {
                Event::Up {
                    peer: Peer::Replica(_),
                    ..
                } => {
                    up += 1;
                    if up + 1 == plan.replicas {
                        shared.ready.fetch_add(1, Ordering::AcqRel);
                    }
                }
                Event::Frame {
                    peer: Peer::Replica(from),
                    frame,
                    ..
                } => replica.on_peer(from, &frame)?,
                Event::Frame {
                    conn,
                    peer: Peer::Client(_),
                    frame,
                } => replica.on_client(conn, &frame)?,
                _ => {}
            }
        }
    }
    Ok(())
}

impl Replica<'_> {
    /// The one copy between socket and store.
    fn on_client(&mut self, conn: ConnId, frame: &Received) -> Result<(), BenchError> {
        self.buffer.extend_from_slice(&frame.bytes);
        self.credit.push((conn, frame.bytes.len() as u32));
        match self.buffer.len() >= self.plan.batch_bytes {
            true => self.cut(),
            false => Ok(()),
        }
    }

    fn cut(&mut self) -> Result<(), BenchError> {
        let room = Vec::with_capacity(2 * self.plan.batch_bytes);
        let bytes = Bytes::from(std::mem::replace(&mut self.buffer, room));
        let hash = types::batch::digest(&bytes).0.0;
        let body = Body::with_hash([bytes.clone()], hash);
        let head = [&[BATCH][..], &self.next.to_le_bytes()].concat();
        let frame = Frame::with_body(head, body);
        let me = self.index;
        for peer in (0..self.plan.replicas).filter(|peer| *peer != me) {
            self.send(peer, Class::Bulk, frame.clone())?;
        }
        let open = Open {
            missing: self.plan.replicas - 1,
            bytes: bytes.len(),
            credit: std::mem::take(&mut self.credit),
        };
        self.open.insert(self.next, open);
        self.next += 1;
        self.keep(bytes);
        Ok(())
    }

    fn on_peer(&mut self, from: u16, frame: &Received) -> Result<(), BenchError> {
        let head = frame.head();
        let number: [u8; 8] = head[1..9].try_into().unwrap_or_default();
        if head[0] == BATCH {
            let body = frame.body();
            // With encryption on the link has no use for a hash of its own.
            let hash = frame.body_hash;
            std::hint::black_box(hash.unwrap_or_else(|| types::batch::digest(&body).0.0));
            self.keep(body);
            let held = [&[HELD][..], &number].concat();
            return self.send(from, Class::Control, Frame::new(held));
        }
        let number = u64::from_le_bytes(number);
        let Some(open) = self.open.get_mut(&number) else {
            return Ok(());
        };
        open.missing -= 1;
        if open.missing == 0
            && let Some(open) = self.open.remove(&number)
        {
            let txs = open.bytes / self.plan.tx_bytes;
            self.shared.held.fetch_add(txs as u64, Ordering::AcqRel);
            for (conn, bytes) in open.credit {
                let credit = Frame::new(bytes.to_le_bytes().to_vec());
                // A client that has gone needs no credit.
                let _ = self.net.reply(conn, credit);
            }
        }
        Ok(())
    }

    fn keep(&mut self, bytes: Bytes) {
        self.kept_bytes += bytes.len();
        self.kept.push_back(bytes);
        while self.kept_bytes > KEPT_BYTES
            && let Some(oldest) = self.kept.pop_front()
        {
            self.kept_bytes -= oldest.len();
        }
    }

    fn send(&mut self, peer: u16, class: Class, frame: Frame) -> Result<(), BenchError> {
        let replica = self.index;
        match self.net.send(peer, class, frame) {
            // The others stop when this one does, and not in the same moment.
            Err(SendError::Down) if self.shared.stop.load(Ordering::Acquire) => Ok(()),
            Err(source) => Err(BenchError::Send { replica, source }),
            Ok(()) => Ok(()),
        }
    }
}
