//! The recovery block is final: what everybody executes, and where the working epoch begins.

use std::collections::BTreeSet;

use types::{
    BatchRef, BlockId, CarId, CommitProof, Digest, Epoch, Height, Message, ReplicaId, Resumption,
    Verified,
};

use super::Recovery;
use crate::core::Core;
use crate::delivery::DeliveredBlock;
use crate::effect::{Durable, Effect, Nanos};

/// What a replica does to get from its own history to the merged one.
#[derive(Debug, Clone, PartialEq)]
pub struct MergePlan {
    /// The working epoch.
    pub epoch: Epoch,
    /// Everything executed above this height is undone.
    pub keep: Height,
    /// The base's blocks above it.
    pub blocks: Vec<DeliveredBlock>,
    /// What the other branches add, executed as one block at `epoch.root_height`, in this order.
    pub root: Vec<(ReplicaId, BatchRef)>,
    /// Batches that were executed here, above `keep`, and are not part of the merged history: this
    /// replica hands them in again.
    pub orphans: Vec<BatchRef>,
}

impl Recovery {
    /// The recovery core committed a block; the first one of the chain carries the value.
    pub fn committed(
        &mut self,
        now: Nanos,
        proof: CommitProof,
        split: &mut Core,
        out: &mut Vec<Effect>,
    ) {
        let payload = proof.block().map_or(Digest::ZERO, |core| core.payload);
        if self.resumption.is_some() || payload == Digest::ZERO || self.is_refuted() {
            return;
        }
        let Some(value) = self.values.get(&payload).cloned() else {
            self.decided = Some(proof);
            // Its certificates are enough to be sure that it will be had from somebody.
            self.wanted.insert(payload);
            self.ask_values(out);
            return;
        };
        let resumption = Resumption {
            of: self.of.id,
            value,
            proof,
        };
        self.resume(now, resumption, split, out);
    }

    /// Somebody shows how this epoch goes on (checked). It ends the epoch here as well.
    pub fn handle_resumption(
        &mut self,
        now: Nanos,
        resumption: Verified<Resumption>,
        split: &mut Core,
        out: &mut Vec<Effect>,
    ) {
        let resumption = resumption.into_inner();
        if resumption.of != self.of.id || self.resumption.is_some() {
            return;
        }
        for fraud in resumption.value.frauds.clone() {
            self.convict(now, fraud, out);
        }
        if self.is_refuted() {
            return;
        }
        self.resume(now, resumption, split, out);
    }

    fn resume(
        &mut self,
        now: Nanos,
        resumption: Resumption,
        split: &mut Core,
        out: &mut Vec<Effect>,
    ) {
        self.core.freeze();
        self.wanted.clear();
        out.push(Effect::Persist(Durable::Resumption(Box::new(
            resumption.clone(),
        ))));
        out.push(Effect::Resumed(Box::new(resumption.clone())));
        out.push(Effect::Send {
            to: self.others(),
            message: Message::Resumption(Box::new(resumption.clone())),
            durable: false,
        });
        self.resumption = Some(resumption);
        self.advance(now, split, out);
    }

    /// The working epoch that a resumption opens: after a recovery, or after a block that evicts.
    pub fn working_epoch(of: &Epoch, resumption: &Resumption) -> Epoch {
        let value = &resumption.value;
        if let Some(block) = resumption.evicting() {
            let root = block.height.next();
            return of.evicted(block.id(), value.excluded, value.standbys, root);
        }
        of.recovery().resumed(
            value.digest(),
            value.excluded,
            value.standbys,
            value.root_height,
        )
    }

    /// Works out the merge once every byte that it needs is here.
    pub(super) fn try_merge(&mut self, split: &mut Core, out: &mut Vec<Effect>) {
        let Some(resumption) = &self.resumption else {
            return;
        };
        let reports = &resumption.value.reports;
        let held = |r: &types::ForkReport| split.holds_branch(r.tip, r.height, self.executed);
        if self.merged || self.is_refuted() || !reports.iter().all(held) {
            return;
        }
        if let Some(plan) = self.plan(split) {
            self.merged = true;
            out.push(Effect::Merge(Box::new(plan)));
        }
    }

    fn plan(&self, split: &Core) -> Option<MergePlan> {
        let resumption = self.resumption.as_ref()?;
        let (chains, lowest) = self.chains(split, &resumption.value.reports)?;
        let order = self.core.rules.merge_order(chains);
        let floor = lowest.min(self.executed);
        let mut blocks: Vec<DeliveredBlock> = Vec::new();
        let mut executed: BTreeSet<(ReplicaId, CarId)> = BTreeSet::new();
        let mut root: Vec<(ReplicaId, BatchRef)> = Vec::new();
        for (at, chain) in order.iter().enumerate() {
            for block in split.chain_blocks(chain.tip, floor, self.executed)? {
                if at == 0 {
                    executed.extend(block.cars.iter().copied());
                    blocks.push(block);
                    continue;
                }
                for (lane, car) in block.cars {
                    if executed.insert((lane, car)) {
                        let batches = split.car_batches(lane, car)?;
                        root.extend(batches.into_iter().map(|batch| (lane, batch)));
                    }
                }
            }
        }
        let keep = self.common(split, &blocks, floor);
        let orphans = self.orphans(split, keep, &executed)?;
        blocks.retain(|block| block.header.height > keep);
        Some(MergePlan {
            epoch: Recovery::working_epoch(&self.of, resumption),
            keep,
            blocks,
            root,
            orphans,
        })
    }

    /// The last block that the own executed chain and the base have in common.
    fn common(&self, split: &Core, base: &[DeliveredBlock], floor: Height) -> Height {
        let own = |block: &&DeliveredBlock| {
            let height = block.header.height;
            split.executed_block(height, self.executed) == Some(block.id)
        };
        let shared = base.iter().take_while(own).last();
        shared.map_or(floor, |block| block.header.height)
    }

    fn orphans(
        &self,
        split: &Core,
        keep: Height,
        executed: &BTreeSet<(ReplicaId, CarId)>,
    ) -> Option<Vec<BatchRef>> {
        let mut out = Vec::new();
        let tip: Option<BlockId> = split.executed_block(self.executed, self.executed);
        if self.executed <= keep {
            return Some(out);
        }
        for block in split.chain_blocks(tip?, keep, self.executed)? {
            for (lane, car) in block.cars {
                if !executed.contains(&(lane, car)) {
                    out.extend(split.car_batches(lane, car)?);
                }
            }
        }
        Some(out)
    }
}
