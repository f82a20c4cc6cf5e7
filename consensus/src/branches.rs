//! Branches that other replicas committed in this epoch: their headers, walked down by hash from a
//! tip whose commit proof was checked until they meet the own executed chain, and then their bytes.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use types::limits::CHAIN_HEADERS_MAX;
use types::{
    BlockId, BranchRequest, Car, CommitProof, Header, Height, Message, ReplicaId, SignerSet,
    recovery,
};

use crate::core::Core;
use crate::delivery::{DeliveredBlock, Delivery, Want};
use crate::effect::{Effect, Nanos};
use crate::lanes::CutEntry;
use crate::tree::Linked;

#[cfg(test)]
mod tests;

/// Most branches followed: one per replica, and those of the conflict.
const BRANCHES_MAX: usize = 2 * types::limits::REPLICAS_MAX;
/// Most headers of one branch.
const HEADERS_MAX: usize = 1 << 16;
/// Time has passed, or a branch is new: whatever it needs is looked for.
const UNKNOWN: Arrived = Arrived {
    cars: true,
    batches: 0,
};

/// See the module.
#[derive(Debug)]
pub(crate) struct Branch {
    /// The committed block, and the last certified one of its proof.
    tip: BlockId,
    tip_height: Height,
    top: BlockId,
    /// Ascending, ending in `top` (or in `tip` where nobody has the rest).
    headers: VecDeque<Linked>,
    /// The header that is asked for.
    next: BlockId,
    /// Newest block in common with the own executed chain, once known.
    base: Option<Height>,
    /// Bytes, once the headers are whole.
    delivery: Option<Delivery>,
    /// All bytes up to the tip are here.
    complete: bool,
    /// It leads nowhere: longer than anything, or to another root.
    hopeless: bool,
    holders: SignerSet,
    asked_ns: Option<Nanos>,
    attempts: u32,
    /// So many batches must come before there can be something new to ask for.
    patience: usize,
}

/// What came since the branches were looked at.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Arrived {
    /// Cars, which name new batches; or nobody knows what.
    pub cars: bool,
    pub batches: usize,
}

/// All branches by tip.
pub(crate) type Branches = BTreeMap<BlockId, Branch>;

impl Branch {
    /// Whether a piece that ends in `id` is the next one down. The first may end in the certified block or in
    /// the committed one, whichever was asked for last.
    fn awaits(&self, id: BlockId) -> bool {
        self.next == id || self.headers.is_empty() && (self.top == id || self.tip == id)
    }

    /// Whether the other one ends within this one, both growing out of the same block. A branch that leads
    /// nowhere covers nothing.
    fn covers(&self, other: &Branch) -> bool {
        !self.hopeless
            && self.base.is_some()
            && self.base == other.base
            && self.tip_height > other.tip_height
            && (self.header_at(other.tip_height)).is_some_and(|block| block.id == other.tip)
    }

    fn header_at(&self, height: Height) -> Option<&Linked> {
        let first = self.headers.front()?.header.height.0;
        self.headers.get(height.0.checked_sub(first)? as usize)
    }

    /// All bytes up to this height are here.
    fn delivered(&self) -> Height {
        let delivery = self.delivery.as_ref();
        delivery.map_or(Height(0), |delivery| delivery.height)
    }
}

impl Core {
    /// Follows the branch that `proof` (checked) ends in; whoever sent it should have it.
    pub fn want_branch(
        &mut self,
        now: Nanos,
        proof: &CommitProof,
        holder: ReplicaId,
        executed: Height,
        out: &mut Vec<Effect>,
    ) {
        let (Some(tip), Some(top)) = (proof.chain.first(), proof.chain.last()) else {
            return;
        };
        let id = tip.id();
        if self.executed_block(tip.height, executed) == Some(id) {
            return;
        }
        if let Some(branch) = self.branches.get_mut(&id) {
            branch.holders.insert(holder);
            return;
        }
        if self.branches.len() >= BRANCHES_MAX {
            return;
        }
        let branch = Branch {
            tip: id,
            tip_height: tip.height,
            top: top.id(),
            headers: VecDeque::new(),
            next: top.id(),
            base: None,
            delivery: None,
            complete: false,
            hopeless: false,
            holders: SignerSet::from_iter([holder]),
            asked_ns: None,
            attempts: 0,
            patience: 0,
        };
        self.branches.insert(id, branch);
        self.follow(now, id, executed, out);
    }

