//! Effects out: persist, sign, send, execute, in the order in which the core said so.

use std::sync::Arc;

use consensus::{Core, Durable, Effect};
use crypto::Job;
use storage::Record;
use types::{CommitProof, Epoch, Header, Height, Message, SignerSet, Vote};

use super::outbox::Out;
use super::{PROOFS_MAX, Pending, Replica, records};
use crate::incident::What;
use crate::platform::Platform;

/// Which of a replica's two cores something is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Which {
    Working,
    Recovery,
}

impl<P: Platform> Replica<P> {
    /// Works off effects until there are none: some lead to others.
    pub(super) fn settle(&mut self, now: u64) {
        loop {
            while !(self.effects.is_empty() && self.recovery_effects.is_empty()) {
                let epoch = self.config.epoch.id;
                for effect in std::mem::take(&mut self.effects) {
                    // What the core of an ended epoch still wanted must not be signed for the next.
                    if self.config.epoch.id != epoch {
                        break;
                    }
                    self.apply(now, Which::Working, effect);
                }
                for effect in std::mem::take(&mut self.recovery_effects) {
                    self.apply(now, Which::Recovery, effect);
                }
            }
            match self.loopback.pop_front() {
                Some(message) => self.on_own_message(now, message),
                None => return,
            }
        }
    }

    /// The epoch whose core said something; none if it is over.
    fn epoch_of(&self, which: Which) -> Option<Epoch> {
        match which {
            Which::Working => Some(self.config.epoch),
            Which::Recovery => self.recovery.as_ref().map(|r| *r.epoch()),
        }
    }

    /// The core that said something, and where its next words go.
    fn core_of(&mut self, which: Which) -> Option<(&mut Core, &mut Vec<Effect>)> {
        match which {
            Which::Working => Some((&mut self.core, &mut self.effects)),
            Which::Recovery => {
                let recovery = self.recovery.as_mut()?;
                Some((&mut recovery.core, &mut self.recovery_effects))
            }
        }
    }

