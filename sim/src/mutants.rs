//! Wrong replicas, to test the tester: each breaks one rule, and the oracle must catch it.

mod broken;
mod forget;

use types::{CommitRule, committee};

pub(crate) use broken::{LowSigner, rules};

/// One way to be wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mutant {
    /// Votes without a look at its lock.
    VoteWithoutLock,
    /// Votes in a view as often as it is asked.
    VoteWithoutFreshness,
    /// Commits one certificate too early.
    CommitEarly,
    /// Comes back without its last votes and the views that it gave up.
    ForgetVotes,
    /// Comes back without the view in which it proposed last.
    ForgetProposal,
    /// Believes certificates that nobody signed.
    BelieveCertificates,
    /// Comes back without the last cars of its own lane.
    LoseLaneTail,
    /// Acknowledges cars whose bytes it never saw.
    AcknowledgeWithoutData,
    /// Votes for lane ends that it does not hold and nobody vouches for.
    VoteWithoutData,
    /// Claims an older certificate in its timeouts than it has.
    LowClaims,
    /// Executes another application.
    ExecuteOtherwise,
    /// Its disk says that it is done when it is not.
    EarlySync,
    /// Merges all branches of a split but the last.
    DropBranch,
    /// The same at one replica only.
    DropBranchAlone,
    /// Takes branches in the order of their reports, the first one as the base.
    MergeAsListed,
    /// One replica takes them the other way round.
    MergeBackwardsAlone,
    /// Comes back without any memory of the split, into the epoch that it had left.
    ForgetMode,
    /// Comes back without its safety state of the recovery epoch.
    ForgetRecoveryVotes,
    /// Comes back without the report that it signed, and without the last blocks under it.
    ForgetReport,
    /// Finds one culprit more in every proof of fraud.
    ConvictAnybody,
    /// Convicts of a stale timeout whoever claimed exactly the certificate under its vote.
    ConvictEqualClaim,
    /// Believes reports, and values made of them, whose certificates nobody signed.
    BelieveReports,
    /// Begins a new session of the recovery, without locks and votes, for every set of culprits.
    SessionPerCulprits,
}

impl Mutant {
    /// Those that ordinary worlds bring out.
    pub const ALL: [Mutant; 12] = [
        Mutant::VoteWithoutLock,
        Mutant::VoteWithoutFreshness,
        Mutant::CommitEarly,
        Mutant::ForgetVotes,
        Mutant::ForgetProposal,
        Mutant::BelieveCertificates,
        Mutant::LoseLaneTail,
        Mutant::AcknowledgeWithoutData,
        Mutant::VoteWithoutData,
        Mutant::LowClaims,
        Mutant::ExecuteOtherwise,
        Mutant::EarlySync,
    ];

