//! The connections: dialling, greeting, loss, silence, and who may carry load now.

use std::collections::{HashMap, VecDeque};

use transport::{ConnId, DownReason, Event, Frame, ServerConfig, Transport};
use types::client::Response;
use types::{ClusterId, Mode, Wire};

use crate::notes::{Note, NoteKind, Notes};

const MS: u64 = 1_000_000;
const REDIAL_NS_MIN: u64 = 50 * MS;
const REDIAL_NS_MAX: u64 = 1_000 * MS;
/// From dial to the replica's hello.
const GREETING_NS_MAX: u64 = 5_000 * MS;

/// How far a connection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Link {
    /// To be dialled at this time.
    Idle {
        dial_ns: u64,
    },
    /// Dialled or up, without a hello; given up at this time.
    Greeting {
        conn: ConnId,
        until_ns: u64,
    },
    Ready {
        conn: ConnId,
    },
}

/// Why a connection that is up carries no new load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pause {
    /// Silent; until its next receipts.
    UntilReceipts,
    /// The replica said so; until this time.
    Until(u64),
}

/// One connection to one replica.
#[derive(Debug)]
pub struct Slot {
    /// Index of the replica.
    pub replica: usize,
    server: ServerConfig,
    link: Link,
    redial_ns: u64,
    was_ready: bool,
    /// What the replica said last about its mode.
    pub mode: Mode,
    /// Set while it shall carry no new load.
    pub pause: Option<Pause>,
    /// Last receipts.
    pub last_receipts_ns: u64,
    /// How long others got receipts since then.
    pub outpaced_ns: u64,
    /// When that was last noticed.
    pub progress_seen_ns: u64,
    /// Sessions that use it now.
    pub members: Vec<u32>,
    /// Whose turn it is among them.
    pub cursor: usize,
    /// Intended times that are due and not yet handed over.
    pub backlog: VecDeque<u64>,
    /// A frame that the transport did not take.
    pub stuck: Option<Frame>,
    /// The connection was lost: what was said meanwhile about receipts was said to nobody.
    pub missed: bool,
    /// Answered transactions whose place is asked for again, by session and number.
    pub asks: VecDeque<(u32, u64)>,
}

impl Slot {
    /// The connection, if the replica has greeted.
    #[must_use]
    pub fn conn(&self) -> Option<ConnId> {
        match self.link {
            Link::Ready { conn } => Some(conn),
            _ => None,
        }
    }

    /// Whether it shall carry new load.
    #[must_use]
    pub fn usable(&self) -> bool {
        self.conn().is_some() && self.pause.is_none()
    }
}

/// What an event of the transport means to the generator.
#[derive(Debug)]
pub enum Change {
    /// Connection `0` can carry load; the replica's mode.
    Ready(usize, Mode),
    /// Connection `0` is lost; what it carried has no answer.
    Lost(usize),
    /// Bytes of a response on connection `0`.
    Frame(usize, bytes::Bytes),
}

/// All connections.
#[derive(Debug)]
pub struct Fleet {
    /// By connection index.
    pub slots: Vec<Slot>,
    by_conn: HashMap<ConnId, usize>,
    cluster: ClusterId,
    /// The record of what happens here.
    pub notes: Notes,
    /// Connections that came up again.
    pub reconnects: u64,
    /// The last reason for which a connection ended.
    pub last_reason: Option<String>,
}

impl Fleet {
    /// Connection `i` goes to `servers[i]`, which is replica `i.0`.
    #[must_use]
    pub fn new(servers: Vec<(usize, ServerConfig)>, cluster: ClusterId, notes: Notes) -> Fleet {
        let slot = |(replica, server)| Slot {
            replica,
            server,
            link: Link::Idle { dial_ns: 0 },
            redial_ns: REDIAL_NS_MIN,
            was_ready: false,
            missed: false,
            asks: VecDeque::new(),
            mode: Mode::Nominal,
            pause: None,
            last_receipts_ns: 0,
            outpaced_ns: 0,
            progress_seen_ns: 0,
            members: Vec::new(),
            cursor: 0,
            backlog: VecDeque::new(),
            stuck: None,
        };
        Fleet {
            slots: servers.into_iter().map(slot).collect(),
            by_conn: HashMap::new(),
            cluster,
            notes,
            reconnects: 0,
            last_reason: None,
        }
    }

    /// Connections on which the replica has greeted.
    #[must_use]
    pub fn ready(&self) -> usize {
        self.slots.iter().filter(|s| s.conn().is_some()).count()
    }

    /// Dials what is due, gives up greetings that are overdue.
    pub fn tend(&mut self, net: &mut dyn Transport, now_ns: u64) {
        for at in 0..self.slots.len() {
            match self.slots[at].link {
                Link::Idle { dial_ns } if dial_ns <= now_ns => self.dial(net, at, now_ns),
                Link::Greeting { conn, until_ns } if until_ns <= now_ns => {
                    self.by_conn.remove(&conn);
                    net.close(conn);
                    self.ended(at, "no hello in time", now_ns);
                }
                _ => {}
            }
        }
    }

