//! Checkpoints of the whole replicated state: taken, served in pieces, fetched in pieces.
//!
//! ```text
//! stream := order_len:u32 execution_digest[32] order[order_len] execution's snapshot
//! state  := H(execution_digest | H(order))        what a quorum signs
//! ```

pub(super) mod due;
mod fetch;
mod hashing;

use std::collections::BTreeMap;

use bytes::{BufMut, Bytes};
use consensus::OrderState;
use execution::{AppKind, Executor, Snapshot};
use types::limits::SNAPSHOT_CHUNK_LEN_MAX;
use types::{BlockId, CheckpointCert, Digest, EpochId, Height, SnapshotChunk, SnapshotRequest};

use super::{Replica, records};
use crate::platform::Platform;
use fetch::{Doubt, Fetch, RETRY_NS};

/// Snapshots kept while they wait for their certificates.
const KEPT_MAX: usize = 8;
/// Certified snapshots kept.
const CERTIFIED_MAX: usize = 3;
/// States kept where a split may have to be rolled back, up to the newest certified one: thinned out, so that
/// they reach about as far back as the retained blocks do. After a checkpoint nearly every part is written
/// again soon, so each of these is a copy of the whole state.
const DEEP_MAX: usize = 4;
const HEAD_LEN: usize = 36;

#[derive(Debug)]
pub(super) struct Kept {
    head: Bytes,
    snapshot: Snapshot,
}

impl Kept {
    fn len_bytes(&self) -> u64 {
        self.head.len() as u64 + self.snapshot.len_bytes()
    }

    fn chunk(&self, offset: u64, len: usize) -> Bytes {
        let head = self.head.len() as u64;
        match offset < head {
            true => self
                .head
                .slice(offset as usize..self.head.len().min(offset as usize + len)),
            false => self.snapshot.encode_chunk(offset - head, len),
        }
    }

    fn encode(&self) -> Bytes {
        let mut out = Vec::with_capacity(self.len_bytes() as usize);
        out.extend_from_slice(&self.head);
        out.extend_from_slice(&self.snapshot.encode());
        Bytes::from(out)
    }
}

/// A state on its way to its digest.
#[derive(Debug)]
struct Hashing {
    snapshot: Snapshot,
    order: Bytes,
    block: BlockId,
    /// Parts below are hashed.
    part: usize,
    /// A quorum was faster.
    cert: Option<CheckpointCert>,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Snapshots {
    kept: BTreeMap<Height, Kept>,
    hashing: Option<Hashing>,
    /// Certificates of kept snapshots; the older ones serve transfers that have begun.
    certified: BTreeMap<Height, CheckpointCert>,
    fetch: Option<Fetch>,
    /// Height of the checkpoint that the journal begins with.
    pub journal_base: Height,
    /// States may be needed for a rollback: they are let go with the blocks above them.
    deep: bool,
    /// A snapshot that is needed, until it is sure that it continues the own chain.
    doubtful: Option<Doubt>,
}

/// A snapshot that proved to be what its certificate says.
pub(super) struct Opened {
    pub order: OrderState,
    pub order_bytes: Bytes,
    pub executor: Executor,
}

fn state_of(execution: Digest, order: &[u8]) -> Digest {
    let mut bytes = [0; 64];
    bytes[..32].copy_from_slice(&execution.0);
    bytes[32..].copy_from_slice(&Digest::of("reforge order state v1", order).0);
    Digest::of("reforge state v1", &bytes)
}

/// Checks a whole stream against the state that a quorum signed, and takes it apart.
pub(super) fn open(stream: &Bytes, cert: &CheckpointCert, app: AppKind) -> Result<Opened, String> {
    let head = stream.get(..HEAD_LEN).ok_or("shorter than its head")?;
    let (len, digest) = head.split_at(4);
    let order_len = u32::from_le_bytes(len.try_into().map_err(|_| "head")?) as usize;
    let execution = Digest(digest.try_into().map_err(|_| "head")?);
    let order_end = HEAD_LEN
        .checked_add(order_len)
        .filter(|end| *end <= stream.len());
    let order_end = order_end.ok_or("ordering state is cut off")?;
    let order_bytes = stream.slice(HEAD_LEN..order_end);
    let found = state_of(execution, &order_bytes);
    if found != cert.state {
        return Err(format!("state {found}, but a quorum signed {}", cert.state));
    }
    let order = records::order(order_bytes.clone())?;
    let executor =
        Executor::restore(&stream[order_end..], execution).map_err(|why| why.to_string())?;
    if executor.kind() != app {
        return Err(format!(
            "of application {}, configured is {}",
            executor.kind().name(),
            app.name()
        ));
    }
    Ok(Opened {
        order,
        order_bytes,
        executor,
    })
}

impl Snapshots {
    /// `deep`: states are kept for rollbacks.
    pub fn new(deep: bool) -> Snapshots {
        Snapshots {
            deep,
            ..Snapshots::default()
        }
    }

