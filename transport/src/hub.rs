//! All connections of one transport without their sockets: who is who, what is due, what is counted.
//!
//! A back end moves bytes between sockets and this; everything else is decided here, once for all
//! back ends.

mod conns;
mod send;
mod timers;

use crate::link::{Hello, Link, LinkEvent, LinkLimits, Port, QueueLimits};
use crate::link::{REFUSAL_LEN, SplitMix64, refusal};
use crate::sock::SocketOptions;
use crate::{
    ConnId, DownReason, Event, Limits, Peer, PeerConfig, Shape, Stats, TransportConfig,
    TransportError,
};
use slab::Slab;
use std::collections::VecDeque;
use std::io;
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::time::Instant;

/// Low bits of a [`ConnId`]: the slot, for look-up without a hash; the rest is a counter.
const SLOT_BITS: u32 = 20;
/// Diffie-Hellman work per turn, so that a flood of hellos cannot hold up the replicas.
const HELLOS_PER_TURN: usize = 8;
/// Accepted connections per turn and listener.
pub(crate) const ACCEPTS_PER_TURN: usize = 64;

pub(crate) struct Hub {
    index: u16,
    private_key: [u8; 32],
    cluster_id: [u8; 32],
    encryption: bool,
    limits: Limits,
    pub options: SocketOptions,
    random: SplitMix64,

    conns: Slab<Conn>,
    next_id: u64,
    seats: Vec<Seat>,
    pub now: Instant,

    pub events: Vec<Event>,
    stats: Stats,
    log: CloseLog,

    /// Slots with something to write.
    dirty: Vec<usize>,
    /// For the back end: sockets to open.
    pub dials: Vec<(usize, SocketAddr)>,
    /// For the back end: sockets to drop, after some last words.
    pub closes: Vec<(usize, Option<[u8; REFUSAL_LEN]>)>,
    /// For the back end: slots whose reading may go on after a block.
    pub unblocked: Vec<usize>,
    /// Complete hellos that wait for their Diffie-Hellman operations.
    hellos: VecDeque<ConnId>,
    accepts_pending: VecDeque<(Instant, ConnId)>,
    dials_pending: VecDeque<(Instant, ConnId)>,
    stalls: VecDeque<(Instant, ConnId)>,
    /// Accepted connections that have not authenticated.
    half_open: usize,
    scratch: Vec<LinkEvent>,
}

struct Conn {
    id: ConnId,
    role: Role,
    /// `None` before the socket is connected and after the close.
    link: Option<Link>,
    /// Set once up.
    peer: Option<Peer>,
    closed: bool,
    dirty: bool,
    full_since: Option<Instant>,
}

#[derive(Clone, Copy, Debug)]
enum Role {
    DialsReplica(u16),
    /// With the seat it claimed, once its hello was answered.
    FromReplica(Option<u16>),
    DialsServer {
        public_key: [u8; 32],
    },
    FromClient,
}

impl Role {
    fn is_accepted(self) -> bool {
        matches!(self, Role::FromReplica(_) | Role::FromClient)
    }
}

struct Seat {
    config: Option<PeerConfig>,
    /// The connection that is up.
    up: Option<usize>,
    /// The connection that is being made by us.
    dialling: Option<usize>,
    attempts: u32,
    dial_at: Instant,
    shape: Shape,
}

/// Warns at most once a second; everything is there at debug level.
#[derive(Default)]
struct CloseLog {
    warned_at: Option<Instant>,
    suppressed: u64,
}

impl Hub {
    pub(crate) fn new(config: &TransportConfig, now: Instant) -> Result<Self, TransportError> {
        let options = SocketOptions {
            congestion: config.congestion.clone(),
            silent_timeout: config.limits.silent_timeout,
        };
        let (index, private_key, committee) = match &config.replica {
            Some(replica) => (
                replica.index,
                replica.private_key,
                replica.committee.as_slice(),
            ),
            None => (0, [0; 32], [].as_slice()),
        };
        check(config)?;
        let seat = |peer: &Option<PeerConfig>| Seat::new(*peer, now);
        let stats = Stats {
            replicas: vec![Default::default(); committee.len()],
            closed: vec![0; DownReason::ALL.len()],
            ..Stats::default()
        };
        Ok(Self {
            index,
            private_key,
            cluster_id: config.cluster_id,
            encryption: config.encryption,
            limits: config.limits,
            options,
            random: SplitMix64(config.seed ^ (u64::from(index) << 48)),
            conns: Slab::new(),
            next_id: 1,
            seats: committee.iter().map(seat).collect(),
            now,
            events: Vec::new(),
            stats,
            log: CloseLog::default(),
            dirty: Vec::new(),
            dials: Vec::new(),
            closes: Vec::new(),
            unblocked: Vec::new(),
            hellos: VecDeque::new(),
            accepts_pending: VecDeque::new(),
            dials_pending: VecDeque::new(),
            stalls: VecDeque::new(),
            half_open: 0,
            scratch: Vec::new(),
        })
    }

