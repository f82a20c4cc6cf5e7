//! The real world under the driver: sockets, journal, crypto helpers. One thread owns it.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use crypto::Job;
use storage::{Journal, Record, SyncToken};
use transport::{Body, Class, ConnId, DownReason, Event, Frame, HEAD_LEN_MAX, Peer, SendError};
use transport::{Shape, Transport, TransportError};
use types::client::{Receipts, Response, SessionEntries};
use types::{Epoch, Message, ReplicaId, SignerSet, Wire};

use crate::crypto_pool::{CryptoPool, PoolStats};
use crate::platform::{ClientId, NodeEvent, Platform};
use crate::{NodeError, REPLY_FRAME_LEN_MAX};

/// Sockets, journal and crypto helpers of one replica.
pub struct RealPlatform {
    transport: Box<dyn Transport>,
    journal: Box<dyn Journal>,
    pool: CryptoPool,
    synced: SyncToken,
    /// Emptied by every poll; kept for its allocation, and for what arrives during a flush.
    incoming: Vec<Event>,
    /// Why a flush failed: the next poll's answer.
    broken: Option<TransportError>,
    unsent: Unsent,
    /// Per replica, why its link was refused, until it comes up.
    refused: Vec<Option<DownReason>>,
}

/// A platform around the real one: for experiments with replicas that lie.
pub trait Real: Platform {
    fn real(&mut self) -> &mut RealPlatform;
}

impl Real for RealPlatform {
    fn real(&mut self) -> &mut RealPlatform {
        self
    }
}

/// Frames that were not sent, by reason. The protocol sends again what matters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Unsent {
    pub peer_down: u64,
    pub peer_full: u64,
    pub client_gone: u64,
    pub client_full: u64,
    /// Longer than the limit of the link: a defect of the sender.
    pub too_large: u64,
}

/// Everything that is counted below the driver.
#[derive(Debug, Clone)]
pub struct PlatformStats {
    pub transport: transport::Stats,
    pub journal: storage::Stats,
    pub journal_staged_bytes: u64,
    pub pool: PoolStats,
    pub unsent: Unsent,
    /// By replica index: whether its link is up, and why it is refused.
    pub peers_up: Vec<bool>,
    pub peers_refused: Vec<Option<DownReason>>,
}

impl RealPlatform {
    /// `seats`: size of the committee.
    pub fn new(
        transport: Box<dyn Transport>,
        journal: Box<dyn Journal>,
        pool: CryptoPool,
        seats: usize,
    ) -> RealPlatform {
        RealPlatform {
            transport,
            journal,
            pool,
            synced: SyncToken::START,
            incoming: Vec::new(),
            broken: None,
            unsent: Unsent::default(),
            refused: vec![None; seats],
        }
    }

    /// Flushes the sockets, waits up to `timeout` for something to happen, and appends what happened.
    /// Does not wait while an answer of the journal or of the crypto helpers is there.
    ///
    /// # Errors
    /// [`NodeError`]: a broken disk, machine or helper. All of them are fatal.
    pub fn poll(
        &mut self,
        timeout: Duration,
        events: &mut Vec<NodeEvent>,
    ) -> Result<(), NodeError> {
        if let Some(why) = self.broken.take() {
            return Err(why.into());
        }
        let timeout = match self.pool.has_done() || !self.incoming.is_empty() {
            true => Duration::ZERO,
            false => timeout,
        };
        let mut incoming = std::mem::take(&mut self.incoming);
        self.transport.poll(Some(timeout), &mut incoming)?;
        events.extend(incoming.drain(..).filter_map(|event| self.translate(event)));
        self.incoming = incoming;
        self.collect(events)
    }

    /// Appends the answers of journal and crypto helpers, without looking at the sockets.
    ///
    /// # Errors
    /// As [`RealPlatform::poll`].
    pub fn collect(&mut self, events: &mut Vec<NodeEvent>) -> Result<(), NodeError> {
        self.pool.check()?;
        while let Some((tag, done)) = self.pool.take() {
            events.push(NodeEvent::Done { tag, done });
        }
        let synced = self.journal.synced()?;
        if synced > self.synced {
            self.synced = synced;
            events.push(NodeEvent::Synced(synced));
        }
        Ok(())
    }

