//! From one epoch to the next: freezing, rolling back, executing the merged history, starting again.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use consensus::accountability::gate;
use consensus::{
    Config, Core, DeliveredBlock, Effect, FoundRecovery, MergePlan, Recovered, Recovery,
};
use storage::Record;
use types::client::{Response, SessionEntries};
use types::{
    BatchRef, CommitProof, Digest, Epoch, Height, Message, Mode, ReplicaId, Resumption, batch,
};

use super::crossing::Crossing;
use super::evictions::Evictions;
use super::outbox::Out;
use super::records::{EpochBase, LINEAGE_MAX};
use super::snapshots::Snapshots;
use super::store::BatchStore;
use super::{Replica, records};
use crate::incident::What;
use crate::platform::Platform;

/// How an epoch ended.
#[derive(Debug, Clone)]
pub(super) struct Step {
    pub of: Epoch,
    pub resumption: Resumption,
}

/// The epoch before this one, frozen: it serves replicas that have not merged yet.
#[derive(Debug)]
pub(super) struct Past {
    pub epoch: Epoch,
    pub core: Core,
    /// None if it ended with an eviction.
    pub recovery: Option<Box<Recovery>>,
    pub evictions: Evictions,
    pub snapshots: Snapshots,
    pub root_state: Digest,
    pub store: BatchStore,
    pub proofs: BTreeMap<Height, Arc<CommitProof>>,
}

/// Proves what was final at a height: as it was kept, or made anew from headers where that was long ago.
pub(super) fn proof_of(
    kept: &BTreeMap<Height, Arc<CommitProof>>,
    core: &Core,
    height: Height,
) -> Option<CommitProof> {
    let known = kept.get(&height).map(|proof| proof.as_ref().clone());
    known.or_else(|| core.proof_at(height))
}

impl Past {
    /// Proves what was final here at a height.
    pub fn proof(&self, height: Height) -> Option<CommitProof> {
        proof_of(&self.proofs, &self.core, height)
    }
}

impl<P: Platform> Replica<P> {
    /// Stops voting, committing and executing in the working epoch, and reports where it stood.
    pub(super) fn begin_recovery(&mut self, now: u64) {
        if self.recovery.is_some() {
            return;
        }
        self.open_recovery(now, FoundRecovery::default());
    }

    /// As [`Replica::begin_recovery`], with what a restarted replica found.
    pub(super) fn open_recovery(&mut self, now: u64, found: FoundRecovery) {
        self.core.freeze();
        self.stop_fetching();
        let executed = self.exec.height();
        let (recovery, effects) =
            Recovery::new(self.core.config(), (self.rules)(), found, executed, now);
        self.recovery = Some(Box::new(recovery));
        self.recovery_effects.extend(effects);
        let root = executed == self.config.epoch.root_height;
        let proof = self.proofs.get(&executed).map(|p| p.as_ref().clone());
        if let Some(tip) = self.core.executed_block(executed, executed)
            && (root || proof.is_some())
        {
            self.with_recovery(|recovery, _, out| {
                recovery.report(tip, proof.filter(|_| !root), out);
            });
        }
        self.gateway.rest(now);
        let consent = self.may_go_on();
        self.with_recovery(|recovery, _, out| recovery.set_consent(now, consent, out));
        self.hand_over_frauds();
        self.replay_early(now);
    }

    /// Eq. 2 and Eq. 6. Verified proofs of fraud convict nobody by mistake: until a detector with
    /// errors is added, confidence and precision are 1 and the risk of misclassification is 0.
    fn may_go_on(&self) -> bool {
        self.config.recovery.is_some_and(|policy| {
            let risk = gate::misclassification(0.0, 0.0, 0.0);
            let by = gate::intervention(1.0, 1.0, policy.theta_detect, policy.theta_precision);
            gate::tolerable(risk, policy.tau_ops) && by == gate::Intervention::Auto
        })
    }

    // ---- the merge ------------------------------------------------------------------------------

