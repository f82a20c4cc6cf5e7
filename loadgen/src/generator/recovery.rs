//! The client's part in a recovery: modes, epochs, receipts that move, and conflicts handed in.
//!
//! The contract: a receipt is final while its replica is `NOMINAL`. From the first other mode on,
//! every receipt held may move, until all replicas that told of it are `NOMINAL` again.

use std::collections::VecDeque;

use measure::{EpochSeen, ModeName, ModeSeen, ReceiptKind, RecoverySeen};
use transport::{Frame, Transport};
use types::client::{Entry, Request, SessionEntries};
use types::{BlockId, Digest, Epoch, EpochChange, EpochId, Height, Mode, SignerSet, Wire};

use super::Generator;
use crate::notes::NoteKind;
use crate::places::{Fate, Place};
use crate::proofs::{self, Ruling};

/// Most answered transactions of one replica that are asked for again: sessions remember no more.
const ASKS_MAX: usize = 8192;
/// Mode changes kept.
const MODES_MAX: usize = 10_000;
/// Versions of epoch changes that wait for a check; a liar can make as many as it wants.
const CHANGES_MAX: usize = 64;

/// What the generator knows of recoveries.
#[derive(Debug, Default)]
pub(super) struct Recovery {
    pub seen: RecoverySeen,
    /// Changes that nobody checks yet, and the digests of all that ever were.
    changes: VecDeque<Box<EpochChange>>,
    versions: Vec<Digest>,
    /// The first epoch, and those that any change would open if it held.
    claimed: Vec<Epoch>,
    /// Changes given out.
    asked: usize,
    /// Whether conflicts are handed in.
    tells: bool,
    /// Epochs of which a conflict was handed in.
    handed_in: Vec<EpochId>,
    /// What is to be said to every replica.
    requests: Vec<Request>,
    /// The worst mode heard of since the last row.
    worst: ModeName,
    /// Receipts held when the first mode that is not nominal was heard of.
    marked: Option<u64>,
}

fn name(mode: Mode) -> ModeName {
    match mode {
        Mode::Nominal => ModeName::Nominal,
        Mode::DegradedSafe => ModeName::DegradedSafe,
        Mode::RecoveryInProgress => ModeName::RecoveryInProgress,
        Mode::SafeResumed => ModeName::SafeResumed,
    }
}

fn indices(set: SignerSet) -> Vec<u32> {
    set.iter().map(|replica| u32::from(replica.0)).collect()
}

impl Recovery {
    pub fn new(epoch: Epoch, tells: bool) -> Recovery {
        Recovery {
            tells,
            claimed: vec![epoch],
            ..Recovery::default()
        }
    }

    /// The epoch that a change would open; nothing if it follows none that anybody spoke of.
    fn opened_by(&self, change: &EpochChange) -> Option<Epoch> {
        let of = self.claimed.iter().find(|epoch| epoch.id == change.of)?;
        let core = &change.core;
        let (excluded, standbys) = (core.excluded, core.standbys);
        let block = change.proof.block()?;
        if block.epoch == of.id {
            // No split: a block of the epoch itself ends it.
            let root = block.height.next();
            return Some(of.evicted(block.id(), excluded, standbys, root));
        }
        let recovery = of.recovery();
        Some(recovery.resumed(core.digest(), excluded, standbys, core.root_height))
    }
}

impl Generator {
    /// The replica behind connection `at` says its mode.
    pub(super) fn on_mode(&mut self, at: usize, mode: Mode, now_ns: u64) {
        let slot = &mut self.fleet.slots[at];
        let replica = slot.replica as u32;
        if std::mem::replace(&mut slot.mode, mode) == mode {
            return;
        }
        self.fleet
            .note(NoteKind::Mode, at, mode.name().to_owned(), now_ns);
        let recovery = &mut self.recovery;
        recovery.worst = recovery.worst.max(name(mode));
        if recovery.seen.modes.len() < MODES_MAX {
            recovery.seen.modes.push(ModeSeen {
                at_ns: now_ns,
                replica,
                mode: name(mode),
            });
        }
        let is_nominal = self.fleet.slots.iter().all(|s| s.mode == Mode::Nominal);
        match (is_nominal, recovery.marked) {
            (true, _) => recovery.marked = None,
            (false, None) => {
                let held = self.counters.receipts_held;
                recovery.marked = Some(held);
                recovery.seen.may_move = recovery.seen.may_move.max(held);
            }
            (false, Some(_)) => {}
        }
    }

