//! `incidents.jsonl`: what one replica learnt about a split and what it did about it. The node
//! writes it, `results` reads it.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::files::{MeasureError, read_json_lines};

/// Names of the modes, as replicas, clients and records spell them.
pub mod mode {
    /// Orders and receipts as ever.
    pub const NOMINAL: &str = "NOMINAL";
    /// A split is proven: nothing is voted for, committed or acknowledged.
    pub const DEGRADED_SAFE: &str = "DEGRADED_SAFE";
    /// The others agree whom to leave out and what to keep.
    pub const RECOVERY_IN_PROGRESS: &str = "RECOVERY_IN_PROGRESS";
    /// The working epoch runs and has no checkpoint yet.
    pub const SAFE_RESUMED: &str = "SAFE_RESUMED";
}

/// One line of `incidents.jsonl`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IncidentLine {
    /// `CLOCK_MONOTONIC` of the replica's host ([`crate::monotonic_ns`]).
    pub at_ns: u64,
    /// What happened.
    #[serde(flatten)]
    pub what: IncidentKind,
}

/// What happened. Ids are lower-case hex; replicas are indices of the committee file, ascending.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "kebab-case")]
pub enum IncidentKind {
    /// The mode changed.
    Mode {
        /// One of [`mode`].
        mode: String,
        /// The epoch in which the replica is now.
        epoch: String,
    },
    /// First verified pair of conflicting commit proofs of an epoch.
    Conflict {
        /// The epoch that was split.
        epoch: String,
        /// The height that was decided twice.
        height: u64,
        /// The block decided there by one side.
        one: String,
        /// The block decided there by the other.
        other: String,
    },
    /// A verified proof of fraud that convicts somebody new.
    Convicted {
        /// Everybody whom this proof convicts.
        culprits: Vec<u32>,
        /// `B` from now on.
        excluded: Vec<u32>,
        /// The offence by its name in `docs/protocol.md`, such as `E2 double vote`.
        offence: String,
        /// Digest of the proof, hex; names it in `evidence.bin`.
        #[serde(default)]
        digest: String,
    },
    /// The recovery gate.
    Gate {
        /// Whether recovery may proceed.
        open: bool,
        /// Why, or why not.
        why: String,
    },
    /// The recovery block is final here.
    Committed {
        /// The epoch that was split.
        of: String,
        /// `B` as agreed.
        excluded: Vec<u32>,
        /// Tip of the branch that keeps its heights.
        base: String,
        /// Height of the working epoch's root.
        root_height: u64,
        /// Fork reports in the value.
        reports: u32,
    },
    /// The histories were merged, and the working epoch began.
    Merged {
        /// The working epoch.
        epoch: String,
        /// Its members.
        members: Vec<u32>,
        /// Newest block that was kept.
        rolled_back_to: u64,
        /// Height of the working epoch's root.
        root_height: u64,
        /// Transactions executed here before which have another place or outcome now.
        moved: u64,
        /// Of these, how many lost their effect.
        invalidated: u64,
        /// Batches handed in again because no report covered them.
        orphans: u64,
    },
    /// The state of a later epoch was taken over: nobody served the way there any more.
    Crossed {
        /// That epoch.
        epoch: String,
        /// Its members.
        members: Vec<u32>,
        /// Own blocks above this height are no part of the own ledger any more.
        kept: u64,
        /// Height of the state.
        height: u64,
        /// Batches handed in again because others may lack them.
        orphans: u64,
    },
    /// The first ordinary block of a working epoch was executed.
    FirstBlock {
        /// The working epoch.
        epoch: String,
        /// Its height.
        height: u64,
    },
    /// A peer said something about a split that proved to be a lie or of no use.
    FalseAlarm {
        /// The peer.
        from: u32,
        /// What it was.
        why: String,
    },
}

impl IncidentKind {
    /// Newest own block that a merge or a state taken over left in the ledger.
    #[must_use]
    pub fn kept(&self) -> Option<u64> {
        match self {
            Self::Merged { rolled_back_to, .. } => Some(*rolled_back_to),
            Self::Crossed { kept, .. } => Some(*kept),
            _ => None,
        }
    }
}

/// Reads `incidents.jsonl`, tolerating a torn last line.
///
/// # Errors
/// [`MeasureError`].
pub fn read_incidents(path: &Path) -> Result<Vec<IncidentLine>, MeasureError> {
    read_json_lines(path, "incident timeline")
}

#[cfg(test)]
mod tests;
