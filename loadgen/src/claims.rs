//! Which blocks are proven final: the rule by which a batch of commit proofs is judged.
//!
//! Signatures cost a millisecond per proof, links cost a hash. A block is final if its own proof
//! holds, *or if it is an ancestor of a final block*: a header names its parent by hash. So of a run
//! of adjacent blocks only the newest proof needs its signatures checked.

use std::collections::{HashMap, HashSet, VecDeque};

use types::{BlockId, CommitProof, CommitRule, Epoch, EpochChange, EpochId, Height};

/// Ancestors remembered over batches.
const PROVEN_MAX: usize = 16_384;

/// "This block, at this height, is final."
#[derive(Debug, Clone)]
pub struct Claim {
    /// The epoch of the receipt.
    pub epoch: EpochId,
    /// The block of the receipt.
    pub block: BlockId,
    /// The height of the receipt.
    pub height: Height,
    /// What the replica sent along.
    pub proof: CommitProof,
}

/// How a claim ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The proof's own signatures hold.
    Signed,
    /// A final block descends from it.
    Linked,
    /// It proves nothing, with the reason.
    Bad(String),
}

/// Checks the signatures inside of commit proofs whose structure was checked.
pub trait ProofEngine: Send {
    /// One verdict per proof, in order.
    fn check(&self, epoch: &Epoch, proofs: &[(BlockId, &CommitProof)]) -> Vec<Result<(), String>>;

    /// The working epoch that a change opens after `of`, or why it proves nothing.
    ///
    /// # Errors
    /// The reason.
    fn check_epoch_change(&self, of: &Epoch, change: &EpochChange) -> Result<Epoch, String>;
}

/// Judges claims of the epochs that it knows; remembers which blocks are final.
#[derive(Debug)]
pub struct Judge {
    rule: CommitRule,
    epochs: HashMap<EpochId, Epoch>,
    proven: HashSet<BlockId>,
    order: VecDeque<BlockId>,
}

impl Judge {
    /// A judge who knows nothing.
    #[must_use]
    pub fn new(rule: CommitRule, epoch: Epoch) -> Judge {
        Judge {
            rule,
            epochs: HashMap::from([(epoch.id, epoch)]),
            proven: HashSet::new(),
            order: VecDeque::new(),
        }
    }

    /// The working epoch of a change that holds; its claims are judged from now on.
    ///
    /// # Errors
    /// Why the change proves nothing.
    pub fn learn_epoch(
        &mut self,
        engine: &dyn ProofEngine,
        change: &EpochChange,
    ) -> Result<Epoch, String> {
        let of = self.epochs.get(&change.of);
        let of = of.ok_or_else(|| format!("it follows the unknown epoch {}", change.of))?;
        let epoch = engine.check_epoch_change(of, change)?;
        self.epochs.insert(epoch.id, epoch);
        Ok(epoch)
    }

    /// One verdict per claim, in order of the claims.
    pub fn judge(&mut self, engine: &dyn ProofEngine, claims: &[Claim]) -> Vec<Verdict> {
        let mut verdicts: Vec<Option<Verdict>> =
            claims.iter().map(|claim| self.structure(claim)).collect();
        let mut newest_first: Vec<usize> = (0..claims.len()).collect();
        newest_first.sort_by_key(|&at| std::cmp::Reverse(claims[at].height));
        loop {
            let open = newest_first.iter().filter(|&&at| verdicts[at].is_none());
            let open: Vec<usize> = open.copied().collect();
            if open.is_empty() {
                break;
            }
            // Every round settles at least its first head, so there are at most as many rounds as
            // claims; with honest replicas there is one.
            let heads = self.heads(claims, &open);
            for (at, result) in self.check(engine, claims, &heads) {
                verdicts[at] = Some(match result {
                    Ok(()) => {
                        self.learn(&claims[at].proof);
                        Verdict::Signed
                    }
                    Err(why) => Verdict::Bad(why),
                });
            }
            for &at in &open {
                if verdicts[at].is_none() && self.proven.contains(&claims[at].block) {
                    self.learn_parent(&claims[at].proof);
                    verdicts[at] = Some(Verdict::Linked);
                }
            }
        }
        verdicts.into_iter().flatten().collect()
    }

    /// Signatures of `heads`, one batch per epoch.
    fn check(
        &self,
        engine: &dyn ProofEngine,
        claims: &[Claim],
        heads: &[usize],
    ) -> Vec<(usize, Result<(), String>)> {
        let mut results = Vec::with_capacity(heads.len());
        let mut left = heads.to_vec();
        while let Some(&first) = left.first() {
            let id = claims[first].epoch;
            let (same, others) = left.into_iter().partition(|&at| claims[at].epoch == id);
            let same: Vec<usize> = same;
            left = others;
            let proof = |&at: &usize| (claims[at].block, &claims[at].proof);
            let proofs: Vec<_> = same.iter().map(proof).collect();
            // `structure` let no claim of an unknown epoch through.
            let given = match self.epochs.get(&id) {
                Some(epoch) => engine.check(epoch, &proofs),
                None => Vec::new(),
            };
            let mut given = given.into_iter();
            results.extend(same.into_iter().map(|at| {
                let none = || Err("the engine gave no verdict".into());
                (at, given.next().unwrap_or_else(none))
            }));
        }
        results
    }

    /// What needs no signature: bad structure, or a block that is known to be final.
    fn structure(&mut self, claim: &Claim) -> Option<Verdict> {
        let Some(epoch) = self.epochs.get(&claim.epoch) else {
            return Some(Verdict::Bad(format!("unknown epoch {}", claim.epoch)));
        };
        if let Err(why) = claim.proof.check(self.rule, epoch, claim.block) {
            return Some(Verdict::Bad(why.to_string()));
        }
        // `check` made sure that the chain is not empty and begins with the block.
        let stated = claim.proof.chain[0].height;
        if stated != claim.height {
            return Some(Verdict::Bad(format!(
                "the receipt says height {}, the block's header {stated}",
                claim.height
            )));
        }
        if self.proven.contains(&claim.block) {
            self.learn_parent(&claim.proof);
            return Some(Verdict::Linked);
        }
        None
    }

    /// Of `open` (newest first), those which are no ancestor of another by its links.
    fn heads(&self, claims: &[Claim], open: &[usize]) -> Vec<usize> {
        let mut reached = HashSet::new();
        let mut heads = Vec::new();
        for &at in open {
            if !reached.contains(&claims[at].block) {
                heads.push(at);
            }
            reached.insert(claims[at].block);
            reached.insert(claims[at].proof.chain[0].parent);
        }
        heads
    }

    /// The block, everything up to the directly committed one, and the block's parent are final.
    fn learn(&mut self, proof: &CommitProof) {
        let committed = (proof.chain.len() + 1).saturating_sub(self.rule.chain_len());
        for core in &proof.chain[..committed] {
            self.remember(core.id());
        }
        self.learn_parent(proof);
    }

    fn learn_parent(&mut self, proof: &CommitProof) {
        self.remember(proof.chain[0].parent);
    }

    fn remember(&mut self, block: BlockId) {
        if self.proven.insert(block) {
            self.order.push_back(block);
            if self.order.len() > PROVEN_MAX
                && let Some(oldest) = self.order.pop_front()
            {
                self.proven.remove(&oldest);
            }
        }
    }
}

#[cfg(test)]
mod tests;