    /// The worst mode of the row that ends now.
    pub(super) fn take_worst_mode(&mut self) -> ModeName {
        let slots = self.fleet.slots.iter();
        let now = slots.map(|slot| name(slot.mode)).max().unwrap_or_default();
        std::mem::replace(&mut self.recovery.worst, now).max(now)
    }

    /// A replica says that an epoch goes on as another one.
    pub(super) fn on_epoch_change(&mut self, at: usize, change: Box<EpochChange>, now_ns: u64) {
        let version = Digest::of("reforge load epoch change v1", &change.encode());
        let recovery = &mut self.recovery;
        if recovery.versions.contains(&version) {
            return;
        }
        if recovery.versions.len() >= CHANGES_MAX {
            self.account.count("too-many-epoch-changes", 1);
            return;
        }
        let Some(opened) = recovery.opened_by(&change) else {
            return self.account.count("epoch-change-out-of-order", 1);
        };
        recovery.versions.push(version);
        recovery.claimed.push(opened);
        let detail = format!("{} goes on", change.of);
        self.fleet.note(NoteKind::Epoch, at, detail, now_ns);
        self.proofs.expect(opened.id);
        self.recovery.changes.push_back(change);
    }

    /// An epoch change to be checked by somebody. It comes before claims, which may be of its epoch.
    pub fn take_change(&mut self) -> Option<Box<EpochChange>> {
        let change = self.recovery.changes.pop_front()?;
        self.recovery.asked += 1;
        Some(change)
    }

