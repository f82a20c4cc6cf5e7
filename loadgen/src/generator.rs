//! The load generator without a clock, a socket or a thread of its own: time comes in as an
//! argument, frames go to whatever implements [`Transport`].
//!
//! A turn: take what is due from the schedule, share it out among the connections, hand it over.
//! Answers come in by [`Generator::on_event`], verdicts about proofs by [`Generator::on_verdicts`].
//! Neither can change the schedule.

mod answers;
mod recovery;
mod routing;
mod submit;

use std::collections::{HashMap, VecDeque};

use crypto::ClientKey;
use measure::{MeasureError, SeriesRow};
use transport::{Event, Transport};
use types::Epoch;
use types::batch::SessionId;

use crate::account::{Account, Plan};
use crate::claims::{Claim, Verdict};
use crate::fleet::{Change, Fleet};
use crate::frames::FrameBuilder;
use crate::notes::NoteKind;
use crate::places::Places;
use crate::proofs::{Conflict, ProofBook};
use crate::receipts_log::ReceiptsLog;
use crate::schedule::Schedule;
use crate::session::Session;
use crate::workload::Workload;
use recovery::Recovery;

const SECOND_NS: u64 = 1_000_000_000;
/// How often silence is looked for.
const WATCH_NS: u64 = 20_000_000;
/// How soon a connection that took nothing is tried again.
const BLOCKED_NS: u64 = 1_000_000;

/// Parts from which a generator is put together.
#[derive(Debug)]
pub struct Parts {
    /// Connections, already greeted or not.
    pub fleet: Fleet,
    /// Names of the sessions; session `i` has connection `i mod connections` as its home.
    pub sessions: Vec<SessionId>,
    /// Keys of the sessions, or nothing for unsigned groups.
    pub keys: Vec<ClientKey>,
    /// The first epoch, with the cluster that signatures name.
    pub epoch: Epoch,
    /// Intended times after the start.
    pub schedule: Schedule,
    /// Payloads.
    pub workload: Workload,
    /// Counts and recorders.
    pub account: Account,
    /// Proofs.
    pub proofs: ProofBook,
    /// `receipts.bin`, if asked for.
    pub receipts_log: Option<ReceiptsLog>,
    /// Whether conflicts go to the replicas.
    pub hand_in: bool,
    /// Sends are gathered for this long.
    pub coalesce_ns: u64,
    /// Silence after which a connection loses its sessions.
    pub failover_ns: u64,
    /// Proofs are gathered for this long.
    pub verify_every_ns: u64,
}

/// The core of the load generator.
#[derive(Debug)]
pub struct Generator {
    pub(crate) fleet: Fleet,
    sessions: Vec<Session>,
    by_id: HashMap<SessionId, u32>,
    keys: Vec<ClientKey>,
    schedule: Schedule,
    workload: Workload,
    frames: FrameBuilder,
    pub(crate) account: Account,
    pub(crate) proofs: ProofBook,
    receipts_log: Option<ReceiptsLog>,
    /// Kept where receipts are.
    places: Places,
    recovery: Recovery,
    plan: Plan,
    coalesce_ns: u64,
    failover_ns: u64,
    verify_every_ns: u64,
    /// Due requests that no connection could take.
    orphans: VecDeque<u64>,
    next_slot: usize,
    /// Due and not yet handed over, wherever they wait.
    unsent: u64,
    in_flight: u64,
    flushed_ns: u64,
    watched_ns: u64,
    claims_due_ns: Option<u64>,
    next_tick_ns: u64,
    /// The latest moment that was told.
    seen_ns: u64,
    /// Numbers that go into the result as they are.
    pub(crate) counters: Counters,
    conflicts: Vec<Conflict>,
    done: bool,
}

/// What has no place in [`Account`].
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Counters {
    pub duplicates: u64,
    pub receipts_checked: u64,
    pub receipts_bad: u64,
    /// Requests with a receipt.
    pub receipts_held: u64,
    pub failovers: u64,
    pub resent: u64,
    /// Answered transactions submitted again to learn where they stand.
    pub asked_again: u64,
}