    fn apply(&mut self, now: u64, which: Which, effect: Effect) {
        let Some(epoch) = self.epoch_of(which) else {
            return;
        };
        match effect {
            Effect::Persist(durable) => self.persist(&durable),
            Effect::Send {
                to,
                message,
                durable,
            } => {
                match &message {
                    Message::BatchRequest(digests) => self.store.want(digests),
                    Message::ProofRequest(question) => self.show_proof(to, question),
                    _ => {}
                }
                let out = Out::Peers(to, message);
                match durable {
                    true => self.outbox.push_durable(out),
                    false => self.outbox.push(out),
                }
            }
            Effect::SignVote {
                view,
                block,
                excluded,
                to,
            } => {
                self.vote_targets.insert((epoch.id, view), to);
                while self.vote_targets.len() > 16 {
                    self.vote_targets.pop_first();
                }
                let job = Job::SignVote {
                    view,
                    block,
                    excluded,
                };
                self.submit_of(&epoch, Pending::Core(Vec::new()), job);
            }
            Effect::SignProposal(header) => self.sign_proposal(now, which, &epoch, *header),
            Effect::SignTimeout {
                view,
                high_qc,
                last_vote,
            } => {
                let timeout = self.signer.timeout(&epoch, view, *high_qc, last_vote);
                self.outbox
                    .push_durable(Out::Peers(epoch.audience(), Message::Timeout(timeout)));
            }
            Effect::SignCar(car) => {
                let car = self.signer.car(&epoch, *car);
                if let Some((core, out)) = self.core_of(which) {
                    core.own_car(now, car, out);
                }
            }
            Effect::SignAck { lane, index, car } => {
                let ack = self.signer.ack(&epoch, lane, index, car);
                let to = SignerSet::from_iter([lane]);
                self.outbox.push_durable(Out::Peers(to, Message::Ack(ack)));
            }
            Effect::SignCheckpoint {
                height,
                block,
                state,
            } => {
                let share = self.signer.checkpoint(&epoch, height, block, state);
                let message = Message::CheckpointShare(share);
                self.outbox
                    .push_durable(Out::Peers(epoch.audience(), message));
            }
            Effect::SignReport { height, tip, proof } => {
                let report = self
                    .signer
                    .report(&epoch, height, tip, proof.map(|proof| *proof));
                self.with_recovery(|recovery, _, out| recovery.own_report(report, out));
            }
            Effect::Check(check) => self.submit_check(&epoch, check),
            Effect::Committed { height, proof, .. } => self.committed(now, which, height, proof),
            Effect::Deliver(block) if which == Which::Working => {
                let (height, id) = (block.header.height, block.id);
                let fresh = height > self.exec.height();
                let bytes = block
                    .batches
                    .iter()
                    .map(|(_, batch)| u64::from(batch.len_bytes));
                let due = fresh && self.checkpoint_due.executed(height, bytes.sum());
                let last = (block.header.payload != types::Digest::ZERO).then(|| block.clone());
                self.execute(block);
                self.after_execution(now, height, id, due);
                if let Some(block) = last {
                    self.end_epoch(now, block);
                }
            }
            Effect::Deliver(_) => {}
            Effect::Checkpointed(cert) => {
                self.snapshots.certified(&cert);
                self.resumed = false;
                self.archive = None;
            }
            Effect::StateDiverged {
                height,
                own,
                certified,
            } => {
                let why = format!(
                    "state at height {height} is {own}, but a quorum signed {certified}: this replica's disk or build is broken; start it with an empty data folder"
                );
                self.state_diverged(now, height, why);
            }
            Effect::NeedSnapshot { cert, from } => self.need_snapshot(now, *cert, from),
            Effect::Convicted {
                fraud,
                culprits,
                excluded,
            } => {
                let offence = fraud.offence().name();
                tracing::warn!(?culprits, ?excluded, offence, "convicted");
                let what = What::Convicted {
                    fraud,
                    culprits,
                    excluded,
                };
                self.note(now, what);
            }
            Effect::Gate { open, why } => self.note(now, What::Gate { open, why }),
            Effect::Resumed(resumption) => self.note(now, What::Committed(resumption)),
            Effect::Merge(plan) => self.merging = Some(plan),
            Effect::Conflict {
                own: (height, block),
                ..
            } => {
                tracing::error!(%height, %block, "two conflicting blocks have commit proofs: more than f replicas are faulty; this replica stops voting");
                // Somebody committed the other one, and will prove it.
                if self.config.recovery.is_some() && which == Which::Working {
                    for peer in self.core.config().others().iter() {
                        self.core.ask_proof(now, peer, height, &mut self.effects);
                    }
                }
            }
        }
    }

    /// With more than `f` liars a quorum may have signed another branch's state: only if the others
    /// prove that they committed the same block is the fault this replica's own.
    fn state_diverged(&mut self, now: u64, height: Height, why: String) {
        if self.config.recovery.is_none() {
            self.fatal = Some(why);
            return;
        }
        tracing::error!(%height, "a quorum signed another state");
        self.diverged = Some((height, why));
        for peer in self.core.config().others().iter() {
            self.core.ask_proof(now, peer, height, &mut self.effects);
        }
    }

    fn sign_proposal(&mut self, now: u64, which: Which, epoch: &Epoch, header: Header) {
        let payload = header.payload;
        let proposal = self.signer.proposal(epoch, header);
        let others = self.core.config().others();
        let value = match (which, &self.recovery) {
            (Which::Recovery, Some(recovery)) => recovery.value(payload),
            _ => self.eviction(payload),
        };
        if let Some(value) = value {
            // The value travels before the header that binds it.
            let message = Message::Value(epoch.id, Box::new(value.clone()));
            self.outbox.push_durable(Out::Peers(others, message));
        }
        let message = Message::Proposal(proposal.clone());
        self.outbox.push_durable(Out::Peers(others, message));
        if let Some((core, out)) = self.core_of(which) {
            core.own_proposal(now, &proposal, out);
        }
    }