    /// Executes the merged history, and begins the working epoch.
    pub(super) fn merge(&mut self, now: u64, plan: MergePlan) {
        let old_height = self.exec.height();
        let moved: u64 = self
            .store
            .retained()
            .filter(|b| b.header.height > plan.keep)
            .flat_map(|b| b.batches.iter().map(|(_, batch)| u64::from(batch.txs)))
            .sum();
        if plan.keep < old_height
            && let Err(why) = self.roll_back(plan.keep)
        {
            self.fatal = Some(why);
            return;
        }
        let mut told: Vec<(Height, Vec<SessionEntries>)> = Vec::new();
        for block in &plan.blocks {
            let entries = self.execute_batches(
                block.header.height,
                block.id.0.0,
                block.header.view.0,
                &block.batches,
            );
            told.push((block.header.height, entries));
        }
        let root = plan.epoch.root_height;
        let id = plan.epoch.root();
        self.config.epoch = plan.epoch;
        let entries = self.execute_batches(root, id.0.0, 0, &plan.root);
        told.push((root, entries));
        if self.fatal.is_some() {
            return;
        }
        let invalidated = told
            .iter()
            .flat_map(|(_, sessions)| sessions.iter().flat_map(|s| &s.entries))
            .filter(|e| matches!(e.outcome, types::client::Outcome::Rejected(_)))
            .count() as u64;
        self.note(
            now,
            What::Merged {
                epoch: plan.epoch.id,
                members: plan.epoch.members,
                rolled_back_to: plan.keep,
                root_height: root,
                moved,
                invalidated,
                orphans: plan.orphans.len() as u64,
            },
        );
        let Some(recovery) = self.recovery.take() else {
            return;
        };
        let Some(resumption) = recovery.resumption().cloned() else {
            return;
        };
        let of = *recovery.of();
        let step = Step { of, resumption };
        self.begin_epoch(now, step, plan.epoch, Some(recovery), &plan.orphans);
        self.tell_clients(told);
    }

    /// Goes back to the state after the block at `keep`.
    pub(super) fn roll_back(&mut self, keep: Height) -> Result<(), String> {
        let Some(mut exec) = self.snapshots.base_at(keep) else {
            return Err(format!(
                "the split goes back to height {keep}, below the oldest state that is kept: an operator must restore this replica from another one"
            ));
        };
        let blocks: Vec<DeliveredBlock> = self
            .store
            .retained()
            .filter(|b| b.header.height > exec.height() && b.header.height <= keep)
            .cloned()
            .collect();
        for block in &blocks {
            let inputs = self.inputs(block.header.height, &block.batches, |_| false)?;
            exec.execute_block(block.header.height, &inputs, &mut |_, _, _| {});
        }
        if exec.height() != keep {
            return Err(format!(
                "blocks between height {} and {keep} were let go: an operator must restore this replica from another one",
                exec.height()
            ));
        }
        self.exec = exec;
        self.snapshots.forget_hashing();
        self.take_back(keep);
        Ok(())
    }

    /// The ledger takes back everything above `keep`.
    pub(super) fn take_back(&mut self, keep: Height) {
        let epoch = self.ledger_epoch();
        let marker = measure::LedgerRecord::rollback(keep.0, epoch);
        self.ledger.push(marker);
    }

    /// The working epoch as ledgers name it.
    fn ledger_epoch(&self) -> [u8; 8] {
        self.config.epoch.id.0.0[..8].try_into().unwrap_or_default()
    }

    fn inputs(
        &self,
        height: Height,
        batches: &[(ReplicaId, BatchRef)],
        receipts: impl Fn(ReplicaId) -> bool,
    ) -> Result<Vec<execution::BatchInput>, String> {
        let input = |(lane, batch): &(ReplicaId, BatchRef)| {
            let bytes = self.store.get(&batch.digest).cloned().ok_or_else(|| {
                format!(
                    "batch {} of block {height} vanished before its execution: this is a defect",
                    batch.digest
                )
            })?;
            Ok(execution::BatchInput {
                digest: batch.digest,
                bytes,
                receipts: receipts(*lane),
            })
        };
        batches.iter().map(input).collect()
    }

