//! Messages of epochs other than the working one: those who are not as far are shown the way and served,
//! what comes too early is kept.

use consensus::Effect;
use types::{EpochId, Message, ReplicaId, Resumption, SignerSet};

use super::Replica;
use super::outbox::Out;
use crate::platform::Platform;

/// A peer in an epoch that is not known here is told where this replica comes from at most this often.
pub(super) const STRANGER_NS: u64 = 500_000_000;
/// Messages kept of one peer for an epoch that this replica has not reached.
const EARLY_PER_PEER_MAX: usize = 128;

impl<P: Platform> Replica<P> {
    /// A message of an epoch that is neither the working one nor its recovery.
    pub(super) fn on_foreign(
        &mut self,
        now: u64,
        from: ReplicaId,
        epoch: EpochId,
        message: Message,
    ) {
        if self.crossing.is_to(epoch) {
            return self.on_ahead(now, from, message);
        }
        let past = self
            .past
            .as_ref()
            .is_some_and(|p| p.epoch.id == epoch || p.epoch.recovery().id == epoch);
        if past {
            self.serve_past(from, &message);
            self.on_past_evidence(now, from, &message);
        }
        self.serve_archive(from, epoch, &message);
        let known = self
            .lineage
            .iter()
            .find(|step| step.of.id == epoch || step.of.recovery().id == epoch)
            .map(|step| step.resumption.clone());
        match known {
            Some(resumption) => {
                // Whoever shows the way itself needs nobody to show it.
                if !matches!(message, Message::Resumption(_)) {
                    self.show_the_way(now, from, resumption);
                }
            }
            None => {
                self.introduce(now, from);
                self.keep_early(from, message);
            }
        }
    }

    /// A peer works in an epoch that this replica does not know: it may be further, or have ended the same
    /// epoch in another way. Then how this one ended it here is all that both can judge.
    fn introduce(&mut self, now: u64, to: ReplicaId) {
        if let Some(step) = self.lineage.last()
            && self.strangers.is_rested(to, now)
        {
            let resumption = step.resumption.clone();
            if self.show_the_way(now, to, resumption) {
                self.strangers.take(to, now);
            }
        }
    }

    /// True unless that peer was told something just now.
    fn show_the_way(&mut self, now: u64, from: ReplicaId, resumption: Resumption) -> bool {
        let rested = self.behind.take(from, now);
        if rested {
            let to = SignerSet::from_iter([from]);
            let message = Message::Resumption(Box::new(resumption));
            self.outbox.push_durable(Out::Peers(to, message));
            // Whoever has to get to the block that ended the epoch needs its certificates.
            if let Some(past) = self.past.as_mut().filter(|past| past.recovery.is_none()) {
                past.core.handle_peer_up(from, &mut self.effects);
            }
        }
        rested
    }

    fn serve_past(&mut self, from: ReplicaId, message: &Message) {
        let mut out = Vec::new();
        if let Some(past) = &mut self.past {
            match message {
                Message::CarRequest(m) => past.core.handle_car_request(from, m, &mut out),
                Message::BranchRequest(m) => past.core.handle_branch_request(from, m, &mut out),
                Message::ChainRequest(m) => past.core.handle_chain_request(from, m, &mut out),
                Message::ProofRequest(m) => self.serve_proof(from, m.height),
                // Whoever is further behind than the bytes reach gets into the next epoch only over this.
                Message::SnapshotRequest(m) => {
                    let chunk = past.snapshots.answer(m);
                    out.extend(chunk.map(|chunk| Effect::Send {
                        to: SignerSet::from_iter([from]),
                        message: Message::SnapshotChunk(chunk),
                        durable: false,
                    }));
                }
                Message::ValueRequest(epoch, digest) => {
                    let recovered = past.recovery.as_ref().and_then(|r| r.value(*digest));
                    let value = recovered.or_else(|| past.evictions.value(*digest));
                    out.extend(value.map(|value| Effect::Send {
                        to: SignerSet::from_iter([from]),
                        message: Message::Value(*epoch, Box::new(value.clone())),
                        durable: true,
                    }));
                }
                _ => {}
            }
        }
        self.effects.extend(out);
    }

    /// Keeps a message for an epoch that this replica may be about to reach.
    pub(super) fn keep_early(&mut self, from: ReplicaId, message: Message) {
        let of_peer = self.early.iter().filter(|(peer, _)| *peer == from).count();
        if of_peer >= EARLY_PER_PEER_MAX {
            let oldest = self.early.iter().position(|(peer, _)| *peer == from);
            oldest.map(|at| self.early.remove(at));
        }
        self.early.push_back((from, message));
    }

    pub(super) fn replay_early(&mut self, now: u64) {
        for (from, message) in std::mem::take(&mut self.early) {
            self.on_message(now, from, message);
        }
    }
}
