//! Checkpoints of the whole replicated state: taken, served in pieces, fetched in pieces.
//!
//! ```text
//! stream := order_len:u32 execution_digest[32] order[order_len] execution's snapshot
//! state  := H(execution_digest | H(order))        what a quorum signs
//! ```

pub(super) mod due;
mod hashing;

use std::collections::BTreeMap;

use bytes::{BufMut, Bytes};
use consensus::OrderState;
use execution::{AppKind, Executor, Snapshot};
use types::limits::{SNAPSHOT_CHUNK_LEN_MAX, SNAPSHOT_LEN_MAX};
use types::{
    BlockId, CheckpointCert, Digest, EpochId, Height, Message, ReplicaId, SignerSet, SnapshotChunk,
    SnapshotRequest,
};

use super::outbox::Out;
use super::{Replica, records};
use crate::platform::Platform;

/// Snapshots kept while they wait for their certificates.
const KEPT_MAX: usize = 8;
/// Certified snapshots kept.
const CERTIFIED_MAX: usize = 3;
/// States kept where a split may have to be rolled back: thinned out, so that they reach as far back
/// as the retained blocks do.
const DEEP_MAX: usize = 24;
const RETRY_NS: u64 = 500_000_000;
/// A transfer that was asked for more often than that gives way to another one.
const STALE_ATTEMPTS: u32 = 3;
const HEAD_LEN: usize = 36;
/// For so many fetch intervals others are asked to confirm the own tip before a snapshot is taken
/// without.
const DOUBT_ROUNDS: u64 = 50;

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

#[derive(Debug)]
struct Fetch {
    cert: CheckpointCert,
    from: SignerSet,
    /// Only this one may answer: anybody else could spoil the transfer.
    asked: ReplicaId,
    attempt: u32,
    buffer: Vec<u8>,
    asked_ns: u64,
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

/// Whether those who signed a checkpoint committed the own tip as well. Up to `F` of them may have two
/// faces; one more, and one is correct and has both on one chain.
#[derive(Debug)]
struct Doubt {
    cert: CheckpointCert,
    from: SignerSet,
    since_ns: u64,
    tip: Height,
    confirmed: SignerSet,
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
        while self.kept.len() > DEEP_MAX {
            let heights: Vec<u64> = self.kept.keys().map(|at| at.0).collect();
            // Never the oldest, nor the newest ones.
            let inner = 1..heights.len() - KEPT_MAX;
            let gap = |at: &usize| heights[at + 1] - heights[at - 1];
            let Some(at) = inner.min_by_key(gap) else {
                return;
            };
            let height = Height(heights[at]);
            self.kept.remove(&height);
            self.certified.remove(&height);
        }
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
    /// A snapshot replaces the own chain. With more than `f` liars it may be another branch's: first
    /// more than `F` of its signers must prove that they committed the own tip as well.
    pub(super) fn need_snapshot(&mut self, now: u64, cert: CheckpointCert, from: SignerSet) {
        // A replica that knows of a split goes its own way to the others' branches.
        if self.recovery.is_some() || self.core.is_frozen() {
            return;
        }
        // What was executed: it stays where it is while bytes are missing.
        let tip = self.exec.height();
        let doubtful = self.config.recovery.is_some() && tip > self.config.epoch.root_height;
        if !doubtful {
            return self.fetch_snapshot(now, cert, from);
        }
        let before = self.snapshots.doubtful.take();
        let since_ns = before.as_ref().map_or(now, |doubt| doubt.since_ns);
        if now >= since_ns + DOUBT_ROUNDS * self.config.timing.fetch_ns {
            // Nobody keeps proofs that old: a replica so far behind has to believe a quorum.
            tracing::warn!(height = %cert.height, %tip, "snapshot taken without a proof for the own tip");
            return self.fetch_snapshot(now, cert, from);
        }
        for peer in from.iter().filter(|peer| *peer != self.config.me) {
            self.core.ask_proof(now, peer, tip, &mut self.effects);
        }
        let confirmed = before
            .filter(|doubt| doubt.tip == tip)
            .map(|doubt| doubt.confirmed);
        self.snapshots.doubtful = Some(Doubt {
            cert,
            from,
            since_ns,
            tip,
            confirmed: confirmed.unwrap_or_default(),
        });
    }