    /// Others who should have a branch that is followed.
    pub fn add_holders(&mut self, tip: BlockId, holders: SignerSet) {
        if let Some(branch) = self.branches.get_mut(&tip) {
            branch.holders = branch.holders.union(holders);
        }
    }

    /// Answers with headers from `tip` down.
    pub fn handle_branch_request(
        &mut self,
        from: ReplicaId,
        request: &BranchRequest,
        out: &mut Vec<Effect>,
    ) {
        if request.epoch != self.config.epoch.id {
            return;
        }
        let headers = self.headers_down(request.tip, request.above, CHAIN_HEADERS_MAX);
        if headers.is_empty() {
            return;
        }
        let branch = recovery::Branch {
            epoch: request.epoch,
            headers: headers.iter().map(|h| h.header.as_ref().clone()).collect(),
        };
        out.push(Effect::Send {
            to: SignerSet::from_iter([from]),
            message: Message::Branch(branch),
            durable: false,
        });
    }

    /// From the tree, or from another branch that is being followed.
    fn headers_down(&self, tip: BlockId, above: Height, most: usize) -> Vec<Linked> {
        let own = self.tree.branch(tip, above, most);
        if !own.is_empty() {
            return own;
        }
        for branch in self.branches.values() {
            let at = branch.headers.iter().position(|h| h.id == tip);
            if let Some(at) = at {
                let down = branch.headers.iter().take(at + 1);
                let mut headers: Vec<_> =
                    down.filter(|h| h.header.height > above).cloned().collect();
                let skip = headers.len().saturating_sub(most);
                return headers.split_off(skip);
            }
        }
        Vec::new()
    }

    /// A piece of a branch: bound by the id that was asked for.
    pub fn handle_branch(
        &mut self,
        now: Nanos,
        branch: recovery::Branch,
        executed: Height,
        out: &mut Vec<Effect>,
    ) {
        if branch.epoch != self.config.epoch.id {
            return;
        }
        let Some(last) = branch.headers.last() else {
            return;
        };
        let id = last.id();
        let waiting: Vec<BlockId> = self
            .branches
            .values()
            .filter(|b| b.base.is_none() && !b.hopeless && b.awaits(id))
            .map(|b| b.tip)
            .collect();
        if waiting.is_empty() {
            return;
        }
        let headers: Vec<Linked> = branch.headers.into_iter().map(Linked::from).collect();
        if !is_linked(&headers) {
            return;
        }
        for tip in waiting {
            if let Some(branch) = self.branches.get_mut(&tip) {
                for header in headers.iter().rev() {
                    branch.next = header.header.parent();
                    branch.headers.push_front(header.clone());
                }
                branch.asked_ns = None;
                branch.hopeless |= branch.headers.len() > HEADERS_MAX;
            }
            self.follow(now, tip, executed, out);
        }
    }

    /// Goes down as far as own headers reach; links, or asks for what comes next.
    fn follow(&mut self, now: Nanos, tip: BlockId, executed: Height, out: &mut Vec<Effect>) {
        let Some(mut branch) = self.branches.remove(&tip) else {
            return;
        };
        while branch.base.is_none() && !branch.hopeless {
            if let Some(first) = branch.headers.front() {
                let below = Height(first.header.height.0.saturating_sub(1));
                if self.executed_block(below, executed) == Some(branch.next) {
                    branch.base = Some(below);
                    break;
                }
                branch.hopeless |= below <= self.config.epoch.root_height;
            }
            let found = self.headers_down(branch.next, Height(0), 1);
            let Some(header) = found.into_iter().next() else {
                break;
            };
            branch.next = header.header.parent();
            branch.headers.push_front(header);
        }
        if branch.base.is_none() && !branch.hopeless && branch.asked_ns.is_none() {
            self.ask_branch(now, &mut branch, out);
        }
        self.branches.insert(tip, branch);
        self.gather_branch(now, tip, UNKNOWN, out);
    }

    fn ask_branch(&mut self, now: Nanos, branch: &mut Branch, out: &mut Vec<Effect>) {
        branch.asked_ns = Some(now);
        let to = self.pick(branch.holders, branch.attempts);
        branch.attempts = branch.attempts.wrapping_add(1);
        // Nobody may have the certified end of a proof any more: then the committed block will do.
        if branch.attempts.is_multiple_of(4) && branch.headers.is_empty() {
            branch.next = match branch.next == branch.top {
                true => branch.tip,
                false => branch.top,
            };
        }
        out.push(Effect::Send {
            to,
            message: Message::BranchRequest(BranchRequest {
                epoch: self.config.epoch.id,
                tip: branch.next,
                above: Height(self.tree.horizon().0.saturating_sub(1)),
            }),
            durable: false,
        });
    }

