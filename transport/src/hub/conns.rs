//! The life of connections: made, proven, replaced, closed, released.

use super::*;
use crate::link::{DialKeys, Wire};

impl Hub {
    pub(super) fn insert(&mut self, role: Role, link: Option<Link>) -> Option<usize> {
        let entry = self.conns.vacant_entry();
        let slot = entry.key();
        if slot >> SLOT_BITS != 0 {
            return None;
        }
        let id = ConnId((self.next_id << SLOT_BITS) | slot as u64);
        self.next_id += 1;
        let (peer, full_since) = (None, None);
        entry.insert(Conn {
            id,
            role,
            link,
            peer,
            closed: false,
            dirty: false,
            full_since,
        });
        Some(slot)
    }

    pub(super) fn slot_of(&self, id: ConnId) -> Option<usize> {
        let slot = (id.0 & ((1 << SLOT_BITS) - 1)) as usize;
        self.conns
            .get(slot)
            .filter(|conn| conn.id == id && !conn.closed)
            .map(|_| slot)
    }

    /// A new socket of a listener; `None`: drop it.
    pub(crate) fn accepted(&mut self, port: Port) -> Option<usize> {
        self.stats.accepted += 1;
        self.forget_stale();
        if self.half_open >= self.limits.handshaking {
            self.evict();
        }
        let (role, limits) = match port {
            Port::Peers => (Role::FromReplica(None), self.peer_limits()),
            Port::Clients => (Role::FromClient, self.client_limits(false)),
        };
        let link = Link::accept(port, self.encryption, limits);
        let slot = self.insert(role, Some(link))?;
        let deadline = self.now + self.limits.handshake_timeout;
        self.accepts_pending
            .push_back((deadline, self.conns[slot].id));
        self.half_open += 1;
        Some(slot)
    }

    /// Closes the oldest accepted connection that has not authenticated.
    pub(crate) fn evict(&mut self) {
        self.forget_stale();
        if let Some((_, id)) = self.accepts_pending.pop_front()
            && let Some(slot) = self.slot_of(id)
        {
            self.close(slot, DownReason::HandshakeEvicted);
        }
    }

    fn forget_stale(&mut self) {
        while let Some((_, id)) = self.accepts_pending.front() {
            match self.slot_of(*id) {
                Some(slot) if self.conns[slot].peer.is_none() => return,
                _ => self.accepts_pending.pop_front(),
            };
        }
    }

    /// The socket of a dial is connected: the hello goes out.
    pub(crate) fn connected(&mut self, slot: usize) {
        match self.start_link(slot) {
            Ok(()) => self.mark_dirty(slot),
            Err(reason) => self.close(slot, reason),
        }
    }

    fn start_link(&mut self, slot: usize) -> Result<(), DownReason> {
        let (port, from, to, remote, limits) = match self.conns[slot].role {
            Role::DialsReplica(to) => {
                let seat = self.seats.get(usize::from(to)).and_then(|seat| seat.config);
                let seat = seat.ok_or(DownReason::SeatChanged)?;
                (
                    Port::Peers,
                    self.index,
                    to,
                    seat.public_key,
                    self.peer_limits(),
                )
            }
            Role::DialsServer { public_key } => {
                (Port::Clients, 0, 0, public_key, self.client_limits(true))
            }
            Role::FromReplica(_) | Role::FromClient => return Ok(()),
        };
        let hello = Hello::new(port, self.encryption, from, to, self.cluster_id);
        let private = (port == Port::Peers).then_some(&self.private_key);
        let link = Link::dial(
            &hello,
            DialKeys {
                private,
                remote: &remote,
            },
            limits,
        )?;
        self.conns[slot].link = Some(link);
        Ok(())
    }

    /// The link of `slot` is proven.
    pub(super) fn up(&mut self, slot: usize) {
        let (id, role) = (self.conns[slot].id, self.conns[slot].role);
        let peer = match role {
            Role::DialsReplica(index) | Role::FromReplica(Some(index)) => Peer::Replica(index),
            Role::DialsServer { .. } => Peer::Server,
            Role::FromClient => Peer::Client(id),
            Role::FromReplica(None) => return self.close(slot, DownReason::BadPreamble),
        };
        if let Peer::Replica(index) = peer {
            let seat = &mut self.seats[usize::from(index)];
            if seat.shape.blocked {
                return self.close(slot, DownReason::Blocked);
            }
            let old = seat.up;
            if let Some(old) = old {
                self.close(old, DownReason::Replaced);
            }
            self.seat_up(index, slot);
        } else {
            self.stats.clients_up += 1;
            self.stats.clients.ups += 1;
        }
        if role.is_accepted() {
            self.half_open -= 1;
        }
        self.conns[slot].peer = Some(peer);
        self.mark_dirty(slot);
        self.events.push(Event::Up { conn: id, peer });
    }

    fn seat_up(&mut self, index: u16, slot: usize) {
        let (now, seed) = (self.now, self.random.next());
        let seat = &mut self.seats[usize::from(index)];
        seat.up = Some(slot);
        seat.dialling = seat.dialling.filter(|dialling| *dialling != slot);
        seat.attempts = 0;
        let shape = seat.shape;
        self.stats.replicas[usize::from(index)].ups += 1;
        if let Some(outbox) = self.conns[slot].link.as_mut().and_then(Link::outbox_mut) {
            outbox.set_shape(shape, seed, now);
        }
    }

    pub(crate) fn failed(&mut self, slot: usize, reason: DownReason) {
        self.close(slot, reason);
    }