    /// A peer proved that it committed the own tip, too.
    pub(super) fn tip_confirmed(&mut self, now: u64, by: ReplicaId, height: Height) {
        let Some(mut doubt) = self.snapshots.doubtful.take() else {
            return;
        };
        if height == doubt.tip {
            doubt.confirmed.insert(by);
        }
        let signers = doubt.cert.signatures.signers;
        let needed = signers.len().min(self.config.epoch.envelope + 1);
        if doubt.confirmed.intersection(signers).len() >= needed {
            return self.fetch_snapshot(now, doubt.cert, doubt.from);
        }
        self.snapshots.doubtful = Some(doubt);
    }

    fn fetch_snapshot(&mut self, now: u64, cert: CheckpointCert, from: SignerSet) {
        let behind = self
            .snapshots
            .fetch
            .as_ref()
            .is_none_or(|f| f.cert.height < cert.height);
        // A transfer under way goes on: whoever serves it keeps it for a while.
        let stale = self
            .snapshots
            .fetch
            .as_ref()
            .is_some_and(|f| f.attempt > STALE_ATTEMPTS);
        if behind && (self.snapshots.fetch.is_none() || stale) && cert.height > self.exec.height() {
            self.snapshots.fetch = Some(Fetch {
                cert,
                from,
                asked: self.config.me,
                attempt: 0,
                buffer: Vec::new(),
                asked_ns: now,
            });
            self.ask_snapshot(now);
        }
    }

    /// As [`Replica::newer_checkpoint`], of the epoch that this replica looks to: instead of a transfer that
    /// makes no progress.
    pub(super) fn fetch_ahead(&mut self, now: u64, from: ReplicaId, cert: CheckpointCert) {
        let working = self.config.epoch.id;
        let goes_on = self
            .snapshots
            .fetch
            .as_ref()
            .is_some_and(|f| match f.cert.epoch {
                epoch if epoch == cert.epoch => f.cert.height >= cert.height,
                epoch => epoch == working && f.attempt <= STALE_ATTEMPTS,
            });
        if !goes_on {
            self.begin_fetch(now, from, cert);
        }
    }

    fn begin_fetch(&mut self, now: u64, from: ReplicaId, cert: CheckpointCert) {
        let holders = cert.signatures.signers.union(SignerSet::from_iter([from]));
        self.snapshots.fetch = Some(Fetch {
            cert,
            from: holders,
            asked: self.config.me,
            attempt: 0,
            buffer: Vec::new(),
            asked_ns: now,
        });
        self.ask_snapshot(now);
    }

    fn ask_snapshot(&mut self, now: u64) {
        let Some(fetch) = &mut self.snapshots.fetch else {
            return;
        };
        fetch.asked_ns = now;
        fetch.from.remove(self.config.me);
        let turn = fetch.attempt as usize % fetch.from.len().max(1);
        let to = fetch.from.iter().nth(turn);
        fetch.asked = to.unwrap_or(self.config.me);
        let request = SnapshotRequest {
            epoch: fetch.cert.epoch,
            height: fetch.cert.height,
            offset: fetch.buffer.len() as u64,
        };
        if let Some(to) = to {
            self.outbox.push(Out::Peers(
                [to].into_iter().collect(),
                Message::SnapshotRequest(request),
            ));
        }
    }

    pub(super) fn retry_snapshot(&mut self, now: u64) {
        if now >= self.snapshots.retry_ns()
            && let Some(fetch) = &mut self.snapshots.fetch
        {
            fetch.attempt += 1;
            self.ask_snapshot(now);
        }
    }

