//! The two commit rules, as three small predicates each. Everything else is one engine.
//!
//! Clauses carry the numbers of `docs/protocol.md`, section 3. Each predicate is pure: it sees the
//! safety state and headers, and nothing else, so that its forensic twin can be written beside it.

use types::{CommitRule, Fraud, Header, Qc, SignerSet};

use crate::accountability::culprits;
use crate::recovery::merge::{self, Chain};
use crate::safety::{Lock, Safety};

/// What distinguishes one protocol of the family from another.
pub trait Rules: std::fmt::Debug + Send {
    fn rule(&self) -> CommitRule;

    /// V1: never twice in a view, never backwards, never in a view that was given up.
    fn is_fresh(&self, safety: &Safety, header: &Header) -> bool {
        header.view > safety.last_voted_view() && header.view > safety.timeout_view
    }

    /// V2: the lock (three-chain) or the justification by views (two-chain) allows the vote.
    fn lock_allows(&self, safety: &Safety, header: &Header) -> bool;

    /// V3: the lock after voting for `header`, whose parent is `parent` (none: the root).
    fn lock_after(&self, safety: &Safety, header: &Header, parent: Option<&Header>) -> Lock;

    /// Whether a voter accepts a lane end that nobody vouches for.
    fn accepts_bare(&self, held: bool) -> bool {
        held
    }

    /// Whom a proof of fraud convicts.
    fn convicts(&self, fraud: &Fraud) -> SignerSet {
        culprits(self.rule(), fraud).unwrap_or_default()
    }

    /// The order in which the branches of a split are executed, the base first.
    fn merge_order(&self, chains: Vec<Chain>) -> Vec<Chain> {
        merge::order(chains)
    }

    /// C1: given the newest certificate and the headers it certifies, newest first (each the
    /// parent of the one before), how many steps below the newest block is the one that it commits?
    fn commits(&self, qc: &Qc, newest_first: &[&Header]) -> Option<usize> {
        let len = self.rule().chain_len();
        let chain = newest_first.get(..len)?;
        let newest_fits = chain[0].view == qc.view;
        let consecutive = chain.windows(2).all(|pair| {
            pair[0].view == pair[1].view.next() && pair[0].justify.view == pair[1].view
        });
        (newest_fits && consecutive).then_some(len - 1)
    }
}

/// HotStuff (PODC 2019) with a local, strict lock: no ancestry walk, since certificates made by
/// Byzantine replicas alone can make ancestry lie.
#[derive(Debug, Clone, Copy, Default)]
pub struct ThreeChain;

impl Rules for ThreeChain {
    fn rule(&self) -> CommitRule {
        CommitRule::ThreeChain
    }

    fn lock_allows(&self, safety: &Safety, header: &Header) -> bool {
        let (justify, lock) = (&header.justify, &safety.lock);
        justify.view > lock.view || (justify.view == lock.view && justify.block == lock.block)
    }

    fn lock_after(&self, safety: &Safety, header: &Header, parent: Option<&Header>) -> Lock {
        match parent {
            // Voting for b'' (justify b', whose justify is b) locks b; an equal view never replaces.
            Some(parent)
                if header.view > parent.view
                    && parent.view > parent.justify.view
                    && parent.justify.view > safety.lock.view =>
            {
                Lock {
                    view: parent.justify.view,
                    block: parent.justify.block,
                }
            }
            _ => safety.lock,
        }
    }
}

/// Jolteon (FC 2022) / DiemBFT v4: two consecutive certified views; after a gap, a timeout
/// certificate shows that nothing newer than the justification was certified at a quorum.
#[derive(Debug, Clone, Copy, Default)]
pub struct TwoChain;

impl Rules for TwoChain {
    fn rule(&self) -> CommitRule {
        CommitRule::TwoChain
    }

    fn lock_allows(&self, _: &Safety, header: &Header) -> bool {
        if header.justify.view.next() == header.view {
            return true;
        }
        header.tc.as_ref().is_some_and(|tc| {
            tc.view.next() == header.view && header.justify.view >= tc.high_qc_view()
        })
    }

    fn lock_after(&self, safety: &Safety, _: &Header, _: Option<&Header>) -> Lock {
        // The two-chain lock is the highest certificate, which the core raises before it votes.
        safety.lock
    }
}

/// The rule set of a commit rule.
pub fn rules_for(rule: CommitRule) -> Box<dyn Rules> {
    match rule {
        CommitRule::ThreeChain => Box::new(ThreeChain),
        CommitRule::TwoChain => Box::new(TwoChain),
    }
}