    /// Whether everything appended is durable.
    ///
    /// # Errors
    /// As [`RealPlatform::poll`].
    pub fn is_durable(&mut self) -> Result<bool, NodeError> {
        let wanted = self.journal.sync();
        Ok(self.journal.synced()? >= wanted)
    }

    pub fn stats(&self) -> PlatformStats {
        PlatformStats {
            transport: self.transport.stats(),
            journal: self.journal.stats(),
            journal_staged_bytes: self.journal.staged_bytes(),
            pool: self.pool.stats(),
            unsent: self.unsent,
            peers_up: (0..self.refused.len())
                .map(|peer| self.transport.is_up(peer as u16))
                .collect(),
            peers_refused: self.refused.clone(),
        }
    }

    /// Replaces the shape of the link to `peer`; fault injection only.
    pub fn set_shape(&mut self, peer: ReplicaId, shape: Shape) {
        self.transport.set_shape(peer.0, shape);
    }

    /// Sends bytes which need not be a message.
    pub fn send_raw(&mut self, to: ReplicaId, bytes: Bytes, is_bulk: bool) {
        let class = match is_bulk {
            true => Class::Bulk,
            false => Class::Control,
        };
        self.send_frame(to, class, whole(bytes), "raw");
    }

    fn translate(&mut self, event: Event) -> Option<NodeEvent> {
        Some(match event {
            Event::Frame { peer, frame, .. } => match peer {
                Peer::Replica(from) => NodeEvent::Peer {
                    from: ReplicaId(from),
                    body_hash: frame.body_hash.filter(|_| frame.head_len == 1),
                    frame: frame.bytes,
                },
                Peer::Client(conn) => NodeEvent::Client {
                    client: ClientId(conn.0),
                    frame: frame.bytes,
                },
                Peer::Server => return None,
            },
            Event::Up { peer, .. } => match peer {
                Peer::Replica(index) => {
                    self.note_refusal(index, None);
                    tracing::info!(peer = index, "link up");
                    NodeEvent::PeerUp(ReplicaId(index))
                }
                Peer::Client(conn) => NodeEvent::ClientUp(ClientId(conn.0)),
                Peer::Server => return None,
            },
            Event::Down { peer, reason, .. } => match peer {
                Peer::Replica(index) => {
                    tracing::warn!(peer = index, reason = reason.name(), "link down");
                    NodeEvent::PeerDown(ReplicaId(index))
                }
                Peer::Client(conn) => {
                    tracing::debug!(client = conn.0, reason = reason.name(), "client gone");
                    NodeEvent::ClientDown(ClientId(conn.0))
                }
                Peer::Server => return None,
            },
            Event::Refused { peer, reason } => {
                // Dialling goes on, and so would this line: it is logged when the reason changes.
                if self.note_refusal(peer, Some(reason)) {
                    tracing::error!(
                        peer,
                        reason = reason.name(),
                        "link refused: compare committee files, keys and [transport] of both sides"
                    );
                }
                return None;
            }
            Event::Drained { .. } | Event::Woken => return None,
        })
    }

    /// True if the reason is a new one.
    fn note_refusal(&mut self, peer: u16, reason: Option<DownReason>) -> bool {
        match self.refused.get_mut(usize::from(peer)) {
            Some(known) => std::mem::replace(known, reason) != reason,
            None => false,
        }
    }

    fn send_frame(&mut self, to: ReplicaId, class: Class, frame: Frame, name: &'static str) {
        match self.transport.send(to.0, class, frame) {
            Ok(()) => {}
            Err(SendError::Down | SendError::Unknown) => self.unsent.peer_down += 1,
            Err(SendError::Full) => self.unsent.peer_full += 1,
            Err(SendError::TooLarge) => {
                self.unsent.too_large += 1;
                tracing::error!(
                    peer = to.0,
                    message = name,
                    "message longer than the link allows"
                );
            }
        }
    }

