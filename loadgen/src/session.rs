//! Requests in flight, per session: a ring indexed by sequence number, no allocation per request.

use types::batch::SessionId;

/// Most sequence numbers between a session's oldest unfinished request and its next one. It stays
/// below the window of the replicated seen-set, so that a fail-over cannot fall below that window.
pub const WINDOW_MAX: u64 = 4_096;
const WINDOW_MIN: usize = 64;

/// When a request was meant to be sent and when it was, `CLOCK_MONOTONIC` nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InFlight {
    /// From the schedule.
    pub intended_ns: u64,
    /// First hand-over to a connection, never 0.
    pub sent_ns: u64,
}

const FREE: InFlight = InFlight {
    intended_ns: 0,
    sent_ns: 0,
};

/// One client session. Sequence numbers count from 1.
#[derive(Debug)]
pub struct Session {
    /// Its name on the wire.
    pub id: SessionId,
    /// The connection it is meant for.
    pub home: usize,
    /// The connection it uses now.
    pub route: usize,
    /// Since when, `CLOCK_MONOTONIC` nanoseconds.
    pub routed_ns: u64,
    /// Requests below this number and from `resend_from` on are to be sent again.
    resend: Option<(u64, u64)>,
    /// Lowest number that may be unfinished.
    base: u64,
    next: u64,
    live: u64,
    slots: Vec<InFlight>,
}

impl Session {
    /// A session without any request.
    #[must_use]
    pub fn new(id: SessionId, home: usize) -> Session {
        Session {
            id,
            home,
            route: home,
            routed_ns: 0,
            resend: None,
            base: 1,
            next: 1,
            live: 0,
            slots: vec![FREE; WINDOW_MIN],
        }
    }

    /// Requests without an answer.
    #[must_use]
    pub fn live(&self) -> u64 {
        self.live
    }

    /// How many more requests fit into the window.
    #[must_use]
    pub fn room(&self) -> u64 {
        WINDOW_MAX - (self.next - self.base)
    }

    /// Enters a request and returns its sequence number; nothing if the window is full.
    pub fn open(&mut self, intended_ns: u64, sent_ns: u64) -> Option<u64> {
        if self.room() == 0 {
            return None;
        }
        if (self.next - self.base) as usize == self.slots.len() {
            self.grow();
        }
        let seq = self.next;
        let at = self.at(seq);
        self.slots[at] = InFlight {
            intended_ns,
            sent_ns: sent_ns.max(1),
        };
        self.next += 1;
        self.live += 1;
        Some(seq)
    }

    /// Removes a request; nothing if it is not in flight (finished before, or never made).
    pub fn close(&mut self, seq: u64) -> Option<InFlight> {
        let found = self.get(seq)?;
        let at = self.at(seq);
        self.slots[at] = FREE;
        self.live -= 1;
        while self.base < self.next && self.slots[self.at(self.base)].sent_ns == 0 {
            self.base += 1;
        }
        Some(found)
    }

    /// A request in flight.
    #[must_use]
    pub fn get(&self, seq: u64) -> Option<InFlight> {
        if seq < self.base || seq >= self.next {
            return None;
        }
        Some(self.slots[self.at(seq)]).filter(|slot| slot.sent_ns != 0)
    }

    /// Whether `seq` was ever given out.
    #[must_use]
    pub fn knows(&self, seq: u64) -> bool {
        (1..self.next).contains(&seq)
    }

    /// The oldest request in flight.
    #[must_use]
    pub fn oldest(&self) -> Option<InFlight> {
        self.get(self.base)
    }

    /// Moves the session to another connection, where everything unanswered is to be sent again
    /// if `resend`.
    pub fn reroute(&mut self, route: usize, now_ns: u64, resend: bool) {
        self.route = route;
        self.routed_ns = now_ns;
        if resend && self.live > 0 {
            self.resend = Some((self.base, self.next));
        }
    }

    /// Whether [`Session::next_resend`] has something.
    #[must_use]
    pub fn resends(&self) -> bool {
        self.resend.is_some()
    }

    /// The next request to be sent again.
    pub fn next_resend(&mut self) -> Option<u64> {
        let (mut from, until) = self.resend?;
        while from < until {
            from += 1;
            if self.get(from - 1).is_some() {
                self.resend = (from < until).then_some((from, until));
                return Some(from - 1);
            }
        }
        self.resend = None;
        None
    }

    /// Takes out everything that is in flight, oldest first.
    pub fn drain(&mut self) -> impl Iterator<Item = InFlight> + '_ {
        std::iter::from_fn(|| self.close(self.base))
    }

    fn at(&self, seq: u64) -> usize {
        seq as usize & (self.slots.len() - 1)
    }

    fn grow(&mut self) {
        let mut slots = vec![FREE; self.slots.len() * 2];
        for seq in self.base..self.next {
            slots[seq as usize & (self.slots.len() * 2 - 1)] = self.slots[self.at(seq)];
        }
        self.slots = slots;
    }
}

#[cfg(test)]
mod tests;