    fn peer_limits(&self) -> LinkLimits {
        let frame_bytes = self.limits.peer_frame_bytes;
        let queues = QueueLimits {
            control_bytes: self.limits.control_queue_bytes,
            bulk_bytes: self.limits.bulk_queue_bytes,
            frame_bytes,
        };
        LinkLimits {
            frame_bytes,
            grow: false,
            queues,
        }
    }

    /// `ours`: we are the client of this link.
    fn client_limits(&self, ours: bool) -> LinkLimits {
        let (requests, replies) = (
            self.limits.client_frame_bytes,
            self.limits.reply_frame_bytes,
        );
        let queues = QueueLimits {
            control_bytes: self.limits.client_queue_bytes,
            bulk_bytes: 0,
            frame_bytes: if ours { requests } else { replies },
        };
        LinkLimits {
            frame_bytes: if ours { replies } else { requests },
            grow: !ours,
            queues,
        }
    }

    /// Bytes from a socket.
    pub(crate) fn feed(&mut self, slot: usize, data: &[u8]) {
        self.with_link(slot, |link, out| link.feed(data, out));
    }

    /// Runs `act` on a live link and deals with what it led to.
    pub(crate) fn with_link(
        &mut self,
        slot: usize,
        act: impl FnOnce(&mut Link, &mut Vec<LinkEvent>) -> Result<(), DownReason>,
    ) {
        let mut out = std::mem::take(&mut self.scratch);
        let Some(link) = self.conns.get_mut(slot).and_then(|conn| conn.link.as_mut()) else {
            self.scratch = out;
            return;
        };
        let result = act(link, &mut out);
        for event in out.drain(..) {
            match event {
                LinkEvent::HelloReady => self.hellos.push_back(self.conns[slot].id),
                LinkEvent::Up => self.up(slot),
                LinkEvent::Frame(frame) => self.received(slot, frame),
            }
        }
        self.scratch = out;
        if let Err(reason) = result {
            self.close(slot, reason);
        }
    }

    /// Lets `read` fill the rest of a large frame and then `rest`, and takes what it read. Returns
    /// the bytes read and the bytes that there was room for.
    pub(crate) fn read_with(
        &mut self,
        slot: usize,
        rest: &mut [u8],
        read: impl FnOnce(&mut [MaybeUninit<u8>], &mut [u8]) -> io::Result<usize>,
    ) -> io::Result<(usize, usize)> {
        let link = self.conns.get_mut(slot).and_then(|conn| conn.link.as_mut());
        let direct = link.and_then(Link::direct).unwrap_or_default();
        let (direct_len, room) = (direct.len(), direct.len() + rest.len());
        let len = read(direct, rest)?;
        let filled = len.min(direct_len);
        if filled > 0 {
            // SAFETY: `read` filled `direct` from the front before it touched `rest`, and the link
            // was not used in between.
            self.with_link(slot, |link, out| unsafe { link.direct_filled(filled, out) });
        }
        if len > filled {
            self.feed(slot, &rest[..len - filled]);
        }
        Ok((len, room))
    }

    /// For owned reads: see [`Link::take_buffer`].
    pub(crate) fn take_buffer(&mut self, slot: usize) -> Option<Vec<u8>> {
        self.conns.get_mut(slot)?.link.as_mut()?.take_buffer()
    }

    pub(crate) fn put_buffer(&mut self, slot: usize, buffer: Vec<u8>) {
        self.with_link(slot, |link, out| link.put_buffer(buffer, out));
    }

    pub(crate) fn has_hellos(&self) -> bool {
        !self.hellos.is_empty()
    }

    /// Whether a turn that has written what it can must not wait.
    pub(crate) fn has_work(&self) -> bool {
        !(self.events.is_empty()
            && self.hellos.is_empty()
            && self.dirty.is_empty()
            && self.dials.is_empty()
            && self.closes.is_empty())
    }

    fn received(&mut self, slot: usize, frame: crate::Received) {
        let conn = &self.conns[slot];
        let Some(peer) = conn.peer else { return };
        let stats = match peer {
            Peer::Replica(index) => &mut self.stats.replicas[usize::from(index)],
            Peer::Client(_) | Peer::Server => &mut self.stats.clients,
        };
        stats.frames_in += 1;
        stats.bytes_in += frame.bytes.len() as u64;
        self.events.push(Event::Frame {
            conn: conn.id,
            peer,
            frame,
        });
    }

