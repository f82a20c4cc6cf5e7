//! Lies about a split and within its recovery.

use bytes::Bytes;
use node::platform::Platform;
use types::{
    BlockId, CommitProof, Conflict, Digest, Epoch, EpochId, ForkReport, Fraud, Header, Height,
    Message, Notice, ReplicaId, SignerSet,
};

use super::{Bent, Evil, RawLink};
use crate::acts::Act;
use crate::invent::unsigned;
use crate::near_miss::claim_kept;

/// Epochs that are remembered by their ids: split ones, recoveries, and what came after.
const EPOCHS_MAX: usize = 16;

impl Evil {
    /// Learns an epoch from what its own driver asks the crypto threads for.
    pub(super) fn meet(&mut self, epoch: &Epoch) {
        if self.epochs.iter().all(|known| known.id != epoch.id) {
            self.epochs.push_back(*epoch);
        }
        while self.epochs.len() > EPOCHS_MAX {
            self.epochs.pop_front();
        }
    }

    /// Goes over to the epoch of a message that leaves: views start again there.
    pub(super) fn follow(&mut self, message: &Message) {
        let id = match message {
            Message::Proposal(proposal) => proposal.header.epoch,
            Message::Vote(vote) => vote.epoch,
            Message::Timeout(timeout) => timeout.epoch,
            Message::Car(car) => car.epoch,
            _ => return,
        };
        if id == self.epoch.id {
            return;
        }
        if let Some(epoch) = self.epochs.iter().find(|epoch| epoch.id == id) {
            self.epoch = *epoch;
            self.memory.forget_views();
        }
    }

    /// The epoch whose recovery has this id.
    pub(super) fn split_by(&self, recovery: EpochId) -> Option<Epoch> {
        let mut known = self.epochs.iter();
        known.find(|it| it.recovery().id == recovery).copied()
    }

    /// What a recovery-ready replica says about splits; `None`: this message is nothing of the kind,
    /// or goes out as it is.
    pub(super) fn bend_recovery(&mut self, to: SignerSet, message: &Message) -> Option<Bent> {
        let (act, bent) = match message {
            Message::Notice(notice) if self.does(Act::LyingNotice) => {
                let block = BlockId(Digest::of("nothing", &notice.block.0.0));
                let height = Height(notice.height.0 + self.rng.below(3));
                let lie = Notice {
                    block,
                    height,
                    ..*notice
                };
                (Act::LyingNotice, vec![(to, Message::Notice(lie))])
            }
            Message::ForkReport(report) if self.does(Act::FalseReport) => {
                let lie = self.false_report(report)?;
                (Act::FalseReport, vec![(to, lie)])
            }
            Message::Branch(_) | Message::Proof(_) | Message::Value(..)
                if self.does(Act::WithheldBranch) =>
            {
                (Act::WithheldBranch, Vec::new())
            }
            Message::Value(epoch, value) if self.does(Act::BogusValue) => {
                let mut bogus = value.clone();
                match self.rng.below(3) {
                    0 => drop(bogus.reports.pop()),
                    1 => drop(bogus.frauds.pop()),
                    _ => bogus.root_height = Height(bogus.root_height.0 + 1),
                }
                (Act::BogusValue, vec![(to, Message::Value(*epoch, bogus))])
            }
            _ => return None,
        };
        self.acts.add(act);
        Some(bent)
    }

    /// A well-signed report of a block that nobody holds.
    fn false_report(&mut self, report: &ForkReport) -> Option<Message> {
        let epoch = *self.epochs.iter().find(|epoch| epoch.id == report.epoch)?;
        let tip = BlockId(Digest::of("nothing", &report.tip.0.0));
        let height = Height(report.height.0 + self.rng.below(2));
        let lie = self.forge.report(&epoch, height, tip, report.proof.clone());
        Some(Message::ForkReport(Box::new(lie)))
    }

    /// Evidence that proves nothing, and evidence of long ago.
    pub(super) fn false_evidence<P: Platform + RawLink>(
        &mut self,
        victim: ReplicaId,
        inner: &mut P,
    ) {
        if self.does(Act::FalseEvidence)
            && let Some(header) = self.memory.newest_header().cloned()
        {
            let forged = match self.rng.chance(50) {
                true => self.false_conflict(&header),
                false => self.false_fraud(&header),
            };
            self.acts.add(Act::FalseEvidence);
            inner.send(victim, &forged);
            if let Some(near) = claim_kept(&self.memory) {
                inner.send(victim, &Message::Frauds(vec![near]));
            }
        }
        if self.does(Act::OldEvidence) {
            let at = self.rng.below(self.memory.evidence.len() as u64) as usize;
            if let Some(frame) = self.memory.evidence.get(at).cloned() {
                self.acts.add(Act::OldEvidence);
                inner.send_frame(victim, frame);
            }
        }
    }

    /// Two commits of one height, signed by nobody.
    fn false_conflict(&self, header: &Header) -> Message {
        let proof = |header: &Header| {
            let core = header.core();
            let cert = unsigned(&self.epoch, header.view, header.id());
            CommitProof {
                chain: vec![core],
                certs: vec![cert; 2],
            }
        };
        let mut other = header.clone();
        other.payload = Digest::of("other", &header.payload.0);
        Message::Conflict(Box::new(Conflict {
            epoch: header.epoch,
            first: proof(header),
            second: proof(&other),
        }))
    }

    /// A quorum's double vote, signed by nobody.
    fn false_fraud(&self, header: &Header) -> Message {
        let first = unsigned(&self.epoch, header.view, header.id());
        let second = unsigned(
            &self.epoch,
            header.view,
            BlockId(Digest::of("other", &header.id().0.0)),
        );
        Message::Frauds(vec![Fraud::DoubleVote { first, second }])
    }
}

/// Whether a frame is evidence worth keeping for later.
pub(crate) fn is_evidence(frame: &Bytes) -> bool {
    matches!(frame.first(), Some(20 | 23 | 24 | 27))
}
