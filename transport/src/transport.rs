//! The trait that the node's loop, the load generator and the simulator's network all speak.

use crate::{Backend, DownReason, Frame, PeerConfig, Received, ServerConfig, Shape, Stats, Waker};
use std::net::SocketAddr;
use std::time::Duration;

/// Frame-level, synchronous, poll-style network of one process.
///
/// All work happens on the thread that calls [`poll`](Transport::poll); nothing else blocks. A
/// value must be used on the thread that opened it. The intended loop is
/// `loop { transport.poll(timeout, &mut events)?; for event in events.drain(..) { … } }`.
pub trait Transport {
    /// Writes what is queued, then waits up to `timeout` (`None`: without bound) for something to
    /// happen, and appends what happened to `events`. Returns early as soon as there is an event,
    /// and at once if `timeout` is zero. It may return without any event before the timeout.
    ///
    /// What does not fit into a socket now is written by later polls: keep polling.
    ///
    /// # Errors
    /// Only for faults of the machine (ring or epoll broken): a bad peer is never an error here.
    fn poll(
        &mut self,
        timeout: Option<Duration>,
        events: &mut Vec<Event>,
    ) -> Result<(), TransportError>;

    /// Queues a frame to replica `peer`. Never blocks and never copies large bodies: clone one
    /// [`Frame`] to send it to many. Nothing is kept while a peer is down: on [`Event::Up`] the
    /// caller decides what to send again. Order is kept within a class; a control frame overtakes
    /// queued bulk frames.
    ///
    /// # Errors
    /// [`SendError`]; the frame was then not taken.
    fn send(&mut self, peer: u16, class: Class, frame: Frame) -> Result<(), SendError>;

    /// Queues a frame on one client connection: to a client on the replica's side, to the server
    /// on the client's side.
    ///
    /// # Errors
    /// [`SendError`]; the frame was then not taken.
    fn reply(&mut self, conn: ConnId, frame: Frame) -> Result<(), SendError>;

    /// Client side: starts a connection to a replica's client port. [`Event::Up`] or
    /// [`Event::Down`] follows for the returned id; there is no hidden redial.
    ///
    /// # Errors
    /// [`TransportError`] if no socket can be made.
    fn connect(&mut self, server: &ServerConfig) -> Result<ConnId, TransportError>;

    /// Closes a connection. A [`Event::Down`] with [`DownReason::Local`] follows if it had been up
    /// (or came from [`connect`](Transport::connect)). A replica's link will be dialled again.
    fn close(&mut self, conn: ConnId);

    /// A handle by which other threads make [`poll`](Transport::poll) return [`Event::Woken`].
    fn waker(&self) -> Waker;

    /// Bytes (and 64 per frame) that wait in the queue of this replica and class. Up to 256 KiB and
    /// one frame more may be sealed already and on their way into the socket.
    fn queued_bytes(&self, peer: u16, class: Class) -> usize;

    /// The same for a connection with a client or server.
    fn queued_bytes_conn(&self, conn: ConnId) -> usize;

    /// Whether the link to replica `peer` is authenticated and up.
    fn is_up(&self, peer: u16) -> bool;

    /// A snapshot of the counters since `open`.
    fn stats(&self) -> Stats;

    /// The back end which really runs (after a fallback, not the one that was asked for).
    fn backend(&self) -> Backend;

    /// The addresses really bound (useful with port 0).
    fn local_addrs(&self) -> LocalAddrs;

    /// Replaces the shaping of the link to replica `peer`, at once, also for what is queued.
    fn set_shape(&mut self, peer: u16, shape: Shape);

    /// Replaces seat `peer` of the committee (an epoch change). Its connection is closed; `None`
    /// leaves the seat empty.
    fn set_peer(&mut self, peer: u16, config: Option<PeerConfig>);
}

/// One connection, never reused within a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnId(pub u64);

/// Who is at the other end, as proven by the handshake of the link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Peer {
    /// The replica of this index: it proved the committee's static key of that index.
    Replica(u16),
    /// An anonymous client at our client port.
    Client(ConnId),
    /// The replica that we are a client of: it proved the key we expected.
    Server,
}

/// The two send queues of a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Class {
    /// Votes, proposals, certificates: overtakes whole queued bulk frames.
    Control = 0,
    /// Batches of transactions, snapshots.
    Bulk = 1,
}

/// What [`Transport::poll`] reports.
#[derive(Clone, Debug)]
pub enum Event {
    /// An authenticated connection. A replica that reconnects gives `Down` of the old one first.
    Up { conn: ConnId, peer: Peer },
    /// The end of a connection which was up, or which [`Transport::connect`] returned.
    Down {
        conn: ConnId,
        peer: Peer,
        reason: DownReason,
    },
    /// One whole authenticated frame.
    Frame {
        conn: ConnId,
        peer: Peer,
        frame: Received,
    },
    /// A queue that had refused a frame with [`SendError::Full`] is half empty again.
    Drained { conn: ConnId, peer: Peer },
    /// A connection to or from this replica failed for a reason which waiting is unlikely to cure
    /// (wrong key, wrong cluster, wrong setting). Dialling goes on.
    Refused { peer: u16, reason: DownReason },
    /// Some [`Waker`] was used since the last `Woken`; many wakes give one event.
    Woken,
}

/// Why a frame was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    #[error("the queue to this peer is full; wait for Event::Drained or drop the frame")]
    Full,
    #[error("there is no authenticated connection to this peer; wait for Event::Up")]
    Down,
    #[error("the frame is longer than the limit for this kind of peer; split it")]
    TooLarge,
    #[error("no such peer or connection; expected an index of the committee or a live ConnId")]
    Unknown,
}

/// A fault of the machine or of the configuration.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    #[error("cannot listen on {addr}: {source}; choose a free address of this host")]
    Listen {
        addr: SocketAddr,
        source: std::io::Error,
    },
    #[error("cannot make a connection to {addr}: {source}")]
    Connect {
        addr: SocketAddr,
        source: std::io::Error,
    },
    #[error("bad transport configuration: {0}")]
    Config(String),
    #[error("{what}: {source}")]
    Io {
        what: &'static str,
        source: std::io::Error,
    },
}

/// Says that another back end runs than the one asked for, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FallbackNotice {
    pub wanted: Backend,
    pub got: Backend,
    pub why: String,
}

impl std::fmt::Display for FallbackNotice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "transport {} is not available here ({}); using {}",
            self.wanted, self.why, self.got
        )
    }
}

/// Addresses bound by `open`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LocalAddrs {
    pub peers: Option<SocketAddr>,
    pub clients: Option<SocketAddr>,
}