    /// Those that show only when a split is recovered from.
    pub const OF_RECOVERY: [Mutant; 11] = [
        Mutant::DropBranch,
        Mutant::DropBranchAlone,
        Mutant::MergeAsListed,
        Mutant::MergeBackwardsAlone,
        Mutant::ForgetMode,
        Mutant::ForgetRecoveryVotes,
        Mutant::ForgetReport,
        Mutant::ConvictAnybody,
        Mutant::ConvictEqualClaim,
        Mutant::BelieveReports,
        Mutant::SessionPerCulprits,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Mutant::VoteWithoutLock => "vote-without-lock",
            Mutant::VoteWithoutFreshness => "vote-without-freshness",
            Mutant::CommitEarly => "commit-early",
            Mutant::ForgetVotes => "forget-votes",
            Mutant::ForgetProposal => "forget-proposal",
            Mutant::BelieveCertificates => "believe-certificates",
            Mutant::LoseLaneTail => "lose-lane-tail",
            Mutant::AcknowledgeWithoutData => "acknowledge-without-data",
            Mutant::VoteWithoutData => "vote-without-data",
            Mutant::LowClaims => "low-claims",
            Mutant::ExecuteOtherwise => "execute-otherwise",
            Mutant::EarlySync => "early-sync",
            Mutant::DropBranch => "drop-branch",
            Mutant::DropBranchAlone => "drop-branch-alone",
            Mutant::MergeAsListed => "merge-as-listed",
            Mutant::MergeBackwardsAlone => "merge-backwards-alone",
            Mutant::ForgetMode => "forget-mode",
            Mutant::ForgetRecoveryVotes => "forget-recovery-votes",
            Mutant::ForgetReport => "forget-report",
            Mutant::ConvictAnybody => "convict-anybody",
            Mutant::ConvictEqualClaim => "convict-equal-claim",
            Mutant::BelieveReports => "believe-reports",
            Mutant::SessionPerCulprits => "session-per-culprits",
        }
    }

    /// Whether breaking the rule means anything in a committee of `n` under `rule`. The two-chain lock
    /// is a check of certificates, which the crypto room makes before the core sees the header. Two of
    /// them need a liar whom nobody has convicted yet when the recovery begins: below seven replicas
    /// the envelope has no room for one.
    pub fn applies(self, n: usize, rule: CommitRule) -> bool {
        match self {
            Mutant::VoteWithoutLock => rule == CommitRule::ThreeChain,
            Mutant::ConvictEqualClaim => rule == CommitRule::TwoChain,
            Mutant::BelieveReports | Mutant::SessionPerCulprits => {
                committee::envelope(n) > committee::split(n)
            }
            _ => true,
        }
    }

    /// Whether one replica only is wrong.
    pub(crate) fn is_alone(self) -> bool {
        matches!(self, Mutant::DropBranchAlone | Mutant::MergeBackwardsAlone)
    }

    /// The checks that may catch it; being caught by any other would be chance.
    pub fn caught_by(self) -> &'static [&'static str] {
        match self {
            Mutant::VoteWithoutLock => &["E3-lock"],
            Mutant::VoteWithoutFreshness => &["E2-double-vote", "V1-backwards", "V1-after-timeout"],
            Mutant::CommitEarly => &["executed-not-final", "order", "fork"],
            Mutant::ForgetVotes => &["E2-double-vote", "V1-backwards", "V1-after-timeout"],
            Mutant::ForgetProposal => &["E1-equivocation"],
            Mutant::BelieveCertificates => &["E5-unjustified", "E5-unknown", "fork", "order"],
            Mutant::LoseLaneTail => &["E6-lane"],
            Mutant::AcknowledgeWithoutData => &["acknowledged-without-data", "E7-acknowledgement"],
            Mutant::VoteWithoutData => &["voted-without-data"],
            Mutant::LowClaims => &["E4-stale-timeout"],
            Mutant::ExecuteOtherwise => &["execution", "state"],
            Mutant::EarlySync => &[
                "E1-equivocation",
                "E2-double-vote",
                "E3-lock",
                "E4-stale-timeout",
                "E6-lane",
                "E7-acknowledgement",
                "V1-backwards",
                "V1-after-timeout",
                "receipt",
                "executed-twice",
                "order",
            ],
            Mutant::DropBranch => &["branch-lost"],
            Mutant::DropBranchAlone => &["branch-lost", "state", "one-ledger"],
            Mutant::MergeAsListed => &["base"],
            Mutant::MergeBackwardsAlone => &["base", "state", "one-ledger", "recovery-liveness"],
            Mutant::ForgetMode => &["speaks-while-degraded"],
            Mutant::ForgetRecoveryVotes => &[
                "E1-equivocation",
                "E2-double-vote",
                "E3-lock",
                "E4-stale-timeout",
                "V1-backwards",
                "V1-after-timeout",
            ],
            Mutant::ForgetReport => &["second-report"],
            Mutant::ConvictAnybody | Mutant::ConvictEqualClaim => &["convicted-correct"],
            Mutant::BelieveReports => &["executed-not-final"],
            Mutant::SessionPerCulprits => &["E2-double-vote", "V1-backwards", "E3-lock"],
        }
    }
}
