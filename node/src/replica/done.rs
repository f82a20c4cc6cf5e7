//! Answers of the crypto threads: what was checked or signed goes to the core that waits for it.

use consensus::Check;
use crypto::{Done, Job};
use types::{CarCert, Epoch, EpochId, Fraud, ReplicaId, Verified};

use super::Replica;
use super::inbound::Pending;
use super::outbox::Out;
use crate::platform::Platform;

impl<P: Platform> Replica<P> {
    pub(super) fn on_done(&mut self, now: u64, tag: u64, done: Done) {
        let Some((epoch, pending)) = self.pending.remove(&tag) else {
            return;
        };
        let from = match &pending {
            Pending::From(from) => {
                self.pending_by_peer[from.index()] -= 1;
                *from
            }
            _ => self.config.me,
        };
        if epoch != self.config.epoch.id && !pending.is_local() {
            if !self.on_ahead_done(now, from, epoch, &done)
                && !self.on_past_done(now, from, epoch, &done)
            {
                self.on_recovery_done(now, from, epoch, done);
            }
            return;
        }
        let out = &mut self.effects;
        match (done, pending) {
            (Done::CommitProof(Ok(m)), _) => self.proof_checked(now, from, &m),
            (Done::Conflict(verdict), Pending::ClientConflict { client, id }) => {
                let conflict = verdict.is_ok();
                if let Ok(m) = verdict {
                    self.conflict_checked(now, from, m);
                }
                let judged = types::client::Response::Judged { id, conflict };
                self.outbox.push(Out::Client(client, judged));
            }
            (Done::Conflict(Ok(m)), _) => self.conflict_checked(now, from, m),
            (Done::Frauds(verdicts), Pending::Candidates(asked)) => {
                let failed = asked.into_iter().zip(&verdicts);
                let failed = failed.filter(|(_, verdict)| verdict.is_err());
                let failed: Vec<Fraud> = failed.map(|(fraud, _)| fraud).collect();
                self.frauds_checked(now, verdicts);
                self.with_recovery(|recovery, _, out| recovery.candidates_failed(&failed, out));
            }
            (Done::Frauds(verdicts), Pending::Eviction { value }) => {
                let good = verdicts.into_iter().flatten().collect();
                self.eviction_checked(now, *value, good);
            }
            (Done::Frauds(verdicts), _) => self.frauds_checked(now, verdicts),
            (Done::Report(Ok(m)), _) => {
                self.with_recovery(|recovery, core, out| recovery.handle_report(now, m, core, out));
            }
            (Done::Value(Ok(m)), _) => {
                self.with_recovery(|recovery, core, out| recovery.handle_value(now, m, core, out));
            }
            (Done::Resumption(Ok(m)), _) if m.evicting().is_some() => {
                // An eviction: the own chain gets there with its certificates, and then needs its
                // value; unless another block is final here at that height.
                self.proof_checked(now, from, &m.proof);
                if let Some(block) = m.proof.block() {
                    let proof = std::sync::Arc::new(m.proof.clone());
                    self.proofs.entry(block.height).or_insert(proof);
                }
                self.learn_way(now, &m);
                self.core.handle_end(now, &m, from, &mut self.effects);
                self.on_eviction_value(m.into_inner().value);
            }
            (Done::Resumption(Ok(m)), _) => {
                self.begin_recovery(now);
                self.with_recovery(|recovery, core, out| {
                    recovery.handle_resumption(now, m, core, out);
                });
            }
            (Done::Proposal(Ok(m)), _) => {
                self.watch(|watch| watch.proposal(&m));
                self.core.handle_proposal(now, m, &mut self.effects);
                self.want_eviction();
            }
            (Done::Timeout(Ok(m)), _) => self.core.handle_timeout(now, m, out),
            (Done::NewView(Ok(m)), _) => self.core.handle_new_view(now, from, m, out),
            (Done::Chain(Ok(m)), _) => self.core.handle_chain(now, from, m, out),
            (Done::Cars(verdicts), _) => {
                for verdict in verdicts.into_iter().rev() {
                    match verdict {
                        Ok(car) => {
                            self.watch(|watch| watch.car(&car));
                            self.core.handle_car(now, car, &mut self.effects);
                        }
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

    /// The answer to a job of the recovery epoch.
    fn on_recovery_done(&mut self, now: u64, from: ReplicaId, epoch: EpochId, done: Done) {
        let Some(recovery) = self.recovery.as_mut().filter(|r| r.epoch().id == epoch) else {
            return;
        };
        let out = &mut self.recovery_effects;
        match done {
            Done::Proposal(Ok(m)) => recovery.handle_proposal(now, m, out),
            Done::Timeout(Ok(m)) => recovery.handle_timeout(now, m, out),
            Done::NewView(Ok(m)) => recovery.handle_new_view(now, from, m, out),
            Done::Chain(Ok(m)) => recovery.handle_chain(now, from, m, out),
            Done::Votes {
                view,
                block,
                qc,
                bad,
                ..
            } => recovery
                .core
                .handle_votes_checked(now, view, block, qc, &bad, out),
            Done::VoteSigned(vote) => self.on_vote_signed(vote),
            _ => self.counters.messages_rejected += 1,
        }
    }

    /// Gives a check that a core wants to the crypto threads.
    pub(super) fn submit_check(&mut self, epoch: &Epoch, check: Check) {
        let (asked, job) = match check {
            Check::Frauds { epoch, frauds } => {
                let pending = Pending::Candidates(frauds.clone());
                return self.submit_of(&epoch, pending, Job::Frauds(frauds));
            }
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
        self.submit_of(epoch, Pending::Core(asked), job);
    }
}
