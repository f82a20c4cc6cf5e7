//! What replicas say, and what becomes of requests by it.

use bytes::Bytes;
use measure::{ReceiptKind, ReceiptRecord};
use types::batch::SessionId;
use types::client::{Entry, Outcome, Refusal, Response, SessionEntries};
use types::{BlockId, Digest, EpochId, Reader, Wire};

use super::Generator;
use crate::fleet::Pause;
use crate::notes::NoteKind;
use crate::places::Place;
use crate::proofs::{ReceiptsFrame, Ruling};

/// Tag of `Response::Receipts`; a test holds it to the codec.
const RECEIPTS: u8 = 1;
/// Bounds of the time for which an unavailable replica is avoided.
/// How long a closed loop waits after a refusal.
const REFUSED_PAUSE_NS: u64 = 10_000_000;
const AVOID_MS: std::ops::RangeInclusive<u64> = 20..=5_000;

impl Generator {
    pub(super) fn on_response(&mut self, at: usize, bytes: Bytes, now_ns: u64) {
        if bytes.first() == Some(&RECEIPTS) {
            return match ReceiptsFrame::take(Reader::new(bytes.slice(1..)), at, now_ns) {
                Ok(frame) => self.on_receipts(frame, now_ns),
                Err(error) => self.malformed(at, &error.to_string(), now_ns),
            };
        }
        match Response::decode(bytes) {
            Ok(Response::Refused {
                reason,
                mode,
                retry_after_ms,
                session,
                seqs,
            }) => {
                self.on_mode(at, mode, now_ns);
                self.on_refused(at, reason, retry_after_ms, &session, &seqs, now_ns);
            }
            Ok(Response::Settled(entries)) => self.on_settled(&entries, now_ns),
            Ok(Response::Mode { mode, .. }) => self.on_mode(at, mode, now_ns),
            Ok(Response::EpochChange(change)) => self.on_epoch_change(at, change, now_ns),
            Ok(Response::Moved {
                epoch,
                height,
                sessions,
            }) => self.on_moved(at, epoch, height, &sessions, now_ns),
            Ok(Response::Judged { conflict, .. }) => self.on_judged(conflict),
            // Nothing was asked, and a hello comes first only.
            Ok(_) => self.account.count("unexpected-response", 1),
            Err(error) => self.malformed(at, &error.to_string(), now_ns),
        }
    }

    fn malformed(&mut self, at: usize, why: &str, now_ns: u64) {
        self.account.count("malformed-response", 1);
        self.fleet
            .note(NoteKind::BadReceipt, at, why.to_owned(), now_ns);
    }

    fn on_receipts(&mut self, frame: ReceiptsFrame, now_ns: u64) {
        let at = frame.slot;
        self.on_mode(at, frame.mode, now_ns);
        if let Some(ruling) = self.proofs.admit(frame) {
            self.on_ruling(ruling, now_ns);
        }
        self.note_conflicts(now_ns);
        self.fleet.slots[at].last_receipts_ns = now_ns;
        if self.fleet.slots[at].pause == Some(Pause::UntilReceipts) {
            self.resume(at, now_ns);
        }
    }

    pub(super) fn on_ruling(&mut self, ruling: Ruling, now_ns: u64) {
        match ruling {
            Ruling::Good(frame) => {
                let of = (frame.epoch, frame.block);
                self.note_commit(frame.epoch, frame.arrival_ns);
                let read = frame.entries(|session, entry| {
                    self.counters.receipts_checked += 1;
                    self.on_entry(session, entry, of, frame.arrival_ns, false);
                });
                if let Err(error) = read {
                    self.malformed(frame.slot, &error.to_string(), now_ns);
                }
                self.ask_again(frame.slot, frame.epoch, now_ns);
            }
            Ruling::Bad(frame, why) => {
                let mut named = 0;
                // The frame is bad already: where its entries end changes nothing.
                let _ = frame.entries(|session, entry| {
                    named += 1;
                    if let Some(request) = self.close(session, entry.seq, now_ns) {
                        self.account.failed(request, "bad-receipt");
                    }
                });
                self.counters.receipts_bad += named.max(1);
                let detail = format!("{why}; it named {named} requests");
                self.fleet
                    .note(NoteKind::BadReceipt, frame.slot, detail, now_ns);
            }
        }
    }

