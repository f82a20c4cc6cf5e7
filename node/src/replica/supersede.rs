//! A conflict belongs to the first epoch that differs: where one side of a split evicted in band and
//! went on, it comes back to the epoch that was split, and its recovery supersedes what followed.

use crypto::{Done, Job};
use types::{CommitProof, Conflict, EpochId, Message, ReplicaId};

use super::Replica;
use crate::platform::Platform;

impl<P: Platform> Replica<P> {
    /// Whether this is the epoch which an eviction ended here.
    fn is_evicted_epoch(&self, epoch: EpochId) -> bool {
        let past = self.past.as_ref();
        past.is_some_and(|past| past.epoch.id == epoch && past.recovery.is_none())
            && self.recovery.is_none()
            && self.config.recovery.is_some()
    }

    /// What a peer says about the consistency of the epoch before this one.
    pub(super) fn on_past_evidence(&mut self, now: u64, from: ReplicaId, message: &Message) {
        let Some(epoch) = message.epoch().filter(|id| self.is_evicted_epoch(*id)) else {
            return;
        };
        let Some(past) = self.past.as_mut().filter(|past| past.epoch.id == epoch) else {
            return;
        };
        let job = match message {
            Message::Notice(m) => {
                past.core.handle_notice(now, from, m, &mut self.effects);
                None
            }
            Message::Proof(m) => {
                let height = m.block().map(|core| core.height);
                let asked = height.is_some_and(|height| past.core.take_expected(from, height));
                asked.then(|| Job::CommitProof(m.clone()))
            }
            // Another block ended that epoch there.
            Message::Resumption(m) => past
                .core
                .contradicts(&m.proof)
                .then(|| Job::CommitProof(m.proof.clone())),
            Message::Conflict(m) => Some(Job::Conflict(m.clone())),
            _ => None,
        };
        if let Some(job) = job {
            let epoch = past.epoch;
            self.check_of(&epoch, from, job);
        }
    }

    /// The answer to a check of that kind; true if it was one.
    pub(super) fn on_past_done(
        &mut self,
        now: u64,
        from: ReplicaId,
        epoch: EpochId,
        done: &Done,
    ) -> bool {
        if !self.is_evicted_epoch(epoch) {
            return false;
        }
        match done {
            Done::CommitProof(Ok(m)) => self.compare_past(from, m),
            Done::Conflict(Ok(m)) => {
                let conflict = m.clone();
                match self.go_back() {
                    Ok(()) => self.conflict_checked(now, from, conflict),
                    Err(why) => self.fatal = Some(why),
                }
            }
            _ => {}
        }
        true
    }

    fn compare_past(&mut self, from: ReplicaId, other: &CommitProof) {
        let Some(past) = self
            .past
            .as_ref()
            .filter(|past| past.core.contradicts(other))
        else {
            return;
        };
        let own = other.block().and_then(|block| past.proof(block.height));
        if let Some(own) = own {
            let conflict = Conflict {
                epoch: past.epoch.id,
                first: own,
                second: other.clone(),
            };
            let epoch = past.epoch;
            self.check_of(&epoch, from, Job::Conflict(Box::new(conflict)));
        }
    }

    /// Undoes the working epoch: what was executed in it is handed in again after the recovery.
    fn go_back(&mut self) -> Result<(), String> {
        let Some(past) = self.past.take() else {
            return Ok(());
        };
        tracing::warn!(epoch = %past.epoch.id, "a split goes back behind an eviction");
        let keep = types::Height(self.config.epoch.root_height.0.saturating_sub(1));
        let later = std::mem::replace(&mut self.store, past.store);
        let me = self.config.me;
        let executed = later.retained().flat_map(|block| &block.batches);
        let executed: Vec<_> = executed.map(|(_, batch)| batch.digest).collect();
        let waiting = later.waiting().into_iter().filter(|(lane, ..)| *lane == me);
        let waiting: Vec<_> = waiting.map(|(_, digest, _)| digest).collect();
        for digest in executed.into_iter().chain(waiting) {
            if let Some(bytes) = later.get(&digest)
                && !self.store.push_own(digest, bytes.clone(), me)
            {
                self.store.push_again(&digest, me);
            }
        }
        self.core = past.core;
        self.proofs = past.proofs;
        self.snapshots = past.snapshots;
        self.evictions = past.evictions;
        self.root_state = past.root_state;
        self.config.epoch = past.epoch;
        self.lineage.pop();
        self.roll_back(keep)?;
        self.restore_journal();
        Ok(())
    }

    /// A journal of the epoch that this replica went back to: from its root if everything since is here,
    /// else from a checkpoint.
    fn restore_journal(&mut self) {
        let root = self.config.epoch.root_height;
        let whole = self.store.floor(self.exec.height()) <= root;
        let Some(snapshot) = self.snapshots.encoded(root).filter(|_| whole) else {
            return self.rotate();
        };
        if self.config.durable {
            let mut base = self.epoch_records(&snapshot);
            self.push_live(&mut base, root);
            self.write_anew(base);
        }
    }
}
