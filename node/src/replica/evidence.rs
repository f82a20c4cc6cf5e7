//! Everything about a split that arrives: notices, proofs, conflicts, proofs of fraud, reports,
//! values. What is not worth checking is dropped before it costs a signature.

use consensus::Recovery;
use crypto::Job;
use types::client::Response;
use types::{
    CommitProof, Conflict, Fraud, Height, Message, ProofRequest, ReplicaId, SignerSet, Verified,
};

use super::epochs::proof_of;
use super::outbox::Out;
use super::{Pending, Replica};
use crate::incident::{Incident, What};
use crate::platform::{ClientId, Platform};

/// Between two proofs of one peer that nobody asked for and that are checked all the same.
pub(super) const UNASKED_NS: u64 = 200_000_000;
/// The same of all peers together.
pub(super) const UNASKED_OF_ALL_NS: u64 = 20_000_000;
/// Between two conflicts of one peer while none is known here.
pub(super) const ALARM_NS: u64 = 100_000_000;

impl<P: Platform> Replica<P> {
    pub(super) fn note(&mut self, now: u64, what: What) {
        self.incidents.push(Incident { at_ns: now, what });
    }

    /// A message about the working epoch's consistency, or about its recovery.
    pub(super) fn on_evidence(&mut self, now: u64, from: ReplicaId, message: Message) {
        if self.config.recovery.is_none() {
            return;
        }
        match message {
            Message::Notice(m) => {
                self.core.handle_notice(now, from, &m, &mut self.effects);
            }
            Message::Proof(m) => {
                if self.recovery.is_none() {
                    self.on_proof(now, from, m);
                }
            }
            Message::Conflict(m) => {
                let news = self.recovery.as_ref();
                if news.is_none_or(|r| r.conflict().is_none()) && self.alarms.take(from, now) {
                    self.check(from, Job::Conflict(m));
                }
            }
            Message::Frauds(frauds) => self.on_frauds(from, frauds),
            Message::ForkReport(m) if m.replica == from => {
                if self.recovery.as_ref().is_some_and(|r| !r.has_report(from)) {
                    self.check(from, Job::Report(m));
                }
            }
            Message::Value(epoch, m) if epoch == self.config.epoch.id => {
                self.on_eviction_value(*m);
            }
            Message::Value(_, m) => {
                if self.recovery.as_ref().is_some_and(|r| r.wants_value(&m)) {
                    self.check(from, Job::Value(m));
                }
            }
            Message::ValueRequest(epoch, digest) if epoch == self.config.epoch.id => {
                if let Some(value) = self.eviction(digest).cloned() {
                    let to = SignerSet::from_iter([from]);
                    let message = Message::Value(epoch, Box::new(value));
                    self.outbox.push(Out::Peers(to, message));
                }
            }
            Message::ValueRequest(_, digest) => {
                if let Some(recovery) = &self.recovery {
                    recovery.handle_value_request(from, digest, &mut self.recovery_effects);
                }
            }
            Message::Resumption(m) => {
                if self
                    .recovery
                    .as_ref()
                    .is_none_or(|r| r.resumption().is_none())
                {
                    self.check(from, Job::Resumption(m));
                }
            }
            _ => self.counters.frames_malformed += 1,
        }
    }

    /// A proof that was asked for, or one that was not and contradicts the own one. To check it is dear, and
    /// anybody may send one: those have a budget of their own.
    fn on_proof(&mut self, now: u64, from: ReplicaId, proof: CommitProof) {
        let Some(height) = proof.block().map(|core| core.height) else {
            return;
        };
        let asked = self.core.take_expected(from, height);
        let worth = asked
            || self.core.contradicts(&proof)
                && self.shown.take(from, now)
                && self.all_shown.take(ReplicaId(0), now);
        if !worth {
            return;
        }
        // Where it contradicts the own proof, both are checked as what they are.
        match self.conflict_with(&proof) {
            Some(conflict) => self.check(from, Job::Conflict(Box::new(conflict))),
            None => self.check(from, Job::CommitProof(proof)),
        }
    }

    /// Whoever is asked for its proof because its notice differs gets the own one with the question: so
    /// both know a hop earlier.
    pub(super) fn show_proof(&mut self, to: SignerSet, question: &ProofRequest) {
        let differs = |peer| self.core.heard_otherwise(peer, question.height);
        if question.epoch == self.config.epoch.id
            && to.iter().any(differs)
            && let Some(proof) = self.proof(question.height)
        {
            self.outbox.push(Out::Peers(to, Message::Proof(proof)));
        }
    }

