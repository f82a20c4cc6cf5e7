//! Whom a proof of fraud convicts: one pure predicate per offence, numbered as in
//! `docs/accountability.md`; each names the rule of which it is the twin. Here and not in `consensus`,
//! since a client that follows a recovery must check who was excluded and why, and knows no consensus.
//!
//! No predicate looks at signatures: that those hold is checked first (`crypto`, `Verified<Fraud>`).

mod double_ack;
mod double_vote;
mod equivocation;
mod lane_equivocation;
mod lock_break;
mod stale_timeout;
mod unjustified_vote;

pub use unjustified_vote::is_miscast;

use thiserror::Error;

use crate::committee::CommitRule;
use crate::fraud::Fraud;
use crate::signers::SignerSet;

/// Why statements that somebody holds out as a proof of fraud convict nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum NoFraud {
    #[error("the statements belong to different {0}")]
    Apart(&'static str),
    #[error("both statements say the same")]
    Same,
    #[error("the votes are not for the header beside them")]
    NotItsVotes,
    #[error("the headers lock nothing that the later vote broke")]
    LockKept,
    #[error("no claim denies the certificate that was voted upon")]
    ClaimsFit,
    #[error("legal under this commit rule")]
    OtherRule,
    #[error("nobody signed both")]
    Nobody,
}

/// Everybody whom `fraud` convicts under `rule`, at least one. Of a proof whose signatures hold.
pub fn culprits(rule: CommitRule, fraud: &Fraud) -> Result<SignerSet, NoFraud> {
    let culprits = match fraud {
        Fraud::Equivocation { first, second } => equivocation::culprits(&first.core, &second.core)?,
        Fraud::DoubleVote { first, second } => double_vote::culprits(first, second)?,
        Fraud::LockBreak {
            locking,
            child,
            parent,
            breaking,
            broken,
        } => lock_break::culprits(rule, (locking, child, parent), (breaking, broken))?,
        Fraud::StaleTimeout {
            votes,
            voted,
            timeouts,
        } => stale_timeout::culprits(rule, votes, voted, timeouts)?,
        Fraud::UnjustifiedVote { votes, header } => unjustified_vote::culprits(votes, header)?,
        Fraud::LaneEquivocation { first, second } => lane_equivocation::culprits(first, second)?,
        Fraud::DoubleAck { first, second } => double_ack::culprits(first, second)?,
    };
    match culprits.is_empty() {
        true => Err(NoFraud::Nobody),
        false => Ok(culprits),
    }
}

/// Everybody whom any of `frauds` convicts: the `B` that these proofs add up to.
pub fn convicted<'a>(rule: CommitRule, frauds: impl IntoIterator<Item = &'a Fraud>) -> SignerSet {
    let each = frauds.into_iter().filter_map(|f| culprits(rule, f).ok());
    each.fold(SignerSet::EMPTY, SignerSet::union)
}

fn same<T: PartialEq>(a: T, b: T, what: &'static str) -> Result<(), NoFraud> {
    match a == b {
        true => Ok(()),
        false => Err(NoFraud::Apart(what)),
    }
}

fn ensure(holds: bool, otherwise: NoFraud) -> Result<(), NoFraud> {
    match holds {
        true => Ok(()),
        false => Err(otherwise),
    }
}
