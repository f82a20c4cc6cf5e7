//! Collects vote shares until a quorum says the same. Shares are unverified (their senders are not):
//! they are added up and checked once, and bad ones are named afterwards.

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;
use types::{BlockId, Epoch, ReplicaId, SignerSet, View, Vote};

/// How far ahead of the current view votes are kept.
const VIEWS_AHEAD: u64 = 64;

#[derive(Debug, Default)]
struct Pile {
    shares: BTreeMap<ReplicaId, Bytes>,
    checking: bool,
}

/// Shares by view and block.
#[derive(Debug, Default)]
pub struct Votes {
    piles: BTreeMap<(View, BlockId), Pile>,
    /// Who voted in a view already: one share per replica and view bounds the memory.
    voted: HashMap<View, SignerSet>,
    /// Replicas seen to vote twice in one view, or whose share was bad.
    pub offenders: SignerSet,
}

impl Votes {
    /// Keeps a share; false if it is of no use.
    pub fn add(&mut self, epoch: &Epoch, current: View, vote: Vote) -> bool {
        let in_range = vote.view.0.saturating_add(3) > current.0
            && vote.view.0 <= current.0.saturating_add(VIEWS_AHEAD);
        if !in_range || vote.epoch != epoch.id || !epoch.members.contains(vote.voter) {
            return false;
        }
        // A correct replica never gives a bad share: whoever did costs us no second search for it.
        if self.offenders.contains(vote.voter) {
            return false;
        }
        let voted = self.voted.entry(vote.view).or_default();
        if !voted.insert(vote.voter) {
            let known = self.piles.get(&(vote.view, vote.block));
            if known.is_none_or(|pile| !pile.shares.contains_key(&vote.voter)) {
                self.offenders.insert(vote.voter);
            }
            return false;
        }
        let pile = self.piles.entry((vote.view, vote.block)).or_default();
        pile.shares.insert(vote.voter, vote.share);
        true
    }

    /// Views above `than` in which a quorum said the same and no check is under way, ascending.
    pub fn views_with_quorum(&self, epoch: &Epoch, than: View) -> Vec<View> {
        let quorum = epoch.quorum();
        let piles = self.piles.range((than.next(), BlockId::ZERO)..);
        piles
            .filter(|(_, pile)| !pile.checking && pile.shares.len() >= quorum)
            .map(|((view, _), _)| *view)
            .collect()
    }

    /// The shares to check for `view`, once per new quorum.
    pub fn take_quorum(
        &mut self,
        epoch: &Epoch,
        view: View,
    ) -> Option<(BlockId, Vec<(ReplicaId, Bytes)>)> {
        let range = (view, BlockId::ZERO)..(view.next(), BlockId::ZERO);
        let (key, pile) = self
            .piles
            .range_mut(range)
            .find(|(_, pile)| !pile.checking && pile.shares.len() >= epoch.quorum())?;
        pile.checking = true;
        Some((
            key.1,
            pile.shares
                .iter()
                .map(|(id, share)| (*id, share.clone()))
                .collect(),
        ))
    }

    /// Whether a check of shares newer than `view` is under way.
    pub fn checking_above(&self, view: View) -> bool {
        self.piles
            .range((view.next(), BlockId::ZERO)..)
            .any(|(_, pile)| pile.checking)
    }

    /// The check of a pile failed: drops the bad shares, so that more may come. The bad voters'
    /// places stay taken.
    pub fn failed(&mut self, view: View, block: BlockId, bad: &[ReplicaId]) {
        if let Some(pile) = self.piles.get_mut(&(view, block)) {
            pile.checking = false;
            for id in bad {
                pile.shares.remove(id);
                self.offenders.insert(*id);
            }
        }
    }

    /// Forgets views up to `view`.
    pub fn prune(&mut self, view: View) {
        self.piles = self.piles.split_off(&(view.next(), BlockId::ZERO));
        self.voted.retain(|v, _| *v > view);
    }
}
