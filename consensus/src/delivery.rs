//! From committed blocks to their bytes: finds the cars that each block adds, asks for what is
//! missing, and hands blocks on in order, each with its batches in the order of execution.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use types::limits::BATCH_REQUEST_MAX;
use types::{BatchDigest, BatchRef, BlockId, CarId, Digest, Header, Height, ReplicaId, SignerSet};

use crate::effect::Nanos;
use crate::lanes::{CutEntry, Lanes};

/// Most batches looked for at the same time.
const DIGESTS_MAX: usize = 8 * BATCH_REQUEST_MAX;
/// Blocks ahead of the next one for which cars and batches are asked in advance.
const PREFETCH_BLOCKS: usize = 32;

/// A committed block with everything that its execution needs to know.
#[derive(Debug, Clone, PartialEq)]
pub struct DeliveredBlock {
    pub header: Arc<Header>,
    pub id: BlockId,
    /// Batches in the order of execution, with the lane that each came in.
    pub batches: Vec<(ReplicaId, BatchRef)>,
    /// Cars that this block adds, in the order of execution.
    pub cars: Vec<(ReplicaId, CarId)>,
    /// The lanes' ends after this block.
    pub cut: Arc<Vec<CutEntry>>,
}

/// A car that was handed on: its index, and the block which it came with.
#[derive(Debug, Clone, Copy)]
struct Done {
    index: u64,
    height: Height,
}

#[derive(Debug)]
struct Waiting {
    header: Arc<Header>,
    id: BlockId,
    cut: Arc<Vec<CutEntry>>,
}

/// What to ask for, and from whom in the first place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Want {
    Cars {
        lane: ReplicaId,
        from_index: u64,
        tip: CarId,
        holders: SignerSet,
    },
    Batches {
        digests: Vec<BatchDigest>,
        holders: SignerSet,
    },
}

/// Committed blocks on their way to execution.
#[derive(Debug)]
pub(crate) struct Delivery {
    waiting: VecDeque<Waiting>,
    /// Lane ends that were handed on.
    delivered: Vec<CutEntry>,
    /// Cars handed on, by lane, above the horizon: a lane that equivocates inside one branch may
    /// come back on another chain of cars.
    done: Vec<HashMap<CarId, Done>>,
    /// When each thing was asked for last.
    asked: HashMap<Digest, Nanos>,
    /// Another holder at each attempt.
    pub attempts: u32,
    /// Something was delivered and more waits: ask for it now.
    pub eager: bool,
    /// When a block was delivered last, or waiting began.
    pub progress_ns: Nanos,
    /// Height of the last block handed on.
    pub height: Height,
}

impl Delivery {
    pub fn new(n: usize, root: Height) -> Delivery {
        Delivery {
            waiting: VecDeque::new(),
            delivered: vec![CutEntry::default(); n],
            done: vec![HashMap::new(); n],
            asked: HashMap::new(),
            attempts: 0,
            eager: false,
            progress_ns: 0,
            height: root,
        }
    }

    pub fn push(&mut self, header: Arc<Header>, id: BlockId, cut: Arc<Vec<CutEntry>>) {
        self.waiting.push_back(Waiting { header, id, cut });
    }

    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// True if a committed block that waits needs a car of this lane and index.
    pub fn wants_car(&self, lane: ReplicaId, index: u64) -> bool {
        let delivered = self.delivered.get(lane.index()).map_or(0, |e| e.index);
        let newest = self
            .waiting
            .back()
            .and_then(|w| w.cut.get(lane.index()))
            .map_or(0, |e| e.index);
        index > delivered && index <= newest
    }

    /// True if one of the next blocks lacks exactly this car.
    pub fn lacks(&self, lane: ReplicaId, id: CarId, lanes: &Lanes) -> bool {
        let next = self.waiting.iter().take(PREFETCH_BLOCKS);
        let mut seen: HashSet<CarId> = HashSet::new();
        next.filter_map(|w| w.cut.get(lane.index())).any(|entry| {
            let missing = self.cars_above(lane, *entry, lanes, |car| !seen.insert(car));
            missing.is_err_and(|(at, _)| at == id)
        })
    }

    /// The next block, if all of it is here.
    pub fn pop_ready(&mut self, lanes: &Lanes) -> Option<DeliveredBlock> {
        let block = self.waiting.front()?;
        let mut batches = Vec::new();
        for (at, entry) in block.cut.iter().enumerate() {
            if *entry == self.delivered[at] {
                continue;
            }
            let lane = ReplicaId(at as u16);
            for id in self.new_cars(lane, *entry, lanes).ok()? {
                let car = lanes.car(lane, &id)?;
                if !car.batches.iter().all(|b| lanes.has_batch(&b.digest)) {
                    return None;
                }
                batches.extend(car.batches.iter().map(|b| (lane, *b)));
            }
        }
        self.finish_front(lanes, batches)
    }

    fn finish_front(
        &mut self,
        lanes: &Lanes,
        batches: Vec<(ReplicaId, BatchRef)>,
    ) -> Option<DeliveredBlock> {
        let block = self.waiting.pop_front()?;
        let mut cars = Vec::new();
        for (at, entry) in block.cut.iter().enumerate() {
            if *entry == self.delivered[at] {
                continue;
            }
            let lane = ReplicaId(at as u16);
            for id in self.new_cars(lane, *entry, lanes).unwrap_or_default() {
                let index = lanes.car(lane, &id).map_or(0, |c| c.index);
                let height = block.header.height;
                self.done[at].insert(id, Done { index, height });
                cars.push((lane, id));
            }
            self.delivered[at] = *entry;
        }
        self.progress_ns = Nanos::MAX;
        self.height = block.header.height;
        if self.waiting.is_empty() {
            self.asked.clear();
        }
        let Waiting { header, id, cut } = block;
        Some(DeliveredBlock {
            header,
            id,
            batches,
            cars,
            cut,
        })
    }