    fn reply_bytes(&mut self, client: ClientId, bytes: Bytes) {
        match self.transport.reply(ConnId(client.0), whole(bytes)) {
            Ok(()) => {}
            Err(SendError::Down | SendError::Unknown) => self.unsent.client_gone += 1,
            Err(SendError::Full) => self.unsent.client_full += 1,
            Err(SendError::TooLarge) => {
                self.unsent.too_large += 1;
                tracing::error!(client = client.0, "reply longer than the link allows");
            }
        }
    }
}

impl Platform for RealPlatform {
    fn send(&mut self, to: ReplicaId, message: &Message) {
        self.send_frame(to, class(message), frame(message), message.name());
    }

    fn broadcast(&mut self, to: SignerSet, message: &Message) {
        let frame = frame(message);
        for peer in to.iter() {
            self.send_frame(peer, class(message), frame.clone(), message.name());
        }
    }

    fn flush(&mut self) {
        let mut incoming = std::mem::take(&mut self.incoming);
        let result = self.transport.poll(Some(Duration::ZERO), &mut incoming);
        self.incoming = incoming;
        self.broken = self.broken.take().or(result.err());
    }

    fn reply(&mut self, client: ClientId, response: &Response) {
        let bytes = response.encode();
        match response {
            Response::Receipts(receipts) if bytes.len() > REPLY_FRAME_LEN_MAX => {
                for part in split(receipts) {
                    self.reply(client, &Response::Receipts(part));
                }
            }
            _ => self.reply_bytes(client, bytes),
        }
    }

    fn append(&mut self, record: Record) {
        self.journal.append(record);
    }

    fn sync(&mut self) -> SyncToken {
        self.journal.sync()
    }

    fn rotate(&mut self, base: Vec<Record>) {
        self.journal.rotate(base);
    }

    fn journal_bytes(&self) -> u64 {
        self.journal.usage().live_bytes + self.journal.staged_bytes()
    }

    fn submit(&mut self, tag: u64, epoch: &Epoch, job: Job) {
        self.pool.submit(tag, *epoch, job);
    }
}

impl fmt::Debug for RealPlatform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RealPlatform")
            .field("backend", &self.transport.backend())
            .field("unsent", &self.unsent)
            .finish_non_exhaustive()
    }
}

fn class(message: &Message) -> Class {
    match message.is_bulk() {
        true => Class::Bulk,
        false => Class::Control,
    }
}

/// Bodies are shared with the caller, with all receivers and with the store.
fn frame(message: &Message) -> Frame {
    match message.to_parts() {
        (head, Some(body)) => Frame::with_body(head, Body::new([body])),
        (bytes, None) => whole(bytes),
    }
}

/// A frame of one buffer, whatever its length.
fn whole(mut bytes: Bytes) -> Frame {
    if bytes.len() <= HEAD_LEN_MAX {
        return Frame::new(bytes);
    }
    let head = bytes.split_to(1);
    Frame::with_body(head, Body::new([bytes]))
}

/// The same receipts in two frames, each with the proof. A single entry cannot be too long.
fn split(receipts: &Receipts) -> Vec<Receipts> {
    let with = |sessions: Vec<SessionEntries>| Receipts {
        sessions,
        ..receipts.clone()
    };
    match receipts.sessions.as_slice() {
        [] => Vec::new(),
        [one] if one.entries.len() < 2 => Vec::new(),
        [one] => {
            let (first, second) = one.entries.split_at(one.entries.len() / 2);
            [first, second]
                .map(|entries| {
                    with(vec![SessionEntries {
                        session: one.session,
                        entries: entries.to_vec(),
                    }])
                })
                .into()
        }
        many => {
            let (first, second) = many.split_at(many.len() / 2);
            vec![with(first.to_vec()), with(second.to_vec())]
        }
    }
}

#[cfg(test)]
mod tests;