    /// Executes one block, ordered or merged; what it means for own clients.
    pub(super) fn execute_batches(
        &mut self,
        height: Height,
        block: [u8; 32],
        view: u64,
        batches: &[(ReplicaId, BatchRef)],
    ) -> Vec<SessionEntries> {
        let me = self.config.me;
        let inputs = match self.inputs(height, batches, |lane| lane == me) {
            Ok(inputs) => inputs,
            Err(why) => {
                self.fatal = Some(why);
                return Vec::new();
            }
        };
        let mut sessions: Vec<SessionEntries> = Vec::new();
        let summary = self
            .exec
            .execute_block(
                height,
                &inputs,
                &mut |_, session, entry| match sessions.last_mut() {
                    Some(last) if last.session == *session => last.entries.push(entry),
                    _ => sessions.push(SessionEntries {
                        session: *session,
                        entries: vec![entry],
                    }),
                },
            );
        self.count(&summary);
        self.ledger.push(measure::LedgerRecord {
            height: height.0,
            view,
            epoch: self.ledger_epoch(),
            block,
            digest: summary.ledger.0,
            txs: (summary.applied + summary.rejected) as u32,
        });
        sessions
    }

    /// Starts the ordering core of a new epoch whose root was just executed.
    pub(super) fn begin_epoch(
        &mut self,
        now: u64,
        step: Step,
        epoch: Epoch,
        recovery: Option<Box<Recovery>>,
        orphans: &[BatchRef],
    ) {
        let of = step.of;
        self.extend_lineage([step]);
        let (core, effects) = self.new_core(now, epoch);
        self.effects.extend(effects);
        let (core, store, again) = self.replace_core(core, &epoch, orphans);
        self.past = Some(Past {
            epoch: of,
            core,
            recovery,
            evictions: std::mem::replace(&mut self.evictions, Evictions::new(&epoch)),
            snapshots: std::mem::replace(&mut self.snapshots, Snapshots::new(true)),
            root_state: self.root_state,
            store,
            proofs: std::mem::take(&mut self.proofs),
        });
        self.snapshots.take(&self.exec, &[]);
        self.resumed = true;
        self.first_block_due = true;
        self.begin_journal();
        self.take_part(now, again);
    }

    pub(super) fn extend_lineage(&mut self, steps: impl IntoIterator<Item = Step>) {
        self.lineage.extend(steps);
        let surplus = self.lineage.len().saturating_sub(LINEAGE_MAX);
        self.lineage.drain(..surplus);
    }

    /// A core of another epoch, set up as the present one.
    pub(super) fn new_core(&self, now: u64, epoch: Epoch) -> (Core, Vec<Effect>) {
        let config = Config {
            epoch,
            notices: self.core.config().notices,
            ..self.core.config().clone()
        };
        Core::new(config, (self.rules)(), Recovered::default(), now)
    }

    /// Puts the core of `epoch` and an empty store in the place of the old ones, which are returned with
    /// the batches that this replica must hand in again.
    pub(super) fn replace_core(
        &mut self,
        core: Core,
        epoch: &Epoch,
        orphans: &[BatchRef],
    ) -> (Core, BatchStore, Vec<BatchRef>) {
        let core = std::mem::replace(&mut self.core, core);
        let store = BatchStore::new(
            epoch.n,
            self.config.retention_bytes,
            2 * self.config.window_bytes,
        );
        let store = std::mem::replace(&mut self.store, store);
        let again = self.carry_over(&store, epoch, orphans);
        self.checkpoint_due.restart();
        self.merging = None;
        self.crossing = Crossing::default();
        self.archive = None;
        self.pending_by_peer.iter_mut().for_each(|load| *load = 0);
        self.pending.retain(|_, (_, pending)| pending.is_local());
        (core, store, again)
    }

    /// The epoch's journal has begun: hands in what is left over, and says hello.
    pub(super) fn take_part(&mut self, now: u64, again: Vec<BatchRef>) {
        self.gateway.resume();
        self.hand_in(now, again);
        for peer in self.core.config().others().iter() {
            self.core.handle_peer_up(peer, &mut self.effects);
        }
        self.replay_early(now);
    }

