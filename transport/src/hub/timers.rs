//! What is due: dials, deadlines of handshakes, stalled clients, shaped frames.

use super::*;

impl Hub {
    /// Does what is due at `now`.
    pub(crate) fn tick(&mut self, now: Instant) {
        self.now = now;
        self.start_dials();
        self.expire_handshakes();
        self.expire_stalls();
        self.tick_shapers();
    }

    fn start_dials(&mut self) {
        for at in usize::from(self.index) + 1..self.seats.len() {
            let seat = &self.seats[at];
            let Some(config) = seat.config.filter(|_| seat.wants_dial()) else {
                continue;
            };
            if seat.dial_at > self.now {
                continue;
            }
            let Some(slot) = self.insert(Role::DialsReplica(at as u16), None) else {
                return;
            };
            self.seats[at].dialling = Some(slot);
            self.dials.push((slot, config.addr));
            let deadline = self.now + self.limits.handshake_timeout;
            self.dials_pending
                .push_back((deadline, self.conns[slot].id));
        }
    }

    fn expire_handshakes(&mut self) {
        for accepted in [true, false] {
            loop {
                let pending = if accepted {
                    &mut self.accepts_pending
                } else {
                    &mut self.dials_pending
                };
                match pending.front() {
                    Some((deadline, _)) if *deadline <= self.now => {}
                    _ => break,
                }
                let Some((_, id)) = pending.pop_front() else {
                    break;
                };
                if let Some(slot) = self.slot_of(id)
                    && self.conns[slot].peer.is_none()
                {
                    self.close(slot, DownReason::HandshakeTimeout);
                }
            }
        }
    }

    fn expire_stalls(&mut self) {
        while let Some((deadline, id)) = self.stalls.front().copied() {
            if deadline > self.now {
                return;
            }
            self.stalls.pop_front();
            let Some(slot) = self.slot_of(id) else {
                continue;
            };
            let since = self.conns[slot].full_since;
            if since.is_some_and(|since| since + self.limits.client_stall <= deadline) {
                self.close(slot, DownReason::SlowReader);
            }
        }
    }

    fn tick_shapers(&mut self) {
        self.each_shaper(|_, _| {});
    }

    /// Tells all shapers the time; marks links with released frames; returns the next release.
    fn each_shaper(&mut self, mut note: impl FnMut(usize, Instant)) {
        for at in 0..self.seats.len() {
            let seat = &self.seats[at];
            let Some(slot) = seat.up.filter(|_| !seat.shape.blocked) else {
                continue;
            };
            let outbox = self.conns[slot].link.as_mut().and_then(Link::outbox_mut);
            let Some(outbox) = outbox else { continue };
            if let Some(next) = outbox.tick(self.now) {
                note(slot, next);
            }
            if outbox.is_shaped() && outbox.has_ready() {
                self.mark_dirty(slot);
            }
        }
    }

    /// When [`Hub::tick`] is next needed.
    pub(crate) fn next_due(&mut self) -> Option<Instant> {
        let mut next: Option<Instant> = None;
        let mut sooner = |at: Instant| next = Some(next.map_or(at, |next| next.min(at)));
        self.each_shaper(|_, at| sooner(at));
        for seat in self.seats.iter().skip(usize::from(self.index) + 1) {
            if seat.config.is_some() && seat.wants_dial() {
                sooner(seat.dial_at);
            }
        }
        let queues = [&self.accepts_pending, &self.dials_pending, &self.stalls];
        for (deadline, _) in queues.into_iter().filter_map(|queue| queue.front()) {
            sooner(*deadline);
        }
        next
    }
}

impl Seat {
    fn wants_dial(&self) -> bool {
        self.up.is_none() && self.dialling.is_none() && !self.shape.blocked
    }
}