impl Generator {
    /// Takes over connections; sessions on connections that are down move at once.
    #[must_use]
    pub fn new(parts: Parts, now_ns: u64) -> Generator {
        let plan = *parts.account.plan();
        let mut fleet = parts.fleet;
        let homes = fleet.slots.len();
        let sessions: Vec<Session> = (0..)
            .zip(&parts.sessions)
            .map(|(at, id): (usize, _)| Session::new(*id, at % homes))
            .collect();
        for (at, session) in (0u32..).zip(&sessions) {
            fleet.slots[session.home].members.push(at);
        }
        let mut generator = Generator {
            fleet,
            by_id: parts.sessions.iter().copied().zip(0u32..).collect(),
            sessions,
            keys: parts.keys,
            schedule: parts.schedule,
            workload: parts.workload,
            frames: FrameBuilder::new(parts.epoch.cluster),
            account: parts.account,
            proofs: parts.proofs,
            receipts_log: parts.receipts_log,
            places: Places::default(),
            recovery: Recovery::new(parts.epoch, parts.hand_in),
            plan,
            coalesce_ns: parts.coalesce_ns,
            failover_ns: parts.failover_ns,
            verify_every_ns: parts.verify_every_ns,
            orphans: VecDeque::new(),
            next_slot: 0,
            unsent: 0,
            in_flight: 0,
            flushed_ns: 0,
            watched_ns: now_ns,
            claims_due_ns: None,
            next_tick_ns: plan.start_ns + SECOND_NS,
            seen_ns: now_ns,
            counters: Counters::default(),
            conflicts: Vec::new(),
            done: false,
        };
        generator.rescue(now_ns);
        generator
    }

    /// Everything that is due at `now_ns`. A row is returned when a second ended.
    ///
    /// # Errors
    /// When the record cannot be written.
    pub fn turn(
        &mut self,
        net: &mut dyn Transport,
        now_ns: u64,
    ) -> Result<Option<SeriesRow>, MeasureError> {
        self.seen_ns = now_ns;
        self.fleet.tend(net, now_ns);
        self.speak(net);
        if now_ns >= self.watched_ns + WATCH_NS {
            self.watch(now_ns);
        }
        if self.flush_ns().is_some_and(|due_ns| due_ns <= now_ns) {
            self.take_due(now_ns);
            self.flushed_ns = now_ns;
        }
        for slot in 0..self.fleet.slots.len() {
            self.fill(net, slot, now_ns);
        }
        self.done = self.is_drained() || now_ns >= self.plan.end_ns;
        if now_ns < self.next_tick_ns {
            return Ok(None);
        }
        self.next_tick_ns += SECOND_NS * (1 + (now_ns - self.next_tick_ns) / SECOND_NS);
        self.fleet.notes.check()?;
        self.tick(now_ns).map(Some)
    }

    fn tick(&mut self, now_ns: u64) -> Result<SeriesRow, MeasureError> {
        let connected = self.fleet.ready() as u64;
        if let Some(log) = &mut self.receipts_log {
            log.flush()?;
        }
        let mode = self.take_worst_mode();
        self.account.tick(now_ns, self.in_flight, connected, mode)
    }

    /// What the transport reported.
    pub fn on_event(&mut self, net: &mut dyn Transport, event: Event, now_ns: u64) {
        self.seen_ns = now_ns;
        match self.fleet.on_event(net, event, now_ns) {
            None => {}
            Some(Change::Ready(slot, mode)) => {
                self.on_mode(slot, mode, now_ns);
                self.welcome(slot, now_ns);
            }
            Some(Change::Lost(slot)) => {
                self.fleet.slots[slot].missed = true;
                self.abandon(slot, "connection lost", now_ns);
            }
            Some(Change::Frame(slot, bytes)) => self.on_response(slot, bytes, now_ns),
        }
    }

    /// Proofs to be checked by somebody, once they were gathered for long enough (or `all`).
    pub fn take_claims(&mut self, now_ns: u64, all: bool) -> Option<Vec<Claim>> {
        if !self.proofs.has_claims() {
            return None;
        }
        let due_ns = *self
            .claims_due_ns
            .get_or_insert(now_ns + self.verify_every_ns);
        if now_ns < due_ns && !all {
            return None;
        }
        self.claims_due_ns = None;
        Some(self.proofs.take_claims())
    }

