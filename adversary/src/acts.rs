//! What a Byzantine replica may do, and how often it did.

/// One kind of misbehaviour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Act {
    /// Two headers of one view, each to one half.
    EquivocatingProposal,
    /// No proposal at all.
    SilentLeader,
    /// The proposal goes to two replicas only.
    ProposalToTwo,
    /// A header over the oldest certificate that some set of timeouts still allows.
    StaleProposal,
    /// A header over a certificate that nobody signed.
    ForgedCertificate,
    /// Votes for every header of a view.
    DoubleVote,
    /// Votes only for what should not be voted for, or not at all.
    WithheldVote,
    /// A vote share that does not verify.
    BadShare,
    /// An old timeout again.
    StaleTimeout,
    /// A timeout that claims an older certificate than the newest known.
    LyingTimeout,
    /// A timeout that claims the newest certificate below what voters have locked: a quorum of these
    /// justifies a header which only the lock forbids to vote for.
    TimeoutBelowLock,
    /// Two cars of one index, each to one half.
    LaneEquivocation,
    /// A car whose bytes only some get.
    WithheldBatch,
    /// A car that names a batch which another lane has ordered already.
    BorrowedBatch,
    /// A certificate of a car with bad signatures or too few.
    BadCarCert,
    /// A proposal that names, without a certificate, a car that nobody holds.
    BogusTip,
    /// A changed or shortened answer to a chain request.
    BogusChain,
    /// A changed piece of a snapshot.
    BogusSnapshot,
    /// A signed statement about a state that is not.
    BadCheckpoint,
    /// Somebody's earlier message again.
    Replay,
    /// Bytes that are no message, or a truncated one.
    Garbage,
    /// A notice of a commit that never was.
    LyingNotice,
    /// A signed fork report of a block that nobody holds.
    FalseReport,
    /// No answer about a branch, a commit proof or a recovery value.
    WithheldBranch,
    /// A recovery value with something missing or moved.
    BogusValue,
    /// A conflict or a proof of fraud that nobody signed.
    FalseEvidence,
    /// Somebody's evidence of another time again.
    OldEvidence,
    /// A fork report about blocks that nobody committed, and those blocks.
    InventedReport,
    /// A proof of fraud against itself, in the middle of a recovery.
    Confession,
}

pub(crate) const ACTS: usize = 29;

impl Act {
    /// What attackers may do in any world; the rest only makes sense where somebody asks for it.
    pub const ALL: [Act; 27] = [
        Act::EquivocatingProposal,
        Act::SilentLeader,
        Act::ProposalToTwo,
        Act::StaleProposal,
        Act::ForgedCertificate,
        Act::DoubleVote,
        Act::WithheldVote,
        Act::BadShare,
        Act::StaleTimeout,
        Act::LyingTimeout,
        Act::TimeoutBelowLock,
        Act::LaneEquivocation,
        Act::WithheldBatch,
        Act::BorrowedBatch,
        Act::BadCarCert,
        Act::BogusTip,
        Act::BogusChain,
        Act::BogusSnapshot,
        Act::BadCheckpoint,
        Act::Replay,
        Act::Garbage,
        Act::LyingNotice,
        Act::FalseReport,
        Act::WithheldBranch,
        Act::BogusValue,
        Act::FalseEvidence,
        Act::OldEvidence,
    ];

    /// Those that mean something where nobody recovers.
    pub fn ordinary() -> &'static [Act] {
        &Act::ALL[..Act::LyingNotice as usize]
    }

    /// Those that lie about splits and recoveries.
    pub fn about_recovery() -> &'static [Act] {
        &Act::ALL[Act::LyingNotice as usize..]
    }

    pub fn name(self) -> &'static str {
        match self {
            Act::EquivocatingProposal => "equivocating-proposal",
            Act::SilentLeader => "silent-leader",
            Act::ProposalToTwo => "proposal-to-two",
            Act::StaleProposal => "stale-proposal",
            Act::ForgedCertificate => "forged-certificate",
            Act::DoubleVote => "double-vote",
            Act::WithheldVote => "withheld-vote",
            Act::BadShare => "bad-share",
            Act::StaleTimeout => "stale-timeout",
            Act::LyingTimeout => "lying-timeout",
            Act::TimeoutBelowLock => "timeout-below-lock",
            Act::LaneEquivocation => "lane-equivocation",
            Act::WithheldBatch => "withheld-batch",
            Act::BorrowedBatch => "borrowed-batch",
            Act::BadCarCert => "bad-car-cert",
            Act::BogusTip => "bogus-tip",
            Act::BogusChain => "bogus-chain",
            Act::BogusSnapshot => "bogus-snapshot",
            Act::BadCheckpoint => "bad-checkpoint",
            Act::Replay => "replay",
            Act::Garbage => "garbage",
            Act::LyingNotice => "lying-notice",
            Act::FalseReport => "false-report",
            Act::WithheldBranch => "withheld-branch",
            Act::BogusValue => "bogus-value",
            Act::FalseEvidence => "false-evidence",
            Act::OldEvidence => "old-evidence",
            Act::InventedReport => "invented-report",
            Act::Confession => "confession",
        }
    }
}

/// How often each act was committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Acts([u64; ACTS]);

impl Acts {
    pub fn add(&mut self, act: Act) {
        self.0[act as usize] += 1;
    }

    pub fn of(&self, act: Act) -> u64 {
        self.0[act as usize]
    }

    pub fn merge(&mut self, other: &Acts) {
        self.0.iter_mut().zip(other.0).for_each(|(a, b)| *a += b);
    }

    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }
}

/// How likely each act is at every occasion, in percent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Plan([u8; ACTS]);

impl Plan {
    /// Nothing bad at all.
    pub fn honest() -> Plan {
        Plan::default()
    }

    pub fn with(mut self, act: Act, percent: u8) -> Plan {
        self.0[act as usize] = percent.min(100);
        self
    }

    pub fn percent(&self, act: Act) -> u8 {
        self.0[act as usize]
    }
}
