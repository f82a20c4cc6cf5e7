//! What the core asks of its driver, and how it is configured.

use std::sync::Arc;

use bytes::Bytes;
use types::{
    BlockId, Car, CarCert, CarId, CheckpointCert, CommitProof, Conflict, Digest, Epoch, ForkReport,
    Fraud, Header, Height, Message, Qc, RecoveryValue, ReplicaId, Resumption, SignerSet, View,
    Vote,
};

use crate::delivery::DeliveredBlock;
use crate::detector::Notices;
use crate::lanes::LanesConfig;
use crate::recovery::MergePlan;
use crate::safety::Safety;

/// Nanoseconds of the driver's monotonic clock.
pub type Nanos = u64;

/// To whom a message goes. A set that contains the replica itself loops back through the driver.
pub type Dest = SignerSet;

/// A record which must be durable before any later message marked `durable` leaves.
#[derive(Debug, Clone, PartialEq)]
pub enum Durable {
    /// The newest replaces all earlier ones.
    Safety(Box<Safety>),
    Header(Arc<Header>),
    /// A car of the own lane, or one that is about to be acknowledged.
    Car(Arc<Car>),
    /// The reason for which this replica left `NOMINAL`: never forgotten before it is over.
    Conflict(Box<Conflict>),
    Fraud(Box<Fraud>),
    /// The own fork report.
    Report(Box<ForkReport>),
    Value(Box<RecoveryValue>),
    Resumption(Box<Resumption>),
}

/// A check of signatures that the core wants made off its path.
#[derive(Debug, Clone, PartialEq)]
pub enum Check {
    Votes {
        view: View,
        block: BlockId,
        excluded: SignerSet,
        shares: Vec<(ReplicaId, Bytes)>,
    },
    Acks {
        lane: ReplicaId,
        index: u64,
        car: CarId,
        shares: Vec<(ReplicaId, [u8; 64])>,
    },
    Checkpoint {
        height: Height,
        block: BlockId,
        state: Digest,
        shares: Vec<(ReplicaId, [u8; 64])>,
    },
    /// Certificates of cars; answered one by one or by the indices of the bad ones.
    CarCerts(Vec<CarCert>),
    /// Candidate proofs of fraud that happened in `epoch` or in its recovery.
    Frauds { epoch: Epoch, frauds: Vec<Fraud> },
}

/// What is to be done, in this order.
// Consumed at once, never kept in numbers: boxing the messages would only cost allocations.
#[allow(clippy::large_enum_variant)]
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    Persist(Durable),
    Send {
        to: Dest,
        message: Message,
        durable: bool,
    },
    /// Sign a vote, send it (durable), and give it back through `Core::own_vote`.
    SignVote {
        view: View,
        block: BlockId,
        excluded: SignerSet,
        to: Dest,
    },
    /// Sign, give back through `Core::own_proposal`, send to all others (durable).
    SignProposal(Box<Header>),
    /// Sign and send to all (durable), oneself included.
    SignTimeout {
        view: View,
        high_qc: Box<Qc>,
        last_vote: Option<Vote>,
    },
    /// Sign and give back through `Core::own_car`.
    SignCar(Box<Car>),
    /// Sign and send to the lane's owner (durable).
    SignAck {
        lane: ReplicaId,
        index: u64,
        car: CarId,
    },
    /// Sign and send to all (durable), oneself included.
    SignCheckpoint {
        height: Height,
        block: BlockId,
        state: Digest,
    },
    Check(Check),
    /// A block became final. Proofs are complete; the bytes may still be missing.
    Committed {
        height: Height,
        block: BlockId,
        view: View,
        proof: Option<Arc<CommitProof>>,
    },
    /// The next committed block, all of its bytes present: execute it.
    Deliver(DeliveredBlock),
    /// A quorum agrees on this state.
    Checkpointed(Box<CheckpointCert>),
    /// This replica's state contradicts a quorum's: it must not go on.
    StateDiverged {
        height: Height,
        own: Digest,
        certified: Digest,
    },
    /// The data needed lies behind every peer's horizon: fetch this snapshot (from these replicas).
    NeedSnapshot {
        cert: Box<CheckpointCert>,
        from: SignerSet,
    },
    /// Sign the own fork report, and give it back through `Recovery::own_report`.
    SignReport {
        height: Height,
        tip: BlockId,
        proof: Option<Box<CommitProof>>,
    },
    /// A verified proof of fraud convicted somebody new.
    Convicted {
        fraud: Box<Fraud>,
        culprits: SignerSet,
        /// `B` from now on.
        excluded: SignerSet,
    },
    /// The recovery gate opened, or is closed for this reason.
    Gate {
        open: bool,
        why: String,
    },
    /// The recovery block is final.
    Resumed(Box<Resumption>),
    /// Every byte of the merged history is here: roll back, execute, begin the working epoch.
    Merge(Box<MergePlan>),
    /// Two conflicting blocks have commit proofs: more than `f` replicas are faulty.
    Conflict {
        own: (Height, BlockId),
        other: Box<CommitProof>,
    },
}

/// Times in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Timing {
    /// Shortest view timeout.
    pub view_timeout_ns: Nanos,
    /// Longest view timeout after back-off.
    pub view_timeout_max_ns: Nanos,
    /// How long a leader with nothing to order waits before it proposes an empty block.
    pub idle_view_ns: Nanos,
    /// Shortest distance of proposals under load: a view costs signatures, not bytes.
    pub pace_ns: Nanos,
    /// First wait before something missing is asked for (again).
    pub fetch_ns: Nanos,
}

impl Default for Timing {
    fn default() -> Timing {
        Timing {
            view_timeout_ns: 500_000_000,
            view_timeout_max_ns: 16_000_000_000,
            idle_view_ns: 150_000_000,
            pace_ns: 4_000_000,
            fetch_ns: 100_000_000,
        }
    }
}

/// One replica's place in one epoch.
#[derive(Debug, Clone)]
pub struct Config {
    pub me: ReplicaId,
    pub epoch: Epoch,
    pub timing: Timing,
    pub lanes: LanesConfig,
    /// Checkpoints are taken at some of the heights divisible by this; which, the driver knows.
    pub checkpoint_step: u64,
    /// Commit notices; none: the detector is off (`baseline`, and recovery epochs).
    pub notices: Option<Notices>,
}

impl Config {
    /// Whether this replica is a member of the epoch; a standby follows in silence.
    pub fn is_member(&self) -> bool {
        self.epoch.members.contains(self.me)
    }

    /// Everybody but this replica.
    pub fn others(&self) -> SignerSet {
        let mut set = self.epoch.audience();
        set.remove(self.me);
        set
    }
}
