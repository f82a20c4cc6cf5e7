//! Effects out: persist, sign, send, execute, in the order in which the core said so.

use consensus::{Durable, Effect};
use crypto::Job;
use storage::Record;
use types::{Height, Message, SignerSet, Vote};

use super::outbox::Out;
use super::{PROOFS_MAX, Pending, Replica, records};
use crate::platform::Platform;

impl<P: Platform> Replica<P> {
    /// Works off effects until there are none: some lead to others.
    pub(super) fn settle(&mut self, now: u64) {
        loop {
            while !self.effects.is_empty() {
                for effect in std::mem::take(&mut self.effects) {
                    self.apply(now, effect);
                }
            }
            match self.loopback.pop_front() {
                Some(message) => self.on_own_message(now, message),
                None => return,
            }
        }
    }

    fn apply(&mut self, now: u64, effect: Effect) {
        let epoch = self.config.epoch;
        match effect {
            Effect::Persist(durable) => self.persist(&durable),
            Effect::Send {
                to,
                message,
                durable,
            } => {
                if let Message::BatchRequest(digests) = &message {
                    self.store.want(digests);
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
                self.vote_targets.insert(view, to);
                while self.vote_targets.len() > 8 {
                    self.vote_targets.pop_first();
                }
                let job = Job::SignVote {
                    view,
                    block,
                    excluded,
                };
                self.submit(Pending::Core(Vec::new()), job);
            }
            Effect::SignProposal(header) => {
                let proposal = self.signer.proposal(&epoch, *header);
                let others = self.core.config().others();
                let message = Message::Proposal(proposal.clone());
                self.outbox.push_durable(Out::Peers(others, message));
                self.core.own_proposal(now, &proposal, &mut self.effects);
            }
            Effect::SignTimeout {
                view,
                high_qc,
                last_vote,
            } => {
                let timeout = self.signer.timeout(&epoch, view, *high_qc, last_vote);
                self.outbox
                    .push_durable(Out::Peers(epoch.members, Message::Timeout(timeout)));
            }
            Effect::SignCar(car) => {
                let car = self.signer.car(&epoch, *car);
                self.core.own_car(now, car, &mut self.effects);
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
                self.outbox.push_durable(Out::Peers(epoch.members, message));
            }
            Effect::Check(check) => self.submit_check(check),
            Effect::Committed { height, proof, .. } => {
                if let Some(proof) = proof {
                    self.proofs.insert(height, proof);
                }
                while self.proofs.len() > PROOFS_MAX {
                    self.proofs.pop_first();
                }
            }
            Effect::Deliver(block) => {
                let (height, id) = (block.header.height, block.id);
                self.execute(block);
                self.after_execution(height, id);
            }
            Effect::Checkpointed(cert) => self.snapshots.certified(&cert),
            Effect::StateDiverged {
                height,
                own,
                certified,
            } => {
                self.fatal = Some(format!(
                    "state at height {height} is {own}, but a quorum signed {certified}: this replica's disk or build is broken; start it with an empty data folder"
                ));
            }
            Effect::NeedSnapshot { cert, from } => self.need_snapshot(now, *cert, from),
            Effect::Conflict {
                own: (height, block),
                ..
            } => {
                tracing::error!(%height, %block, "two conflicting blocks have commit proofs: more than f replicas are faulty; this replica stops voting");
            }
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

    fn after_execution(&mut self, height: Height, id: types::BlockId) {
        if height.0.is_multiple_of(self.config.checkpoint_interval) && height == self.exec.height()
        {
            use types::Wire;
            let order = self.core.order_state(height).map(Wire::encode);
            if let Some(order) = order {
                let state = self.snapshots.take(&self.exec, &order);
                self.core
                    .checkpoint_reached(height, id, state, &mut self.effects);
            }
        }
    }

    /// Lets go of what a snapshot stands for; never in the middle of a turn, whose effects may still
    /// need the bytes.
    pub(super) fn let_go(&mut self) {
        let covered = self.snapshots.covered();
        while let Some((block, gone)) = self.store.overflow(covered) {
            self.core.forget(&block);
            gone.into_iter()
                .for_each(|digest| self.core.batch_dropped(digest));
        }
    }

    pub(super) fn on_vote_signed(&mut self, vote: Vote) {
        self.core.own_vote(vote.clone());
        if let Some(to) = self.vote_targets.remove(&vote.view) {
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
            if self.loopback.is_empty() && self.effects.is_empty() {
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
