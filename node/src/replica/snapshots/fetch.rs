//! A state from others: when one is needed, whether it continues the own chain, and its pieces.

use bytes::Bytes;
use types::limits::SNAPSHOT_LEN_MAX;
use types::{
    CheckpointCert, Height, Message, ReplicaId, SignerSet, SnapshotChunk, SnapshotRequest,
};

use super::open;
use crate::platform::Platform;
use crate::replica::outbox::Out;
use crate::replica::{Pending, Replica};

pub(super) const RETRY_NS: u64 = 500_000_000;
/// A transfer that was asked for more often than that gives way to another one.
const STALE_ATTEMPTS: u32 = 3;
/// For so many fetch intervals others are asked to confirm the own tip before a snapshot is taken
/// without.
const DOUBT_ROUNDS: u64 = 50;

#[derive(Debug)]
pub(super) struct Fetch {
    pub(super) cert: CheckpointCert,
    pub(super) from: SignerSet,
    /// Only this one may answer: anybody else could spoil the transfer.
    pub(super) asked: ReplicaId,
    pub(super) attempt: u32,
    pub(super) buffer: Vec<u8>,
    pub(super) asked_ns: u64,
}

/// Whether those who signed a checkpoint committed the own tip as well. Up to `F` of them may have two
/// faces; one more, and one is correct and has both on one chain.
#[derive(Debug)]
pub(super) struct Doubt {
    cert: CheckpointCert,
    from: SignerSet,
    since_ns: u64,
    tip: Height,
    confirmed: SignerSet,
}

impl<P: Platform> Replica<P> {
    /// A snapshot replaces the own chain. With more than `f` liars it may be another branch's: first
    /// more than `F` of its signers must prove that they committed the own tip as well.
    pub(in crate::replica) fn need_snapshot(
        &mut self,
        now: u64,
        cert: CheckpointCert,
        from: SignerSet,
    ) {
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

    /// The epoch is split: its states are one side's, and the own journal is what the recovery rests on.
    pub(in crate::replica) fn stop_fetching(&mut self) {
        self.snapshots.doubtful = None;
        if self.snapshots.is_fetching(self.config.epoch.id) {
            self.snapshots.fetch = None;
        }
    }

    /// A peer proved that it committed the own tip, too.
    pub(in crate::replica) fn tip_confirmed(&mut self, now: u64, by: ReplicaId, height: Height) {
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
            self.begin_fetch(now, from, cert);
        }
    }

    /// As [`Replica::newer_checkpoint`], of the epoch that this replica looks to: instead of a transfer that
    /// makes no progress.
    pub(in crate::replica) fn fetch_ahead(
        &mut self,
        now: u64,
        from: ReplicaId,
        cert: CheckpointCert,
    ) {
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
            self.begin_fetch(now, holders(&cert, from), cert);
        }
    }

    /// Fetches from `holders`.
    fn begin_fetch(&mut self, now: u64, holders: SignerSet, cert: CheckpointCert) {
        if self.recovery.is_some() && cert.epoch == self.config.epoch.id {
            return;
        }
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

    pub(in crate::replica) fn retry_snapshot(&mut self, now: u64) {
        if now >= self.snapshots.retry_ns()
            && let Some(fetch) = &mut self.snapshots.fetch
        {
            fetch.attempt += 1;
            self.ask_snapshot(now);
        }
    }

    pub(in crate::replica) fn serve_snapshot(
        &mut self,
        from: ReplicaId,
        request: &SnapshotRequest,
    ) {
        if let Some(chunk) = self.snapshots.answer(request) {
            let to = [from].into_iter().collect();
            self.outbox
                .push(Out::Peers(to, Message::SnapshotChunk(chunk)));
        }
    }

    /// `chunk.cert` was checked if it is not the one that is being fetched.
    pub(in crate::replica) fn on_chunk(&mut self, now: u64, from: ReplicaId, chunk: SnapshotChunk) {
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
                self.submit_of(&epoch, Pending::NewerCheckpoint { from }, job);
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
    pub(in crate::replica) fn newer_checkpoint(
        &mut self,
        now: u64,
        from: ReplicaId,
        cert: CheckpointCert,
    ) {
        if self
            .snapshots
            .fetch
            .as_ref()
            .is_some_and(|f| f.cert.height < cert.height)
        {
            self.begin_fetch(now, holders(&cert, from), cert);
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
}

/// Who has the state: its signers, and whoever showed the certificate.
fn holders(cert: &CheckpointCert, shown_by: ReplicaId) -> SignerSet {
    cert.signatures
        .signers
        .union(SignerSet::from_iter([shown_by]))
}