    /// Time has passed: asks again for headers and bytes.
    pub fn retry_branches(&mut self, now: Nanos, executed: Height, out: &mut Vec<Effect>) {
        let again = self.config.timing.fetch_ns;
        for tip in self.branches.keys().copied().collect::<Vec<_>>() {
            let Some(branch) = self.branches.get_mut(&tip) else {
                continue;
            };
            let due = branch.asked_ns.is_none_or(|at| now >= at + again);
            if branch.base.is_none() && due {
                branch.asked_ns = None;
                self.follow(now, tip, executed, out);
            }
        }
        self.gather_branches(now, UNKNOWN, out);
    }

    /// Bytes arrived: looks once for all that came together what is complete, and what to ask for next.
    pub fn gather_arrived(&mut self, now: Nanos, out: &mut Vec<Effect>) {
        let arrived = std::mem::take(&mut self.branches_due);
        if arrived.cars || arrived.batches > 0 {
            self.gather_branches(now, arrived, out);
        }
    }

    fn gather_branches(&mut self, now: Nanos, arrived: Arrived, out: &mut Vec<Effect>) {
        let tips: Vec<BlockId> = self.branches.keys().copied().collect();
        let is_within = |tip: &BlockId| {
            let branch = self.branches.get(tip);
            branch.is_some_and(|branch| self.delivered_within(branch).is_some())
        };
        let (within, longest): (Vec<_>, Vec<_>) = tips.into_iter().partition(is_within);
        for tip in longest.into_iter().chain(within) {
            self.gather_branch(now, tip, arrived, out);
        }
    }

    /// Whether a longer branch that is followed, too, has delivered all of this one; none if there is no
    /// longer one.
    fn delivered_within(&self, branch: &Branch) -> Option<bool> {
        let longer = self.branches.values().filter(|other| other.covers(branch));
        longer
            .map(|other| other.delivered() >= branch.tip_height)
            .reduce(|a, b| a || b)
    }

    fn gather_branch(&mut self, now: Nanos, tip: BlockId, arrived: Arrived, out: &mut Vec<Effect>) {
        let Some(branch) = self.branches.get(&tip) else {
            return;
        };
        let (false, Some(base)) = (branch.complete, branch.base) else {
            return;
        };
        // Thirty replicas report a dozen tips of one chain: walked once, and asked for once.
        if let Some(delivered) = self.delivered_within(branch) {
            if let Some(branch) = self.branches.get_mut(&tip) {
                branch.complete = delivered;
            }
            return;
        }
        if branch.delivery.is_none() {
            let headers: Vec<_> = branch.headers.iter().cloned().collect();
            let delivery = self.deliver_from(base, &headers, branch.tip_height);
            let Some(branch) = self.branches.get_mut(&tip) else {
                return;
            };
            branch.hopeless |= delivery.is_none();
            branch.delivery = delivery;
        }
        let Some(branch) = self.branches.get_mut(&tip) else {
            return;
        };
        let Some(delivery) = &mut branch.delivery else {
            return;
        };
        let before = delivery.len();
        while delivery.pop_ready(&self.lanes).is_some() {}
        branch.complete = delivery.len() == 0;
        // To find what is missing means to walk all lanes: batches alone, which were asked for, change little.
        branch.patience = branch.patience.saturating_sub(arrived.batches);
        let news = arrived.cars || delivery.len() < before || branch.patience == 0;
        if branch.complete || !news {
            return;
        }
        let again = 2 * self.config.timing.fetch_ns;
        let wants = delivery.wants(&self.lanes, now, again);
        let asked = wants.iter().map(|want| match want {
            Want::Batches { digests, .. } => digests.len(),
            Want::Cars { .. } => 0,
        });
        branch.patience = match asked.sum::<usize>() {
            0 => usize::MAX,
            asked => asked.div_ceil(2),
        };
        let attempts = branch.attempts;
        if !wants.is_empty() {
            branch.attempts = branch.attempts.wrapping_add(1);
        }
        let holders = self.holders_of(tip);
        self.ask_for(wants, Some(holders), attempts, out);
    }

    /// Who should have a branch, or the beginning of it.
    fn holders_of(&self, tip: BlockId) -> SignerSet {
        let Some(branch) = self.branches.get(&tip) else {
            return SignerSet::EMPTY;
        };
        let shorter = self.branches.values().filter(|other| branch.covers(other));
        shorter.fold(branch.holders, |all, other| all.union(other.holders))
    }

