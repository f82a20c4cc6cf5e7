//! How dear a job is, from what can be counted without doing it. Figures: one core of the machine the
//! design was measured on; only their order of magnitude matters.

use crypto::Job;
use types::{CommitProof, ForkReport, Fraud, Header, Qc, RecoveryValue, SchemeName, Tc};

/// One Ed25519 verification alone, and as a part of a list, in microseconds.
const ED25519_US: u64 = 47;
const ED25519_LISTED_US: u64 = 24;
const ED25519_SIGN_US: u64 = 20;
/// A BLS pairing check of one certificate, parsing one share, signing.
const BLS_VERIFY_US: u64 = 1100;
const BLS_SHARE_US: u64 = 17;
const BLS_SIGN_US: u64 = 180;

/// Costs under one vote scheme.
#[derive(Debug, Clone, Copy)]
pub struct CostModel {
    scheme: SchemeName,
}

/// A guess: an upper one where caches may save the work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Estimate {
    pub us: u64,
    /// Nobody's view waits for it.
    pub bulk: bool,
}

impl CostModel {
    pub fn new(scheme: SchemeName) -> CostModel {
        CostModel { scheme }
    }

    pub(super) fn of(self, job: &Job) -> Estimate {
        let urgent = |us| Estimate { us, bulk: false };
        let bulk = |us| Estimate { us, bulk: true };
        match job {
            Job::Proposal(proposal) => urgent(ED25519_US + self.header(&proposal.header)),
            Job::Timeout(timeout) => urgent(
                ED25519_US
                    + self.qc(&timeout.high_qc)
                    + timeout.last_vote.as_ref().map_or(0, |_| self.shares(1)),
            ),
            Job::NewView(new_view) => {
                urgent(self.qc(&new_view.high_qc) + new_view.tc.as_ref().map_or(0, tc))
            }
            Job::Cars(cars) => urgent(listed(cars.len())),
            Job::CarCerts(certs) => {
                urgent(listed(certs.iter().map(|c| c.acks.signers.len()).sum()))
            }
            Job::CheckpointShare(_) => urgent(ED25519_US),
            Job::CheckpointCert(cert) => bulk(listed(cert.signatures.signers.len())),
            Job::AggregateVotes { shares, .. } => urgent(self.shares(shares.len())),
            Job::AggregateAcks { shares, .. } => urgent(listed(shares.len())),
            Job::AggregateCheckpoint { shares, .. } => bulk(listed(shares.len())),
            Job::SignVote { .. } => urgent(match self.scheme {
                SchemeName::Bls => BLS_SIGN_US,
                _ => ED25519_SIGN_US,
            }),
            Job::Chain(chain) => bulk(chain.headers.iter().map(|h| self.header(h)).sum()),
            Job::Frauds(frauds) => urgent(self.frauds(frauds)),
            Job::CommitProof(proof) => urgent(self.proof(proof)),
            Job::Conflict(conflict) => {
                urgent(self.proof(&conflict.first) + self.proof(&conflict.second))
            }
            Job::Report(report) => urgent(self.report(report)),
            Job::Value(value) => urgent(self.value(value)),
            Job::Resumption(resumption) => {
                urgent(self.value(&resumption.value) + self.proof(&resumption.proof))
            }
            Job::Groups { .. } => bulk(u64::MAX),
        }
    }

    /// Certificates of the cut are checked where somebody needs them, by another job.
    fn header(self, header: &Header) -> u64 {
        self.qc(&header.justify) + header.tc.as_ref().map_or(0, tc)
    }

    fn frauds(self, frauds: &[Fraud]) -> u64 {
        frauds.iter().map(|fraud| self.fraud(fraud)).sum()
    }

    fn fraud(self, fraud: &Fraud) -> u64 {
        match fraud {
            Fraud::Equivocation { .. } | Fraud::LaneEquivocation { .. } => listed(2),
            Fraud::DoubleVote { first, second } => self.qc(first) + self.qc(second),
            Fraud::LockBreak {
                locking, breaking, ..
            } => self.qc(locking) + self.qc(breaking),
            Fraud::StaleTimeout {
                votes, timeouts, ..
            } => self.qc(votes) + tc(timeouts),
            Fraud::UnjustifiedVote { votes, header } => self.qc(votes) + self.header(header),
            Fraud::DoubleAck { first, second } => {
                listed(first.acks.signers.len() + second.acks.signers.len())
            }
        }
    }

    fn proof(self, proof: &CommitProof) -> u64 {
        proof.certs.iter().map(|qc| self.qc(qc)).sum()
    }

    fn report(self, report: &ForkReport) -> u64 {
        ED25519_US + report.proof.as_ref().map_or(0, |proof| self.proof(proof))
    }

    fn value(self, value: &RecoveryValue) -> u64 {
        let reports = value.reports.iter().map(|report| self.report(report));
        self.frauds(&value.frauds) + reports.sum::<u64>()
    }

    fn qc(self, qc: &Qc) -> u64 {
        match qc.votes.signers.len() {
            0 => 0,
            signers => self.shares(signers).min(match self.scheme {
                SchemeName::Bls => BLS_VERIFY_US,
                _ => u64::MAX,
            }),
        }
    }

    fn shares(self, count: usize) -> u64 {
        match self.scheme {
            SchemeName::Bls => BLS_VERIFY_US + BLS_SHARE_US * count as u64,
            _ => listed(count),
        }
    }
}

/// How many signatures a job checks; aggregates and lists count once.
pub(super) fn checks(job: &Job) -> u64 {
    match job {
        Job::SignVote { .. } => 0,
        Job::Cars(cars) => cars.len() as u64,
        Job::CarCerts(certs) => certs.len() as u64,
        Job::Chain(chain) => chain.headers.len() as u64,
        Job::Proposal(_) => 2,
        Job::Timeout(_) => 2,
        Job::Frauds(frauds) => 2 * frauds.len() as u64,
        Job::CommitProof(proof) => proof.certs.len() as u64,
        Job::Conflict(conflict) => {
            (conflict.first.certs.len() + conflict.second.certs.len()) as u64
        }
        Job::Report(report) => of_report(report),
        Job::Value(value) => of_value(value),
        Job::Resumption(resumption) => {
            of_value(&resumption.value) + resumption.proof.certs.len() as u64
        }
        _ => 1,
    }
}

fn of_report(report: &ForkReport) -> u64 {
    1 + report.proof.as_ref().map_or(0, |p| p.certs.len() as u64)
}

fn of_value(value: &RecoveryValue) -> u64 {
    2 * value.frauds.len() as u64 + value.reports.iter().map(of_report).sum::<u64>()
}

fn tc(tc: &Tc) -> u64 {
    listed(tc.claims.len())
}

/// A list of Ed25519 signatures, verified together.
fn listed(count: usize) -> u64 {
    match count {
        0 => 0,
        1 => ED25519_US,
        many => ED25519_LISTED_US * many as u64,
    }
}

#[cfg(test)]
mod tests;
