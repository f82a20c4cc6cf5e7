//! The vocabulary of the protocol: ids, headers, votes, certificates, the canonical codec, length
//! limits, and the commit-proof predicate which a client checks. Nothing here does I/O, holds keys
//! or knows time.

pub mod batch;
pub mod cert;
pub mod client;
pub mod codec;
pub mod committee;
pub mod fraud;
pub mod header;
pub mod ids;
pub mod lane;
pub mod limits;
pub mod message;
pub mod offence;
pub mod proof;
pub mod recovery;
pub mod signers;
pub mod statement;
pub mod timeout;
pub mod verified;

pub use cert::{CarCert, CheckpointCert, Multisig, Qc, Tc, TimeoutClaim};
pub use codec::{CodecError, Reader, Wire};
pub use committee::{CommitRule, Committee, Epoch, EpochKind, Member, Mode, SchemeName};
pub use fraud::{Fraud, Offence, SignedCore};
pub use header::{Checkpoint, Header, HeaderCore, Proposal, Vote};
pub use ids::{BatchDigest, BlockId, CarId, ClusterId, Digest, EpochId, Height, ReplicaId, View};
pub use lane::{Ack, BatchRef, Car};
pub use message::{
    CarRequest, ChainRequest, ChainResponse, CheckpointShare, Message, NewView, SnapshotChunk,
    SnapshotRequest,
};
pub use offence::NoFraud;
pub use proof::{CommitProof, ProofError};
pub use recovery::{
    Branch, BranchRequest, Conflict, EpochChange, ForkReport, Notice, ProofRequest, RecoveryValue,
    Resumption, ValueCore,
};
pub use signers::SignerSet;
pub use timeout::Timeout;
pub use verified::Verified;

#[cfg(test)]
mod tests;