    fn committed(
        &mut self,
        now: u64,
        which: Which,
        height: Height,
        proof: Option<Arc<CommitProof>>,
    ) {
        let Some(proof) = proof else { return };
        match which {
            Which::Working => {
                self.proofs.insert(height, proof);
                while self.proofs.len() > PROOFS_MAX {
                    self.proofs.pop_first();
                }
            }
            Which::Recovery => self.with_recovery(|recovery, core, out| {
                recovery.committed(now, proof.as_ref().clone(), core, out);
            }),
        }
    }

    fn persist(&mut self, durable: &Durable) {
        if let Durable::Car(car) = durable {
            car.batches
                .iter()
                .for_each(|batch| self.store.pin(&batch.digest, car.lane));
        }
        self.append(records::encode(durable));
    }

    pub(super) fn append(&mut self, record: Record) {
        if self.config.durable {
            self.platform.append(record);
            self.outbox.appended();
        }
    }

    fn after_execution(&mut self, now: u64, height: Height, id: types::BlockId, due: bool) {
        if std::mem::take(&mut self.first_block_due) {
            let epoch = self.config.epoch.id;
            self.note(now, What::FirstBlock { epoch, height });
        }
        if due && height == self.exec.height() {
            use types::Wire;
            let order = self.core.order_state(height).map(Wire::encode);
            if let Some(order) = order {
                self.begin_checkpoint(id, order);
            }
        }
    }

    /// Lets go of what a snapshot stands for; never in the middle of a turn, whose effects may still
    /// need the bytes.
    pub(super) fn let_go(&mut self) {
        // The merge may go back as far as anything is kept.
        if self.recovery.is_some() {
            return;
        }
        let covered = self.snapshots.covered();
        while let Some((block, gone)) = self.store.overflow(covered) {
            self.core.forget(&block);
            gone.into_iter()
                .for_each(|digest| self.core.batch_dropped(digest));
        }
        self.snapshots.let_go(self.store.floor(self.exec.height()));
    }

    pub(super) fn on_vote_signed(&mut self, vote: Vote) {
        match &mut self.recovery {
            Some(recovery) if recovery.epoch().id == vote.epoch => {
                recovery.core.own_vote(vote.clone());
            }
            _ => self.core.own_vote(vote.clone()),
        }
        if let Some(to) = self.vote_targets.remove(&(vote.epoch, vote.view)) {
            self.outbox
                .push_durable(Out::Peers(to, Message::Vote(vote)));
        }
    }

    /// Asks for one sync for the whole turn, and sends what is durable.
    pub(super) fn flush_outbox(&mut self, now: u64) {
        if self.outbox.wants_sync() {
            let token = self.platform.sync();
            self.outbox.asked(token);
        }
        self.outbox.seal();
        loop {
            while let Some(out) = self.outbox.pop() {
                match out {
                    Out::Client(client, response) => self.platform.reply(client, &response),
                    Out::Peers(to, message) => self.dispatch(to, message),
                }
            }
            if self.loopback.is_empty()
                && self.effects.is_empty()
                && self.recovery_effects.is_empty()
            {
                return;
            }
            // What a replica says to itself may lead to more; durable parts wait for the next turn.
            self.settle(now);
            if self.outbox.wants_sync() {
                let token = self.platform.sync();
                self.outbox.asked(token);
            }
            self.outbox.seal();
        }
    }

    fn dispatch(&mut self, to: SignerSet, message: Message) {
        let mut others = to;
        others.remove(self.config.me);
        if !others.is_empty() {
            self.platform.broadcast(others, &message);
        }
        if to.contains(self.config.me) {
            self.loopback.push_back(message);
        }
    }

    /// A message to oneself takes the way of everybody's: what it says must be durable first, and its
    /// signature is checked like a stranger's.
    fn on_own_message(&mut self, now: u64, message: Message) {
        self.on_message(now, self.config.me, message);
    }
}