    /// A delivery of `headers`, up to `tip`, that goes on from the own executed chain at `base`.
    fn deliver_from(&self, base: Height, headers: &[Linked], tip: Height) -> Option<Delivery> {
        let mut cut = self.cut_at(base)?;
        let mut delivery = self.delivery.branch_off(&cut, base);
        for Linked { id, header } in headers.iter().take_while(|h| h.header.height <= tip) {
            cut = crate::tree::extend_cut(&cut, header)?;
            delivery.push(header.clone(), *id, cut.clone());
        }
        Some(delivery)
    }

    /// Branches of which it is known where they leave the own chain.
    pub fn linked_branches(&self) -> usize {
        self.branches.values().filter(|b| b.base.is_some()).count()
    }

    /// Whether a proof accuses nobody whom the chain of a higher one of the proven `tips` does not accuse, as far
    /// as those chains are known: that chain holds its blocks, and below its tip the very certificates of the
    /// proof. Another certificate of the same block may name others.
    pub fn adds_nothing(
        &self,
        proof: &CommitProof,
        tips: &BTreeMap<BlockId, Height>,
        executed: Height,
    ) -> bool {
        let Some((tip, height)) = proof.block().map(|block| (block.id(), block.height)) else {
            return true;
        };
        let is_own = |tip: BlockId, height| self.executed_block(height, executed) == Some(tip);
        if is_own(tip, height) {
            let own = tips.iter().filter(|(tip, height)| is_own(**tip, **height));
            let highest = own.map(|(_, height)| *height).max();
            let header_at = |height| Some(self.tree.committed_at(height)?.header.as_ref());
            return highest.is_some_and(|highest| holds_certs(proof, highest, header_at));
        }
        self.branches.get(&tip).is_some_and(|branch| {
            let proven = |other: &&Branch| tips.contains_key(&other.tip) && other.covers(branch);
            self.branches.values().filter(proven).any(|longer| {
                let header_at = |height| Some(longer.header_at(height)?.header.as_ref());
                holds_certs(proof, longer.tip_height, header_at)
            })
        })
    }

    /// Blocks of the chain that ends in `tip`, above `floor`, with their bytes; none while some are
    /// missing. `tip` is a branch that is followed, or a block of the own executed chain.
    pub fn chain_blocks(
        &self,
        tip: BlockId,
        floor: Height,
        executed: Height,
    ) -> Option<Vec<DeliveredBlock>> {
        let headers = self.chain_headers(tip, floor, executed)?;
        let top = headers.last().map_or(floor, |h| h.header.height);
        let mut delivery = self.deliver_from(floor, &headers, top)?;
        let mut out = Vec::with_capacity(headers.len());
        while let Some(block) = delivery.pop_ready(&self.lanes) {
            out.push(block);
        }
        (delivery.len() == 0).then_some(out)
    }

    /// Headers of the chain that ends in the committed block `tip`, above `floor`, ascending.
    pub fn chain_headers(
        &self,
        tip: BlockId,
        floor: Height,
        executed: Height,
    ) -> Option<Vec<Linked>> {
        let own = |up_to: Height| -> Option<Vec<Linked>> {
            (floor.next().0..=up_to.0)
                .map(|h| Some(self.tree.committed_at(Height(h))?.linked()))
                .collect()
        };
        if let Some(branch) = self.branches.get(&tip) {
            let mut headers = own(branch.base?)?;
            let wanted = floor.next()..=branch.tip_height;
            let rest = branch.headers.iter();
            headers.extend(rest.filter(|h| wanted.contains(&h.header.height)).cloned());
            return Some(headers);
        }
        let height = (self.config.epoch.root_height.0..=executed.0)
            .rev()
            .map(Height)
            .find(|h| self.executed_block(*h, executed) == Some(tip))?;
        own(height)
    }

    /// Where the branch that ends in `tip` leaves the own executed chain; none while unknown. The
    /// height of `tip` itself if it lies on that chain.
    pub fn branch_base(&self, tip: BlockId, height: Height, executed: Height) -> Option<Height> {
        if self.executed_block(height, executed) == Some(tip) {
            return Some(height);
        }
        self.branches.get(&tip)?.base
    }

