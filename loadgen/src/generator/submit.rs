//! From due requests to frames.

use transport::{SendError, Transport};

use super::Generator;
use crate::session::InFlight;

/// Frames per connection and turn, so that answers are read in between.
const FRAMES_PER_TURN: usize = 4;
/// Bytes in the transport's queue above which nothing is added.
const QUEUE_LEN_BYTES: usize = 1 << 20;
/// Due requests that may wait for a connection to take them (8 bytes each); more are failed.
const UNSENT_MAX: u64 = 8 << 20;

impl Generator {
    /// Takes what is due and gives it to usable connections in turn.
    pub(super) fn take_due(&mut self, now_ns: u64) {
        let start_ns = self.plan.start_ns;
        let now_after_ns = now_ns.saturating_sub(start_ns);
        while let Some(after_ns) = self.schedule.take_due(now_after_ns) {
            let intended_ns = start_ns + after_ns;
            self.account.offered(intended_ns, now_ns);
            if self.unsent >= UNSENT_MAX {
                let request = InFlight {
                    intended_ns,
                    sent_ns: now_ns,
                };
                self.account.failed(request, "too-many-unsent");
                self.schedule.release(now_after_ns);
                continue;
            }
            self.unsent += 1;
            self.assign(intended_ns);
        }
    }

    pub(super) fn assign(&mut self, intended_ns: u64) {
        let slots = self.fleet.slots.len();
        for _ in 0..slots {
            let at = self.next_slot;
            self.next_slot = (at + 1) % slots;
            let slot = &mut self.fleet.slots[at];
            if slot.usable() {
                slot.backlog.push_back(intended_ns);
                return;
            }
        }
        self.orphans.push_back(intended_ns);
    }

    /// Hands over what a connection may take now.
    pub(super) fn fill(&mut self, net: &mut dyn Transport, at: usize, now_ns: u64) {
        for _ in 0..FRAMES_PER_TURN {
            let slot = &mut self.fleet.slots[at];
            let Some(conn) = slot.conn() else { return };
            let frame = match slot.stuck.take() {
                Some(frame) => frame,
                None if net.queued_bytes_conn(conn) > QUEUE_LEN_BYTES => return,
                None => match self.build(at, now_ns) {
                    Some(frame) => frame,
                    None => return,
                },
            };
            match net.reply(conn, frame.clone()) {
                Ok(()) => {}
                Err(SendError::Full) => {
                    self.fleet.slots[at].stuck = Some(frame);
                    return;
                }
                // The end of the connection follows, and moves its requests.
                Err(SendError::Down | SendError::Unknown) => return,
                Err(SendError::TooLarge) => self.account.count("frame-too-large", 1),
            }
        }
    }

    /// One frame: first what has to be sent again, then what is due.
    fn build(&mut self, at: usize, now_ns: u64) -> Option<transport::Frame> {
        let payload_len = self.workload.payload_len_max();
        self.build_resends(at, payload_len);
        self.build_asks(at, payload_len);
        let members = self.fleet.slots[at].members.len();
        let mut skipped = 0;
        while skipped < members
            && !self.fleet.slots[at].backlog.is_empty()
            && self.frames.fits(payload_len)
        {
            let slot = &mut self.fleet.slots[at];
            slot.cursor = (slot.cursor + 1) % members;
            let index = slot.members[slot.cursor];
            let session = &mut self.sessions[index as usize];
            if session.room() == 0 {
                skipped += 1;
                continue;
            }
            // Everything that is due goes to one session: one group, one receipt entry list.
            while let Some(&intended_ns) = slot.backlog.front() {
                if !self.frames.fits(payload_len) {
                    break;
                }
                let Some(seq) = session.open(intended_ns, now_ns) else {
                    break;
                };
                slot.backlog.pop_front();
                self.unsent -= 1;
                self.in_flight += 1;
                self.frames.push(&self.workload, index, seq);
                self.account.sent(intended_ns, now_ns);
            }
            let key = self.keys.get(index as usize);
            self.frames.end_group(&session.id, key);
        }
        self.frames.finish()
    }

    /// Answered transactions again, session by session.
    fn build_asks(&mut self, at: usize, payload_len: usize) {
        while let Some(&(index, _)) = self.fleet.slots[at].asks.front() {
            if !self.frames.fits(payload_len) {
                return;
            }
            let fits = |frames: &crate::frames::FrameBuilder| frames.fits(payload_len);
            while fits(&self.frames)
                && let Some((_, seq)) = self.fleet.slots[at]
                    .asks
                    .pop_front_if(|(other, _)| *other == index)
            {
                self.frames.push(&self.workload, index, seq);
                self.counters.asked_again += 1;
            }
            let key = self.keys.get(index as usize);
            self.frames
                .end_group(&self.sessions[index as usize].id, key);
        }
    }

    fn build_resends(&mut self, at: usize, payload_len: usize) {
        for &index in &self.fleet.slots[at].members {
            let session = &mut self.sessions[index as usize];
            if !session.resends() {
                continue;
            }
            while self.frames.fits(payload_len) {
                let Some(seq) = session.next_resend() else {
                    break;
                };
                self.frames.push(&self.workload, index, seq);
                self.counters.resent += 1;
            }
            let key = self.keys.get(index as usize);
            self.frames.end_group(&session.id, key);
            if !self.frames.fits(payload_len) {
                return;
            }
        }
    }
}