    /// Blocks up to `floor` were let go: from a state below it no way leads up any more.
    pub fn let_go(&mut self, floor: Height) {
        if !self.deep {
            return;
        }
        let below = self.kept.keys().next().is_some_and(|at| *at < floor);
        if below && self.kept.range(floor..).next().is_some() {
            self.kept = self.kept.split_off(&floor);
            self.certified = self.certified.split_off(&floor);
        }
        while let Some(height) = self.superfluous() {
            self.kept.remove(&height);
            self.certified.remove(&height);
        }
    }

    /// A state that others close to it can stand in for; never the oldest, nor the newest certified one.
    fn superfluous(&self) -> Option<Height> {
        // Asked at every turn, and hardly ever true.
        if self.kept.len() <= DEEP_MAX {
            return None;
        }
        let heights: Vec<Height> = self.kept.keys().copied().collect();
        let newest = self.covered();
        let settled = heights.partition_point(|at| *at < newest);
        // Those above wait for their certificates.
        let waiting = (settled + 1).min(heights.len());
        if heights.len() - waiting > KEPT_MAX {
            return Some(heights[waiting]);
        }
        if waiting <= DEEP_MAX {
            return None;
        }
        let gap = |at: &usize| heights[at + 1].0 - heights[at - 1].0;
        (1..settled).min_by_key(gap).map(|at| heights[at])
    }

    pub fn take(&mut self, executor: &Executor, order: &[u8]) -> Digest {
        self.keep(executor.snapshot(), order)
    }

    fn keep(&mut self, snapshot: Snapshot, order: &[u8]) -> Digest {
        let execution = snapshot.digest();
        let mut head = Vec::with_capacity(HEAD_LEN + order.len());
        head.put_u32_le(order.len() as u32);
        head.extend_from_slice(&execution.0);
        head.extend_from_slice(order);
        self.kept.insert(
            snapshot.height(),
            Kept {
                head: Bytes::from(head),
                snapshot,
            },
        );
        // The newest certified one stays, whatever comes after it without reaching a quorum: peers
        // whose bytes were let go because of it have nothing else.
        let newest = self.certified.keys().next_back().copied();
        while !self.deep && self.kept.len() > KEPT_MAX {
            let oldest = self.kept.keys().copied().find(|at| Some(*at) != newest);
            let Some(height) = oldest else { break };
            self.kept.remove(&height);
            self.certified.remove(&height);
        }
        state_of(execution, order)
    }

    /// The snapshot that the journal began with is the newest certified one.
    pub fn restore(&mut self, cert: CheckpointCert, executor: &Executor, order: Bytes) {
        self.take(executor, &order);
        self.journal_base = cert.height;
        self.certified.insert(cert.height, cert);
    }

    pub fn certified(&mut self, cert: &CheckpointCert) {
        if let Some(hashing) = &mut self.hashing
            && hashing.snapshot.height() == cert.height
        {
            hashing.cert = Some(cert.clone());
        }
        if !self.kept.contains_key(&cert.height) {
            return;
        }
        self.certified.insert(cert.height, cert.clone());
        if self.deep {
            return;
        }
        while self.certified.len() > CERTIFIED_MAX {
            self.certified.pop_first();
        }
        // Older ones that never got a certificate are of no use any more.
        let certified = &self.certified;
        self.kept
            .retain(|height, _| *height > cert.height || certified.contains_key(height));
    }

    /// A piece of what was asked for. A height that is gone is answered with the beginning of the newest.
    pub fn answer(&self, request: &SnapshotRequest) -> Option<SnapshotChunk> {
        let asked = self.certified.get(&request.height);
        let cert = asked.or(self.certified.values().next_back())?.clone();
        let kept = self.kept.get(&cert.height)?;
        let offset = match request.height == cert.height {
            true => request.offset,
            false => 0,
        };
        Some(SnapshotChunk {
            total_bytes: kept.len_bytes(),
            offset,
            bytes: kept.chunk(offset, SNAPSHOT_CHUNK_LEN_MAX),
            cert,
        })
    }