    /// Whether all bytes of the chain that ends in `tip` are here.
    pub fn holds_branch(&self, tip: BlockId, height: Height, executed: Height) -> bool {
        self.executed_block(height, executed) == Some(tip)
            || self.branches.get(&tip).is_some_and(|b| b.complete)
    }

    /// All certified headers of a branch above its base, beyond its tip if they are known.
    pub fn branch_headers(&self, tip: BlockId) -> Option<Vec<Linked>> {
        let branch = self.branches.get(&tip)?;
        branch.base?;
        Some(branch.headers.iter().cloned().collect())
    }

    /// Own headers above `above` up to `top`, ascending, certified ones beyond the tip included.
    pub fn own_headers(&self, top: BlockId, above: Height) -> Vec<Linked> {
        self.tree.branch(top, above, HEADERS_MAX)
    }

    /// The block of the own executed chain at `height`.
    pub fn executed_block(&self, height: Height, executed: Height) -> Option<BlockId> {
        if height > executed {
            return None;
        }
        if height == self.config.epoch.root_height {
            return Some(self.config.epoch.root());
        }
        self.tree.block_id_at(height)
    }

    /// Whether a proof is of another block than the own committed one at its height.
    pub fn contradicts(&self, proof: &CommitProof) -> bool {
        proof.block().is_some_and(|block| {
            let own = self.executed_block(block.height, self.committed_height());
            own.is_some_and(|own| own != block.id())
        })
    }

    /// What the chain that ends in the committed block `tip` is made of above `floor`: its headers, and the cars
    /// that they add, as far as those are here.
    pub fn chain_parts(
        &self,
        tip: BlockId,
        floor: Height,
        executed: Height,
    ) -> Option<(Vec<Linked>, Vec<Arc<Car>>)> {
        let headers = self.chain_headers(tip, floor, executed)?;
        let mut cut = self.cut_at(floor)?;
        let mut cars = Vec::new();
        for Linked { header, .. } in &headers {
            for end in &header.cut {
                let from = cut.get(end.lane.index())?.index.saturating_add(1);
                cars.extend(self.lanes.chain_of(end.lane, from, end.car));
            }
            cut = crate::tree::extend_cut(&cut, header)?;
        }
        Some((headers, cars))
    }

    /// The lowest height, at most `depth` below `floor`, above which the own chain is kept.
    pub fn kept_floor(&self, floor: Height, depth: u64) -> Height {
        let (root, horizon) = (self.config.epoch.root_height, self.tree.horizon());
        // The lanes' ends are known at a kept block and at the root.
        let lowest = if horizon <= root.next() {
            root
        } else {
            horizon
        };
        Height(floor.0.saturating_sub(depth)).max(lowest).min(floor)
    }

    /// The proof for the own committed block at `height`, made anew from headers.
    pub fn proof_at(&self, height: Height) -> Option<CommitProof> {
        self.tree.proof_at(height, self.rules.rule().chain_len())
    }

    fn cut_at(&self, height: Height) -> Option<Arc<Vec<CutEntry>>> {
        if height == self.config.epoch.root_height {
            return Some(Arc::new(vec![CutEntry::default(); self.config.epoch.n]));
        }
        if let Some(block) = self.tree.committed_at(height) {
            return Some(block.cut.clone());
        }
        let order = self.order_states.get(&height)?;
        Some(Arc::new(order.cut.clone()))
    }

    /// True if some branch that is followed lacks exactly this car.
    pub(crate) fn branches_lack(&self, lane: ReplicaId, id: types::CarId) -> bool {
        let open = self.branches.values().filter(|b| !b.complete);
        open.filter_map(|b| b.delivery.as_ref())
            .any(|delivery| delivery.lacks(lane, id, &self.lanes))
    }
}

/// Whether a chain has the certificates of `proof` in its headers up to `tip`. From there on its own proof's
/// certificates stand in their place.
fn holds_certs<'a>(
    proof: &CommitProof,
    tip: Height,
    header_at: impl Fn(Height) -> Option<&'a Header>,
) -> bool {
    // The certificates are of the last blocks.
    let mut certified = proof.chain.iter().rev().zip(proof.certs.iter().rev());
    certified.all(|(block, cert)| {
        let child = header_at(block.height.next());
        block.height < tip && child.is_some_and(|child| child.justify == *cert)
    })
}

fn is_linked(headers: &[Linked]) -> bool {
    headers.windows(2).all(|pair| {
        let (below, above) = (&pair[0].header, &pair[1].header);
        above.parent() == pair[0].id
            && above.height == below.height.next()
            && above.epoch == below.epoch
    })
}