    /// Cars of a lane up to `tip` that were not handed on, ascending; or the newest one missing with
    /// the highest index that it can have.
    fn new_cars(
        &self,
        lane: ReplicaId,
        tip: CutEntry,
        lanes: &Lanes,
    ) -> Result<Vec<CarId>, (CarId, u64)> {
        self.cars_above(lane, tip, lanes, |_| false)
    }

    /// As [`Delivery::new_cars`], down to a car that `known` knows.
    fn cars_above(
        &self,
        lane: ReplicaId,
        tip: CutEntry,
        lanes: &Lanes,
        mut known: impl FnMut(CarId) -> bool,
    ) -> Result<Vec<CarId>, (CarId, u64)> {
        let mut out = Vec::new();
        let (mut next, mut index) = (tip.car, tip.index);
        let done = &self.done[lane.index()];
        let floor = self.delivered[lane.index()];
        while next != CarId::ZERO && next != floor.car && !done.contains_key(&next) && !known(next)
        {
            let car = lanes.car(lane, &next).ok_or((next, index))?;
            out.push(next);
            (next, index) = (car.prev, car.index.saturating_sub(1));
        }
        out.reverse();
        Ok(out)
    }

    /// What the next blocks still lack and was not asked for within `again_ns`.
    pub fn wants(&mut self, lanes: &Lanes, now: Nanos, again_ns: Nanos) -> Vec<Want> {
        if self.progress_ns == Nanos::MAX {
            self.progress_ns = now;
        }
        self.asked.retain(|_, at| now < *at + again_ns);
        let all = self.all_wants(lanes);
        let mut out = Vec::new();
        for want in all {
            match want {
                Want::Cars { tip, .. } => {
                    // Not asked for again yet, and its time is not put off either.
                    if let Entry::Vacant(slot) = self.asked.entry(tip.0) {
                        slot.insert(now);
                        out.push(want);
                    }
                }
                Want::Batches { digests, holders } => {
                    let fresh = |digest: &BatchDigest| !self.asked.contains_key(&digest.0);
                    let digests: Vec<_> = digests
                        .into_iter()
                        .filter(fresh)
                        .take(BATCH_REQUEST_MAX)
                        .collect();
                    self.asked
                        .extend(digests.iter().map(|digest| (digest.0, now)));
                    if !digests.is_empty() {
                        out.push(Want::Batches { digests, holders });
                    }
                }
            }
        }
        out
    }

    fn all_wants(&self, lanes: &Lanes) -> Vec<Want> {
        let mut out = Vec::new();
        let mut digests = Vec::new();
        let mut batch_holders = SignerSet::EMPTY;
        let mut seen: HashSet<CarId> = HashSet::new();
        for block in self.waiting.iter().take(PREFETCH_BLOCKS) {
            let holders_all = block.header.justify.votes.signers;
            for (at, entry) in block.cut.iter().enumerate() {
                if *entry == self.delivered[at] {
                    continue;
                }
                let lane = ReplicaId(at as u16);
                let cert = block.header.cut.iter().find(|c| c.lane == lane);
                // Of a bare entry the block's own voters are holders; nobody in particular is asked.
                let holders = cert.map_or(holders_all, |c| c.acks.signers);
                // Each car once, however many blocks lie above it.
                match self.cars_above(lane, *entry, lanes, |car| !seen.insert(car)) {
                    Err((tip, child_index)) => {
                        // An equivocating lane may have forked below what was handed on.
                        let from_index = (self.delivered[at].index + 1).min(child_index).max(1);
                        out.push(Want::Cars {
                            lane,
                            from_index,
                            tip,
                            holders,
                        });
                    }
                    Ok(ids) => {
                        for car in ids.iter().filter_map(|id| lanes.car(lane, id)) {
                            for batch in &car.batches {
                                if !lanes.has_batch(&batch.digest)
                                    && seen.insert(CarId(batch.digest.0))
                                {
                                    digests.push(batch.digest);
                                    batch_holders = holders;
                                }
                            }
                        }
                    }
                }
            }
            if digests.len() >= DIGESTS_MAX || out.len() >= 2 * self.delivered.len() {
                break;
            }
        }
        if !digests.is_empty() {
            out.push(Want::Batches {
                digests,
                holders: batch_holders,
            });
        }
        out
    }

    /// A delivery that goes on from `cut`, the state after the block at `height`, on another branch
    /// than this one did.
    pub fn branch_off(&self, cut: &[CutEntry], height: Height) -> Delivery {
        let mut branch = Delivery::new(cut.len(), height);
        branch.delivered = cut.to_vec();
        for (done, before) in branch.done.iter_mut().zip(&self.done) {
            let shared = before.iter().filter(|(_, at)| at.height <= height);
            done.extend(shared.map(|(id, at)| (*id, *at)));
        }
        branch
    }

    /// Forgets delivered cars of a lane up to `index`.
    pub fn prune(&mut self, lane: ReplicaId, index: u64) {
        if let Some(done) = self.done.get_mut(lane.index()) {
            done.retain(|_, at| at.index > index);
        }
    }

    /// A snapshot stands for everything up to `cut`, which ends at `height`.
    pub fn jump(&mut self, cut: &[CutEntry], height: Height) {
        self.waiting.retain(|w| w.header.height > height);
        self.delivered = cut.to_vec();
        self.done.iter_mut().for_each(HashMap::clear);
        self.height = height;
        self.asked.clear();
    }
}
