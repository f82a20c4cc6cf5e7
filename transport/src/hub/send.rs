//! What the owner of the transport asks for.

use super::*;
use crate::{Class, Frame, SendError, ServerConfig};

impl Hub {
    pub(crate) fn send(&mut self, peer: u16, class: Class, frame: Frame) -> Result<(), SendError> {
        let seat = self
            .seats
            .get(usize::from(peer))
            .ok_or(SendError::Unknown)?;
        let Some(slot) = seat.up else {
            let known = seat.config.is_some() && peer != self.index;
            return Err(if known {
                SendError::Down
            } else {
                SendError::Unknown
            });
        };
        let break_per_million = u64::from(seat.shape.break_per_million);
        if break_per_million > 0 && self.random.below(1_000_000) < break_per_million {
            // As with a real loss the sender learns of it later, by Event::Down.
            self.close(slot, DownReason::ShapedLoss);
            return Ok(());
        }
        let result = self.push(slot, class, frame);
        if result == Err(SendError::Full) {
            self.stats.replicas[usize::from(peer)].full += 1;
        }
        result
    }

    pub(crate) fn reply(&mut self, id: ConnId, frame: Frame) -> Result<(), SendError> {
        let slot = self.slot_of(id).ok_or(SendError::Unknown)?;
        match self.conns[slot].peer {
            Some(Peer::Client(_) | Peer::Server) => {}
            Some(Peer::Replica(_)) => return Err(SendError::Unknown),
            None => return Err(SendError::Down),
        }
        let result = self.push(slot, Class::Control, frame);
        if result == Err(SendError::Full) {
            self.stats.clients.full += 1;
            let conn = &mut self.conns[slot];
            let is_client = matches!(conn.peer, Some(Peer::Client(_)));
            if is_client && conn.full_since.is_none() {
                conn.full_since = Some(self.now);
                self.stalls
                    .push_back((self.now + self.limits.client_stall, id));
            }
        }
        result
    }

    fn push(&mut self, slot: usize, class: Class, frame: Frame) -> Result<(), SendError> {
        if frame.is_empty() {
            return Err(SendError::Unknown);
        }
        let outbox = self.conns[slot].link.as_mut().and_then(Link::outbox_mut);
        outbox.ok_or(SendError::Down)?.push(class, frame)?;
        self.mark_dirty(slot);
        Ok(())
    }

    pub(crate) fn connect(&mut self, server: &ServerConfig) -> Result<ConnId, TransportError> {
        let role = Role::DialsServer {
            public_key: server.public_key,
        };
        let slot = self
            .insert(role, None)
            .ok_or_else(|| TransportError::Connect {
                addr: server.addr,
                source: std::io::Error::other("more than a million connections"),
            })?;
        let id = self.conns[slot].id;
        self.dials.push((slot, server.addr));
        self.dials_pending
            .push_back((self.now + self.limits.handshake_timeout, id));
        Ok(id)
    }

    pub(crate) fn close_id(&mut self, id: ConnId) {
        if let Some(slot) = self.slot_of(id) {
            self.close(slot, DownReason::Local);
        }
    }

    pub(crate) fn queued_bytes(&self, peer: u16, class: Class) -> usize {
        let slot = self.seats.get(usize::from(peer)).and_then(|seat| seat.up);
        slot.map_or(0, |slot| self.queued_bytes_slot(slot, class))
    }

    pub(crate) fn queued_bytes_conn(&self, id: ConnId) -> usize {
        let slot = self.slot_of(id);
        slot.map_or(0, |slot| self.queued_bytes_slot(slot, Class::Control))
    }

    fn queued_bytes_slot(&self, slot: usize, class: Class) -> usize {
        let outbox = self
            .conns
            .get(slot)
            .and_then(|conn| conn.link.as_ref()?.outbox());
        outbox.map_or(0, |outbox| outbox.queued_bytes(class))
    }

    pub(crate) fn is_up(&self, peer: u16) -> bool {
        self.seats
            .get(usize::from(peer))
            .is_some_and(|seat| seat.up.is_some())
    }

    pub(crate) fn set_shape(&mut self, peer: u16, shape: Shape) {
        let (now, seed) = (self.now, self.random.next());
        let Some(seat) = self.seats.get_mut(usize::from(peer)) else {
            return;
        };
        let was_blocked = std::mem::replace(&mut seat.shape, shape).blocked;
        let (up, dialling) = (seat.up, seat.dialling);
        if was_blocked && !shape.blocked {
            // Both ends are told at about the same time: try at once, then soon again.
            seat.attempts = 0;
            seat.dial_at = now;
            self.unblocked.extend(up);
        }
        if let (true, Some(slot)) = (shape.blocked, dialling) {
            self.close(slot, DownReason::Blocked);
        }
        if let Some(slot) = up {
            let outbox = self.conns[slot].link.as_mut().and_then(Link::outbox_mut);
            outbox
                .into_iter()
                .for_each(|outbox| outbox.set_shape(shape, seed, now));
            self.mark_dirty(slot);
        }
    }

    pub(crate) fn set_peer(&mut self, peer: u16, config: Option<PeerConfig>) {
        let at = usize::from(peer);
        if peer == self.index {
            return;
        }
        while self.seats.len() <= at {
            self.seats.push(Seat::new(None, self.now));
            self.stats.replicas.push(Default::default());
        }
        let seat = &mut self.seats[at];
        seat.config = config;
        let slots = [seat.up, seat.dialling];
        for slot in slots.into_iter().flatten() {
            self.close(slot, DownReason::SeatChanged);
        }
        // Also those that are half way through a handshake with the old key.
        let claims = |conn: &Conn| matches!(conn.role, Role::FromReplica(Some(i)) if i == peer);
        let stale: Vec<usize> = self
            .conns
            .iter()
            .filter(|(_, conn)| claims(conn))
            .map(|(slot, _)| slot)
            .collect();
        for slot in stale {
            self.close(slot, DownReason::SeatChanged);
        }
        self.seats[at].attempts = 0;
        self.seats[at].dial_at = self.now;
    }
}
