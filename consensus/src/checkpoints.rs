//! Checkpoints: heights at which a quorum signs the same state. They let a replica join without old
//! bytes, and tell one whose state is wrong that it is.

use std::collections::BTreeMap;
use std::sync::Arc;

use types::{
    BlockId, ChainResponse, CheckpointCert, CheckpointShare, Digest, Height, Message, ReplicaId,
    SignerSet, Verified,
};

use crate::core::{Core, OrderState, tip_of};
use crate::effect::{Check, Effect, Nanos};
use crate::lanes::AckShares;
use crate::tree::{Block, Tree};

/// Most own heights remembered; also how far ahead shares are kept, in steps.
const HEIGHTS_MAX: usize = 64;
/// Most heights for which the shares of one replica are kept, the newest ones: nobody crowds out
/// anybody else, and heights that never get their quorum do not keep later ones from theirs.
const HEIGHTS_PER_REPLICA_MAX: usize = 4;

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

impl Pile {
    /// What a quorum says alike, if one does.
    fn alike(&self, quorum: usize) -> Option<(BlockId, Digest, AckShares)> {
        self.shares.values().find_map(|(block, state, _)| {
            let same = self
                .shares
                .iter()
                .filter(|(_, (b, s, _))| b == block && s == state);
            let shares: AckShares = same
                .map(|(id, (_, _, signature))| (*id, *signature))
                .collect();
            (shares.len() >= quorum).then_some((*block, *state, shares))
        })
    }
}

impl Checkpoints {
    fn add(&mut self, from: ReplicaId, height: Height, said: (BlockId, Digest, [u8; 64])) {
        self.piles
            .entry(height)
            .or_default()
            .shares
            .insert(from, said);
        let of_sender = self
            .piles
            .iter()
            .filter(|(_, pile)| pile.shares.contains_key(&from));
        let heights: Vec<Height> = of_sender.map(|(height, _)| *height).collect();
        if heights.len() > HEIGHTS_PER_REPLICA_MAX
            && let Some(oldest) = heights.first()
            && let Some(pile) = self.piles.get_mut(oldest)
        {
            pile.shares.remove(&from);
        }
        self.piles
            .retain(|_, pile| !pile.shares.is_empty() || pile.checking);
    }
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
        if self.config.is_member() {
            out.push(Effect::SignCheckpoint {
                height,
                block,
                state,
            });
        }
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
        let step = self.config.checkpoint_step;
        let useful = share.replica == from
            && share.epoch == self.config.epoch.id
            && self.config.epoch.members.contains(from)
            && share.height > newest
            && share.height.0.is_multiple_of(step)
            && share.height.0 <= self.tree.tip().height.0 + HEIGHTS_MAX as u64 * step;
        if !useful {
            return;
        }
        let said = (share.block, share.state, share.signature);
        self.checkpoints.add(from, share.height, said);
        self.check_checkpoint(share.height, out);
    }

    /// Asks for the check of a height's shares once a quorum says the same.
    fn check_checkpoint(&mut self, height: Height, out: &mut Vec<Effect>) {
        let quorum = self.config.epoch.quorum();
        let Some(pile) = self.checkpoints.piles.get_mut(&height) else {
            return;
        };
        if let Some((block, state, shares)) = pile.alike(quorum).filter(|_| !pile.checking) {
            pile.checking = true;
            out.push(Effect::Check(Check::Checkpoint {
                height,
                block,
                state,
                shares,
            }));
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
            return self.check_checkpoint(height, out);
        };
        self.adopt_checkpoint(cert, out);
    }

    /// A certificate of a checkpoint, verified: from shares of our own collection, or from a peer that
    /// has let go of what we asked for.
    pub(crate) fn adopt_checkpoint(&mut self, cert: CheckpointCert, out: &mut Vec<Effect>) {
        let known = self.checkpoints.newest.as_ref();
        if self.halted || known.is_some_and(|known| known.height >= cert.height) {
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

    /// Answers a question for something that was let go: a checkpoint stands for it. A replica which
    /// was away when its shares were sent could not know, and no later one may ever reach a quorum.
    pub fn tell_pruned(&self, from: ReplicaId, out: &mut Vec<Effect>) {
        if let Some(cert) = &self.checkpoints.newest {
            let response = ChainResponse {
                epoch: self.config.epoch.id,
                headers: Vec::new(),
                tip: None,
                pruned: Some(cert.clone()),
            };
            out.push(Effect::Send {
                to: SignerSet::from_iter([from]),
                message: Message::ChainResponse(response),
                durable: false,
            });
        }
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
        let fits = tip.id == cert.block && tip.height == cert.height;
        if !fits || tip.height <= self.delivery.height {
            return false;
        }
        if tip.height > self.tree.tip().height {
            self.tree = Tree::at(tip);
            self.leaders = order.leaders.clone();
        } else if self
            .tree
            .committed_at(tip.height)
            .is_none_or(|b| b.id == tip.id)
        {
            // Only the bytes were behind: the chain of headers stays.
            self.tree.prune_below(tip.height.next());
        } else {
            return false;
        }
        self.lanes.jump(&order.cut);
        for (at, entry) in order.cut.iter().enumerate() {
            self.lanes.prune(ReplicaId(at as u16), entry.index);
        }
        self.delivery.jump(&order.cut, order.header.height);
        self.order_states.insert(order.header.height, order);
        if self
            .checkpoints
            .newest
            .as_ref()
            .is_none_or(|known| known.height < cert.height)
        {
            self.checkpoints.newest = Some(cert);
        }
        self.stats.snapshots_installed += 1;
        let high_qc = self.safety.high_qc.clone();
        let from = high_qc.votes.signers.iter().next().unwrap_or_default();
        if !self.tree.knows(high_qc.block) && high_qc.view > self.tree.tip().view {
            self.want_chain(now, (high_qc.block, high_qc.view), from, out);
        }
        self.deliver(out);
        true
    }

    /// Restores what a snapshot on the own disk stands for; see [`Core::new`].
    pub fn restore_checkpoint(&mut self, cert: CheckpointCert) {
        self.checkpoints.newest = Some(cert);
    }

    /// Batches that some kept car names, or that wait for an own car.
    pub fn live_batches(&self) -> std::collections::HashSet<types::BatchDigest> {
        self.lanes.live_batches()
    }

    /// Headers and cars that a fresh journal must begin with: all that is not yet executed or that
    /// safety rests on.
    pub fn live_records(&self) -> (Vec<Arc<types::Header>>, Vec<Arc<types::Car>>) {
        let headers = self.tree.live_headers();
        let cars = self.lanes.live_cars();
        (headers, cars)
    }
}
