//! Why a key, a file or a message was refused.

use std::path::PathBuf;

use thiserror::Error;
use types::{ProofError, ReplicaId, SchemeName};

/// Why a committee or its secrets are unusable.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum KeyError {
    #[error("committee of {found} members, expected 1 to {limit}")]
    CommitteeSize { found: usize, limit: usize },
    #[error("committee uses scheme `{found}`, expected `{expected}`: start the replica with the committee's scheme", found = found.name(), expected = expected.name())]
    Scheme {
        found: SchemeName,
        expected: SchemeName,
    },
    #[error(
        "replica {replica}: {what} is not a valid key: make the keys anew with `reforge keygen`"
    )]
    BadKey {
        replica: ReplicaId,
        what: &'static str,
    },
    #[error(
        "replica {replica}: the proof of possession does not fit its vote key and identity key"
    )]
    Possession { replica: ReplicaId },
    #[error(
        "replicas {first} and {second} have the same {what}: every member needs keys of its own"
    )]
    Duplicate {
        first: ReplicaId,
        second: ReplicaId,
        what: &'static str,
    },
    #[error("replica {replica} is not one of the committee's {n}")]
    NoSuchReplica { replica: ReplicaId, n: usize },
    #[error(
        "the secret {what} is not that of replica {replica} in the committee: key file and committee file belong to different clusters or replicas"
    )]
    Mismatch {
        replica: ReplicaId,
        what: &'static str,
    },
    #[error("expected {expected} addresses for {expected} replicas, found {found}")]
    Addresses { expected: usize, found: usize },
    #[error("the operating system gives no randomness: {why}")]
    Randomness { why: String },
}

/// Why a committee or key file was not read or written.
#[derive(Debug, Error)]
pub enum KeyFileError {
    #[error("{path}: not found; make it with `reforge keygen`")]
    Missing { path: PathBuf },
    #[error(
        "{path}: already exists, and keys are never overwritten: choose another folder or move it away"
    )]
    Exists { path: PathBuf },
    #[error(
        "{path}: mode {mode:o} lets others than its owner read a secret: run `chmod 600` on it"
    )]
    Permissions { path: PathBuf, mode: u32 },
    #[error("{path}: {source}")]
    Io {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("{path}: expected a file of at most {limit} bytes, found {found}")]
    TooLong {
        path: PathBuf,
        found: u64,
        limit: u64,
    },
    #[error("{path}: {why}")]
    Syntax { path: PathBuf, why: String },
    #[error("{path}: `{field}` is not hexadecimal")]
    Hex { path: PathBuf, field: String },
    #[error("{path}: `{field}` has {found} bytes, expected {expected}")]
    Length {
        path: PathBuf,
        field: String,
        found: usize,
        expected: usize,
    },
    #[error("{path}: `{field}` is `{found}`, expected {expected}")]
    Value {
        path: PathBuf,
        field: &'static str,
        found: String,
        expected: &'static str,
    },
    #[error("{path}: {source}")]
    Key { path: PathBuf, source: KeyError },
}

/// Why a message was not accepted. Whoever sent it is faulty, or speaks of another epoch.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Reject {
    #[error("{what}: of another epoch")]
    Epoch { what: &'static str },
    #[error("{what}: replica {replica} is no member of the epoch")]
    NotMember {
        what: &'static str,
        replica: ReplicaId,
    },
    #[error("{what}: {found} signers are no quorum of members, {needed} are needed")]
    NoQuorum {
        what: &'static str,
        found: usize,
        needed: usize,
    },
    #[error("{what}: bad signature")]
    Signature { what: &'static str },
    #[error("{what}: {why}")]
    Malformed {
        what: &'static str,
        why: &'static str,
    },
    #[error("{what}: {why}")]
    Proof {
        what: &'static str,
        why: ProofReject,
    },
}

/// Why a commit proof convinces nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ProofReject {
    #[error(transparent)]
    Shape(#[from] ProofError),
    #[error("certificate {at} of the proof has a bad signature")]
    Signature { at: usize },
}
