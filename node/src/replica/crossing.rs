//! State transfer over the end of an epoch. Whoever is shown how its epoch went on, but finds nobody any
//! more who serves what lies between, takes over a certified state of an epoch that follows: the
//! resumptions prove who works in it, and a quorum of them signed the state.

use consensus::Recovery;
use crypto::{Done, Job};
use types::{
    BatchRef, CheckpointCert, Epoch, EpochId, Height, Message, ReplicaId, Resumption, SignerSet,
    SnapshotChunk, SnapshotRequest,
};

use super::Replica;
use super::epochs::Step;
use super::evictions::Evictions;
use super::outbox::Out;
use super::records::LINEAGE_MAX;
use super::snapshots::{Opened, Snapshots};
use crate::incident::What;
use crate::platform::Platform;

/// For so many fetch intervals the own way to the end of the epoch is tried alone: it keeps more.
const PATIENCE_ROUNDS: u64 = 50;
/// A state ahead is asked for this often, of one member after the other.
const ASK_NS: u64 = 500_000_000;

/// See the module.
#[derive(Debug)]
pub(super) struct Crossing {
    /// How the working epoch went on elsewhere: checked, each step from where the one before leads.
    steps: Vec<Step>,
    /// Where the last one leads.
    to: Option<Epoch>,
    ask_ns: u64,
    asked: usize,
}

impl Default for Crossing {
    fn default() -> Crossing {
        Crossing {
            steps: Vec::new(),
            to: None,
            ask_ns: u64::MAX,
            asked: 0,
        }
    }
}

impl Crossing {
    pub fn is_to(&self, epoch: EpochId) -> bool {
        self.to.is_some_and(|to| to.id == epoch)
    }

    /// The epoch of a certificate, if it is the one that this replica looks to.
    pub fn epoch_of(&self, cert: &CheckpointCert) -> Option<Epoch> {
        self.to.filter(|to| to.id == cert.epoch)
    }

    pub fn deadline_ns(&self) -> u64 {
        self.ask_ns
    }
}

impl<P: Platform> Replica<P> {
    /// A checked resumption of the working epoch, or of the one that this replica already looks to.
    pub(super) fn learn_way(&mut self, now: u64, resumption: &Resumption) {
        let of = self.crossing.to.unwrap_or(self.config.epoch);
        if resumption.of != of.id || self.config.recovery.is_none() {
            return;
        }
        let crossing = &mut self.crossing;
        crossing.ask_ns = match crossing.to {
            Some(_) => now,
            None => now + PATIENCE_ROUNDS * self.config.timing.fetch_ns,
        };
        crossing.to = Some(Recovery::working_epoch(&of, resumption));
        if crossing.steps.len() >= LINEAGE_MAX {
            crossing.steps.remove(0);
        }
        let resumption = resumption.clone();
        crossing.steps.push(Step { of, resumption });
    }

    /// What this replica agreed on itself, or had when it stopped, shows the way as well.
    fn know_own_way(&mut self, now: u64) {
        if self.crossing.to.is_some() {
            return;
        }
        let own = self.recovery.as_ref().and_then(|r| r.resumption());
        if let Some(resumption) = own.cloned() {
            self.learn_way(now, &resumption);
        }
    }

    /// Asks for a state ahead while none comes.
    pub(super) fn advance_crossing(&mut self, now: u64) {
        self.know_own_way(now);
        let Some(to) = self.crossing.to.filter(|_| now >= self.crossing.ask_ns) else {
            return;
        };
        self.crossing.ask_ns = now + ASK_NS;
        if self.is_refuted() || self.snapshots.is_fetching(to.id) {
            return;
        }
        let others = to.members.iter().filter(|peer| *peer != self.config.me);
        let others: Vec<ReplicaId> = others.collect();
        let turn = self.crossing.asked % others.len().max(1);
        self.crossing.asked += 1;
        if let Some(peer) = others.get(turn) {
            let request = SnapshotRequest {
                epoch: to.id,
                height: Height(0),
                offset: 0,
            };
            let to = SignerSet::from_iter([*peer]);
            self.outbox
                .push(Out::Peers(to, Message::SnapshotRequest(request)));
        }
    }

    /// More liars than the envelope allows: whatever others agreed on, an operator decides here.
    fn is_refuted(&self) -> bool {
        let recovery = self.recovery.as_ref();
        recovery.is_some_and(|recovery| recovery.is_refuted())
    }

