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

/// What votes are added up for: view, block, and the `B` that they state beside it.
type Key = (View, BlockId, SignerSet);

/// A quorum's shares for one block.
#[derive(Debug, PartialEq, Eq)]
pub struct Quorum {
    pub block: BlockId,
    pub excluded: SignerSet,
    pub shares: Vec<(ReplicaId, Bytes)>,
}

/// Shares by view and block.
#[derive(Debug, Default)]
pub struct Votes {
    piles: BTreeMap<Key, Pile>,
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
        let Some(seats) = counted(epoch, vote.excluded) else {
            return false;
        };
        if !seats.contains(vote.voter) {
            return false;
        }
        let key = (vote.view, vote.block, vote.excluded);
        let voted = self.voted.entry(vote.view).or_default();
        if !voted.insert(vote.voter) {
            let known = self.piles.get(&key);
            if known.is_none_or(|pile| !pile.shares.contains_key(&vote.voter)) {
                self.offenders.insert(vote.voter);
            }
            return false;
        }
        let pile = self.piles.entry(key).or_default();
        pile.shares.insert(vote.voter, vote.share);
        true
    }

    /// Views above `than` in which a quorum said the same and no check is under way, ascending.
    pub fn views_with_quorum(&self, epoch: &Epoch, than: View) -> Vec<View> {
        let piles = self.piles.range(first(than.next())..);
        piles
            .filter(|(key, pile)| is_ripe(epoch, key, pile))
            .map(|((view, ..), _)| *view)
            .collect()
    }

    /// The shares to check for `view`, once per new quorum.
    pub fn take_quorum(&mut self, epoch: &Epoch, view: View) -> Option<Quorum> {
        let mut piles = self.piles.range_mut(first(view)..first(view.next()));
        let (key, pile) = piles.find(|(key, pile)| is_ripe(epoch, key, pile))?;
        pile.checking = true;
        let shares = pile.shares.iter();
        Some(Quorum {
            block: key.1,
            excluded: key.2,
            shares: shares.map(|(id, share)| (*id, share.clone())).collect(),
        })
    }

    /// Whether a check of shares newer than `view` is under way.
    pub fn checking_above(&self, view: View) -> bool {
        self.piles
            .range(first(view.next())..)
            .any(|(_, pile)| pile.checking)
    }

    /// The check of a pile failed: drops the bad shares, so that more may come. The bad voters'
    /// places stay taken.
    pub fn failed(&mut self, view: View, block: BlockId, bad: &[ReplicaId]) {
        let mut piles = self.piles.range_mut(first(view)..first(view.next()));
        if let Some((_, pile)) = piles.find(|(key, pile)| key.1 == block && pile.checking) {
            pile.checking = false;
            for id in bad {
                pile.shares.remove(id);
                self.offenders.insert(*id);
            }
        }
    }

    /// Forgets views up to `view`.
    pub fn prune(&mut self, view: View) {
        self.piles = self.piles.split_off(&first(view.next()));
        self.voted.retain(|v, _| *v > view);
    }
}

/// The lowest key of a view.
fn first(view: View) -> Key {
    (view, BlockId::ZERO, SignerSet::EMPTY)
}

/// Whose votes count where `excluded` is declared; none if it may not be.
fn counted(epoch: &Epoch, excluded: SignerSet) -> Option<SignerSet> {
    epoch.quorum_without(excluded)?;
    Some(epoch.members.difference(excluded))
}

fn is_ripe(epoch: &Epoch, key: &Key, pile: &Pile) -> bool {
    let enough = epoch.quorum_without(key.2);
    !pile.checking && enough.is_some_and(|quorum| pile.shares.len() >= quorum)
}
