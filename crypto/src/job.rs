//! Work for the engine, and what comes back.

use bytes::Bytes;
use types::message::{ChainResponse, CheckpointShare, NewView};
use types::{
    BatchDigest, BlockId, Car, CarCert, CarId, CheckpointCert, CommitProof, Conflict, Digest,
    Epoch, ForkReport, Fraud, Height, Proposal, Qc, RecoveryValue, ReplicaId, Resumption,
    SignerSet, Timeout, Verified, View, Vote,
};

use crate::engine::Engine;
use crate::error::Reject;
use crate::scheme::VoteScheme;

/// One piece of work. What each check covers stands at the check, in [`Engine`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Job {
    /// [`Engine::check_proposal`]
    Proposal(Proposal),
    /// [`Engine::check_timeout`]
    Timeout(Timeout),
    /// [`Engine::check_new_view`]
    NewView(NewView),
    /// [`Engine::check_cars`]
    Cars(Vec<Car>),
    /// [`Engine::check_car_certs`]
    CarCerts(Vec<CarCert>),
    /// [`Engine::check_chain`]
    Chain(ChainResponse),
    /// [`Engine::check_checkpoint_share`]
    CheckpointShare(CheckpointShare),
    /// [`Engine::check_checkpoint_cert`]
    CheckpointCert(CheckpointCert),
    /// Shares of votes for one block at one view, of any number and quality.
    AggregateVotes {
        view: View,
        block: BlockId,
        excluded: SignerSet,
        shares: Vec<(ReplicaId, Bytes)>,
    },
    /// Acknowledgements of one car.
    AggregateAcks {
        lane: ReplicaId,
        index: u64,
        car: CarId,
        shares: Vec<(ReplicaId, [u8; 64])>,
    },
    /// Signatures of one checkpoint.
    AggregateCheckpoint {
        height: Height,
        block: BlockId,
        state: Digest,
        shares: Vec<(ReplicaId, [u8; 64])>,
    },
    SignVote {
        view: View,
        block: BlockId,
        excluded: SignerSet,
    },
    /// [`Engine::check_frauds`]. In this and the jobs below the epoch is the ordinary one; what belongs
    /// to its recovery epoch is checked against that.
    Frauds(Vec<Fraud>),
    /// [`Engine::check_own_proof`]
    CommitProof(CommitProof),
    /// [`Engine::check_conflict`]
    Conflict(Box<Conflict>),
    /// [`Engine::check_report`]
    Report(Box<ForkReport>),
    /// [`Engine::check_value`]
    Value(Box<RecoveryValue>),
    /// [`Engine::check_resumption`]
    Resumption(Box<Resumption>),
    /// Every group of a batch of `signed` clients; `digest` is only handed through.
    Groups { digest: BatchDigest, batch: Bytes },
}

/// The answer to a [`Job`] of the same name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Done {
    Proposal(Result<Verified<Proposal>, Reject>),
    Timeout(Result<Verified<Timeout>, Reject>),
    NewView(Result<Verified<NewView>, Reject>),
    /// One verdict per car, in the order of the job.
    Cars(Vec<Result<Verified<Car>, Reject>>),
    /// One verdict per certificate, in the order of the job.
    CarCerts(Vec<Result<Verified<CarCert>, Reject>>),
    Chain(Result<Verified<ChainResponse>, Reject>),
    CheckpointShare(Result<Verified<CheckpointShare>, Reject>),
    CheckpointCert(Result<Verified<CheckpointCert>, Reject>),
    /// `qc` is there iff the good shares are a quorum. `good` means that the sum of these shares
    /// verifies; `bad` names whoever spoiled it (and strangers to the epoch). A replica which the job
    /// names twice counts with its first share.
    Votes {
        view: View,
        block: BlockId,
        qc: Option<Verified<Qc>>,
        good: Vec<ReplicaId>,
        bad: Vec<ReplicaId>,
    },
    Acks {
        lane: ReplicaId,
        index: u64,
        car: CarId,
        cert: Option<Verified<CarCert>>,
        good: Vec<ReplicaId>,
        bad: Vec<ReplicaId>,
    },
    CheckpointVotes {
        height: Height,
        block: BlockId,
        state: Digest,
        cert: Option<Verified<CheckpointCert>>,
        good: Vec<ReplicaId>,
        bad: Vec<ReplicaId>,
    },
    VoteSigned(Vote),
    /// One verdict per proof, in the order of the job.
    Frauds(Vec<Result<Verified<Fraud>, Reject>>),
    CommitProof(Result<Verified<CommitProof>, Reject>),
    Conflict(Result<Verified<Conflict>, Reject>),
    Report(Result<Verified<ForkReport>, Reject>),
    Value(Result<Verified<RecoveryValue>, Reject>),
    Resumption(Result<Verified<Resumption>, Reject>),
    /// Number of transactions in the batch.
    Groups {
        digest: BatchDigest,
        ok: Result<u32, Reject>,
    },
}

impl<S: VoteScheme> Engine<S> {
    /// Does one job. Same keys, epoch and job give the same answer, whoever asks and when: the cache
    /// of certificates saves time only.
    ///
    /// # Panics
    /// `SignVote` panics in an engine without secrets.
    pub fn run(&self, epoch: &Epoch, job: Job) -> Done {
        match job {
            Job::Proposal(proposal) => Done::Proposal(self.check_proposal(epoch, proposal)),
            Job::Timeout(timeout) => Done::Timeout(self.check_timeout(epoch, timeout)),
            Job::NewView(new_view) => Done::NewView(self.check_new_view(epoch, new_view)),
            Job::Cars(cars) => Done::Cars(self.check_cars(epoch, cars)),
            Job::CarCerts(certs) => Done::CarCerts(self.check_car_certs(epoch, certs)),
            Job::Chain(chain) => Done::Chain(self.check_chain(epoch, chain)),
            Job::CheckpointShare(share) => {
                Done::CheckpointShare(self.check_checkpoint_share(epoch, share))
            }
            Job::CheckpointCert(cert) => {
                Done::CheckpointCert(self.check_checkpoint_cert(epoch, cert))
            }
            Job::AggregateVotes {
                view,
                block,
                excluded,
                shares,
            } => self.aggregate_votes(epoch, view, block, excluded, shares),
            Job::AggregateAcks {
                lane,
                index,
                car,
                shares,
            } => self.aggregate_acks(epoch, lane, index, car, shares),
            Job::AggregateCheckpoint {
                height,
                block,
                state,
                shares,
            } => self.aggregate_checkpoint(epoch, height, block, state, shares),
            Job::SignVote {
                view,
                block,
                excluded,
            } => Done::VoteSigned(self.sign_vote(epoch, view, block, excluded)),
            Job::Frauds(frauds) => Done::Frauds(self.check_frauds(epoch, frauds)),
            Job::CommitProof(proof) => Done::CommitProof(self.check_own_proof(epoch, proof)),
            Job::Conflict(conflict) => Done::Conflict(self.check_conflict(epoch, *conflict)),
            Job::Report(report) => Done::Report(self.check_report(epoch, *report)),
            Job::Value(value) => Done::Value(self.check_value(epoch, *value)),
            Job::Resumption(resumption) => {
                Done::Resumption(self.check_resumption(epoch, *resumption))
            }
            Job::Groups { digest, batch } => Done::Groups {
                digest,
                ok: crate::client::check_groups(epoch, &batch),
            },
        }
    }
}
