//! From two conflicting certified branches to proofs of fraud (`docs/accountability.md`; Sheng et al.,
//! *BFT Protocol Forensics*, CCS 2021).
//!
//! Let `b` be the lowest directly committed block of the branch whose such block has the lower view `v`,
//! and `c` the lowest block of the other branch with `view(c) >= v`. Then `c` is justified below `v`:
//! by a block of its own branch below `c`, or by the last block in common. If a block between `b` and
//! the end of its commit chain has the view of `c`, the two certificates intersect: `E2`. Otherwise
//! whoever voted for the end of the chain and for `c` broke its lock on `b` (three-chain: `E3`), or
//! denied the certificate of `b` in the timeout that justifies `c` (two-chain: `E4`). Quorums intersect
//! in `2q - n` replicas.

use std::collections::BTreeSet;

use thiserror::Error;
use types::limits::FRAUDS_MAX;
use types::offence::culprits;
use types::{BlockId, CommitRule, Epoch, Fraud, SignerSet, Tc};

use super::pairs;
use super::segment::{Segment, Side};

/// How many `E5` are handed out at once on the way up a branch: they are checked in one batch.
const STEP: usize = 8;

/// Why two branches accuse nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum NoFork {
    #[error("the headers or certificates of a branch do not hang together")]
    Broken,
    #[error("the branches do not grow out of one block into two")]
    OneBranch,
}

/// Candidates for proofs of fraud, which whoever asks has verified: [`Attribution::candidates`] first,
/// and for each that does not verify what [`Attribution::failed`] offers instead. Ends, since every
/// header is offered once; and if the certificates handed in were verified, it ends with proofs against
/// `2q - n` replicas at least, none of them correct.
#[derive(Debug)]
pub struct Attribution {
    rule: CommitRule,
    epoch: Epoch,
    sides: [Side; 2],
    /// Headers that were offered as unjustified, by branch and place.
    offered: BTreeSet<(usize, usize)>,
}

/// The candidates alone, where all certificates are known to be good.
pub fn attribute(
    rule: CommitRule,
    epoch: &Epoch,
    a: &Segment,
    b: &Segment,
) -> Result<Vec<Fraud>, NoFork> {
    Attribution::new(rule, epoch, a.clone(), b.clone()).map(|mut it| it.candidates())
}

impl Attribution {
    pub fn new(
        rule: CommitRule,
        epoch: &Epoch,
        a: Segment,
        b: Segment,
    ) -> Result<Attribution, NoFork> {
        let side = |segment| Side::new(segment, rule).ok_or(NoFork::Broken);
        let (a, b) = (side(a)?, side(b)?);
        if a.parent() != b.parent() || a.first() == b.first() {
            return Err(NoFork::OneBranch);
        }
        Ok(Attribution {
            rule,
            epoch: *epoch,
            sides: [a, b],
            offered: BTreeSet::new(),
        })
    }

    /// Few proofs with many names, the surest first; at most as many as one message may hold.
    pub fn candidates(&mut self) -> Vec<Fraud> {
        let mut out: Vec<Fraud> = self.main().into_iter().collect();
        for side in 0..2 {
            let refuted: Vec<usize> = self.sides[side].refuted(&self.epoch).collect();
            for at in refuted.into_iter().take(STEP) {
                out.extend(self.unjustified(side, at));
            }
        }
        let names = |fraud: &Fraud| culprits(self.rule, fraud).unwrap_or_default();
        out.retain(|fraud| !names(fraud).is_empty());
        let mut named = out
            .iter()
            .map(names)
            .fold(SignerSet::EMPTY, SignerSet::union);
        let mut more = pairs::all(self.rule, &self.sides);
        while out.len() < FRAUDS_MAX {
            let gain = |(names, _): &(SignerSet, Fraud)| names.difference(named).len();
            // The first of equals: the order of `more` is that of the branches.
            let best = (0..more.len()).rev().max_by_key(|&at| gain(&more[at]));
            match best.map(|at| (gain(&more[at]), at)) {
                Some((gain, at)) if gain > 0 => {
                    let (names, fraud) = more.swap_remove(at);
                    named = named.union(names);
                    out.push(fraud);
                }
                _ => break,
            }
        }
        out
    }

    /// `fraud` does not verify, so a certificate in it is forged; whoever voted for the header that
    /// rests on that one can be convicted, unless those votes are forged too: then go up again. The
    /// votes at the top are genuine.
    pub fn failed(&mut self, fraud: &Fraud) -> Vec<Fraud> {
        match fraud {
            Fraud::DoubleVote { first, second } => self.above([first.block, second.block], None),
            Fraud::LockBreak {
                locking, breaking, ..
            } => self.above([locking.block, breaking.block], None),
            Fraud::StaleTimeout {
                votes, timeouts, ..
            } => self.above([votes.block], Some(timeouts)),
            Fraud::UnjustifiedVote { votes, .. } => self.above([votes.block], None),
            // No branch holds these.
            Fraud::Equivocation { .. }
            | Fraud::LaneEquivocation { .. }
            | Fraud::DoubleAck { .. } => Vec::new(),
        }
    }

    /// The proof of the theorem; none if a header on the way refutes itself.
    pub(super) fn main(&self) -> Option<Fraud> {
        let commits = [0, 1].map(|side| self.sides[side].first_commit(self.rule));
        let views = [0, 1].map(|side| commits[side].map(|at| self.sides[side].cores[at].view));
        let lower = usize::from(views[1]? < views[0]?);
        let (ours, theirs) = (&self.sides[lower], &self.sides[1 - lower]);
        let (b, v) = (commits[lower]?, views[lower]?);
        let c = theirs.cores.iter().position(|core| core.view >= v)?;
        let view = theirs.cores[c].view;
        let chain = b..b + self.rule.chain_len();
        let same_view = chain.clone().find(|&at| ours.cores[at].view == view);
        Some(match (same_view, self.rule) {
            (Some(at), _) => pairs::double_vote((ours, at), (theirs, c)),
            (None, CommitRule::ThreeChain) => pairs::lock_break((ours, chain.end - 1), (theirs, c)),
            (None, CommitRule::TwoChain) => {
                pairs::stale_timeout((ours, chain.end - 1), (theirs, c))?
            }
        })
    }

    fn above<const K: usize>(&mut self, blocks: [BlockId; K], tc: Option<&Tc>) -> Vec<Fraud> {
        let mut out = Vec::new();
        for side in 0..2 {
            let branch = &self.sides[side];
            // The votes for the lowest verified block settle whatever rests below.
            let last = branch.verified_from();
            let resting = blocks.iter().filter_map(|block| branch.find(*block));
            let mut ranges: Vec<_> = resting.map(|at| at + 1..=last).collect();
            let skipping = tc.and_then(|tc| branch.find_tc(tc));
            ranges.extend(skipping.map(|at| at..=last.max(at)));
            for range in ranges {
                let fresh = range.filter(|&at| !self.offered.contains(&(side, at)));
                let step: Vec<usize> = fresh.take(STEP).collect();
                for at in step {
                    out.extend(self.unjustified(side, at));
                }
            }
        }
        out
    }

    fn unjustified(&mut self, side: usize, at: usize) -> Option<Fraud> {
        self.offered
            .insert((side, at))
            .then(|| self.sides[side].unjustified(at))
            .flatten()
    }
}