    /// Batches that go on into the new epoch: what this replica must hand in again, and what others
    /// will.
    fn carry_over(
        &mut self,
        old: &BatchStore,
        epoch: &Epoch,
        orphans: &[BatchRef],
    ) -> Vec<BatchRef> {
        let me = self.config.me;
        let mut again: Vec<BatchRef> = Vec::new();
        for batch in orphans {
            if let Some(bytes) = old.get(&batch.digest)
                && self.store.push_own(batch.digest, bytes.clone(), me)
            {
                again.push(*batch);
            }
        }
        for (lane, digest, bytes) in old.waiting() {
            if lane == me {
                let txs = batch::validate(&bytes).unwrap_or(0);
                let len_bytes = bytes.len() as u32;
                if self.store.push_own(digest, bytes, me) {
                    again.push(BatchRef {
                        digest,
                        len_bytes,
                        txs,
                    });
                }
            } else if epoch.members.contains(lane) && self.store.push(digest, bytes, lane) {
                self.core.batch_known(digest);
            }
        }
        again
    }

    /// Own batches of the epoch that ended, and orphans, become cars of the new one.
    fn hand_in(&mut self, now: u64, batches: Vec<BatchRef>) {
        let others = self.core.config().others();
        for batch in batches {
            if let Some(bytes) = self.store.get(&batch.digest).cloned() {
                self.append(records::batch(batch.digest, bytes.clone()));
                self.outbox.push(Out::Peers(others, Message::Batch(bytes)));
                self.core.own_batch(now, batch, &mut self.effects);
            }
        }
    }

    pub(super) fn tell_clients(&mut self, told: Vec<(Height, Vec<SessionEntries>)>) {
        self.tell_epochs(1);
        let epoch = self.config.epoch.id;
        for (height, sessions) in told {
            for (client, sessions) in self.gateway.by_client(sessions) {
                let moved = Response::Moved {
                    epoch,
                    height,
                    sessions,
                };
                self.outbox.push_durable(Out::Client(client, moved));
            }
        }
    }

    /// Proves the last `steps` changes of epoch to all clients.
    pub(super) fn tell_epochs(&mut self, steps: usize) {
        let known = self.lineage.len().saturating_sub(steps);
        for step in &self.lineage[known..] {
            let change = step.resumption.change();
            for client in self.gateway.all() {
                let response = Response::EpochChange(Box::new(change.clone()));
                self.outbox.push_durable(Out::Client(client, response));
            }
        }
    }

    // ---- the journal ----------------------------------------------------------------------------

    /// What every journal of an epoch that is not the first begins with.
    pub(super) fn epoch_records(&self, snapshot: &Bytes) -> Vec<Record> {
        if self.lineage.is_empty() {
            return Vec::new();
        }
        let base = EpochBase {
            epoch: self.config.epoch,
            state: self.root_state,
            lineage: self.lineage.iter().map(|s| s.resumption.clone()).collect(),
        };
        records::epoch(&base, snapshot)
    }

    /// A new journal that begins with the state at the epoch's root.
    fn begin_journal(&mut self) {
        let snapshot = self.exec.snapshot();
        self.root_state = snapshot.digest();
        if !self.config.durable {
            return;
        }
        let mut base = self.epoch_records(&snapshot.encode());
        let safety = consensus::Durable::Safety(Box::new(self.core.safety().clone()));
        base.push(records::encode(&safety));
        for (_, digest, bytes) in self.store.waiting() {
            base.push(records::batch(digest, bytes));
        }
        if let (Some(past), Some(step)) = (&self.past, self.lineage.last()) {
            base.extend(past.archive(&step.resumption));
        }
        self.write_anew(base);
    }

    // ---- modes ----------------------------------------------------------------------------------

    /// What this replica may promise at the moment.
    pub fn mode(&self) -> Mode {
        match (&self.recovery, self.resumed) {
            (Some(recovery), _) => recovery.mode(),
            (None, true) => Mode::SafeResumed,
            (None, false) => Mode::Nominal,
        }
    }

    /// Tells clients and the timeline when the mode changed.
    pub(super) fn watch_mode(&mut self, now: u64) {
        let mode = self.mode();
        if mode == self.shown_mode {
            return;
        }
        self.shown_mode = mode;
        let epoch = self.config.epoch.id;
        self.note(now, What::Mode { mode, epoch });
        tracing::warn!(mode = mode.name(), "mode");
        for client in self.gateway.all() {
            let response = Response::Mode { epoch, mode };
            self.outbox.push_durable(Out::Client(client, response));
        }
    }
}