    fn on_frauds(&mut self, from: ReplicaId, mut frauds: Vec<Fraud>) {
        frauds.retain(|fraud| match &self.recovery {
            Some(recovery) => recovery.wants_fraud(fraud),
            None => self.is_news(fraud),
        });
        if !frauds.is_empty() {
            self.check(from, Job::Frauds(frauds));
        }
    }

    /// Proves what was committed here at a height.
    pub(super) fn serve_proof(&mut self, from: ReplicaId, height: Height) {
        let past = || self.past.as_ref()?.proof(height);
        if let Some(proof) = self.proof(height).or_else(past) {
            let to = SignerSet::from_iter([from]);
            self.outbox.push(Out::Peers(to, Message::Proof(proof)));
        }
    }

    fn proof(&self, height: Height) -> Option<CommitProof> {
        proof_of(&self.proofs, &self.core, height)
    }

    /// A peer's proof for a height was checked: does it contradict what was committed here?
    pub(super) fn proof_checked(&mut self, now: u64, from: ReplicaId, other: &CommitProof) {
        let Some(block) = other.block() else { return };
        let conflict = self.conflict_with(other);
        let committed = self.core.committed_height();
        let own = self.core.executed_block(block.height, committed);
        if conflict.is_none() && own == Some(block.id()) {
            let height = block.height;
            self.tip_confirmed(now, from, height);
            if let Some((_, why)) = self.diverged.take_if(|(at, _)| *at == height) {
                self.fatal = Some(why);
            }
            if !self.core.heard_otherwise(from, height) {
                return;
            }
            let why = format!(
                "its notice differed at height {}, its proof does not",
                block.height
            );
            return self.note(now, What::FalseAlarm { from, why });
        }
        if let Some(conflict) = conflict {
            self.check(from, Job::Conflict(Box::new(conflict)));
        }
    }

    /// The own proof and another one for the same height, if they contradict each other.
    fn conflict_with(&self, other: &CommitProof) -> Option<Conflict> {
        let block = other.block().filter(|_| self.core.contradicts(other))?;
        Some(Conflict {
            epoch: self.config.epoch.id,
            first: self.proof(block.height)?,
            second: other.clone(),
        })
    }

    /// Two proofs contradict each other: this replica stops in this epoch.
    pub(super) fn conflict_checked(
        &mut self,
        now: u64,
        from: ReplicaId,
        conflict: Verified<Conflict>,
    ) {
        if conflict.epoch != self.config.epoch.id || self.config.recovery.is_none() {
            return;
        }
        let news = self
            .recovery
            .as_ref()
            .is_none_or(|r| r.conflict().is_none());
        if news {
            self.note(now, What::Conflict(Box::new(conflict.get().clone())));
        }
        self.begin_recovery(now);
        self.with_recovery(|recovery, core, out| {
            recovery.handle_conflict(now, from, conflict, core, out);
        });
    }

    pub(super) fn frauds_checked(
        &mut self,
        now: u64,
        verdicts: Vec<Result<Verified<Fraud>, crypto::Reject>>,
    ) {
        let (mut good, mut bad) = (Vec::new(), 0);
        for verdict in verdicts {
            match verdict {
                Ok(fraud) => good.push(fraud),
                Err(_) => bad += 1,
            }
        }
        self.counters.messages_rejected += bad;
        if self.recovery.is_none() {
            return good.into_iter().for_each(|fraud| self.accuse(now, fraud));
        }
        self.with_recovery(|recovery, core, out| recovery.handle_frauds(now, good, core, out));
    }

    /// Calls into the recovery with the split epoch's core at its side.
    pub(super) fn with_recovery(
        &mut self,
        act: impl FnOnce(&mut Recovery, &mut consensus::Core, &mut Vec<consensus::Effect>),
    ) {
        if let Some(recovery) = &mut self.recovery {
            act(recovery, &mut self.core, &mut self.recovery_effects);
        }
    }

    /// A client hands in two receipts that contradict each other.
    pub(super) fn on_client_conflict(&mut self, client: ClientId, id: u64, conflict: Conflict) {
        if self.config.recovery.is_none() || conflict.epoch != self.config.epoch.id {
            let judged = Response::Judged {
                id,
                conflict: false,
            };
            return self.outbox.push(Out::Client(client, judged));
        }
        self.submit(
            Pending::ClientConflict { client, id },
            Job::Conflict(Box::new(conflict)),
        );
    }
}
