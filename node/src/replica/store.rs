//! Bytes of batches: shared with sockets, journal and execution, bounded per lane and in all.

use std::collections::{HashMap, HashSet, VecDeque};

use bytes::Bytes;
use consensus::DeliveredBlock;
use types::{BatchDigest, Height, ReplicaId};

#[derive(Debug)]
struct Entry {
    bytes: Bytes,
    /// Lane whose quota pays for it until it is executed; none: it was fetched.
    lane: Option<ReplicaId>,
    /// Acknowledged cars that name it and are not yet forgotten, by their lanes: a lane that names
    /// another one's batch must not be able to spend that one's pins.
    pins: Vec<(ReplicaId, u32)>,
}

impl Entry {
    fn pin(&mut self, lane: ReplicaId) {
        match self.pins.iter_mut().find(|(of, _)| *of == lane) {
            Some((_, count)) => *count += 1,
            None => self.pins.push((lane, 1)),
        }
    }

    fn unpin(&mut self, lane: ReplicaId) {
        if let Some(at) = self.pins.iter().position(|(of, _)| *of == lane) {
            self.pins[at].1 -= 1;
            if self.pins[at].1 == 0 {
                self.pins.swap_remove(at);
            }
        }
    }

    fn cars(&self) -> u32 {
        self.pins.iter().map(|(_, count)| count).sum()
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct BatchStore {
    entries: HashMap<BatchDigest, Entry>,
    bytes: u64,
    backlog: Vec<u64>,
    /// Batches as each lane's owner sent them, oldest first: what no car names gives way when the
    /// quota is used up.
    arrived: Vec<VecDeque<BatchDigest>>,
    quota_bytes: u64,
    /// Executed blocks, oldest first, with the bytes that each still holds.
    retained: VecDeque<(DeliveredBlock, u64)>,
    retained_bytes: u64,
    retention_bytes: u64,
    /// Digests that were asked for: only these may come as answers.
    wanted: HashMap<BatchDigest, u32>,
}

/// Most digests remembered as asked for.
const WANTED_MAX: usize = 16_384;
/// Fixed cost of a retained block, in bytes: header and bookkeeping.
const BLOCK_COST_BYTES: u64 = 2048;

impl BatchStore {
    pub fn new(n: usize, retention_bytes: u64, quota_bytes: u64) -> BatchStore {
        BatchStore {
            entries: HashMap::new(),
            bytes: 0,
            backlog: vec![0; n],
            arrived: vec![VecDeque::new(); n],
            quota_bytes,
            retained: VecDeque::new(),
            retained_bytes: 0,
            retention_bytes,
            wanted: HashMap::new(),
        }
    }

    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Bytes of a lane that are not executed yet.
    pub fn backlog_bytes(&self, lane: ReplicaId) -> u64 {
        self.backlog.get(lane.index()).copied().unwrap_or(0)
    }

    pub fn get(&self, digest: &BatchDigest) -> Option<&Bytes> {
        self.entries.get(digest).map(|e| &e.bytes)
    }

    /// Takes a batch of `lane` in; false if it is known or beyond the lane's quota.
    pub fn push(&mut self, digest: BatchDigest, bytes: Bytes, lane: ReplicaId) -> bool {
        let len = bytes.len() as u64;
        let Some(backlog) = self.backlog.get_mut(lane.index()) else {
            return false;
        };
        if self.entries.contains_key(&digest) || *backlog + len > self.quota_bytes {
            return false;
        }
        *backlog += len;
        self.arrived[lane.index()].push_back(digest);
        self.insert(digest, bytes, Some(lane));
        true
    }

    /// Takes an own batch of an earlier epoch in, whatever the quota: it was promised to somebody.
    pub fn push_own(&mut self, digest: BatchDigest, bytes: Bytes, lane: ReplicaId) -> bool {
        let Some(backlog) = self.backlog.get_mut(lane.index()) else {
            return false;
        };
        if self.entries.contains_key(&digest) {
            return false;
        }
        *backlog += bytes.len() as u64;
        self.arrived[lane.index()].push_back(digest);
        self.insert(digest, bytes, Some(lane));
        true
    }

    /// Makes room for a batch within its lane's quota, if need be at the cost of older ones that no
    /// acknowledged car names (their owner may have crashed before it cut one). Whether there is
    /// room, and what gave way.
    pub fn make_room(&mut self, lane: ReplicaId, len_bytes: usize) -> (bool, Vec<BatchDigest>) {
        let mut gone = Vec::new();
        let Some(arrived) = self.arrived.get_mut(lane.index()) else {
            return (false, gone);
        };
        while self.backlog[lane.index()] + len_bytes as u64 > self.quota_bytes {
            let Some(oldest) = arrived.pop_front() else {
                break;
            };
            let Some(entry) = self.entries.get_mut(&oldest) else {
                continue;
            };
            if entry.lane == Some(lane) && entry.pins.is_empty() {
                let len = entry.bytes.len() as u64;
                self.backlog[lane.index()] -= len;
                self.bytes -= len;
                self.entries.remove(&oldest);
                gone.push(oldest);
            }
        }
        (self.has_room(lane, len_bytes), gone)
    }

    /// Whether a batch fits into its lane's quota as it is.
    pub fn has_room(&self, lane: ReplicaId, len_bytes: usize) -> bool {
        let backlog = self.backlog.get(lane.index());
        backlog.is_some_and(|backlog| backlog + len_bytes as u64 <= self.quota_bytes)
    }

    /// Takes an answer in; false if nobody asked.
    pub fn fetched(&mut self, digest: BatchDigest, bytes: Bytes) -> bool {
        if self.wanted.remove(&digest).is_none() || self.entries.contains_key(&digest) {
            return false;
        }
        self.insert(digest, bytes, None);
        true
    }

    /// Takes a batch of the own journal in.
    pub fn recover(&mut self, digest: BatchDigest, bytes: Bytes) {
        if !self.entries.contains_key(&digest) {
            self.insert(digest, bytes, None);
        }
    }

    fn insert(&mut self, digest: BatchDigest, bytes: Bytes, lane: Option<ReplicaId>) {
        self.bytes += bytes.len() as u64;
        self.wanted.remove(&digest);
        self.entries.insert(
            digest,
            Entry {
                bytes,
                lane,
                pins: Vec::new(),
            },
        );
    }

    pub fn want(&mut self, digests: &[BatchDigest]) {
        for digest in digests {
            if self.wanted.len() < WANTED_MAX || self.wanted.contains_key(digest) {
                *self.wanted.entry(*digest).or_default() += 1;
            }
        }
    }

    pub fn wants(&self, digest: &BatchDigest) -> bool {
        self.wanted.contains_key(digest)
    }

    /// A car that names this batch was acknowledged: the bytes stay until it is forgotten.
    pub fn pin(&mut self, digest: &BatchDigest, lane: ReplicaId) {
        if let Some(entry) = self.entries.get_mut(digest) {
            entry.pin(lane);
        }
    }

    /// The own lane names a batch again whose bytes are here: they stay until that is executed.
    pub fn push_again(&mut self, digest: &BatchDigest, lane: ReplicaId) {
        if let Some(entry) = self.entries.get_mut(digest)
            && entry.lane.is_none()
        {
            entry.lane = Some(lane);
            self.backlog[lane.index()] += entry.bytes.len() as u64;
        }
    }

    /// Lets go of everything that neither `live` nor an executed block names: a snapshot stands for it.
    pub fn keep_only(&mut self, live: &HashSet<BatchDigest>) -> Vec<BatchDigest> {
        let executed = self.retained.iter().flat_map(|(block, _)| &block.batches);
        let executed: HashSet<BatchDigest> = executed.map(|(_, batch)| batch.digest).collect();
        let is_live = |digest: &BatchDigest| live.contains(digest) || executed.contains(digest);
        let gone = self.entries.keys().filter(|digest| !is_live(digest));
        let mut gone: Vec<BatchDigest> = gone.copied().collect();
        gone.sort_unstable();
        for entry in gone.iter().filter_map(|digest| self.entries.remove(digest)) {
            let len = entry.bytes.len() as u64;
            self.bytes = self.bytes.saturating_sub(len);
            if let Some(lane) = entry.lane {
                let backlog = &mut self.backlog[lane.index()];
                *backlog = backlog.saturating_sub(len);
            }
        }
        gone
    }

    /// A block was executed: its bytes count as retained from now on.
    pub fn executed(&mut self, block: DeliveredBlock) {
        let mut held = BLOCK_COST_BYTES;
        for (_, batch) in &block.batches {
            if let Some(entry) = self.entries.get_mut(&batch.digest) {
                held += entry.bytes.len() as u64;
                if let Some(lane) = entry.lane.take() {
                    let backlog = &mut self.backlog[lane.index()];
                    *backlog = backlog.saturating_sub(entry.bytes.len() as u64);
                }
            }
        }
        for (lane, _) in &block.batches {
            self.trim_arrived(*lane);
        }
        self.retained_bytes += held;
        self.retained.push_back((block, held));
    }

    /// Drops the names of executed batches from the front of a lane's arrivals.
    fn trim_arrived(&mut self, lane: ReplicaId) {
        let Some(arrived) = self.arrived.get_mut(lane.index()) else {
            return;
        };
        let waits = |digest: &BatchDigest| {
            self.entries
                .get(digest)
                .is_some_and(|entry| entry.lane == Some(lane))
        };
        while arrived.front().is_some_and(|digest| !waits(digest)) {
            arrived.pop_front();
        }
    }

    /// The oldest executed block if more is held than should be and `covered` (a checkpoint) stands
    /// for it; the digests that were let go go along.
    pub fn overflow(&mut self, covered: Height) -> Option<(DeliveredBlock, Vec<BatchDigest>)> {
        let (oldest, _) = self.retained.front()?;
        if self.retained_bytes <= self.retention_bytes || oldest.header.height > covered {
            return None;
        }
        self.pop_retained()
    }

    /// Forgets every executed block up to `height`: a snapshot replaced them. Their bytes stay until
    /// [`BatchStore::keep_only`], since later blocks may name some of them again.
    pub fn forget_up_to(&mut self, height: Height) {
        let is_old = |(block, _): &(DeliveredBlock, u64)| block.header.height <= height;
        while self.retained.front().is_some_and(is_old) {
            let Some((block, held)) = self.retained.pop_front() else {
                return;
            };
            self.retained_bytes = self.retained_bytes.saturating_sub(held);
            for (lane, batch) in &block.batches {
                if let Some(entry) = self.entries.get_mut(&batch.digest) {
                    entry.unpin(*lane);
                }
            }
        }
    }

    fn pop_retained(&mut self) -> Option<(DeliveredBlock, Vec<BatchDigest>)> {
        let (block, held) = self.retained.pop_front()?;
        self.retained_bytes = self.retained_bytes.saturating_sub(held);
        let mut gone = Vec::new();
        for (lane, batch) in &block.batches {
            if let Some(entry) = self.entries.get_mut(&batch.digest) {
                entry.unpin(*lane);
                if entry.pins.is_empty() && entry.lane.is_none() {
                    self.bytes = self.bytes.saturating_sub(entry.bytes.len() as u64);
                    self.entries.remove(&batch.digest);
                    gone.push(batch.digest);
                }
            }
        }
        Some((block, gone))
    }

    /// Height below which executed blocks were let go; `executed` if none is kept.
    pub fn floor(&self, executed: Height) -> Height {
        let oldest = self.retained.front().map(|(block, _)| block.header.height);
        oldest.map_or(executed, |height| Height(height.0.saturating_sub(1)))
    }

    /// Executed blocks that are kept, oldest first.
    pub fn retained(&self) -> impl Iterator<Item = &DeliveredBlock> {
        self.retained.iter().map(|(block, _)| block)
    }

    /// Batches that wait for their order, with the lane that each came in.
    pub fn waiting(&self) -> Vec<(ReplicaId, BatchDigest, Bytes)> {
        let waits = self.entries.iter();
        let waits = waits.filter_map(|(digest, e)| Some((e.lane?, *digest, e.bytes.clone())));
        let mut out: Vec<_> = waits.collect();
        out.sort_by_key(|(lane, digest, _)| (*lane, *digest));
        out
    }

    /// Batches that a journal whose base is the state at `height` must hold: everything that was not
    /// executed by then, or that an acknowledged car names again.
    pub fn live_after(&self, height: Height) -> Vec<(BatchDigest, Bytes)> {
        let mut old: HashMap<BatchDigest, u32> = HashMap::new();
        let mut again: HashSet<BatchDigest> = HashSet::new();
        for (block, _) in &self.retained {
            for (_, batch) in &block.batches {
                match block.header.height <= height {
                    true => *old.entry(batch.digest).or_default() += 1,
                    false => _ = again.insert(batch.digest),
                }
            }
        }
        let live = self.entries.iter().filter(|(digest, entry)| {
            let executed = old.get(*digest).copied().unwrap_or(0);
            again.contains(*digest)
                || entry.lane.is_some()
                || entry.cars() > executed
                || executed == 0
        });
        let mut out: Vec<_> = live.map(|(d, e)| (*d, e.bytes.clone())).collect();
        out.sort_by_key(|(digest, _)| *digest);
        out
    }
}