    /// A message of the epoch that this replica looks to.
    pub(super) fn on_ahead(&mut self, now: u64, from: ReplicaId, message: Message) {
        let Some(to) = self.crossing.to else { return };
        match message {
            Message::Resumption(m) => self.check_of(&to, from, Job::Resumption(m)),
            Message::SnapshotChunk(chunk) => self.on_chunk_ahead(now, from, &to, chunk),
            other => self.keep_early(from, other),
        }
    }

    fn on_chunk_ahead(&mut self, now: u64, from: ReplicaId, to: &Epoch, chunk: SnapshotChunk) {
        if self.snapshots.is_fetching(to.id) {
            self.on_chunk(now, from, chunk);
        } else if now >= self.crossing.ask_ns.saturating_sub(ASK_NS) && !self.is_refuted() {
            self.check_of(to, from, Job::CheckpointCert(chunk.cert));
        }
    }

    /// The answer to a check of such a message; true if it was one.
    pub(super) fn on_ahead_done(
        &mut self,
        now: u64,
        from: ReplicaId,
        epoch: EpochId,
        done: &Done,
    ) -> bool {
        if !self.crossing.is_to(epoch) {
            return false;
        }
        match done {
            Done::Resumption(Ok(m)) => self.learn_way(now, m),
            Done::CheckpointCert(Ok(cert)) => self.fetch_ahead(now, from, cert.get().clone()),
            _ => self.counters.messages_rejected += 1,
        }
        true
    }

    /// Leaves the working epoch behind and goes on from a state that a quorum of a later one signed.
    pub(super) fn cross(&mut self, now: u64, cert: CheckpointCert, opened: Opened) {
        let Some(epoch) = self.crossing.to.filter(|to| to.id == cert.epoch) else {
            return;
        };
        let (mut core, mut effects) = self.new_core(now, epoch);
        if !core.install_snapshot(now, opened.order, cert.clone(), &mut effects) {
            return tracing::warn!(height = %cert.height, "a signed state of the epoch ahead does not fit");
        }
        let (keep, orphans) = self.left_over();
        let height = opened.executor.height();
        tracing::warn!(epoch = %epoch.id, %height, %keep, "state taken over from an epoch ahead");
        self.take_back(keep);
        let steps = std::mem::take(&mut self.crossing.steps);
        let told = steps.len();
        let noted = self.recovery.as_ref().and_then(|r| r.resumption()).cloned();
        for step in &steps {
            if noted.as_ref() != Some(&step.resumption) {
                self.note(now, What::Committed(Box::new(step.resumption.clone())));
            }
        }
        self.note(
            now,
            What::Crossed {
                epoch: epoch.id,
                members: epoch.members,
                kept: keep,
                height,
                orphans: orphans.len() as u64,
            },
        );
        self.extend_lineage(steps);
        self.config.epoch = epoch;
        self.exec = opened.executor;
        self.recovery = None;
        self.past = None;
        self.evictions = Evictions::new(&epoch);
        self.proofs.clear();
        self.snapshots = Snapshots::new(true);
        self.snapshots.restore(cert, &self.exec, opened.order_bytes);
        // There is a checkpoint already, and the state at the root was never here.
        self.resumed = false;
        self.first_block_due = false;
        self.root_state = types::Digest::ZERO;
        self.effects.extend(effects);
        let (_, _, again) = self.replace_core(core, &epoch, &orphans);
        self.rotate();
        self.take_part(now, again);
        self.tell_epochs(told);
    }

    /// Up to which height the own blocks surely stay where they are, and what was executed here that
    /// perhaps nobody else has: the seen-set drops what it knows.
    fn left_over(&self) -> (Height, Vec<BatchRef>) {
        let (root, tip) = (self.config.epoch.root_height, self.exec.height());
        let Some(step) = self.crossing.steps.first() else {
            return (root, Vec::new());
        };
        let value = &step.resumption.value;
        if step.resumption.evicting().is_some() {
            // One history, of which the own one is a part.
            return (tip, Vec::new());
        }
        let is_own = |height: Height, id| self.core.executed_block(height, tip) == Some(id);
        // Above a report's tip its proof names blocks which that one did not execute.
        let tips = value.reports.iter().map(|r| (r.height, r.tip));
        let shared = tips.filter(|(height, id)| is_own(*height, *id));
        let reported = shared.map(|(height, _)| height).max().unwrap_or(root);
        let base = Height(value.root_height.0.saturating_sub(1));
        let keep = match is_own(base, value.base) {
            true => base,
            false => root,
        };
        let above = self.store.retained();
        let above = above.filter(|block| block.header.height > reported);
        let orphans = above.flat_map(|block| block.batches.iter().map(|(_, batch)| *batch));
        (keep, orphans.collect())
    }
}
