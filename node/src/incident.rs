//! The incident timeline of one replica: what it learnt about a split and what it did about it, each
//! with its time. The driver collects it; the node writes it down, the simulator judges it.

use types::{Conflict, EpochId, Fraud, Height, Mode, ReplicaId, Resumption, SignerSet};

/// One entry of the timeline.
#[derive(Debug, Clone, PartialEq)]
pub struct Incident {
    /// On the clock of the driver's `now_ns`.
    pub at_ns: u64,
    pub what: What,
}

/// What happened.
#[derive(Debug, Clone, PartialEq)]
pub enum What {
    /// The mode changed.
    Mode { mode: Mode, epoch: EpochId },
    /// First verified pair of conflicting commit proofs of an epoch.
    Conflict(Box<Conflict>),
    /// A verified proof of fraud that convicts somebody new.
    Convicted {
        fraud: Box<Fraud>,
        /// Everybody whom it convicts.
        culprits: SignerSet,
        /// `B` from now on.
        excluded: SignerSet,
    },
    /// The recovery gate: open, or closed and why.
    Gate { open: bool, why: String },
    /// The recovery block is final here.
    Committed(Box<Resumption>),
    /// The histories were merged, and the working epoch began.
    Merged {
        epoch: EpochId,
        members: SignerSet,
        /// Newest block that was kept.
        rolled_back_to: Height,
        root_height: Height,
        /// Transactions executed here before which have another place or outcome now.
        moved: u64,
        /// Of these, how many lost their effect.
        invalidated: u64,
        /// Batches handed in again because no report covered them.
        orphans: u64,
    },
    /// The state of a later epoch was taken over: nobody served the way there any more.
    Crossed {
        epoch: EpochId,
        members: SignerSet,
        /// Own blocks above are no part of the own ledger any more.
        kept: Height,
        /// Height of the state.
        height: Height,
        /// Batches handed in again because others may lack them.
        orphans: u64,
    },
    /// The first ordinary block of a working epoch was executed.
    FirstBlock { epoch: EpochId, height: Height },
    /// A peer said something about a split that proved to be a lie or of no use.
    FalseAlarm { from: ReplicaId, why: String },
}
