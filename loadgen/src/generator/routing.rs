//! Fail-over: whose sessions go where, and when.

use super::Generator;
use crate::fleet::Pause;
use crate::notes::NoteKind;

impl Generator {
    /// A connection can carry load: its own sessions come home, and those who have nowhere to be.
    pub(super) fn welcome(&mut self, at: usize, now_ns: u64) {
        // What was sent on the connection before this one has no answer any more.
        for &index in &self.fleet.slots[at].members {
            self.sessions[index as usize].reroute(at, now_ns, true);
        }
        self.come_home(at, now_ns);
        self.rescue(now_ns);
    }

    /// Sessions whose home is `at` use it again. What they sent elsewhere is answered there.
    fn come_home(&mut self, at: usize, now_ns: u64) {
        for index in 0..self.sessions.len() {
            let session = &mut self.sessions[index];
            if session.home != at || session.route == at {
                continue;
            }
            let old = session.route;
            session.reroute(at, now_ns, false);
            let index = index as u32;
            self.fleet.slots[old].members.retain(|&m| m != index);
            self.fleet.slots[at].members.push(index);
        }
    }

    /// The answers to everything on `at` are lost.
    pub(super) fn abandon(&mut self, at: usize, why: &str, now_ns: u64) {
        self.leave(at, why, true, now_ns);
    }

    /// Sessions and due requests of `at` go to usable connections; if there are none, they stay.
    fn leave(&mut self, at: usize, why: &str, resend: bool, now_ns: u64) {
        let backlog = std::mem::take(&mut self.fleet.slots[at].backlog);
        for intended_ns in backlog {
            self.assign(intended_ns);
        }
        let slots = self.fleet.slots.iter().enumerate();
        let usable: Vec<usize> = slots
            .filter(|(other, slot)| *other != at && slot.usable())
            .map(|(other, _)| other)
            .collect();
        let members = self.fleet.slots[at].members.len();
        if usable.is_empty() || members == 0 {
            return;
        }
        let mut unanswered = 0;
        for (turn, index) in std::mem::take(&mut self.fleet.slots[at].members)
            .into_iter()
            .enumerate()
        {
            let route = usable[turn % usable.len()];
            let session = &mut self.sessions[index as usize];
            unanswered += session.live();
            session.reroute(route, now_ns, resend);
            self.fleet.slots[route].members.push(index);
        }
        self.counters.failovers += members as u64;
        let detail = format!("{why}; {members} sessions, {unanswered} requests without answer");
        self.fleet.note(NoteKind::Failover, at, detail, now_ns);
    }

    /// Moves whoever sits on a connection that cannot carry load, and hands out due requests that
    /// nobody could take.
    pub(super) fn rescue(&mut self, now_ns: u64) {
        if !self.fleet.slots.iter().any(|slot| slot.usable()) {
            return;
        }
        for at in 0..self.fleet.slots.len() {
            let slot = &self.fleet.slots[at];
            if !slot.usable() && (!slot.members.is_empty() || !slot.backlog.is_empty()) {
                self.leave(at, "not usable", true, now_ns);
            }
        }
        for intended_ns in std::mem::take(&mut self.orphans) {
            self.assign(intended_ns);
        }
    }

    /// Looks for silent connections, and for pauses that are over.
    pub(super) fn watch(&mut self, now_ns: u64) {
        let before_ns = std::mem::replace(&mut self.watched_ns, now_ns);
        for at in 0..self.fleet.slots.len() {
            let pause = self.fleet.slots[at].pause;
            match pause {
                Some(Pause::Until(until_ns)) if until_ns <= now_ns => self.resume(at, now_ns),
                None if self.is_silent(at, before_ns, now_ns) => {
                    let silent_ns = now_ns - self.fleet.slots[at].last_receipts_ns;
                    let detail = format!("no receipts for {} ms", silent_ns / 1_000_000);
                    self.fleet.note(NoteKind::Silent, at, detail, now_ns);
                    self.fleet.slots[at].pause = Some(Pause::UntilReceipts);
                    self.leave(at, "silent", true, now_ns);
                }
                _ => {}
            }
        }
    }

    /// Requests of its own wait for `failover_ns`, and others made progress for as long without it.
    /// Time in which nobody got receipts counts for nothing: after a stall of the whole cluster
    /// somebody has to be first.
    fn is_silent(&mut self, at: usize, before_ns: u64, now_ns: u64) -> bool {
        let since_ns = now_ns.saturating_sub(self.failover_ns);
        let waits = |&index: &u32| {
            let session = &self.sessions[index as usize];
            let handed = |request: crate::session::InFlight| request.sent_ns.max(session.routed_ns);
            session.oldest().is_some_and(|r| handed(r) <= since_ns)
        };
        let others = self.fleet.slots.iter().enumerate();
        let progress = others
            .filter(|(other, slot)| *other != at && slot.usable())
            .any(|(_, slot)| slot.last_receipts_ns > before_ns);
        let members = &self.fleet.slots[at].members;
        let waits = members.iter().any(waits);
        let is_live = |&index: &u32| self.sessions[index as usize].live() > 0;
        let idle = !members.iter().any(is_live);
        let slot = &mut self.fleet.slots[at];
        if slot.conn().is_none() || idle || slot.last_receipts_ns > before_ns {
            slot.outpaced_ns = 0;
            slot.progress_seen_ns = now_ns;
            return false;
        }
        if progress {
            let gap_ns = now_ns - slot.progress_seen_ns.min(now_ns);
            slot.outpaced_ns += gap_ns.min(self.failover_ns / 4);
            slot.progress_seen_ns = now_ns;
        }
        waits && slot.outpaced_ns >= self.failover_ns
    }

    /// A paused connection may carry load again.
    pub(super) fn resume(&mut self, at: usize, now_ns: u64) {
        self.fleet.slots[at].pause = None;
        self.fleet
            .note(NoteKind::Resumed, at, String::new(), now_ns);
        self.come_home(at, now_ns);
        self.rescue(now_ns);
    }

    /// The replica admits nothing until `until_ns`: new requests go elsewhere. What it refused
    /// stays refused; what it took is still its own.
    pub(super) fn avoid(&mut self, at: usize, until_ns: u64, why: &str, now_ns: u64) {
        let others = self.fleet.slots.iter().enumerate();
        let elsewhere = others
            .into_iter()
            .any(|(other, s)| other != at && s.usable());
        let pause = self.fleet.slots[at].pause;
        if !elsewhere || pause == Some(Pause::UntilReceipts) {
            return;
        }
        self.fleet.slots[at].pause = Some(Pause::Until(until_ns));
        if pause.is_none() {
            self.fleet
                .note(NoteKind::Unavailable, at, why.to_owned(), now_ns);
            self.leave(at, why, false, now_ns);
        }
    }
}
