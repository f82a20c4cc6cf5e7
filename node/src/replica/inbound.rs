//! Frames in: decode, drop what is stale before paying for it, check, hand to the core.

use bytes::Bytes;
use crypto::Job;
use types::{BatchDigest, CarCert, Epoch, Fraud, Message, RecoveryValue, ReplicaId, Wire, batch};

use super::outbox::Out;
use super::{Replica, records};
use crate::platform::{ClientId, Platform};

/// Most checks under way for one peer: a flood of expensive messages costs its sender only.
const JOBS_PER_PEER_MAX: u32 = 256;
/// A peer that keeps saying that it is behind is answered at most this often.
pub(super) const BEHIND_NS: u64 = 50_000_000;

const TAG_BATCH: u8 = 4;
const TAG_BATCH_RESPONSE: u8 = 13;

/// Questions that one peer may ask per second, and at once: they are cheap to ask and dear to answer.
const REQUESTS_PER_S: u64 = 2_000;

/// How many questions each peer may still ask.
#[derive(Debug)]
pub(super) struct Budgets(Vec<(u64, u64)>);

impl Budgets {
    pub fn new(n: usize, now: u64) -> Budgets {
        Budgets(vec![(REQUESTS_PER_S, now); n])
    }

    fn take(&mut self, from: ReplicaId, now: u64) -> bool {
        let Some((left, filled_ns)) = self.0.get_mut(from.index()) else {
            return false;
        };
        let earned = now.saturating_sub(*filled_ns) / (1_000_000_000 / REQUESTS_PER_S);
        if earned > 0 {
            *left = (*left + earned).min(REQUESTS_PER_S);
            *filled_ns = now;
        }
        let allowed = *left > 0;
        *left = left.saturating_sub(1);
        allowed
    }
}

/// What a job's answer is for.
#[derive(Debug)]
pub(super) enum Pending {
    /// A message of this peer.
    From(ReplicaId),
    /// Something that the core asked for.
    Core(Vec<CarCert>),
    Submission {
        client: ClientId,
        groups: Bytes,
    },
    Batch {
        digest: BatchDigest,
        bytes: Bytes,
        lane: Option<ReplicaId>,
    },
    NewerCheckpoint {
        from: ReplicaId,
    },
    ClientConflict {
        client: ClientId,
        id: u64,
    },
    /// Candidates of the own attribution.
    Candidates(Vec<Fraud>),
    Eviction {
        value: Box<RecoveryValue>,
    },
}

impl Pending {
    /// True for what does not depend on an epoch: bytes of clients and lanes.
    pub fn is_local(&self) -> bool {
        matches!(self, Pending::Submission { .. } | Pending::Batch { .. })
    }
}

impl<P: Platform> Replica<P> {
    pub(super) fn on_frame(
        &mut self,
        now: u64,
        from: ReplicaId,
        frame: Bytes,
        body_hash: Option<[u8; 32]>,
    ) {
        let lane = match frame.first() {
            Some(&TAG_BATCH) => Some(Some(from)),
            Some(&TAG_BATCH_RESPONSE) => Some(None),
            _ => None,
        };
        if let Some(lane) = lane {
            let named = body_hash.map(|hash| BatchDigest(types::Digest(hash)));
            return self.on_batch(now, frame.slice(1..), named, lane);
        }
        match Message::decode(frame) {
            Ok(message) => self.on_message(now, from, message),
            Err(why) => {
                self.counters.frames_malformed += 1;
                tracing::debug!(%from, %why, "frame refused");
            }
        }
    }

    pub(super) fn on_message(&mut self, now: u64, from: ReplicaId, message: Message) {
        let is_request = matches!(
            message,
            Message::ChainRequest(_)
                | Message::CarRequest(_)
                | Message::BatchRequest(_)
                | Message::SnapshotRequest(_)
                | Message::ProofRequest(_)
                | Message::BranchRequest(_)
                | Message::ValueRequest(..)
        );
        if is_request && !self.budgets.take(from, now) {
            self.counters.requests_dropped += 1;
            return;
        }
        let working = self.config.epoch.id;
        match message.epoch() {
            None => self.on_working(now, from, message),
            Some(epoch) if epoch == working => self.on_working(now, from, message),
            Some(epoch) if epoch == self.config.epoch.recovery().id => {
                match (&self.recovery, &message) {
                    (_, Message::Frauds(_)) | (Some(_), _) => {
                        self.on_recovery(now, from, message);
                    }
                    (None, _) => self.keep_early(from, message),
                }
            }
            Some(epoch) => self.on_foreign(now, from, epoch, message),
        }
    }