    /// The stream ended.
    pub(crate) fn ended(&mut self, slot: usize) {
        let link = self.conns.get(slot).and_then(|conn| conn.link.as_ref());
        let reason = link.map_or(DownReason::PeerClosed, Link::end_reason);
        self.close(slot, reason);
    }

    pub(super) fn refuse(&mut self, slot: usize, reason: DownReason) {
        self.close_with(slot, reason, Some(refusal(reason)));
    }

    pub(crate) fn close(&mut self, slot: usize, reason: DownReason) {
        self.close_with(slot, reason, None);
    }

    fn close_with(&mut self, slot: usize, reason: DownReason, words: Option<[u8; REFUSAL_LEN]>) {
        let Some(conn) = self.conns.get_mut(slot).filter(|conn| !conn.closed) else {
            return;
        };
        conn.closed = true;
        conn.link = None;
        let (id, role, peer) = (conn.id, conn.role, conn.peer.take());
        self.closes.push((slot, words));
        self.stats.closed[reason as usize] += 1;
        self.log.note(id, role, peer, reason, self.now);
        match (role, peer) {
            (Role::DialsReplica(index), _) | (_, Some(Peer::Replica(index))) => {
                self.seat_down(index, slot, peer.is_some(), reason);
            }
            (Role::DialsServer { .. } | Role::FromClient, Some(_)) => self.stats.clients_up -= 1,
            _ => {}
        }
        if role.is_accepted() && peer.is_none() {
            self.half_open -= 1;
        }
        match (peer, role) {
            (Some(peer), _) => self.events.push(Event::Down {
                conn: id,
                peer,
                reason,
            }),
            (None, Role::DialsServer { .. }) => {
                self.events.push(Event::Down {
                    conn: id,
                    peer: Peer::Server,
                    reason,
                });
            }
            (None, Role::DialsReplica(peer)) if reason.is_refusal() => {
                self.events.push(Event::Refused { peer, reason });
            }
            _ => {}
        }
    }

    /// Schedules the next dial: exponential, with jitter over the upper half.
    fn seat_down(&mut self, index: u16, slot: usize, was_up: bool, reason: DownReason) {
        let (min, max) = (self.limits.redial_min, self.limits.redial_max);
        let seat = &mut self.seats[usize::from(index)];
        if seat.up == Some(slot) {
            seat.up = None;
        }
        if seat.dialling == Some(slot) {
            seat.dialling = None;
        }
        if was_up || reason == DownReason::SeatChanged {
            seat.attempts = 0;
        }
        let wait = min.saturating_mul(1 << seat.attempts.min(16)).min(max);
        seat.attempts += 1;
        let half_ns = (wait.as_nanos() / 2).min(u128::from(u64::MAX)) as u64;
        let jitter_ns = self.random.below(half_ns + 1);
        let wait_ns = std::time::Duration::from_nanos(half_ns + jitter_ns);
        self.seats[usize::from(index)].dial_at = self.now + wait_ns;
    }

    /// The back end has dropped the socket of a closed slot, and nothing refers to it any more.
    pub(crate) fn release(&mut self, slot: usize) {
        if self.conns.get(slot).is_some_and(|conn| conn.closed) {
            self.conns.remove(slot);
        }
    }

    /// Whether bytes of this slot may be read and written now (a blocked link holds still).
    pub(crate) fn may_move(&self, slot: usize) -> bool {
        self.conns
            .get(slot)
            .is_some_and(|conn| !conn.closed && !self.is_blocked(conn))
    }

    /// Replicas get the larger buffers.
    pub(crate) fn is_replica(&self, slot: usize) -> bool {
        let role = self.conns.get(slot).map(|conn| conn.role);
        matches!(role, Some(Role::DialsReplica(_) | Role::FromReplica(_)))
    }

    pub(super) fn is_blocked(&self, conn: &Conn) -> bool {
        match conn.peer {
            Some(Peer::Replica(index)) => self.seats[usize::from(index)].shape.blocked,
            _ => false,
        }
    }

    /// Sealed bytes to write next; `None`: nothing, or not now.
    pub(crate) fn wire(&mut self, slot: usize) -> Option<&mut Wire> {
        if !self.may_move(slot) {
            return None;
        }
        let wire = self.conns[slot].link.as_mut()?.wire();
        (!wire.is_empty()).then_some(wire)
    }

    /// `len` bytes of the wire went to the kernel.
    pub(crate) fn wrote(&mut self, slot: usize, len: usize) {
        let Some(conn) = self.conns.get_mut(slot) else {
            return;
        };
        let Some(link) = &mut conn.link else { return };
        link.advance(len);
        let (id, Some(peer), Some(outbox)) = (conn.id, conn.peer, link.outbox_mut()) else {
            return;
        };
        let sent = std::mem::take(&mut outbox.sent);
        let drained = outbox.take_drained();
        let stats = match peer {
            Peer::Replica(index) => &mut self.stats.replicas[usize::from(index)],
            Peer::Client(_) | Peer::Server => &mut self.stats.clients,
        };
        stats.frames_out += sent.frames;
        stats.bytes_out += sent.bytes;
        if drained {
            conn.full_since = None;
            self.events.push(Event::Drained { conn: id, peer });
        }
    }

    pub(crate) fn mark_dirty(&mut self, slot: usize) {
        if let Some(conn) = self.conns.get_mut(slot)
            && !conn.dirty
        {
            conn.dirty = true;
            self.dirty.push(slot);
        }
    }

    /// The slots that may have something to write, once.
    pub(crate) fn take_dirty(&mut self, into: &mut Vec<usize>) {
        std::mem::swap(&mut self.dirty, into);
        for slot in into.iter() {
            if let Some(conn) = self.conns.get_mut(*slot) {
                conn.dirty = false;
            }
        }
    }
}
