//! The verdict lattice; the worst wins.

use serde::{Deserialize, Serialize};

/// What a run or a campaign comes to. Ordered from the best to the worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Verdict {
    /// Every check held, on complete data.
    Pass,
    /// A bound of the spec was missed.
    ThresholdFailed,
    /// Nothing was finished, or nothing any more at the end.
    NoProgress,
    /// The data does not suffice for a verdict on the system.
    Inconclusive,
    /// The harness itself failed or was the bottleneck; its figures mean nothing.
    InvalidHarness,
    /// Correct replicas contradict each other, or a client holds a receipt that does not hold.
    Diverged,
}

impl Verdict {
    /// Exit code of a program whose campaign comes to this. 1 and 2 are left to other errors.
    #[must_use]
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Pass => 0,
            Self::ThresholdFailed => 10,
            Self::NoProgress => 11,
            Self::Inconclusive => 12,
            Self::InvalidHarness => 13,
            Self::Diverged => 14,
        }
    }

    /// The verdict's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Pass => "Pass",
            Self::ThresholdFailed => "ThresholdFailed",
            Self::NoProgress => "NoProgress",
            Self::Inconclusive => "Inconclusive",
            Self::InvalidHarness => "InvalidHarness",
            Self::Diverged => "Diverged",
        }
    }
}