    /// Height up to which a certified snapshot stands in for bytes.
    pub fn covered(&self) -> Height {
        self.certified
            .keys()
            .next_back()
            .copied()
            .unwrap_or_default()
    }

    /// The snapshot that a new journal begins with: the newest one, or, where a split may go back
    /// further, the oldest above which every block is retained.
    fn base_height(&self, floor: Height) -> Option<Height> {
        match self.deep {
            true => self.certified.range(floor..).next(),
            false => self.certified.last_key_value(),
        }
        .map(|(height, _)| *height)
    }

    fn base(&self, floor: Height) -> Option<(&CheckpointCert, Bytes)> {
        let height = self.base_height(floor)?;
        let cert = self.certified.get(&height)?;
        Some((cert, self.kept.get(&height)?.encode()))
    }

    /// The state that is kept of exactly this height.
    pub fn encoded(&self, height: Height) -> Option<Bytes> {
        self.kept.get(&height).map(|kept| kept.snapshot.encode())
    }

    /// The newest state that is kept at or below `height`.
    pub fn base_at(&self, height: Height) -> Option<Executor> {
        let (_, kept) = self.kept.range(..=height).next_back()?;
        Some(kept.snapshot.to_executor())
    }

    pub fn deadline_ns(&self) -> u64 {
        match self.hashing {
            Some(_) => 0,
            None => self.retry_ns(),
        }
    }

    /// Whether a state of this epoch is on its way.
    pub fn is_fetching(&self, epoch: EpochId) -> bool {
        self.fetch.as_ref().is_some_and(|f| f.cert.epoch == epoch)
    }

    fn retry_ns(&self) -> u64 {
        self.fetch
            .as_ref()
            .map_or(u64::MAX, |fetch| fetch.asked_ns + RETRY_NS)
    }
}

impl<P: Platform> Replica<P> {
    /// Begins the journal anew when it has grown enough and a newer snapshot can be its base.
    pub(super) fn maybe_rotate(&mut self) {
        // What a recovery rests on is in this journal.
        if self.recovery.is_some() {
            return;
        }
        // Twice what it began with at the least, so that writing it anew costs a share of what was written
        // since, however much is retained.
        let enough = self.config.journal_bytes.max(2 * self.journal_began_bytes);
        let grown = self.config.durable && self.platform.journal_bytes() > enough;
        let floor = self.store.floor(self.exec.height());
        // While everything is retained, a restarted replica must be able to go back to the root.
        let needed = self.config.recovery.is_some() && floor <= self.config.epoch.root_height;
        let base = self.snapshots.base_height(floor).filter(|_| !needed);
        if grown && base.is_some_and(|base| base > self.snapshots.journal_base) {
            self.rotate();
        }
    }

    pub(super) fn rotate(&mut self) {
        if !self.config.durable {
            return;
        }
        let floor = self.store.floor(self.exec.height());
        let Some((cert, stream)) = self.snapshots.base(floor) else {
            return;
        };
        let mut base = self.epoch_records(&Bytes::new());
        base.extend(records::checkpoint(cert, &stream));
        let covered = cert.height;
        self.push_live(&mut base, covered);
        self.snapshots.journal_base = covered;
        self.write_anew(base);
    }

    /// A new journal that begins with `base`.
    pub(super) fn write_anew(&mut self, base: Vec<storage::Record>) {
        self.journal_began_bytes = base.iter().map(|record| record.len_bytes() as u64).sum();
        self.platform.rotate(base);
        self.outbox.appended();
    }

    /// Everything that a journal must hold beside the state at `covered`.
    pub(super) fn push_live(&self, base: &mut Vec<storage::Record>, covered: Height) {
        let safety = consensus::Durable::Safety(Box::new(self.core.safety().clone()));
        base.push(records::encode(&safety));
        base.extend(self.eviction_records());
        for (digest, bytes) in self.store.live_after(covered) {
            base.push(records::batch(digest, bytes));
        }
        let (headers, cars) = self.core.live_records();
        let headers = headers.into_iter().filter(|h| h.height > covered);
        base.extend(headers.map(|h| records::encode(&consensus::Durable::Header(h))));
        base.extend(
            cars.into_iter()
                .map(|c| records::encode(&consensus::Durable::Car(c))),
        );
    }
}

#[cfg(test)]
mod tests;
