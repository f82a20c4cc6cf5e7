//! What replicas say, and what becomes of requests by it.

use bytes::Bytes;
use types::client::{Entry, Outcome, Refusal, Response, SessionEntries};
use types::{Reader, Wire};

use super::Generator;
use crate::fleet::Pause;
use crate::notes::NoteKind;
use crate::proofs::{ReceiptsFrame, Ruling};

/// Tag of `Response::Receipts`; a test holds it to the codec.
const RECEIPTS: u8 = 1;
/// Bounds of the time for which an unavailable replica is avoided.
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
                retry_after_ms,
                session,
                seqs,
                ..
            }) => self.on_refused(at, reason, retry_after_ms, &session, &seqs, now_ns),
            Ok(Response::Settled(entries)) => self.on_settled(&entries, now_ns),
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
                let read = frame.entries(|session, entry| {
                    self.counters.receipts_checked += 1;
                    self.on_entry(session, entry, frame.arrival_ns, false);
                });
                if let Err(error) = read {
                    self.malformed(frame.slot, &error.to_string(), now_ns);
                }
            }
            Ruling::Bad(frame, why) => {
                let mut named = 0;
                // The frame is bad already: where its entries end changes nothing.
                let _ = frame.entries(|session, entry| {
                    named += 1;
                    if let Some(request) = self.close(session, entry.seq) {
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

    /// One settled transaction; `unproven` if no proof came with it.
    fn on_entry(
        &mut self,
        session: &types::batch::SessionId,
        entry: Entry,
        arrival_ns: u64,
        unproven: bool,
    ) {
        let Some(request) = self.close(session, entry.seq) else {
            self.counters.duplicates += 1;
            return;
        };
        match entry.outcome {
            Outcome::Applied | Outcome::Duplicate => {}
            Outcome::Rejected(_) => self.account.count("rejected-by-application", 1),
            Outcome::SequenceReused => return self.account.failed(request, "sequence-reused"),
            Outcome::BelowWindow => return self.account.failed(request, "below-window"),
        }
        // A place that other receipts proved needs no proof of its own.
        if unproven && self.proofs.blocks.get(entry.height.0).is_none() {
            self.account.count("settled-unproven", 1);
        }
        self.account.finished(request, arrival_ns);
        if let (Some(log), Some(&index)) = (&mut self.receipts_log, self.by_id.get(session)) {
            log.add(index, &entry);
        }
    }

    fn on_settled(&mut self, entries: &SessionEntries, now_ns: u64) {
        for entry in &entries.entries {
            self.on_entry(&entries.session, *entry, now_ns, true);
        }
    }

    fn on_refused(
        &mut self,
        at: usize,
        reason: Refusal,
        retry_after_ms: u32,
        session: &types::batch::SessionId,
        seqs: &[u64],
        now_ns: u64,
    ) {
        for &seq in seqs {
            match self.close(session, seq) {
                Some(request) => self.account.refused(request, reason),
                None => self.counters.duplicates += 1,
            }
        }
        if matches!(reason, Refusal::Unavailable | Refusal::Mode) {
            let avoid_ms = u64::from(retry_after_ms).clamp(*AVOID_MS.start(), *AVOID_MS.end());
            self.avoid(at, now_ns + avoid_ms * 1_000_000, reason.name(), now_ns);
        }
    }

    fn close(
        &mut self,
        session: &types::batch::SessionId,
        seq: u64,
    ) -> Option<crate::session::InFlight> {
        let index = *self.by_id.get(session)?;
        let request = self.sessions[index as usize].close(seq)?;
        self.in_flight -= 1;
        Some(request)
    }
}