    /// A message of the working epoch, or about bytes.
    fn on_working(&mut self, now: u64, from: ReplicaId, message: Message) {
        match message {
            Message::Proposal(m) if m.header.proposer == from => {
                if self.core.wants_proposal(&m.header) {
                    self.check(from, Job::Proposal(m));
                }
            }
            Message::Vote(m) => {
                if m.voter == from {
                    self.watch(|watch| watch.vote(&m));
                }
                self.core.handle_vote(now, from, m, &mut self.effects);
            }
            Message::Timeout(m) if m.replica == from => {
                self.watch(|watch| watch.timeout(&m));
                if self.core.wants_timeout(&m) {
                    self.check(from, Job::Timeout(m));
                } else if m.view < self.core.view() {
                    self.tell_behind(now, from);
                }
            }
            Message::NewView(m) => {
                if self.core.wants_new_view(&m) {
                    self.check(from, Job::NewView(m));
                }
            }
            Message::Car(m) if m.lane == from => {
                if self.core.wants_car(&m) {
                    self.watch(|watch| watch.car(&m));
                    self.core.handle_owner_car(now, from, m, &mut self.effects);
                }
            }
            Message::Car(m) => self.on_cars(now, from, vec![m]),
            Message::Cars(m) => self.on_cars(now, from, m),
            Message::Ack(m) => {
                if m.replica == from {
                    self.watch(|watch| watch.ack(&m));
                }
                self.core.handle_ack(from, &m, &mut self.effects);
            }
            Message::CarCert(m) if m.lane == from => {
                self.core.handle_car_cert(m, &mut self.effects);
            }
            Message::ChainRequest(m) => self.core.handle_chain_request(from, &m, &mut self.effects),
            Message::ChainResponse(m) => self.check(from, Job::Chain(m)),
            Message::CarRequest(m) => self.core.handle_car_request(from, &m, &mut self.effects),
            Message::BatchRequest(mut digests) => {
                digests.sort_unstable();
                digests.dedup();
                self.serve_batches(from, &digests);
            }
            Message::CheckpointShare(m) => {
                self.core
                    .handle_checkpoint_share(from, &m, &mut self.effects);
            }
            Message::SnapshotRequest(m) => self.serve_snapshot(from, &m),
            Message::SnapshotChunk(m) => self.on_chunk(now, from, m),
            Message::Batch(_) | Message::BatchResponse(_) => {}
            Message::Proposal(_) | Message::Timeout(_) | Message::CarCert(_) => {
                self.counters.frames_malformed += 1;
            }
            Message::ProofRequest(m) => self.serve_proof(from, m.height),
            Message::BranchRequest(m) => {
                self.core.handle_branch_request(from, &m, &mut self.effects);
            }
            Message::Branch(m) => self.with_recovery(|recovery, core, out| {
                core.handle_branch(now, m, recovery.executed(), out);
                recovery.advance(now, core, out);
            }),
            evidence => self.on_evidence(now, from, evidence),
        }
    }

    /// A message of the working epoch's recovery.
    fn on_recovery(&mut self, now: u64, from: ReplicaId, message: Message) {
        let Some(recovery) = &mut self.recovery else {
            return self.on_evidence(now, from, message);
        };
        let (epoch, out) = (*recovery.epoch(), &mut self.recovery_effects);
        let job = match message {
            Message::Proposal(m) if m.header.proposer == from => recovery
                .core
                .wants_proposal(&m.header)
                .then(|| Job::Proposal(m)),
            Message::Vote(m) => {
                recovery.core.handle_vote(now, from, m, out);
                None
            }
            Message::Timeout(m) if m.replica == from => {
                if recovery.core.wants_timeout(&m) {
                    Some(Job::Timeout(m))
                } else {
                    if m.view < recovery.core.view() {
                        recovery.core.handle_peer_up(from, out);
                    }
                    None
                }
            }
            Message::NewView(m) => recovery.core.wants_new_view(&m).then(|| Job::NewView(m)),
            Message::ChainRequest(m) => {
                recovery.core.handle_chain_request(from, &m, out);
                None
            }
            Message::ChainResponse(m) => Some(Job::Chain(m)),
            other => return self.on_evidence(now, from, other),
        };
        if let Some(job) = job {
            self.check_of(&epoch, from, job);
        }
    }