    /// Answers some hellos; true if more are waiting.
    pub(crate) fn answer_hellos(&mut self) -> bool {
        for _ in 0..HELLOS_PER_TURN {
            let Some(id) = self.hellos.pop_front() else {
                return false;
            };
            let Some(slot) = self.slot_of(id) else {
                continue;
            };
            match self.answer(slot) {
                Ok(()) => self.mark_dirty(slot),
                Err(reason) => self.refuse(slot, reason),
            }
        }
        !self.hellos.is_empty()
    }

    fn answer(&mut self, slot: usize) -> Result<(), DownReason> {
        let (peers, clients) = (self.peer_limits(), self.client_limits(false));
        let Some(hello) = self.conns[slot].link.as_ref().and_then(Link::hello) else {
            return Ok(());
        };
        let (port, from) = (hello.port, hello.from);
        let (expected, limits) = match port {
            Port::Peers => (Some(self.expected_key(hello)?), peers),
            Port::Clients if self.stats.clients_up >= self.limits.clients => {
                return Err(DownReason::TooManyClients);
            }
            Port::Clients => (None, clients),
        };
        self.check_setting(hello)?;
        let (private_key, conn) = (self.private_key, &mut self.conns[slot]);
        if port == Port::Peers {
            conn.role = Role::FromReplica(Some(from));
        }
        let Some(link) = &mut conn.link else {
            return Ok(());
        };
        link.answer(&private_key, expected.as_ref(), limits)
    }

    fn check_setting(&self, hello: &Hello) -> Result<(), DownReason> {
        if hello.cluster_id != self.cluster_id {
            return Err(DownReason::WrongCluster);
        }
        match hello.encryption == self.encryption {
            true => Ok(()),
            false => Err(DownReason::WrongSetting),
        }
    }

    /// The static key that the claimed seat must prove. Lower indices dial higher ones.
    fn expected_key(&self, hello: &Hello) -> Result<[u8; 32], DownReason> {
        self.check_setting(hello)?;
        if hello.to != self.index || hello.from >= self.index {
            return Err(DownReason::WrongIndex);
        }
        let seat = self
            .seats
            .get(usize::from(hello.from))
            .ok_or(DownReason::WrongIndex)?;
        match (seat.config, seat.shape.blocked) {
            (Some(_), true) => Err(DownReason::Blocked),
            (Some(config), false) => Ok(config.public_key),
            (None, _) => Err(DownReason::WrongIndex),
        }
    }

    pub(crate) fn stats(&self) -> Stats {
        let pending = |conn: &Conn| conn.peer.is_none() && !conn.closed;
        let handshaking = self.conns.iter().filter(|(_, conn)| pending(conn)).count();
        Stats {
            handshaking,
            ..self.stats.clone()
        }
    }

    pub(crate) fn count_zero_copy(&mut self, copied: bool) {
        self.stats.zero_copy_sends += 1;
        self.stats.zero_copy_copied += u64::from(copied);
    }
}

impl Seat {
    fn new(config: Option<PeerConfig>, now: Instant) -> Self {
        let shape = Shape::default();
        Self {
            config,
            up: None,
            dialling: None,
            attempts: 0,
            dial_at: now,
            shape,
        }
    }
}

fn check(config: &TransportConfig) -> Result<(), TransportError> {
    let Some(replica) = &config.replica else {
        return Ok(());
    };
    let seat = replica
        .committee
        .get(usize::from(replica.index))
        .copied()
        .flatten();
    let Some(seat) = seat else {
        let (index, len) = (replica.index, replica.committee.len());
        let text = format!("own index {index} has no seat in a committee of {len}");
        return Err(TransportError::Config(text));
    };
    if crate::public_key(&replica.private_key) != seat.public_key {
        let text = format!(
            "the private key is not that of seat {}; use the key file of this replica",
            replica.index
        );
        return Err(TransportError::Config(text));
    }
    if config.limits.peer_frame_bytes > u32::MAX as usize / 2 {
        return Err(TransportError::Config(
            "peer_frame_bytes must stay below 2 GiB".into(),
        ));
    }
    Ok(())
}

impl CloseLog {
    fn note(
        &mut self,
        conn: ConnId,
        role: Role,
        peer: Option<Peer>,
        reason: DownReason,
        now: Instant,
    ) {
        tracing::debug!(conn = conn.0, ?role, ?peer, %reason, "connection ended");
        let quiet = matches!(
            reason,
            DownReason::PeerClosed | DownReason::Local | DownReason::ConnectFailed
        );
        if quiet {
            return;
        }
        if self
            .warned_at
            .is_some_and(|at| now.duration_since(at).as_secs() < 1)
        {
            self.suppressed += 1;
            return;
        }
        let suppressed = std::mem::take(&mut self.suppressed);
        tracing::warn!(conn = conn.0, ?peer, %reason, suppressed, "connection ended");
        self.warned_at = Some(now);
    }
}