    fn dial(&mut self, net: &mut dyn Transport, at: usize, now_ns: u64) {
        match net.connect(&self.slots[at].server) {
            Ok(conn) => {
                self.by_conn.insert(conn, at);
                let until_ns = now_ns + GREETING_NS_MAX;
                self.slots[at].link = Link::Greeting { conn, until_ns };
            }
            Err(error) => self.ended(at, &error.to_string(), now_ns),
        }
    }

    fn ended(&mut self, at: usize, why: &str, now_ns: u64) {
        let slot = &mut self.slots[at];
        let dial_ns = now_ns + slot.redial_ns;
        slot.redial_ns = (slot.redial_ns * 2).min(REDIAL_NS_MAX);
        slot.link = Link::Idle { dial_ns };
        slot.pause = None;
        slot.stuck = None;
        self.last_reason = Some(format!("connection {at}: {why}"));
        self.note(NoteKind::Disconnected, at, why.to_owned(), now_ns);
    }

    /// What an event means; nothing for those that mean nothing.
    pub fn on_event(
        &mut self,
        net: &mut dyn Transport,
        event: Event,
        now_ns: u64,
    ) -> Option<Change> {
        match event {
            Event::Down { conn, reason, .. } => self.on_down(conn, reason, now_ns),
            Event::Frame { conn, frame, .. } => {
                let at = *self.by_conn.get(&conn)?;
                match self.slots[at].link {
                    Link::Ready { .. } => Some(Change::Frame(at, frame.bytes)),
                    _ => self.on_greeting(net, at, conn, frame.bytes, now_ns),
                }
            }
            // Up is followed by the hello; Drained is noticed by the next turn.
            _ => None,
        }
    }

    fn on_down(&mut self, conn: ConnId, reason: DownReason, now_ns: u64) -> Option<Change> {
        let at = self.by_conn.remove(&conn)?;
        let lost = self.slots[at].conn().is_some();
        self.ended(at, reason.name(), now_ns);
        lost.then_some(Change::Lost(at))
    }

    fn on_greeting(
        &mut self,
        net: &mut dyn Transport,
        at: usize,
        conn: ConnId,
        bytes: bytes::Bytes,
        now_ns: u64,
    ) -> Option<Change> {
        let wrong = match Response::decode(bytes) {
            Ok(Response::Hello {
                cluster,
                replica,
                mode,
                ..
            }) => {
                // Its epoch may be a later one than ours: how it began comes next.
                if cluster != self.cluster {
                    format!("cluster {cluster}, expected {}", self.cluster)
                } else if replica.index() != self.slots[at].replica {
                    format!("replica {replica}, expected {}", self.slots[at].replica)
                } else {
                    return Some(self.greeted(at, conn, mode, now_ns));
                }
            }
            Ok(_) => "another response before the hello".to_owned(),
            Err(error) => format!("no response: {error}"),
        };
        self.note(NoteKind::WrongHello, at, wrong.clone(), now_ns);
        self.by_conn.remove(&conn);
        net.close(conn);
        self.slots[at].redial_ns = REDIAL_NS_MAX;
        self.ended(at, &format!("wrong hello: {wrong}"), now_ns);
        None
    }

    fn greeted(&mut self, at: usize, conn: ConnId, mode: Mode, now_ns: u64) -> Change {
        let slot = &mut self.slots[at];
        slot.link = Link::Ready { conn };
        slot.redial_ns = REDIAL_NS_MIN;
        slot.last_receipts_ns = now_ns;
        (slot.outpaced_ns, slot.progress_seen_ns) = (0, now_ns);
        let kind = match std::mem::replace(&mut slot.was_ready, true) {
            false => NoteKind::Connected,
            true => {
                self.reconnects += 1;
                NoteKind::Reconnected
            }
        };
        self.note(kind, at, String::new(), now_ns);
        Change::Ready(at, mode)
    }

    /// Adds a line about connection `at`.
    pub fn note(&mut self, kind: NoteKind, at: usize, detail: String, now_ns: u64) {
        let replica = self.slots[at].replica;
        self.notes.add(&Note {
            monotonic_ns: now_ns,
            kind,
            connection: at,
            replica,
            detail,
        });
    }

    /// When [`Fleet::tend`] has to be called next, if ever.
    #[must_use]
    pub fn due_ns(&self) -> Option<u64> {
        let due = self.slots.iter().filter_map(|slot| match slot.link {
            Link::Idle { dial_ns } => Some(dial_ns),
            Link::Greeting { until_ns, .. } => Some(until_ns),
            Link::Ready { .. } => None,
        });
        due.min()
    }
}