    pub(super) fn serve_snapshot(&mut self, from: ReplicaId, request: &SnapshotRequest) {
        if let Some(chunk) = self.snapshots.answer(request) {
            let to = [from].into_iter().collect();
            self.outbox
                .push(Out::Peers(to, Message::SnapshotChunk(chunk)));
        }
    }

    /// `chunk.cert` was checked if it is not the one that is being fetched.
    pub(super) fn on_chunk(&mut self, now: u64, from: ReplicaId, chunk: SnapshotChunk) {
        let Some(fetch) = &mut self.snapshots.fetch else {
            return;
        };
        if from != fetch.asked || chunk.cert.epoch != fetch.cert.epoch {
            return;
        }
        let known = chunk.cert.height == fetch.cert.height && chunk.cert.state == fetch.cert.state;
        if !known {
            if chunk.cert.height > fetch.cert.height {
                let epoch = self.crossing.epoch_of(&chunk.cert);
                let epoch = epoch.unwrap_or(self.config.epoch);
                let job = crypto::Job::CheckpointCert(chunk.cert);
                self.submit_of(&epoch, super::Pending::NewerCheckpoint { from }, job);
            }
            return;
        }
        let bad = chunk.total_bytes > SNAPSHOT_LEN_MAX
            || chunk.offset != fetch.buffer.len() as u64
            || chunk.offset + chunk.bytes.len() as u64 > chunk.total_bytes
            || chunk.bytes.is_empty();
        if bad {
            return;
        }
        fetch.buffer.extend_from_slice(&chunk.bytes);
        if (fetch.buffer.len() as u64) < chunk.total_bytes {
            self.ask_snapshot(now);
        } else {
            self.install(now);
        }
    }

    /// A newer checkpoint than the one being fetched was proven: begin again with that one.
    pub(super) fn newer_checkpoint(&mut self, now: u64, from: ReplicaId, cert: CheckpointCert) {
        if self
            .snapshots
            .fetch
            .as_ref()
            .is_some_and(|f| f.cert.height < cert.height)
        {
            self.begin_fetch(now, from, cert);
        }
    }

    fn install(&mut self, now: u64) {
        let Some(mut fetch) = self.snapshots.fetch.take() else {
            return;
        };
        let stream = Bytes::from(std::mem::take(&mut fetch.buffer));
        let opened = match open(&stream, &fetch.cert, self.config.app) {
            Ok(opened) => opened,
            Err(why) => {
                tracing::warn!(height = %fetch.cert.height, %why, "snapshot refused, asking another replica");
                fetch.from.remove(fetch.asked);
                if !fetch.from.is_empty() {
                    self.snapshots.fetch = Some(fetch);
                    self.ask_snapshot(now);
                }
                return;
            }
        };
        let cert = fetch.cert;
        if cert.epoch != self.config.epoch.id {
            return self.cross(now, cert, opened);
        }
        if opened.executor.height() <= self.exec.height() {
            return;
        }
        let height = opened.executor.height();
        if self
            .core
            .install_snapshot(now, opened.order, cert.clone(), &mut self.effects)
        {
            self.exec = opened.executor;
            self.checkpoint_due.restart();
            self.snapshots.forget_hashing();
            self.snapshots.restore(cert, &self.exec, opened.order_bytes);
            self.store.forget_up_to(height);
            let gone = self.store.keep_only(&self.core.live_batches());
            gone.into_iter()
                .for_each(|digest| self.core.batch_dropped(digest));
            self.rotate();
        }
    }

    /// Begins the journal anew when it has grown enough and a newer snapshot can be its base.
    pub(super) fn maybe_rotate(&mut self) {
        // What a recovery rests on is in this journal.
        if self.recovery.is_some() {
            return;
        }
        let grown =
            self.config.durable && self.platform.journal_bytes() > self.config.journal_bytes;
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
