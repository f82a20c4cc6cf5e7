//! What clients see of a split and of its end.

use serde::{Deserialize, Serialize};

use crate::incident::mode;

/// What a replica says that it may promise, from the best to the worst for a client.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub enum ModeName {
    /// Receipts stand.
    #[default]
    #[serde(rename = "NOMINAL")]
    Nominal,
    /// The working epoch runs; receipts from before may move until its first checkpoint.
    #[serde(rename = "SAFE_RESUMED")]
    SafeResumed,
    /// No receipts are given.
    #[serde(rename = "RECOVERY_IN_PROGRESS")]
    RecoveryInProgress,
    /// No receipts are given.
    #[serde(rename = "DEGRADED_SAFE")]
    DegradedSafe,
}

impl ModeName {
    /// As replicas and records spell it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Nominal => mode::NOMINAL,
            Self::SafeResumed => mode::SAFE_RESUMED,
            Self::RecoveryInProgress => mode::RECOVERY_IN_PROGRESS,
            Self::DegradedSafe => mode::DEGRADED_SAFE,
        }
    }
}

/// A replica told a client another mode than before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModeSeen {
    /// `CLOCK_MONOTONIC`.
    pub at_ns: u64,
    /// Index of the replica.
    pub replica: u32,
    /// The mode.
    pub mode: ModeName,
}

/// An epoch change that a client checked and believes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EpochSeen {
    /// The epoch that was split, hex.
    pub of: String,
    /// The working epoch, hex.
    pub epoch: String,
    /// Its members.
    pub members: Vec<u32>,
    /// Whom it leaves out.
    pub excluded: Vec<u32>,
    /// Height of its root.
    pub root_height: u64,
    /// When it was believed, `CLOCK_MONOTONIC`.
    pub learnt_ns: u64,
    /// When the first receipt of the epoch arrived that was proven: the first commit that a client
    /// sees after the split.
    pub first_commit_ns: Option<u64>,
}

/// What one generator saw of recoveries; everything is zero in a run without any.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecoverySeen {
    /// Changes of mode, as told by the replicas (the first 10 000).
    pub modes: Vec<ModeSeen>,
    /// Epoch changes, in their order.
    pub epochs: Vec<EpochSeen>,
    /// Epoch changes that did not hold.
    pub epoch_changes_bad: u64,
    /// Receipts that were reported at another place.
    pub moved: u64,
    /// Receipts that were reported anew at the same height and position: of another block now.
    #[serde(default)]
    pub restated: u64,
    /// Receipts of transactions that lost their effect.
    pub invalidated: u64,
    /// Receipts that were reported with another outcome and gained an effect.
    pub revived: u64,
    /// Reports about receipts that the generator does not hold.
    pub moved_unknown: u64,
    /// Receipts held when a mode other than `NOMINAL` was first heard of, most at any time: they
    /// may move until it is over.
    pub may_move: u64,
    /// Receipts that may still move at the end of the run.
    pub may_move_left: u64,
    /// Pairs of proven blocks with one epoch and height.
    pub conflicts: u64,
    /// How often such a pair was handed to a replica.
    pub conflicts_handed_in: u64,
    /// How often a replica agreed that a pair is a conflict.
    pub conflicts_confirmed: u64,
}
