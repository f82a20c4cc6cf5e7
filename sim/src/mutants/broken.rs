//! Rule sets with one predicate broken, and a signer that lies about itself.

use std::cell::Cell;
use std::sync::Arc;

use consensus::merge::Chain;
use consensus::{Lock, Rules, Safety, rules_for};
use node::replica::{RulesFactory, Signer};
use types::{
    Ack, BlockId, Car, CarId, CheckpointShare, CommitRule, Digest, Epoch, Fraud, Header, Height,
    Proposal, Qc, ReplicaId, SignerSet, Timeout, View, Vote,
};

use super::Mutant;
use crate::keys::Keys;

/// Rules with one predicate broken.
#[derive(Debug)]
struct BrokenRules {
    rules: Box<dyn Rules>,
    mutant: Mutant,
    /// Culprits that the last vote in a recovery declared.
    session: Cell<SignerSet>,
}

impl BrokenRules {
    /// The mutant that counts votes per set of culprits sees nothing that it has voted for.
    fn begins_session(&self, header: &Header) -> bool {
        self.mutant == Mutant::SessionPerCulprits
            && header
                .excluded
                .is_some_and(|excluded| excluded != self.session.get())
    }

    /// Whom `<=` in the place of `<` convicts.
    fn just_about(&self, fraud: &Fraud) -> SignerSet {
        match fraud {
            Fraud::StaleTimeout {
                votes,
                voted,
                timeouts,
            } if self.mutant == Mutant::ConvictEqualClaim && timeouts.view >= votes.view => {
                let claims = timeouts.claims.iter();
                let equal = claims.filter(|claim| claim.high_qc_view == voted.justify_view);
                let equal: SignerSet = equal.map(|claim| claim.replica).collect();
                votes.votes.signers.intersection(equal)
            }
            _ => SignerSet::EMPTY,
        }
    }
}

impl Rules for BrokenRules {
    fn rule(&self) -> CommitRule {
        self.rules.rule()
    }
    fn is_fresh(&self, safety: &Safety, header: &Header) -> bool {
        self.mutant == Mutant::VoteWithoutFreshness
            || self.begins_session(header)
            || self.rules.is_fresh(safety, header)
    }
    fn lock_allows(&self, safety: &Safety, header: &Header) -> bool {
        self.mutant == Mutant::VoteWithoutLock
            || self.begins_session(header)
            || self.rules.lock_allows(safety, header)
    }
    fn lock_after(&self, safety: &Safety, header: &Header, parent: Option<&Header>) -> Lock {
        // Called for every vote, and for nothing else.
        self.session.set(header.excluded_set());
        self.rules.lock_after(safety, header, parent)
    }
    fn accepts_bare(&self, held: bool) -> bool {
        self.mutant == Mutant::VoteWithoutData || self.rules.accepts_bare(held)
    }
    fn convicts(&self, fraud: &Fraud) -> SignerSet {
        let mut found = self.rules.convicts(fraud);
        if self.mutant == Mutant::ConvictAnybody && !found.is_empty() {
            let innocent = (0..).map(ReplicaId).find(|id| !found.contains(*id));
            innocent.map(|id| found.insert(id));
        }
        found.union(self.just_about(fraud))
    }
    fn merge_order(&self, chains: Vec<Chain>) -> Vec<Chain> {
        match self.mutant {
            Mutant::DropBranch | Mutant::DropBranchAlone => {
                let mut order = self.rules.merge_order(chains);
                order.truncate(order.len().saturating_sub(1).max(1));
                order
            }
            Mutant::MergeAsListed => listed(chains),
            Mutant::MergeBackwardsAlone => {
                let mut chains = self.rules.merge_order(chains);
                chains.reverse();
                listed(chains)
            }
            _ => self.rules.merge_order(chains),
        }
    }
    fn commits(&self, qc: &Qc, newest_first: &[&Header]) -> Option<usize> {
        match self.mutant {
            Mutant::CommitEarly => {
                let len = self.rule().chain_len() - 1;
                let chain = newest_first.get(..len)?;
                let in_row = chain
                    .windows(2)
                    .all(|pair| pair[0].view == pair[1].view.next());
                (in_row && chain[0].view == qc.view).then_some(len - 1)
            }
            _ => self.rules.commits(qc, newest_first),
        }
    }
}

/// The first of `chains` as the base, and the others as they come.
fn listed(mut chains: Vec<Chain>) -> Vec<Chain> {
    chains.retain(|chain| !chain.blocks.is_empty());
    let Some(base) = chains.first().cloned() else {
        return chains;
    };
    chains.retain(|chain| chain.tip == base.tip || !base.blocks.contains(&chain.tip));
    chains
}

/// A signer that understates its certificate.
pub(crate) struct LowSigner(pub Arc<dyn Keys>);

impl Signer for LowSigner {
    fn proposal(&self, epoch: &Epoch, header: Header) -> Proposal {
        self.0.proposal(epoch, header)
    }
    fn timeout(&self, epoch: &Epoch, view: View, _: Qc, last: Option<Vote>) -> Timeout {
        self.0.timeout(epoch, view, Qc::root(epoch), last)
    }
    fn car(&self, epoch: &Epoch, car: Car) -> Car {
        self.0.car(epoch, car)
    }
    fn ack(&self, epoch: &Epoch, lane: ReplicaId, index: u64, car: CarId) -> Ack {
        self.0.ack(epoch, lane, index, car)
    }
    fn checkpoint(
        &self,
        epoch: &Epoch,
        height: Height,
        block: BlockId,
        state: Digest,
    ) -> CheckpointShare {
        self.0.checkpoint(epoch, height, block, state)
    }
    fn report(
        &self,
        epoch: &Epoch,
        height: Height,
        tip: BlockId,
        proof: Option<types::CommitProof>,
    ) -> types::ForkReport {
        self.0.report(epoch, height, tip, proof)
    }
}

/// The rule set of a correct replica, or of one with one predicate broken.
pub(crate) fn rules(rule: CommitRule, mutant: Option<Mutant>) -> RulesFactory {
    Arc::new(move || match mutant {
        Some(mutant) => Box::new(BrokenRules {
            rules: rules_for(rule),
            mutant,
            session: Cell::new(SignerSet::EMPTY),
        }),
        None => rules_for(rule),
    })
}
