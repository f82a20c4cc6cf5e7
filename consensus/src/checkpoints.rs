//! Checkpoints: heights at which a quorum signs the same state. They let a replica join without old
//! bytes, and tell one whose state is wrong that it is.

use std::collections::BTreeMap;
use std::sync::Arc;

use types::{BlockId, CheckpointCert, CheckpointShare, Digest, Height, ReplicaId, Verified};

use crate::core::{Core, OrderState, tip_of};
use crate::effect::{Check, Effect, Nanos};
use crate::tree::{Block, Tree};

/// Most heights for which shares are collected at the same time.
const HEIGHTS_MAX: usize = 8;

#[derive(Debug, Default)]
struct Pile {
    /// One share per replica.
    shares: BTreeMap<ReplicaId, (BlockId, Digest, [u8; 64])>,
    checking: bool,
}

#[derive(Debug, Default)]
pub(crate) struct Checkpoints {
    pub newest: Option<CheckpointCert>,
    piles: BTreeMap<Height, Pile>,
    /// This replica's own states.
    own: BTreeMap<Height, Digest>,
}

impl Core {
    /// Remembers the ordering state at a checkpoint block until the next ones.
    pub(crate) fn keep_order_state(&mut self, block: &Block) {
        let state = OrderState {
            header: block.header.as_ref().clone(),
            cut: block.cut.as_ref().clone(),
            leaders: self.leaders.clone(),
        };
        self.order_states.insert(block.header.height, state);
        while self.order_states.len() > HEIGHTS_MAX {
            self.order_states.pop_first();
        }
    }

    /// Ordering state at a checkpoint height, while it is kept: part of that height's snapshot.
    pub fn order_state(&self, height: Height) -> Option<&OrderState> {
        self.order_states.get(&height)
    }

    pub fn newest_checkpoint(&self) -> Option<&CheckpointCert> {
        self.checkpoints.newest.as_ref()
    }

    /// The driver executed `block` at a checkpoint height and arrived at `state`.
    pub fn checkpoint_reached(
        &mut self,
        height: Height,
        block: BlockId,
        state: Digest,
        out: &mut Vec<Effect>,
    ) {
        self.checkpoints.own.insert(height, state);
        while self.checkpoints.own.len() > HEIGHTS_MAX {
            self.checkpoints.own.pop_first();
        }
        out.push(Effect::SignCheckpoint {
            height,
            block,
            state,
        });
        let newest = self.checkpoints.newest.as_ref();
        if let Some(cert) = newest.filter(|c| c.height == height && c.state != state) {
            out.push(Effect::StateDiverged {
                height,
                own: state,
                certified: cert.state,
            });
        }
    }

    /// A share from its authenticated sender; checked when a quorum says the same.
    pub fn handle_checkpoint_share(
        &mut self,
        from: ReplicaId,
        share: &CheckpointShare,
        out: &mut Vec<Effect>,
    ) {
        let newest = self
            .checkpoints
            .newest
            .as_ref()
            .map_or(Height(0), |c| c.height);
        let interval = self.config.checkpoint_interval;
        let useful = share.replica == from
            && share.epoch == self.config.epoch.id
            && self.config.epoch.members.contains(from)
            && share.height > newest
            && share.height.0.is_multiple_of(interval)
            && share.height.0 <= self.tree.tip().height.0 + HEIGHTS_MAX as u64 * interval;
        if !useful {
            return;
        }
        let piles = &mut self.checkpoints.piles;
        let pile = piles.entry(share.height).or_default();
        pile.shares
            .insert(from, (share.block, share.state, share.signature));
        let alike: Vec<(ReplicaId, [u8; 64])> = pile
            .shares
            .iter()
            .filter(|(_, (block, state, _))| *block == share.block && *state == share.state)
            .map(|(id, (_, _, signature))| (*id, *signature))
            .collect();
        if !pile.checking && alike.len() >= self.config.epoch.quorum() {
            pile.checking = true;
            let (height, block, state) = (share.height, share.block, share.state);
            out.push(Effect::Check(Check::Checkpoint {
                height,
                block,
                state,
                shares: alike,
            }));
        }
        while piles.len() > HEIGHTS_MAX {
            piles.pop_first();
        }
    }

    pub fn handle_checkpoint_checked(
        &mut self,
        height: Height,
        cert: Option<Verified<CheckpointCert>>,
        bad: &[ReplicaId],
        out: &mut Vec<Effect>,
    ) {
        self.stats.bad_shares += bad.len() as u64;
        if let Some(pile) = self.checkpoints.piles.get_mut(&height) {
            pile.checking = false;
            bad.iter().for_each(|id| {
                pile.shares.remove(id);
            });
        }
        let Some(cert) = cert.map(Verified::into_inner) else {
            return;
        };
        if self
            .checkpoints
            .newest
            .as_ref()
            .is_some_and(|known| known.height >= cert.height)
        {
            return;
        }
        self.stats.checkpoints += 1;
        self.checkpoints.piles.retain(|at, _| *at > cert.height);
        if let Some(own) = self.checkpoints.own.get(&cert.height)
            && *own != cert.state
        {
            let certified = cert.state;
            out.push(Effect::StateDiverged {
                height: cert.height,
                own: *own,
                certified,
            });
        }
        self.checkpoints.newest = Some(cert.clone());
        out.push(Effect::Checkpointed(Box::new(cert)));
    }

    /// A snapshot was fetched and its digest matches `cert`: order goes on from there.
    pub fn install_snapshot(
        &mut self,
        now: Nanos,
        order: OrderState,
        cert: CheckpointCert,
        out: &mut Vec<Effect>,
    ) -> bool {
        let tip = tip_of(&order);
        if tip.height <= self.tree.tip().height || tip.id != cert.block || tip.height != cert.height
        {
            return false;
        }
        self.tree = Tree::at(tip);
        self.leaders = order.leaders.clone();
        self.lanes.jump(&order.cut);
        self.delivery.jump(&order.cut, order.header.height);
        self.order_states.insert(order.header.height, order);
        self.checkpoints.newest = Some(cert);
        self.stats.snapshots_installed += 1;
        let high_qc = self.safety.high_qc.clone();
        let from = high_qc.votes.signers.iter().next().unwrap_or_default();
        if !self.tree.knows(high_qc.block) {
            self.want_chain(now, high_qc.block, from, out);
        }
        self.deliver(out);
        true
    }

    /// Restores what a snapshot on the own disk stands for; see [`Core::new`].
    pub fn restore_checkpoint(&mut self, cert: CheckpointCert) {
        self.checkpoints.newest = Some(cert);
    }

    /// Headers and cars that a fresh journal must begin with: all that is not yet executed or that
    /// safety rests on.
    pub fn live_records(&self) -> (Vec<Arc<types::Header>>, Vec<Arc<types::Car>>) {
        let headers = self.tree.live_headers();
        let cars = self.lanes.live_cars();
        (headers, cars)
    }
}