    /// One settled transaction in a block of an epoch; `unproven` if no proof came with it.
    pub(super) fn on_entry(
        &mut self,
        session: &SessionId,
        entry: Entry,
        of: (EpochId, BlockId),
        arrival_ns: u64,
        unproven: bool,
    ) {
        let Some(request) = self.close(session, entry.seq, self.seen_ns) else {
            let index = self.by_id.get(session).copied();
            if !index.is_some_and(|index| self.moves_on(index, &entry, of, arrival_ns)) {
                self.counters.duplicates += 1;
            }
            return;
        };
        match entry.outcome {
            Outcome::Applied | Outcome::Duplicate => {}
            Outcome::Rejected(_) => self.account.count("rejected-by-application", 1),
            Outcome::SequenceReused => return self.account.failed(request, "sequence-reused"),
            Outcome::BelowWindow => return self.account.failed(request, "below-window"),
        }
        // A place that other receipts proved needs no proof of its own.
        if unproven && !self.proofs.blocks.has(entry.height.0) {
            self.account.count("settled-unproven", 1);
        }
        self.account.finished(request, arrival_ns);
        self.counters.receipts_held += 1;
        if let Some(&index) = self.by_id.get(session) {
            let kind = match unproven {
                true => ReceiptKind::Told,
                false => ReceiptKind::Proven,
            };
            self.log(kind, index, &entry, of, arrival_ns);
        }
    }

    /// Writes down what was said about a transaction, where that was asked for.
    pub(super) fn log(
        &mut self,
        kind: ReceiptKind,
        session: u32,
        entry: &Entry,
        (epoch, block): (EpochId, BlockId),
        at_ns: u64,
    ) {
        let Some(log) = &mut self.receipts_log else {
            return;
        };
        if kind != ReceiptKind::Moved {
            self.places.add(session, entry.seq, Place::of(epoch, entry));
        }
        let outcome = entry.outcome.encode();
        // "Ordered before, there": the block of this receipt is not the one at that height.
        let block = match entry.outcome {
            Outcome::Duplicate => BlockId::ZERO,
            _ => block,
        };
        log.add(&ReceiptRecord {
            kind,
            session,
            seq: entry.seq,
            at_ns,
            epoch: short(&epoch.0),
            block: short(&block.0),
            height: entry.height.0,
            position: entry.position,
            outcome: [outcome[0], outcome[1]],
        });
    }

    fn on_settled(&mut self, entries: &SessionEntries, now_ns: u64) {
        let of = (self.proofs.blocks.newest(), BlockId::ZERO);
        for entry in &entries.entries {
            self.on_entry(&entries.session, *entry, of, now_ns, true);
        }
    }

    fn on_refused(
        &mut self,
        at: usize,
        reason: Refusal,
        retry_after_ms: u32,
        session: &SessionId,
        seqs: &[u64],
        now_ns: u64,
    ) {
        for &seq in seqs {
            match self.close(session, seq, now_ns + REFUSED_PAUSE_NS) {
                Some(request) => self.account.refused(request, reason),
                None => self.counters.duplicates += 1,
            }
        }
        if matches!(reason, Refusal::Unavailable | Refusal::Mode) {
            let avoid_ms = u64::from(retry_after_ms).clamp(*AVOID_MS.start(), *AVOID_MS.end());
            self.avoid(at, now_ns + avoid_ms * 1_000_000, reason.name(), now_ns);
        }
    }

    /// A request has ended; in a closed loop the next one may be sent from `ended_ns` on. That is when its proof
    /// was found to hold: a client waits for that, and must not seem late for it.
    fn close(
        &mut self,
        session: &SessionId,
        seq: u64,
        ended_ns: u64,
    ) -> Option<crate::session::InFlight> {
        let index = *self.by_id.get(session)?;
        let request = self.sessions[index as usize].close(seq)?;
        self.in_flight -= 1;
        self.schedule
            .release(ended_ns.saturating_sub(self.plan.start_ns));
        Some(request)
    }
}

/// The first bytes of an id.
fn short(id: &Digest) -> [u8; 8] {
    let mut out = [0; 8];
    out.copy_from_slice(&id.0[..8]);
    out
}