    /// Whether any verdict is still to come.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.proofs.is_settled() && self.recovery.changes.is_empty() && self.recovery.asked == 0
    }

    /// What was said about an epoch change that was given out.
    pub fn on_change_judged(
        &mut self,
        change: &EpochChange,
        result: Result<Epoch, String>,
        now_ns: u64,
    ) {
        self.recovery.asked = self.recovery.asked.saturating_sub(1);
        let mut rulings = Vec::new();
        match result {
            Ok(epoch) => {
                if !self.proofs.blocks.knows(epoch.id) {
                    self.recovery.seen.epochs.push(EpochSeen {
                        of: change.of.to_string(),
                        epoch: epoch.id.to_string(),
                        members: indices(epoch.members),
                        excluded: indices(change.core.excluded),
                        root_height: epoch.root_height.0,
                        learnt_ns: now_ns,
                        first_commit_ns: None,
                    });
                    let detail = format!("{} follows {}", epoch.id, change.of);
                    self.fleet.note(NoteKind::Epoch, 0, detail, now_ns);
                }
                self.proofs.begin(epoch.id, &mut rulings);
            }
            Err(why) => {
                self.recovery.seen.epoch_changes_bad += 1;
                let detail = format!("epoch change that does not hold: {why}");
                self.fleet.note(NoteKind::Epoch, 0, detail, now_ns);
                // Another version of the same change may be the good one.
                let others = self.recovery.asked > 0 || !self.recovery.changes.is_empty();
                if let Some(opened) = self.recovery.opened_by(change)
                    && !others
                    && !self.proofs.blocks.knows(opened.id)
                {
                    self.proofs.give_up(opened.id, &why, &mut rulings);
                }
            }
        }
        self.rule_all(rulings, now_ns);
    }

    /// A proven receipt of `epoch` arrived.
    pub(super) fn note_commit(&mut self, epoch: EpochId, arrival_ns: u64) {
        if self.recovery.seen.epochs.is_empty() {
            return;
        }
        let id = epoch.to_string();
        let seen = &mut self.recovery.seen.epochs;
        if let Some(seen) = seen.iter_mut().find(|seen| seen.epoch == id) {
            let first_ns = seen.first_commit_ns.unwrap_or(arrival_ns);
            seen.first_commit_ns = Some(first_ns.min(arrival_ns));
        }
    }

    /// Receipts given before stand elsewhere now.
    pub(super) fn on_moved(
        &mut self,
        at: usize,
        epoch: EpochId,
        height: Height,
        sessions: &[SessionEntries],
        now_ns: u64,
    ) {
        let mut moved = 0;
        for SessionEntries { session, entries } in sessions {
            let Some(&index) = self.by_id.get(session) else {
                self.account.count("moved-session-unknown", 1);
                continue;
            };
            for entry in entries {
                if self.sessions[index as usize].get(entry.seq).is_some() {
                    // It had no answer yet: this is one, without a proof of its own.
                    self.on_entry(session, *entry, (epoch, BlockId::ZERO), now_ns, true);
                    continue;
                }
                moved += u64::from(self.relocate(index, entry, (epoch, BlockId::ZERO), now_ns));
            }
        }
        if moved > 0 {
            let detail = format!("{moved} receipts, reported at height {height}");
            self.fleet.note(NoteKind::Moved, at, detail, now_ns);
        }
    }

    /// Receipts of the newest epoch came from a replica that may have told of moves while there was no
    /// connection to it, or that was killed before it could: the transactions that it had answered are
    /// submitted again. They have no effect twice; what comes back is where they stand.
    pub(super) fn ask_again(&mut self, at: usize, epoch: EpochId, now_ns: u64) {
        let began = !self.recovery.seen.epochs.is_empty() && epoch == self.proofs.blocks.newest();
        if !self.fleet.slots[at].missed || !began {
            return;
        }
        self.fleet.slots[at].missed = false;
        let sessions = &self.sessions;
        let of_here = |index: u32| sessions[index as usize].home == at;
        let asks = self.places.not_of(epoch, ASKS_MAX, of_here);
        if asks.is_empty() {
            return;
        }
        let detail = format!("asks again where {} transactions stand", asks.len());
        self.fleet.note(NoteKind::Epoch, at, detail, now_ns);
        self.fleet.slots[at].asks = asks.into();
    }

    /// An ordinary receipt for a request that had one before: what a replica handed in again after a
    /// recovery comes back as one of the working epoch. Within an epoch it is only late.
    pub(super) fn moves_on(
        &mut self,
        index: u32,
        entry: &Entry,
        of: (EpochId, BlockId),
        now_ns: u64,
    ) -> bool {
        let before = self.places.epoch(index, entry.seq);
        let is_later = |before| self.proofs.blocks.is_later(of.0, before);
        before.is_some_and(is_later) && self.relocate(index, entry, of, now_ns)
    }

    /// An answer about a request that had one before; false if it says the same.
    fn relocate(&mut self, index: u32, entry: &Entry, of: (EpochId, BlockId), now_ns: u64) -> bool {
        let fate = self
            .places
            .move_to(index, entry.seq, Place::of(of.0, entry));
        let seen = &mut self.recovery.seen;
        match fate {
            Fate::Same => return false,
            Fate::Restated => seen.restated += 1,
            Fate::Moved => seen.moved += 1,
            Fate::Invalidated => seen.invalidated += 1,
            Fate::Revived => seen.revived += 1,
            Fate::Unknown => seen.moved_unknown += 1,
        }
        self.account.moved();
        self.log(ReceiptKind::Moved, index, entry, of, now_ns);
        true
    }

    /// The client's part in finding a split: the first proven pair of an epoch goes to everybody.
    pub(super) fn hand_in(&mut self, conflict: &proofs::Conflict) {
        let (Some(first), Some(second)) = (&conflict.first.1, &conflict.second.1) else {
            return;
        };
        if !self.recovery.tells || self.recovery.handed_in.contains(&conflict.epoch) {
            return;
        }
        self.recovery.handed_in.push(conflict.epoch);
        self.recovery.requests.push(Request::Conflict {
            id: self.recovery.handed_in.len() as u64,
            conflict: Box::new(types::Conflict {
                epoch: conflict.epoch,
                first: first.clone(),
                second: second.clone(),
            }),
        });
    }

    /// Says what is to be said; whoever has no connection now hears of it from the others.
    pub(super) fn speak(&mut self, net: &mut dyn Transport) {
        for request in std::mem::take(&mut self.recovery.requests) {
            let bytes = request.encode();
            for slot in &self.fleet.slots {
                let said = slot
                    .conn()
                    .map(|conn| net.reply(conn, Frame::new(bytes.clone())));
                if said == Some(Ok(())) {
                    self.recovery.seen.conflicts_handed_in += 1;
                }
            }
        }
    }

    pub(super) fn on_judged(&mut self, conflict: bool) {
        match conflict {
            true => self.recovery.seen.conflicts_confirmed += 1,
            false => self.account.count("conflict-not-confirmed", 1),
        }
    }

    /// What was seen of recoveries.
    pub(crate) fn recovery(&self) -> RecoverySeen {
        RecoverySeen {
            conflicts: self.account.counted("conflict"),
            may_move_left: self.recovery.marked.unwrap_or(0),
            ..self.recovery.seen.clone()
        }
    }

    pub(super) fn rule_all(&mut self, rulings: Vec<Ruling>, now_ns: u64) {
        for ruling in rulings {
            self.on_ruling(ruling, now_ns);
        }
    }
}
