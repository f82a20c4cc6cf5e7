//! Bytes of batches: shared with sockets, journal and execution, bounded per lane and in all.

use std::collections::{HashMap, VecDeque};

use bytes::Bytes;
use consensus::DeliveredBlock;
use types::{BatchDigest, Height, ReplicaId};

#[derive(Debug)]
struct Entry {
    bytes: Bytes,
    /// Lane whose quota pays for it until it is executed; none: it was fetched.
    lane: Option<ReplicaId>,
    /// Acknowledged cars that name it and are not yet forgotten.
    pins: u32,
}

/// See the module.
#[derive(Debug)]
pub(super) struct BatchStore {
    entries: HashMap<BatchDigest, Entry>,
    bytes: u64,
    backlog: Vec<u64>,
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
        self.insert(digest, bytes, Some(lane));
        true
    }

    /// Whether a lane's quota has room for another batch.
    pub fn has_room(&self, lane: ReplicaId, len_bytes: usize) -> bool {
        self.backlog_bytes(lane) + len_bytes as u64 <= self.quota_bytes
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
                pins: 0,
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
    pub fn pin(&mut self, digest: &BatchDigest) {
        if let Some(entry) = self.entries.get_mut(digest) {
            entry.pins += 1;
        }
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
        self.retained_bytes += held;
        self.retained.push_back((block, held));
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

    /// Forgets every executed block up to `height`: a snapshot replaced them.
    pub fn forget_up_to(&mut self, height: Height) -> Vec<BatchDigest> {
        let mut gone = Vec::new();
        while self
            .retained
            .front()
            .is_some_and(|(b, _)| b.header.height <= height)
        {
            gone.extend(
                self.pop_retained()
                    .map(|(_, gone)| gone)
                    .unwrap_or_default(),
            );
        }
        gone
    }

    fn pop_retained(&mut self) -> Option<(DeliveredBlock, Vec<BatchDigest>)> {
        let (block, held) = self.retained.pop_front()?;
        self.retained_bytes = self.retained_bytes.saturating_sub(held);
        let mut gone = Vec::new();
        for (_, batch) in &block.batches {
            if let Some(entry) = self.entries.get_mut(&batch.digest) {
                entry.pins = entry.pins.saturating_sub(1);
                if entry.pins == 0 {
                    self.bytes = self.bytes.saturating_sub(entry.bytes.len() as u64);
                    self.entries.remove(&batch.digest);
                    gone.push(batch.digest);
                }
            }
        }
        Some((block, gone))
    }

    /// Batches that a journal whose base is the state at `height` must hold: everything that was not
    /// executed by then.
    pub fn live_after(&self, height: Height) -> Vec<(BatchDigest, Bytes)> {
        let old: std::collections::HashSet<BatchDigest> = self
            .retained
            .iter()
            .take_while(|(b, _)| b.header.height <= height)
            .flat_map(|(b, _)| b.batches.iter().map(|(_, batch)| batch.digest))
            .collect();
        let again: std::collections::HashSet<BatchDigest> = self
            .retained
            .iter()
            .skip_while(|(b, _)| b.header.height <= height)
            .flat_map(|(b, _)| b.batches.iter().map(|(_, batch)| batch.digest))
            .collect();
        let live = self.entries.iter().filter(|(digest, entry)| {
            again.contains(*digest) || entry.lane.is_some() || !old.contains(*digest)
        });
        let mut out: Vec<_> = live.map(|(d, e)| (*d, e.bytes.clone())).collect();
        out.sort_by_key(|(digest, _)| *digest);
        out
    }
}
