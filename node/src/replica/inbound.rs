//! Frames in: decode, drop what is stale before paying for it, check, hand to the core.

use bytes::Bytes;
use consensus::Check;
use crypto::{Done, Job};
use types::{BatchDigest, CarCert, Message, ReplicaId, Verified, Wire, batch};

use super::outbox::Out;
use super::{Replica, records};
use crate::platform::{ClientId, Platform};

/// Most checks under way for one peer: a flood of expensive messages costs its sender only.
const JOBS_PER_PEER_MAX: u32 = 256;
/// A peer that keeps saying that it is behind is answered at most this often.
const BEHIND_NS: u64 = 50_000_000;

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
}

impl<P: Platform> Replica<P> {
    pub(super) fn on_frame(&mut self, now: u64, from: ReplicaId, frame: Bytes) {
        match frame.first() {
            Some(&TAG_BATCH) => return self.on_batch(now, frame.slice(1..), Some(from)),
            Some(&TAG_BATCH_RESPONSE) => return self.on_batch(now, frame.slice(1..), None),
            _ => {}
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
        );
        if is_request && !self.budgets.take(from, now) {
            self.counters.requests_dropped += 1;
            return;
        }
        match message {
            Message::Proposal(m) if m.header.proposer == from => {
                if self.core.wants_proposal(&m.header) {
                    self.check(from, Job::Proposal(m));
                }
            }
            Message::Vote(m) => self.core.handle_vote(now, from, m, &mut self.effects),
            Message::Timeout(m) if m.replica == from => {
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
            Message::Car(m) => self.on_cars(from, vec![m]),
            Message::Cars(m) => self.on_cars(from, m),
            Message::Ack(m) => self.core.handle_ack(from, &m, &mut self.effects),
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
            _ => {}
        }
    }

    fn check(&mut self, from: ReplicaId, job: Job) {
        let Some(load) = self.pending_by_peer.get_mut(from.index()) else {
            return;
        };
        if *load >= JOBS_PER_PEER_MAX {
            self.counters.jobs_dropped += 1;
            return;
        }
        *load += 1;
        self.submit(Pending::From(from), job);
    }

    fn on_cars(&mut self, from: ReplicaId, mut cars: Vec<types::Car>) {
        cars.retain(|car| self.core.wants_car(car));
        if !cars.is_empty() {
            self.check(from, Job::Cars(cars));
        }
    }

    fn tell_behind(&mut self, now: u64, from: ReplicaId) {
        let Some(told) = self.behind_told_ns.get_mut(from.index()) else {
            return;
        };
        if now >= *told + BEHIND_NS {
            *told = now;
            self.core.handle_peer_up(from, &mut self.effects);
        }
    }

    fn serve_batches(&mut self, from: ReplicaId, digests: &[BatchDigest]) {
        let mut all = true;
        for digest in digests {
            let Some(bytes) = self.store.get(digest) else {
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

    fn on_batch(&mut self, now: u64, bytes: Bytes, lane: Option<ReplicaId>) {
        if bytes.len() > types::limits::BATCH_LEN_MAX {
            self.counters.frames_malformed += 1;
            return;
        }
        let digest = batch::digest(&bytes);
        if self.store.get(&digest).is_some() {
            return;
        }
        let mut useful = self.store.wants(&digest);
        if let Some(lane) = lane.filter(|_| !useful) {
            let (room, gone) = self.store.make_room(lane, bytes.len());
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

    fn store_batch(
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

    pub(super) fn on_done(&mut self, now: u64, tag: u64, done: Done) {
        let Some(pending) = self.pending.remove(&tag) else {
            return;
        };
        let from = match &pending {
            Pending::From(from) => {
                self.pending_by_peer[from.index()] -= 1;
                *from
            }
            _ => self.config.me,
        };
        let out = &mut self.effects;
        match (done, pending) {
            (Done::Proposal(Ok(m)), _) => self.core.handle_proposal(now, m, out),
            (Done::Timeout(Ok(m)), _) => self.core.handle_timeout(now, m, out),
            (Done::NewView(Ok(m)), _) => self.core.handle_new_view(now, from, m, out),
            (Done::Chain(Ok(m)), _) => self.core.handle_chain(now, from, m, out),
            (Done::Cars(verdicts), _) => {
                for verdict in verdicts.into_iter().rev() {
                    match verdict {
                        Ok(car) => self.core.handle_car(now, car, &mut self.effects),
                        Err(_) => self.counters.messages_rejected += 1,
                    }
                }
            }
            (Done::CarCerts(verdicts), Pending::Core(asked)) => {
                let (mut good, mut bad): (Vec<Verified<CarCert>>, Vec<CarCert>) =
                    Default::default();
                for (verdict, cert) in verdicts.into_iter().zip(asked) {
                    match verdict {
                        Ok(cert) => good.push(cert),
                        Err(_) => bad.push(cert),
                    }
                }
                self.counters.messages_rejected += bad.len() as u64;
                self.core.handle_car_certs(now, good, &bad, out);
            }
            (
                Done::Votes {
                    view,
                    block,
                    qc,
                    bad,
                    ..
                },
                _,
            ) => {
                self.core
                    .handle_votes_checked(now, view, block, qc, &bad, out);
            }
            (Done::Acks { car, cert, bad, .. }, _) => {
                self.core.handle_acks_checked(now, car, cert, &bad, out);
            }
            (
                Done::CheckpointVotes {
                    height, cert, bad, ..
                },
                _,
            ) => {
                self.core.handle_checkpoint_checked(height, cert, &bad, out);
            }
            (Done::VoteSigned(vote), _) => self.on_vote_signed(vote),
            (Done::Groups { ok, .. }, Pending::Submission { client, groups }) => match ok {
                Ok(txs) => self.admit(now, client, &groups, txs),
                Err(_) => self.refuse(client, &groups, types::client::Refusal::Malformed),
            },
            (
                Done::Groups { ok, .. },
                Pending::Batch {
                    digest,
                    bytes,
                    lane,
                },
            ) => match ok {
                Ok(_) => self.store_batch(now, digest, bytes, lane),
                Err(_) => self.counters.messages_rejected += 1,
            },
            (Done::CheckpointCert(Ok(cert)), Pending::NewerCheckpoint { from }) => {
                self.newer_checkpoint(now, from, cert.into_inner());
            }
            _ => self.counters.messages_rejected += 1,
        }
    }

    /// Gives a check that the core wants to the crypto threads.
    pub(super) fn submit_check(&mut self, check: Check) {
        let (asked, job) = match check {
            Check::Votes {
                view,
                block,
                excluded,
                shares,
            } => (
                Vec::new(),
                Job::AggregateVotes {
                    view,
                    block,
                    excluded,
                    shares,
                },
            ),
            Check::Acks {
                lane,
                index,
                car,
                shares,
            } => (
                Vec::new(),
                Job::AggregateAcks {
                    lane,
                    index,
                    car,
                    shares,
                },
            ),
            Check::Checkpoint {
                height,
                block,
                state,
                shares,
            } => (
                Vec::new(),
                Job::AggregateCheckpoint {
                    height,
                    block,
                    state,
                    shares,
                },
            ),
            Check::CarCerts(certs) => (certs.clone(), Job::CarCerts(certs)),
        };
        self.submit(Pending::Core(asked), job);
    }
}