    pub(super) fn check(&mut self, from: ReplicaId, job: Job) {
        let epoch = self.config.epoch;
        self.check_of(&epoch, from, job);
    }

    pub(super) fn check_of(&mut self, epoch: &Epoch, from: ReplicaId, job: Job) {
        let Some(load) = self.pending_by_peer.get_mut(from.index()) else {
            return;
        };
        if *load >= JOBS_PER_PEER_MAX {
            self.counters.jobs_dropped += 1;
            return;
        }
        *load += 1;
        self.submit_of(epoch, Pending::From(from), job);
    }

    fn on_cars(&mut self, now: u64, from: ReplicaId, mut cars: Vec<types::Car>) {
        cars.retain(|car| self.core.wants_car(car));
        let cars = self.core.handle_named_cars(now, cars, &mut self.effects);
        if !cars.is_empty() {
            self.check(from, Job::Cars(cars));
        }
    }

    fn tell_behind(&mut self, now: u64, from: ReplicaId) {
        if self.behind.take(from, now) {
            self.core.handle_peer_up(from, &mut self.effects);
        }
    }

    fn serve_batches(&mut self, from: ReplicaId, digests: &[BatchDigest]) {
        let mut all = true;
        for digest in digests {
            let past = self.past.as_ref().and_then(|past| past.store.get(digest));
            let past = past.or_else(|| self.archive.as_ref()?.batch(digest));
            let Some(bytes) = self.store.get(digest).or(past) else {
                all = false;
                continue;
            };
            let to = [from].into_iter().collect();
            self.outbox
                .push(Out::Peers(to, Message::BatchResponse(bytes.clone())));
        }
        if !all {
            self.core.tell_pruned(from, &mut self.effects);
        }
    }

    /// `named`: the digest of `bytes`, where somebody has computed it.
    fn on_batch(
        &mut self,
        now: u64,
        bytes: Bytes,
        named: Option<BatchDigest>,
        lane: Option<ReplicaId>,
    ) {
        if bytes.len() > types::limits::BATCH_LEN_MAX {
            self.counters.frames_malformed += 1;
            return;
        }
        let digest = named.unwrap_or_else(|| batch::digest(&bytes));
        if self.store.get(&digest).is_some() {
            return;
        }
        let mut useful = self.store.wants(&digest);
        if let Some(lane) = lane.filter(|_| !useful) {
            // During a recovery nothing gives way: another branch may rest on it.
            let (room, gone) = match self.recovery.is_some() {
                true => (self.store.has_room(lane, bytes.len()), Vec::new()),
                false => self.store.make_room(lane, bytes.len()),
            };
            gone.into_iter()
                .for_each(|digest| self.core.batch_dropped(digest));
            useful = room;
        }
        if !useful {
            self.counters.batches_unwanted += 1;
            return;
        }
        if self.config.signed_clients {
            let job = Job::Groups {
                digest,
                batch: bytes.clone(),
            };
            self.submit(
                Pending::Batch {
                    digest,
                    bytes,
                    lane,
                },
                job,
            );
        } else {
            self.store_batch(now, digest, bytes, lane);
        }
    }

    pub(super) fn store_batch(
        &mut self,
        now: u64,
        digest: BatchDigest,
        bytes: Bytes,
        lane: Option<ReplicaId>,
    ) {
        let stored = match lane {
            Some(lane) if !self.store.wants(&digest) => {
                self.store.push(digest, bytes.clone(), lane)
            }
            _ => self.store.fetched(digest, bytes.clone()),
        };
        if stored {
            self.append(records::batch(digest, bytes));
            self.core.batch_stored(now, digest, &mut self.effects);
        }
    }
}
