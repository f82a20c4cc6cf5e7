//! How dear a job is, from what can be counted without doing it. Figures: one core of the machine the
//! design was measured on; only their order of magnitude matters.

use crypto::Job;
use types::{Header, Qc, SchemeName, Tc};

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
            Job::Groups { .. } => bulk(u64::MAX),
        }
    }

    fn header(self, header: &Header) -> u64 {
        let acks = header.cut.iter().map(|cert| cert.acks.signers.len()).sum();
        self.qc(&header.justify) + header.tc.as_ref().map_or(0, tc) + listed(acks)
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
        Job::Proposal(proposal) => 2 + proposal.header.cut.len() as u64,
        Job::Timeout(_) => 2,
        _ => 1,
    }
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