    /// What was said about claims that were given out.
    pub fn on_verdicts(&mut self, verdicts: Vec<(Claim, Verdict)>, now_ns: u64) {
        self.seen_ns = now_ns;
        let mut rulings = Vec::new();
        for (claim, verdict) in verdicts {
            self.proofs.settle(claim, verdict, &mut rulings);
        }
        self.rule_all(rulings, now_ns);
        self.note_conflicts(now_ns);
    }

    fn note_conflicts(&mut self, now_ns: u64) {
        for conflict in self.proofs.take_conflicts() {
            // Without checks one liar makes a contradiction: only proofs make it a conflict.
            let proven = conflict.second.1.is_some();
            let kind = if proven {
                "conflict"
            } else {
                "conflict-unproven"
            };
            self.account.count(kind, 1);
            let detail = format!(
                "height {}: {} and {}",
                conflict.height, conflict.first.0, conflict.second.0
            );
            self.fleet.note(NoteKind::Conflict, 0, detail, now_ns);
            self.hand_in(&conflict);
            self.conflicts.push(conflict);
        }
    }

    /// Conflicts found since the last call.
    pub fn take_conflicts(&mut self) -> Vec<Conflict> {
        std::mem::take(&mut self.conflicts)
    }

    /// True when nothing is left to be done, or nobody waits any longer.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.done
    }

    /// Whether the whole schedule was offered.
    #[must_use]
    pub fn is_offered(&self) -> bool {
        self.schedule.peek().is_none()
    }

    fn is_drained(&self) -> bool {
        self.is_offered() && self.in_flight == 0 && self.unsent == 0
    }

    /// Requests handed over and not answered.
    #[must_use]
    pub fn in_flight(&self) -> u64 {
        self.in_flight
    }

    /// When sends are next due.
    fn flush_ns(&self) -> Option<u64> {
        let next_ns = self.plan.start_ns + self.schedule.peek()?;
        Some(next_ns.max(self.flushed_ns + self.coalesce_ns))
    }

    /// When [`Generator::turn`] has to be called next, whatever happens, and whether that moment is
    /// one of sending (worth hitting exactly). `checker_free` says whether claims would be taken.
    #[must_use]
    pub fn wake_ns(&self, now_ns: u64, checker_free: bool) -> (u64, bool) {
        let send_ns = self.flush_ns().unwrap_or(u64::MAX);
        let mut other_ns = self.plan.end_ns.min(self.next_tick_ns);
        if self.in_flight > 0 {
            other_ns = other_ns.min(self.watched_ns + WATCH_NS);
        }
        if self.is_blocked() {
            // A full queue or window has no event of ours; it is looked at again soon.
            other_ns = other_ns.min(now_ns + BLOCKED_NS);
        }
        if checker_free {
            other_ns = other_ns.min(self.claims_due_ns.unwrap_or(u64::MAX));
        }
        other_ns = other_ns.min(self.fleet.due_ns().unwrap_or(u64::MAX));
        (send_ns.min(other_ns), send_ns <= other_ns)
    }

    fn is_blocked(&self) -> bool {
        let waits = |slot: &crate::fleet::Slot| slot.stuck.is_some() || !slot.backlog.is_empty();
        self.fleet.slots.iter().any(waits)
    }

    /// Ends the run: whatever has no answer is unfinished, at its age. Writes the last interval.
    ///
    /// # Errors
    /// When the record cannot be written.
    pub fn finish(&mut self, now_ns: u64) -> Result<SeriesRow, MeasureError> {
        for session in &mut self.sessions {
            for request in session.drain() {
                self.account.unfinished(request.intended_ns, now_ns);
            }
        }
        self.in_flight = 0;
        let slots = self.fleet.slots.iter_mut();
        let unsent = slots.flat_map(|slot| std::mem::take(&mut slot.backlog));
        for intended_ns in unsent.chain(std::mem::take(&mut self.orphans)) {
            self.account.unfinished(intended_ns, now_ns);
        }
        self.unsent = 0;
        self.fleet.notes.check()?;
        self.tick(now_ns)
    }
}

#[cfg(test)]
mod fake_net;
#[cfg(test)]
mod recovery_tests;
#[cfg(test)]
mod tests;
